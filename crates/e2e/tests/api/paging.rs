//! Lists: filters that agree with each other, and pages without gaps or repetitions while events arrive.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::house::{CHROME, Guest, House};
use crate::on_both_engines;
use crate::times::minute;

on_both_engines!(pages_have_no_gap_and_no_repetition, filters_give_what_they_say);

fn walk(guest: &Guest<'_>, path: &str, mut between: impl FnMut()) -> (Vec<Value>, usize) {
    let (mut items, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = guest.get(&format!("{path}{cursor}"));
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => {
                assert!(page.get("next").is_some_and(Value::is_null), "the last page says so");
                return (items, pages);
            }
        }
        between();
    }
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

fn pages_have_no_gap_and_no_repetition(house: &House) {
    let guest = house.guest();
    let event = |number: i64| json!({"kind": "sent", "id": format!("e-{number:03}"), "campaign": format!("campaign {}", number % 12), "occurred_at": minute(number * 7 % 100)});
    let mut sent = 0;
    house.record(&(0..50).map(event).collect::<Vec<_>>(), &mut sent);
    let expected: Vec<String> = (0..50).rev().map(|number| format!("e-{number:03}")).collect();
    for limit in [1, 7, 25, 49, 50, 51, 1000] {
        let (items, pages) = walk(&guest, &format!("/api/v1/events?limit={limit}"), || ());
        assert_eq!(ids(&items), expected, "limit {limit}");
        assert_eq!(pages, 50_usize.div_ceil(limit), "limit {limit}: there is no empty page at the end");
    }
    // New events come to the front; whoever pages backwards does not notice.
    let mut number = 50;
    let (items, _) = walk(&guest, "/api/v1/events?limit=9", || {
        house.record(&[event(number)], &mut sent);
        number += 1;
    });
    assert_eq!(ids(&items), expected);

    let (all, _) = walk(&guest, "/api/v1/campaigns?limit=100", || ());
    let names: BTreeSet<_> = all.iter().map(|row| row["name"].as_str().expect("a name")).collect();
    assert_eq!((all.len(), names.len()), (12, 12));
    for limit in [1, 5, 12] {
        let (items, pages) = walk(&guest, &format!("/api/v1/campaigns?limit={limit}"), || ());
        assert_eq!((ids(&items), pages), (ids(&all), 12_usize.div_ceil(limit)), "limit {limit}");
    }
    let first = guest.get("/api/v1/events");
    assert_eq!(first["items"].as_array().map(Vec::len), Some(number as usize), "a hundred at a time unless told");
}

fn filters_give_what_they_say(house: &House) {
    let guest = house.guest();
    let agents = [
        CHROME,
        "curl/8.5.0",
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    ];
    let (campaigns, recipients) = (["spring", "autumn"], ["anna", "bert", "cora"]);
    let kinds = ["opened", "clicked", "sent", "replied"];
    let events: Vec<Value> = (0..120)
        .map(|number: usize| {
            let kind = kinds[number % 4];
            let mut event = json!({
                "kind": kind,
                "id": format!("e-{number:03}"),
                "campaign": campaigns[number / 4 % 2],
                "recipient": recipients[number % 3],
                "message": format!("m-{}", number % 10),
                "occurred_at": minute(10 * number as i64),
            });
            if number % 4 < 2 {
                event["user_agent"] = json!(agents[number / 8 % 3]);
            }
            event
        })
        .collect();
    house.record(&events, &mut 0);
    let all = guest.events("");
    assert_eq!(all.len(), 120);
    let value_of = |field: &str, of: &str, key: &str| {
        let event = all.iter().find(|event| event[of] == key).unwrap_or_else(|| panic!("no {key}"));
        event[field].as_str().expect("an id").to_owned()
    };
    let spring = value_of("campaign", "campaign_name", "spring");
    let anna = value_of("recipient", "recipient_key", "anna");
    let message = all[7]["message"].as_str().expect("an id").to_owned();
    let (from, to) = (minute(300), minute(800));
    let class = |event: &Value| event["verdict"]["class"].as_str().unwrap_or("unjudged").to_owned();
    let told = |event: &Value| event["id"].as_str().expect("an id")[2..].parse::<i64>().expect("a number") * 10;
    let in_time = |event: &Value| (300..800).contains(&told(event));
    type Test<'t> = Box<dyn Fn(&Value) -> bool + 't>;
    let cases: Vec<(String, Test<'_>)> = vec![
        (format!("&campaign={spring}"), Box::new(|event| event["campaign_name"] == "spring")),
        (format!("&recipient={anna}"), Box::new(|event| event["recipient_key"] == "anna")),
        (format!("&message={message}"), Box::new(|event| event["message"] == message.as_str())),
        ("&kind=clicked".into(), Box::new(|event| event["kind"] == "clicked")),
        ("&class=human".into(), Box::new(|event| class(event) == "human")),
        ("&class=machine".into(), Box::new(|event| class(event) == "machine")),
        ("&class=privacy_proxy".into(), Box::new(|event| class(event) == "privacy_proxy")),
        ("&class=unjudged".into(), Box::new(|event| class(event) == "unjudged")),
        (format!("&from={from}"), Box::new(|event| told(event) >= 300)),
        (format!("&to={to}"), Box::new(|event| told(event) < 800)),
        (format!("&from={from}&to={to}"), Box::new(in_time)),
        (
            format!("&campaign={spring}&recipient={anna}&kind=opened&from={from}&to={to}"),
            Box::new(|event| {
                event["campaign_name"] == "spring"
                    && event["recipient_key"] == "anna"
                    && event["kind"] == "opened"
                    && in_time(event)
            }),
        ),
        (
            format!("&campaign={spring}&message={message}"),
            Box::new(|event| event["campaign_name"] == "spring" && event["message"] == message.as_str()),
        ),
    ];
    for (query, belongs) in cases {
        let expected: Vec<Value> = all.iter().filter(|event| belongs(event)).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < 120, "{query} tells nothing apart");
        assert_eq!(ids(&guest.events(&query)), ids(&expected), "{query}");
        let (paged, _) = walk(&guest, &format!("/api/v1/events?limit=4{query}"), || ());
        assert_eq!(ids(&paged), ids(&expected), "{query} in pages");
    }
    let timeline = guest.get(&format!("/api/v1/contacts/{anna}/timeline?limit=1000"));
    assert_eq!(timeline["items"], json!(guest.events(&format!("&recipient={anna}"))));
    let opens = guest.get(&format!("/api/v1/contacts/{anna}/timeline?kind=opened&limit=2"));
    assert_eq!(opens["items"].as_array().map(Vec::len), Some(2));
    assert!(
        opens["items"].as_array().is_some_and(|items| items
            .iter()
            .all(|event| event["kind"] == "opened" && event["recipient_key"] == "anna"))
    );
}
