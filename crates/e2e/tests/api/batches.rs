//! `POST /api/v1/events`: good events are recorded, bad ones are told by index, repeated ones count once.

use serde_json::{Value, json};

use crate::house::{House, body, problem};
use crate::on_both_engines;
use crate::times::{from_now, minute, told};

on_both_engines!(
    one_object_an_array_and_lines_are_taken,
    an_id_counts_once_per_principal,
    hostile_texts_are_kept_or_refused_and_never_stop_anything,
);

fn one_object_an_array_and_lines_are_taken(house: &House) {
    let guest = house.guest();
    let ids = |text: &str| {
        let answer = guest.post(text);
        assert_eq!(answer.status, 200, "{text}: {answer:?}");
        let receipt = body(&answer);
        assert!(receipt.get("errors").is_none(), "{text}: {answer:?}");
        let ids: Vec<String> =
            receipt["ids"].as_array().expect("ids").iter().map(|id| id.as_str().expect("an id").to_owned()).collect();
        assert_eq!(receipt["recorded"], ids.len());
        ids
    };
    assert_eq!(ids(r#"{"kind":"sent","id":"a-1"}"#), ["a-1"]);
    assert_eq!(ids("  {\n  \"kind\": \"sent\",\n  \"id\": \"a-2\"\n}\n"), ["a-2"], "one object over several lines");
    assert_eq!(ids(r#"[{"kind":"sent","id":"b-1"}, {"kind":"sent","id":"b-2"}]"#), ["b-1", "b-2"]);
    let lines = "{\"kind\":\"sent\",\"id\":\"c-1\"}\n{\"kind\":\"sent\",\"id\":\"c-2\"}\r\n\n{\"kind\":\"sent\",\"id\":\"c-3\"}\n";
    assert_eq!(ids(lines), ["c-1", "c-2", "c-3"]);
    assert_eq!(ids("\u{feff}{\"kind\":\"sent\",\"id\":\"d-1\"}"), ["d-1"], "a byte order mark is forgiven");
    let own = ids(r#"[{"kind":"sent"},{"kind":"sent"}]"#);
    assert!(own.iter().all(|id| id.starts_with("evt_") && id.len() == 17) && own[0] != own[1], "{own:?}");
    house.wait_for_seq(10);
    let stored = guest.events("");
    let stored: Vec<&str> = stored.iter().rev().map(|event| event["id"].as_str().expect("an id")).collect();
    assert_eq!(stored[..8], ["a-1", "a-2", "b-1", "b-2", "c-1", "c-2", "c-3", "d-1"]);
    assert_eq!(stored[8..], own);
}

/// What is wrong with each refused event, by its index.
fn errors(receipt: &Value) -> Vec<(u64, String)> {
    let errors = receipt["errors"].as_array().unwrap_or_else(|| panic!("no errors in {receipt}"));
    let read = |error: &Value| {
        (error["index"].as_u64().expect("an index"), error["detail"].as_str().expect("a detail").to_owned())
    };
    errors.iter().map(read).collect()
}

#[test]
fn bad_events_are_told_by_index_and_do_not_sink_the_good_ones() {
    let house = House::sqlite();
    let guest = house.guest();
    let events = json!([
        {"kind": "sent", "id": "good-0"},
        {"kind": "send", "id": "bad-1"},
        {"kind": "opened", "colour": "red"},
        {"kind": "sent", "id": "good-3"},
        {"kind": "converted", "currency": "EUR"},
        "not an event",
        null,
        {"kind": "opened", "ip": "999.1.1.1"},
        {"kind": "sent", "id": "good-8"},
    ]);
    let answer = guest.post(&events.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    let receipt = body(&answer);
    assert_eq!(receipt["recorded"], 3);
    assert_eq!(receipt["ids"], json!(["good-0", null, null, "good-3", null, null, null, null, "good-8"]));
    let told = errors(&receipt);
    assert_eq!(told.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 4, 5, 6, 7]);
    for (place, words) in [(0, "sent, delivered"), (1, "colour"), (2, "needs a value"), (5, "999.1.1.1")] {
        assert!(told[place].1.contains(words), "{:?}", told[place]);
    }
    house.wait_for_seq(3);
    assert_eq!(guest.events("").len(), 3);

    let answer = guest.post(r#"[{"kind":"x"},{"kind":"opened","value":1}]"#);
    let problem = problem(&answer, 400, "events-refused");
    assert_eq!(errors(&problem).iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(guest.events("").len(), 3);
}

/// The same for lines: one that is no JSON at all is a bad line like any other.
#[test]
fn a_bad_line_does_not_sink_the_good_ones() {
    let house = House::sqlite();
    let guest = house.guest();
    let bad: [(&str, &[u8]); 6] = [
        ("a", b"not json"),
        ("b", b"{\"kind\":\"sent\""),
        ("c", b"{\"kind\":\"sent\",}"),
        ("d", b"{]"),
        ("e", b"{\"kind\":\"custom\",\"name\":\"caf\xe9\"}"),
        ("f", b"[oops"),
    ];
    let line = |id: &str| format!("{{\"kind\":\"sent\",\"id\":\"{id}\"}}").into_bytes();
    let as_lines = [("Content-Type", "application/x-ndjson; charset=utf-8")];
    for (headers, kind) in [(&[][..], "unnamed"), (&as_lines[..], "lines")] {
        for (name, bad) in bad {
            let (first, last) = (format!("{kind}-{name}-0"), format!("{kind}-{name}-2"));
            let lines = [&line(&first)[..], bad, &line(&last), b""].join(&b'\n');
            let answer = guest.post_bytes(headers, &lines);
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
            let receipt = body(&answer);
            assert_eq!(receipt["ids"], json!([first, null, last]), "{name}");
            assert_eq!(errors(&receipt).iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1], "{name}");
        }
    }
    // What looks like an array is none where the type says lines; several events on a line; marks and commas.
    let two = [&line("x-1")[..], b" ", &line("x-2"), b"\nbad\n\xef\xbb\xbf", &line("x-4"), b",\n"].concat();
    for (headers, lines, ids) in [
        (&as_lines[..], [&b"[oops\n"[..], &line("y-1")].concat(), json!([null, "y-1"])),
        (&as_lines[..], two.clone(), json!(["x-1", "x-2", null, "x-4"])),
        (&[][..], two, json!(["x-1", "x-2", null, "x-4"])),
    ] {
        let answer = guest.post_bytes(headers, &lines);
        assert_eq!((answer.status, &body(&answer)["ids"]), (200, &ids), "{answer:?}");
    }
}

fn an_id_counts_once_per_principal(house: &House) {
    house.principal("acme");
    house.principal("zeta");
    let (acme, zeta) = (
        house.guest_with("events:write,events:read", Some("acme")),
        house.guest_with("events:write,events:read", Some("zeta")),
    );
    let once = |name: &str| json!([{"kind": "custom", "name": name, "id": "order-1"}]).to_string();
    for _ in 0..2 {
        let receipt = body(&acme.post(&once("first")));
        assert_eq!(
            (&receipt["recorded"], &receipt["ids"]),
            (&json!(1), &json!(["order-1"])),
            "a repetition is told as recorded"
        );
    }
    body(&acme.post(&once("another content, the same id")));
    body(&zeta.post(&once("of somebody else")));
    let twice =
        json!([{"kind": "sent", "id": "twin"}, {"kind": "delivered", "id": "twin"}, {"kind": "sent", "id": "TWIN"}]);
    assert_eq!(body(&acme.post(&twice.to_string()))["recorded"], 3);
    house.wait_for_seq(7);
    let names = |guest: &crate::house::Guest<'_>| {
        let events = guest.events("");
        events
            .iter()
            .rev()
            .map(|event| format!("{} {} {}", event["id"], event["kind"], event["detail"]["name"]).replace('"', ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&acme), ["order-1 custom first", "twin sent null", "TWIN sent null"]);
    assert_eq!(names(&zeta), ["order-1 custom of somebody else"]);
    let overview = house.guest().get("/api/v1/overview");
    assert_eq!(overview["totals"]["events"]["custom"], json!({"total": 2, "unique": 0}));
    assert_eq!(overview["totals"]["events"]["sent"], json!({"total": 2, "unique": 0}));
    assert!(house.run(&["rebuild", "--dry-run", "--output", "json"]).contains("\"equal\": true"));
}

#[test]
fn times_are_believed_within_reason() {
    let house = House::sqlite();
    let guest = house.guest();
    let refused = |at: &str| {
        let answer = guest.post(&json!({"kind": "sent", "occurred_at": at}).to_string());
        let told = errors(&problem(&answer, 400, "events-refused"));
        told[0].1.clone()
    };
    assert!(refused(&from_now(10 * 60)).contains("in the future"));
    assert!(refused("9999-12-01T00:00:00Z").contains("in the future"));
    assert!(refused(&from_now(-6 * 366 * 86_400)).contains("five years ago"));
    assert!(refused("1970-01-01T00:00:00Z").contains("five years ago"));
    // The last is beyond what instants can be.
    for no_instant in [
        "9999-12-31T23:59:59Z",
        "yesterday",
        "2026-05-01",
        "2026-13-01T00:00:00Z",
        "2026-05-01T12:00:00",
        "1780000000",
        "",
    ] {
        assert!(refused(no_instant).contains("is not an instant"), "{no_instant:?}: {}", refused(no_instant));
    }
    let events = [
        json!({"kind": "sent", "id": "ahead", "occurred_at": from_now(4 * 60)}),
        json!({"kind": "sent", "id": "late", "occurred_at": minute(61)}),
        json!({"kind": "sent", "id": "long ago", "occurred_at": from_now(-4 * 365 * 86_400)}),
        json!({"kind": "sent", "id": "zone", "occurred_at": minute(61).replace('Z', "+00:00")}),
        json!({"kind": "sent", "id": "now"}),
    ];
    house.record(&events, &mut 0);
    let stored = guest.events("");
    let of = |id: &str| stored.iter().find(|event| event["id"] == id).unwrap_or_else(|| panic!("{id} is not stored"));
    assert_eq!(of("late")["occurred_at"], told(61));
    assert_eq!(of("zone")["occurred_at"], told(61));
    for id in ["ahead", "now"] {
        assert_eq!(of(id)["occurred_at"], of(id)["received_at"], "{id}: it cannot have happened after it arrived");
    }
}

/// Whatever text somebody sends: it comes back as it was, or is refused with a reason; and what comes after it is
/// projected as ever.
fn hostile_texts_are_kept_or_refused_and_never_stop_anything(house: &House) {
    let guest = house.guest();
    let texts: Vec<String> = [
        "'; DROP TABLE event; --",
        "\"quoted\" \\",
        "ünïcödé 漢字 🚦",
        "e\u{301}",
        "\u{202e}mirrored",
        "<script>alert(1)</script>",
        "{keys} $1 ?1",
        "null",
        "=1+1",
        "\u{7f}",
        "\u{0}",
        "a\u{0}b",
        "\u{1b}[31mred",
        "line\nbreak",
        "\u{fffe}\u{ffff}",
        "\u{10ffff}",
        "\u{200b}",
        "%00%0a",
        "../../etc/passwd",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["x".repeat(128), "é".repeat(64)])
    .collect();
    let mut kept = 0;
    for (number, text) in texts.iter().enumerate() {
        for field in ["id", "campaign", "recipient", "message", "url", "user_agent", "name", "properties"] {
            let mut event =
                json!({"kind": if field == "url" { "clicked" } else { "custom" }, "id": format!("{field}-{number}")});
            if field != "url" {
                event["name"] = json!("hostile");
            }
            event[field] = if field == "properties" { json!({ text.as_str(): [text] }) } else { json!(text) };
            let answer = guest.post(&event.to_string());
            match answer.status {
                200 => kept += 1,
                400 => assert!(!errors(&body(&answer))[0].1.is_empty()),
                _ => panic!("{event}: {answer:?}"),
            }
        }
    }
    assert!(kept > 100, "only {kept} were taken: a text that is odd is no reason to refuse it");
    house.wait_for_seq(kept);
    let events = guest.events("");
    let told = |text: &str, number: usize, field: &str| {
        let id = if field == "id" { text.to_owned() } else { format!("{field}-{number}") };
        events.iter().find(|event| event["id"] == id).cloned()
    };
    for (number, text) in texts.iter().enumerate() {
        let same = [
            ("campaign", "/campaign_name"),
            ("recipient", "/recipient_key"),
            ("url", "/url"),
            ("user_agent", "/user_agent"),
            ("name", "/detail/name"),
        ];
        for (field, place) in same {
            if let Some(event) = told(text, number, field) {
                assert_eq!(event.pointer(place), Some(&json!(text)), "{field} {text:?}: {event}");
            }
        }
        if let Some(event) = told(text, number, "properties") {
            assert_eq!(event["detail"]["properties"], json!({ text.as_str(): [text] }), "{text:?}");
        }
    }
    let health = house.request("GET", "/health", &[], b"");
    assert_eq!(health.status, 200, "{health:?}");
    assert!(health.text().contains(r#"{"name":"projector","status":"pass"}"#), "{health:?}");
}
