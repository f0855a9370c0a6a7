//! The published JSON schemas say what the API takes: whatever they allow is recorded, whatever they refuse is not.

use serde_json::{Map, Value, json};

use crate::house::{Guest, House, body};
use crate::times::minute;

const KINDS: [&str; 11] = [
    "sent",
    "delivered",
    "deferred",
    "bounced",
    "complained",
    "unsubscribed",
    "replied",
    "opened",
    "clicked",
    "converted",
    "custom",
];

fn schema(guest: &Guest<'_>, kind: &str) -> Value {
    let schema = guest.get(&format!("/api/v1/schemas/events/{kind}.json"));
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{kind}");
    assert_eq!(schema["type"], "object", "{kind}");
    assert_eq!(schema["additionalProperties"], false, "{kind}");
    assert_eq!(schema["properties"]["kind"], json!({"const": kind}), "{kind}");
    schema
}

/// The type of a field beside null, which is as good as left out.
fn type_of(rule: &Value) -> Option<&str> {
    match &rule["type"] {
        Value::String(word) => Some(word),
        Value::Array(words) => words.iter().filter_map(Value::as_str).find(|word| *word != "null"),
        _ => None,
    }
}

/// Values that a field's schema allows.
fn allowed(field: &str, rule: &Value) -> Vec<Value> {
    if let Some(only) = rule.get("const") {
        return vec![only.clone()];
    }
    if let Some(some) = rule.get("enum").and_then(Value::as_array) {
        return some.clone();
    }
    let longest = rule.get("maxLength").and_then(Value::as_u64).map(|most| json!("x".repeat(most as usize)));
    let web = "https://shop.example/?a=b#c";
    match (field, type_of(rule)) {
        (_, Some("null")) => vec![Value::Null],
        ("occurred_at", _) => vec![json!(minute(5)), json!(minute(5).replace('Z', "+00:00"))],
        ("ip", _) => vec![json!("192.0.2.1"), json!("2001:db8::1")],
        ("principal", _) => vec![],
        ("link", _) => vec![json!("lnk_0000000000001")],
        ("currency", _) => vec![json!("EUR"), json!("JPY")],
        ("url", Some("string")) => {
            vec![json!(web), json!("HTTP://m\u{fc}ller.example"), json!(format!("{web:x<2048}"))]
        }
        ("value", None) => {
            let numbers = [json!(0), json!(12.5), json!(-3), json!(0.000001), json!(123_456_789)];
            numbers.into_iter().chain([json!("12.50"), json!("-999999999.999999")]).collect()
        }
        (_, Some("object")) => vec![json!({}), json!({"a": {"b": [1, null, "x"]}})],
        (_, Some("string")) => [json!("some text")].into_iter().chain(longest).collect(),
        other => panic!("{field}: the test knows no value of {other:?}"),
    }
}

/// Values that a field's schema refuses.
fn refused(field: &str, rule: &Value) -> Vec<Value> {
    let mut values = vec![json!(true), json!([]), json!({"a": 1})];
    match type_of(rule) {
        Some("object") => values = vec![json!("text"), json!([1]), json!(7)],
        Some("string") => {
            values.push(json!(7));
            values.extend(rule.get("minLength").map(|_| json!("")));
            values
                .extend(rule.get("maxLength").and_then(Value::as_u64).map(|most| json!("x".repeat(most as usize + 1))));
            values.extend(rule.get("pattern").map(|_| json!("eu\u{7}ro")));
            values.extend(rule.get("format").map(|_| json!("yesterday")));
            values.extend((field == "currency").then(|| json!("euro")));
            if field == "url" {
                let no_web = [
                    "javascript:alert(1)",
                    "ftp://shop.example/",
                    "shop.example",
                    "//shop.example/",
                    "https://",
                    "http:///x",
                ];
                values.extend(no_web.map(|text| json!(text)));
            }
        }
        _ if field == "value" => {
            values.extend([json!("one"), json!(""), json!("12.5 EUR"), json!("1234567890"), json!(1_000_000_000)]);
        }
        _ => values.extend([json!("something else"), json!("")]),
    }
    values
}

/// The least that the schema allows.
fn least(kind: &str, schema: &Value) -> Map<String, Value> {
    let required = schema["required"].as_array().unwrap_or_else(|| panic!("{kind}: no required fields"));
    let fields = required.iter().map(|field| {
        let field = field.as_str().expect("a field");
        (field.to_owned(), allowed(field, &schema["properties"][field])[0].clone())
    });
    fields.collect()
}

fn is_taken(guest: &Guest<'_>, event: &Map<String, Value>) -> Result<(), String> {
    let answer = guest.post(&json!(event).to_string());
    match answer.status {
        200 => Ok(()),
        400 => Err(body(&answer)["errors"][0]["detail"].as_str().expect("a detail").to_owned()),
        _ => panic!("{event:?}: {answer:?}"),
    }
}

#[test]
fn every_kind_has_a_schema() {
    let house = House::sqlite();
    let list = house.request("GET", "/api/v1/schemas/events", &[], b"");
    assert_eq!(list.status, 200, "schemas are public: {list:?}");
    let list = body(&list);
    let kinds: Vec<_> = list["items"].as_array().expect("items").iter().map(|item| item["kind"].as_str()).collect();
    assert_eq!(kinds, KINDS.map(Some));
    for item in list["items"].as_array().expect("items") {
        let path = item["schema"].as_str().expect("a path");
        assert_eq!(house.request("GET", path, &[], b"").status, 200, "{path}");
    }
    assert_eq!(house.request("GET", "/api/v1/schemas/events/nothing.json", &[], b"").status, 404);
}

#[test]
fn what_a_schema_allows_is_recorded() {
    let house = House::sqlite();
    let guest = house.guest();
    for kind in KINDS {
        let schema = schema(&guest, kind);
        let least = least(kind, &schema);
        assert_eq!(is_taken(&guest, &least), Ok(()), "{kind} with what is required");
        for (field, rule) in schema["properties"].as_object().expect("properties") {
            for value in allowed(field, rule) {
                let mut event = least.clone();
                event.insert(field.clone(), value);
                assert_eq!(is_taken(&guest, &event), Ok(()), "{event:?}");
            }
        }
        // Everything at once, but for what names the same thing twice.
        let mut all = least.clone();
        for (field, rule) in schema["properties"].as_object().expect("properties") {
            if !(field == "link" && kind == "clicked") {
                all.extend(allowed(field, rule).into_iter().next().map(|value| (field.clone(), value)));
            }
        }
        assert_eq!(is_taken(&guest, &all), Ok(()), "{all:?}");
    }
}

#[test]
fn what_a_schema_refuses_is_not_recorded() {
    let house = House::sqlite();
    let guest = house.guest();
    for kind in KINDS {
        let schema = schema(&guest, kind);
        let least = least(kind, &schema);
        for field in least.keys() {
            let mut event = least.clone();
            event.remove(field);
            let told = is_taken(&guest, &event).expect_err(&format!("{kind} without {field}"));
            assert!(told.contains(field.as_str()), "{kind} without {field}: {told}");
        }
        let known = schema["properties"].as_object().expect("properties");
        for extra in
            ["colour", "Kind", "value", "name", "url", "link", "reason", "code", "bounce_type", "currency", "class"]
        {
            if !known.contains_key(extra) {
                let mut event = least.clone();
                event.insert(extra.to_owned(), json!("lnk_0000000000001"));
                let told = is_taken(&guest, &event).expect_err(&format!("{kind} with {extra}"));
                assert!(told.contains(extra), "{kind} with {extra}: {told}");
            }
        }
        for (field, rule) in known {
            for value in refused(field, rule) {
                let mut event = least.clone();
                event.insert(field.clone(), value.clone());
                assert!(is_taken(&guest, &event).is_err(), "{kind} with {field} = {value}");
            }
        }
    }
    assert_eq!(guest.events("").len(), 0);
}
