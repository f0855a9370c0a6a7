//! What is made of hits, as the API tells it: classes, scores, reasons, and bursts that re-label the past.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::house::{CHROME, House, hit, hit_as};
use crate::on_both_engines;

on_both_engines!(
    links_that_are_fetched_too_fast_re_label_what_came_before,
    a_message_that_is_fetched_five_times_a_second_is_a_machine
);

/// At most so long after the hit that completes a burst, everything in it is a machine's.
const RELABELLED_WITHIN: Duration = Duration::from_secs(2);

fn codes(event: &Value) -> Vec<&str> {
    let reasons = event["verdict"]["reasons"].as_array().expect("reasons");
    reasons.iter().map(|reason| reason["code"].as_str().expect("a code")).collect()
}

/// Asks until `right` holds, for as long as a burst may take.
fn soon(house: &House, since: Instant, what: &str, right: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    loop {
        let events = house.guest().events("");
        if right(&events) {
            return events;
        }
        assert!(since.elapsed() < RELABELLED_WITHIN, "{what}: not within {RELABELLED_WITHIN:?}: {events:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn all_are(events: &[Value], class: &str, count: usize) -> bool {
    events.len() == count && events.iter().all(|event| event["verdict"]["class"] == class)
}

fn links_that_are_fetched_too_fast_re_label_what_came_before(house: &House) {
    let guest = house.guest();
    let click = |id: &str, url: &str, ip: &str| {
        let event = json!({"kind": "clicked", "id": id, "message": "m-1", "campaign": "spring", "recipient": "anna", "url": url, "ip": ip, "user_agent": CHROME});
        assert_eq!(guest.post(&event.to_string()).status, 200);
        Instant::now()
    };
    let sent = click("one", "https://shop.example/a", "192.0.2.1");
    let events = soon(house, sent, "the first click", |events| all_are(events, "human", 1));
    assert_eq!((codes(&events[0]), &events[0]["verdict"]["score"]), (vec![], &json!(0.0)));
    // The same link once more, and another reader of the same mail: nothing is wrong with either.
    click("again", "https://shop.example/a", "192.0.2.1");
    let sent = click("elsewhere", "https://shop.example/b", "192.0.2.77");
    soon(house, sent, "three clicks", |events| all_are(events, "human", 3));
    let sent = click("two", "https://shop.example/b", "192.0.2.1");
    let events = soon(house, sent, "the burst", |events| {
        let machine: Vec<_> = events.iter().filter(|event| event["verdict"]["class"] == "machine").collect();
        machine.len() == 3 && machine.iter().all(|event| event["ip"] == "192.0.2.1")
    });
    for event in events.iter().filter(|event| event["ip"] == "192.0.2.1") {
        assert_eq!((codes(event), &event["verdict"]["score"]), (vec!["burst.links"], &json!(1.0)), "{event}");
        assert!(event["verdict"]["reasons"][0]["words"].as_str().is_some_and(|words| words.contains("five seconds")));
    }
    let overview = guest.get("/api/v1/overview");
    let clicks = &overview["totals"]["clicks"];
    assert_eq!(
        (&clicks["human"], &clicks["machine"]),
        (&json!({"total": 1, "unique": 1}), &json!({"total": 3, "unique": 2}))
    );
    assert!(house.run(&["rebuild", "--dry-run", "--output", "json"]).contains("\"equal\": true"));
}

fn a_message_that_is_fetched_five_times_a_second_is_a_machine(house: &House) {
    let pixel = house.installation.mint_opens(1).expect("a link").remove(0).path;
    let mut client = house.server.client().expect("a connection");
    for turn in 0..4 {
        let answer = hit_as(&mut client, &pixel, CHROME);
        assert!(answer.event_id().is_some(), "{turn}: {answer:?}");
    }
    // Four are a person who looks again and again; the fifth within the second is not.
    assert!(hit_as(&mut client, &pixel, CHROME).event_id().is_some());
    let events = soon(house, Instant::now(), "the burst", |events| all_are(events, "machine", 5));
    assert!(events.iter().all(|event| codes(event) == ["burst.rate"]), "{events:#?}");
}

#[test]
fn a_hit_is_judged_by_its_program_and_its_request() {
    let house = House::sqlite();
    let pixels = house.installation.mint_opens(5).expect("links");
    let clicks = house.installation.mint_clicks(2).expect("links");
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let answer = house.request(method, path, headers, b"");
        answer.event_id().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    let cases = [
        (hit(&house, &pixels[0].path).event_id().expect("an id").to_owned(), "human", vec![]),
        (ask("GET", &pixels[1].path, &[("User-Agent", "curl/8.5.0")]), "machine", vec!["agent.tool"]),
        (ask("HEAD", &pixels[2].path, &[("User-Agent", CHROME)]), "machine", vec!["method.head"]),
        (
            ask("GET", &pixels[3].path, &[("User-Agent", CHROME), ("Sec-Purpose", "prefetch")]),
            "machine",
            vec!["header.prefetch"],
        ),
        (
            ask(
                "GET",
                &pixels[4].path,
                &[(
                    "User-Agent",
                    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
                )],
            ),
            "privacy_proxy",
            vec!["agent.proxy.gmail"],
        ),
        (ask("GET", &clicks[0].path, &[]), "machine", vec!["agent.empty_click"]),
        (hit(&house, &clicks[1].path).event_id().expect("an id").to_owned(), "human", vec![]),
    ];
    house.wait_for_seq(cases.len() as i64);
    let events = house.guest().events("");
    for (id, class, reasons) in cases {
        let event =
            events.iter().find(|event| event["id"] == id.as_str()).unwrap_or_else(|| panic!("{id} is not stored"));
        assert_eq!((event["verdict"]["class"].as_str(), codes(event)), (Some(class), reasons), "{event}");
        let score = event["verdict"]["score"].as_f64().expect("a score");
        assert_eq!(score >= 0.7, class == "machine", "{event}");
        assert_eq!(event["verdict"]["rule_version"], 1);
        assert_eq!(event["ip"], "127.0.0.1");
        assert_eq!(event["campaign_name"], "e2e");
    }
}

const PROXIES: [(&str, &str); 4] = [
    ("Mozilla/5.0", "agent.proxy.apple"),
    ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "agent.proxy.gmail"),
    (
        "Mozilla/5.0 (Windows; U; Windows NT 5.1; de; rv:1.9.0.7) Gecko/2009021910 Firefox/3.0.7 (via ggpht.com GoogleImageProxy)",
        "agent.proxy.gmail",
    ),
    ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "agent.proxy.yahoo"),
];

/// A method, headers, and the reasons that they add.
type Asked<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

/// Whatever else speaks against it. Only a burst of clicks is a machine's: no image proxy follows links (decision 0013).
#[test]
fn a_mail_proxy_is_never_a_machine_but_for_a_burst_of_clicks() {
    let house = House::sqlite();
    let mut expected: Vec<(String, &str, Vec<&str>)> = Vec::new();
    for (agent, reason) in PROXIES {
        let requests: [Asked<'_>; 4] = [
            ("GET", &[], &[]),
            ("HEAD", &[], &["method.head"]),
            ("GET", &[("Sec-Purpose", "prefetch")], &["header.prefetch"]),
            ("HEAD", &[("X-Moz", "prefetch")], &["method.head", "header.prefetch"]),
        ];
        for (method, headers, more) in requests {
            let headers = [headers, &[("User-Agent", agent)]].concat();
            let pixel = house.installation.mint_opens(1).expect("a link").remove(0).path;
            let click = house.installation.mint_clicks(1).expect("a link").remove(0).path;
            for (path, click) in [(pixel, None), (click, Some("agent.proxy_click"))] {
                let answer = house.request(method, &path, &headers, b"");
                let id = answer.event_id().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
                expected.push((
                    id,
                    "privacy_proxy",
                    [reason].into_iter().chain(click).chain(more.iter().copied()).collect(),
                ));
            }
        }
        // From the network of a scanner, as another server reports it; and faster than anybody reads.
        let event = |kind: &str, id: String, message: &str, ip: &str, link: &str| {
            let mut event =
                json!({"kind": kind, "id": id, "message": format!("{message} {agent}"), "ip": ip, "user_agent": agent});
            if kind == "clicked" {
                event["url"] = json!(format!("https://shop.example/{link}"));
            }
            event
        };
        let scanner = "40.107.1.1";
        let mut events = vec![event("opened", format!("scanner {agent}"), "one", scanner, "")];
        expected.push((format!("scanner {agent}"), "privacy_proxy", vec![reason, "network.scanner"]));
        for number in 0..6 {
            events.push(event("opened", format!("open {number} {agent}"), "two", "192.0.2.1", ""));
            expected.push((format!("open {number} {agent}"), "privacy_proxy", vec![reason, "burst.rate"]));
        }
        for link in ["a", "b"] {
            events.push(event("clicked", format!("click {link} {agent}"), "three", "192.0.2.1", link));
            expected.push((
                format!("click {link} {agent}"),
                "machine",
                vec![reason, "agent.proxy_click", "burst.links"],
            ));
        }
        let answer = house.guest().post(&json!(events).to_string());
        assert_eq!(
            (answer.status, &crate::house::body(&answer)["recorded"]),
            (200, &json!(events.len())),
            "{answer:?}"
        );
    }
    house.wait_for_seq(expected.len() as i64);
    let events = house.guest().events("");
    for (id, class, reasons) in expected {
        let event =
            events.iter().find(|event| event["id"] == id.as_str()).unwrap_or_else(|| panic!("{id} is not stored"));
        assert_eq!(event["verdict"]["class"], class, "{id}: {event}");
        let mut codes = codes(event);
        codes.sort_unstable();
        let mut reasons = reasons;
        reasons.sort_unstable();
        assert_eq!(codes, reasons, "{id}");
        assert_eq!(event["verdict"]["score"].as_f64().expect("a score") >= 0.7, class == "machine", "{id}: {event}");
    }
}
