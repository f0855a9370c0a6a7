//! Overview and reports with exact numbers.

use serde_json::{Value, json};

use crate::house::{CHROME, Guest, House, problem};
use crate::on_both_engines;
use crate::times::{minute, told};

on_both_engines!(figures_are_what_was_sent);

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1";
const GMAIL: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const SHOP: &str = "https://shop.example/";
const BLOG: &str = "https://blog.example/";

/// Ten minutes past ten, half past eleven, and a quarter past midnight of the next day.
const TEN: i64 = 610;
const ELEVEN: i64 = 690;
const NEXT: i64 = 1455;

fn open(who: &str, at: i64, agent: &str) -> Value {
    json!({"kind": "opened", "campaign": "spring", "message": format!("m-{who}"), "recipient": who, "occurred_at": minute(at), "user_agent": agent})
}

fn click(who: &str, at: i64, url: &str, agent: &str) -> Value {
    json!({"kind": "clicked", "campaign": "spring", "message": format!("m-{who}"), "recipient": who, "occurred_at": minute(at), "url": url, "user_agent": agent})
}

fn bare(kind: &str, who: &str, at: i64) -> Value {
    json!({"kind": kind, "campaign": "spring", "message": format!("m-{who}"), "recipient": who, "occurred_at": minute(at)})
}

/// Ten persons, machines and proxies; two days; two links; two currencies; another campaign beside it.
fn story() -> Vec<Value> {
    let mut events: Vec<Value> = ["anna", "bert", "cora", "dora"].iter().map(|who| bare("sent", who, 0)).collect();
    events.extend(["anna", "bert", "cora"].iter().map(|who| bare("delivered", who, 1)));
    events.push(json!({"kind": "bounced", "campaign": "spring", "recipient": "dora", "occurred_at": minute(1), "bounce_type": "hard", "code": "5.1.1"}));
    events.extend([
        open("anna", TEN, CHROME),
        open("anna", ELEVEN, CHROME),
        open("anna", NEXT, IPHONE),
        open("bert", TEN, IPHONE),
        open("bert", ELEVEN, GMAIL),
        open("cora", TEN, GMAIL),
        open("cora", ELEVEN, "curl/8.5.0"),
        click("anna", ELEVEN, SHOP, CHROME),
        click("anna", NEXT, BLOG, IPHONE),
        click("bert", ELEVEN, SHOP, IPHONE),
        click("bert", NEXT, SHOP, IPHONE),
        click("cora", ELEVEN, SHOP, "curl/8.5.0"),
    ]);
    for (who, value, currency, at) in [
        ("anna", json!(19.99), "EUR", ELEVEN),
        ("bert", json!(0.01), "EUR", ELEVEN),
        ("bert", json!(-5), "EUR", NEXT),
        ("cora", json!(100), "USD", NEXT),
    ] {
        let mut event = bare("converted", who, at);
        event["value"] = value;
        event["currency"] = json!(currency);
        events.push(event);
    }
    events.push(json!({"kind": "opened", "campaign": "autumn", "recipient": "anna", "occurred_at": minute(TEN), "user_agent": CHROME}));
    events.push(json!({"kind": "unsubscribed", "recipient": "emil", "occurred_at": minute(ELEVEN)}));
    events
}

fn counts(pairs: [(i64, i64); 3]) -> Value {
    let one = |(total, unique): (i64, i64)| json!({"total": total, "unique": unique});
    let [human, proxy, machine] = pairs.map(one);
    json!({"human": human, "privacy_proxy": proxy, "machine": machine})
}

fn campaign_id(guest: &Guest<'_>, name: &str) -> String {
    let all = guest.get("/api/v1/campaigns");
    let found = all["items"].as_array().expect("items").iter().find(|row| row["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {all}"))["id"].as_str().expect("an id").to_owned()
}

fn figures_are_what_was_sent(house: &House) {
    let guest = house.guest();
    house.record(&story(), &mut 0);
    let days = format!("from={}&to={}", minute(0), minute(2 * 1440));

    let overview = guest.get(&format!("/api/v1/overview?{days}&bucket=day"));
    assert_eq!(
        overview["totals"]["opens"],
        counts([(5, 3), (2, 2), (1, 1)]),
        "uniques: anna and bert, and anna once more in autumn"
    );
    assert_eq!(overview["totals"]["clicks"], counts([(4, 3), (0, 0), (1, 1)]));
    let events = json!({"bounced": {"total": 1, "unique": 1}, "converted": {"total": 4, "unique": 3}, "delivered": {"total": 3, "unique": 3}, "sent": {"total": 4, "unique": 4}, "unsubscribed": {"total": 1, "unique": 1}});
    assert_eq!(overview["totals"]["events"], events);
    let conversions =
        json!([{"currency": "EUR", "total": 3, "value": "15.0"}, {"currency": "USD", "total": 1, "value": "100.0"}]);
    assert_eq!(overview["conversions"], conversions);
    assert_eq!(overview["range"], json!({"from": told(0), "to": told(2 * 1440)}));
    let series = overview["series"].as_array().expect("a series");
    assert_eq!(
        series.iter().map(|moment| moment["start"].as_str()).collect::<Vec<_>>(),
        [Some(told(0).as_str()), Some(told(1440).as_str())]
    );
    assert_eq!(series[0]["opens"], counts([(4, 3), (2, 2), (1, 1)]));
    assert_eq!(series[1]["opens"], counts([(1, 0), (0, 0), (0, 0)]), "a first open counts in its own hour");
    assert_eq!(series[1]["clicks"], counts([(2, 1), (0, 0), (0, 0)]));

    let id = campaign_id(&guest, "spring");
    let report = guest.get(&format!("/api/v1/campaigns/{id}/report?{days}&bucket=hour"));
    assert_eq!(report["campaign"]["name"], "spring");
    assert_eq!(report["totals"]["opens"], counts([(4, 2), (2, 2), (1, 1)]));
    assert_eq!(report["conversions"], conversions);
    let series = report["series"].as_array().expect("a series");
    assert_eq!(series.len(), 48);
    let filled: Vec<_> = series.iter().filter(|moment| moment["opens"] != counts([(0, 0); 3])).collect();
    assert_eq!(
        filled.iter().map(|moment| moment["start"].as_str().expect("an instant").to_owned()).collect::<Vec<_>>(),
        [told(600), told(660), told(1440)]
    );
    assert_eq!(filled[0]["opens"], counts([(2, 2), (1, 1), (0, 0)]));
    assert_eq!(filled[1]["opens"], counts([(1, 0), (1, 1), (1, 1)]));
    let links: Vec<_> = report["links"]
        .as_array()
        .expect("links")
        .iter()
        .map(|link| (link["url"].as_str(), link["clicks"].clone()))
        .collect();
    assert_eq!(links, [(Some(SHOP), counts([(3, 2), (0, 0), (1, 1)])), (Some(BLOG), counts([(1, 1), (0, 0), (0, 0)]))]);
    let share = |list: &str, name: &str| {
        let rows = report[list].as_array().expect("rows").iter().filter(|row| row["name"] == name);
        rows.map(|row| {
            [&row["human"], &row["privacy_proxy"], &row["machine"]].map(|count| count.as_i64().expect("a count"))
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(
        (share("clients", "Chrome"), share("clients", "Safari"), share("clients", "Gmail proxy")),
        (vec![[3, 0, 0]], vec![[5, 0, 0]], vec![[0, 2, 0]])
    );
    assert_eq!((share("devices", "desktop"), share("devices", "mobile")), (vec![[3, 0, 0]], vec![[5, 0, 0]]));
    let contacts: Vec<_> = report["contacts"]
        .as_array()
        .expect("contacts")
        .iter()
        .map(|contact| {
            json!([contact["key"], contact["opens"], contact["clicks"], contact["first_at"], contact["last_at"]])
        })
        .collect();
    assert_eq!(
        contacts,
        [
            json!(["bert", 2, 2, told(TEN), told(NEXT)]),
            json!(["anna", 3, 2, told(TEN), told(NEXT)]),
            json!(["cora", 1, 0, told(TEN), told(TEN)])
        ]
    );

    // A part of the time: only what lies in these hours, and uniques whose first event does.
    let part = guest.get(&format!("/api/v1/campaigns/{id}/report?from={}&to={}", minute(665), minute(670)));
    assert_eq!(part["range"], json!({"from": told(660), "to": told(720)}), "widened to whole hours");
    assert_eq!(part["totals"]["opens"], counts([(1, 0), (1, 1), (1, 1)]));
    assert_eq!(part["totals"]["clicks"], counts([(2, 2), (0, 0), (1, 1)]));
    assert_eq!(part["conversions"], json!([{"currency": "EUR", "total": 2, "value": "20.0"}]));
    let empty = guest.get(&format!("/api/v1/campaigns/{id}/report?from={}&to={}", minute(3000), minute(3060)));
    assert_eq!(
        (&empty["totals"]["opens"], &empty["conversions"], &empty["links"]),
        (&counts([(0, 0); 3]), &json!([]), &json!([]))
    );

    let campaigns = guest.get(&format!("/api/v1/campaigns?{days}"));
    let rows: Vec<_> = campaigns["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|row| json!([row["name"], row["totals"]["opens"]["human"]["total"], row["last_hour"]]))
        .collect();
    assert_eq!(rows.len(), 2);
    assert!(
        rows.contains(&json!(["spring", 4, told(1440)])) && rows.contains(&json!(["autumn", 1, told(600)])),
        "{rows:?}"
    );
    assert!(house.run(&["rebuild", "--dry-run", "--output", "json"]).contains("\"equal\": true"));
}

#[test]
fn a_series_has_buckets_of_the_length_that_is_asked_for() {
    let house = House::sqlite();
    let guest = house.guest();
    let starts = |query: &str| {
        let overview = guest.get(&format!("/api/v1/overview?{query}"));
        let series = overview["series"].as_array().expect("a series").clone();
        (
            overview["bucket"].as_str().expect("a bucket").to_owned(),
            series.len(),
            series[0]["start"].as_str().expect("an instant").to_owned(),
        )
    };
    let two_days = format!("from={}&to={}", minute(30), minute(2 * 1440));
    assert_eq!(starts(&two_days), ("hour".into(), 48, told(0)));
    assert_eq!(starts(&format!("{two_days}&bucket=day")), ("day".into(), 2, told(0)));
    assert_eq!(
        starts("from=2026-05-06T13:00:00Z&to=2026-05-19T00:00:00Z&bucket=week").2,
        "2026-05-04T00:00:00.000000Z",
        "weeks begin on Monday"
    );
    assert_eq!(starts("from=2026-05-06T13:00:00Z&to=2026-05-19T00:00:00Z&bucket=week").1, 3);
    assert_eq!(starts("from=2026-03-01T00:00:00Z&to=2026-05-01T00:00:00Z").0, "day");
    assert_eq!(starts("from=2024-01-01T00:00:00Z&to=2026-05-01T00:00:00Z").0, "week");
    assert_eq!(
        starts("from=2026-05-01T00:00:00%2B02:00&to=2026-05-01T01:00:00%2B02:00").2,
        "2026-04-30T22:00:00.000000Z"
    );
    let default = guest.get("/api/v1/overview");
    // 30 days touch 31, but in the last hour before midnight (UTC), when they begin with a day.
    let from = default["range"]["from"].as_str().expect("an instant");
    let days = if from.ends_with("T00:00:00.000000Z") { 30 } else { 31 };
    assert_eq!((default["bucket"].as_str(), default["series"].as_array().map(Vec::len)), (Some("day"), Some(days)));
}

#[test]
fn a_question_that_makes_no_sense_is_told_why() {
    let house = House::sqlite();
    let guest = house.guest();
    for (path, words) in [
        ("/api/v1/overview?from=yesterday", "from: \"yesterday\" is not an instant"),
        ("/api/v1/overview?from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z", "from must be before to"),
        ("/api/v1/overview?bucket=minute", "`hour`, `day`, `week`"),
        ("/api/v1/overview?from=2020-01-01T00:00:00Z&bucket=hour", "more than 2000 buckets"),
        ("/api/v1/overview?form=2026-05-01T00:00:00Z", "not a parameter here"),
        ("/api/v1/overview?from=2026-05-01T00:00:00Z&from=2026-05-02T00:00:00Z", "given more than once"),
        ("/api/v1/campaigns?limit=0", "from 1 to 1000"),
        ("/api/v1/campaigns?limit=1001", "from 1 to 1000"),
        ("/api/v1/campaigns?limit=-1", "from 1 to 1000"),
        ("/api/v1/campaigns?limit=many", "limit"),
        ("/api/v1/campaigns?cursor=cmp_0000000000001", "cursor: not one that this API gave"),
        ("/api/v1/events?kind=open", "opened"),
        ("/api/v1/events?class=robot", "privacy_proxy"),
        ("/api/v1/events?campaign=spring", "cmp_"),
        ("/api/v1/events?recipient=anna", "con_"),
        ("/api/v1/events?message=cmp_0000000000001", "msg_"),
    ] {
        let told = problem(&guest.answer(path), 400, "bad-request");
        assert!(told["detail"].as_str().expect("a detail").contains(words), "{path}: {told}");
    }
    for path in ["/api/v1/nothing", "/api/v2/overview", "/api/v1/overview/", "/nothing", "/api/v1/campaigns/x/y"] {
        problem(&guest.answer(path), 404, "not-found");
    }
    assert_eq!(guest.request("DELETE", "/api/v1/overview", &[], b"").status, 405);
}
