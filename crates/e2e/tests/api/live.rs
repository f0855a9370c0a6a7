//! `GET /api/v1/live`: everything that happens, once and in order, also for who was away for a moment.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::house::{CHROME, Guest, House};
use crate::on_both_engines;

on_both_engines!(what_happens_is_told_with_its_verdict_and_the_totals, who_comes_back_is_told_what_was_missed_once);

/// One server-sent event.
#[derive(Debug, Clone)]
struct Told {
    id: Option<i64>,
    event: String,
    data: Value,
}

/// An open stream.
struct Stream {
    reader: BufReader<TcpStream>,
    /// What came in chunks and is no whole event yet.
    text: String,
}

impl Stream {
    fn open(house: &House, guest: &Guest<'_>, last_id: Option<i64>) -> Self {
        let mut stream = TcpStream::connect(house.server.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        let last_id = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let head =
            format!("GET /api/v1/live HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n{last_id}\r\n", guest.token);
        stream.write_all(head.as_bytes()).expect("the head is sent");
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        while head.last().is_none_or(|line: &String| !line.trim().is_empty()) {
            let mut line = String::new();
            assert_ne!(reader.read_line(&mut line).expect("a head"), 0, "the answer ends in its head: {head:?}");
            head.push(line.to_lowercase());
        }
        assert!(head[0].contains(" 200 "), "{head:?}");
        for wanted in ["content-type: text/event-stream", "transfer-encoding: chunked"] {
            assert!(head.iter().any(|line| line.trim() == wanted), "{wanted}: {head:?}");
        }
        assert!(head.iter().any(|line| line.starts_with("cache-control: no-")), "{head:?}");
        Self { reader, text: String::new() }
    }

    /// The next event; `None` when the stream ended.
    fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(told) = parse(&event) {
                    return Some(told);
                }
                continue;
            }
            let mut size = String::new();
            if self.reader.read_line(&mut size).expect("the stream goes on") == 0 {
                return None;
            }
            let size =
                usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("{size:?} is no size of a chunk"));
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).expect("a whole chunk");
            if size == 0 {
                return None;
            }
            self.text.push_str(std::str::from_utf8(&chunk[..size]).expect("text"));
        }
    }

    /// Reads until `enough` says so, and gives every `event` that came.
    fn events_until(&mut self, enough: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        let start = Instant::now();
        let mut events = Vec::new();
        while !enough(&events) {
            assert!(start.elapsed() < Duration::from_secs(15), "{events:#?}");
            let told = self.next().expect("the stream goes on");
            if told.event == "event" {
                events.push(told);
            }
        }
        events
    }

    /// The next totals for which `right` holds.
    fn totals(&mut self, right: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let told = self.next().expect("the stream goes on");
            if told.event == "totals" && right(&told.data) {
                return told.data;
            }
            assert!(start.elapsed() < Duration::from_secs(15), "{told:?}");
        }
    }
}

/// A comment gives nothing.
fn parse(text: &str) -> Option<Told> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let data = serde_json::from_str(field("data")?).unwrap_or_else(|error| panic!("{error}: {text}"));
    Some(Told { id: field("id").map(|id| id.parse().expect("a seq")), event: field("event")?.to_owned(), data })
}

fn open(id: &str) -> Value {
    json!({"kind": "opened", "id": id, "campaign": "spring", "recipient": "anna", "user_agent": CHROME})
}

fn post(guest: &Guest<'_>, ids: impl Iterator<Item = String>) {
    let events: Vec<Value> = ids.map(|id| open(&id)).collect();
    let answer = guest.post(&json!(events).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn ids(events: &[Told]) -> Vec<&str> {
    events.iter().map(|told| told.data["id"].as_str().expect("an id")).collect()
}

fn what_happens_is_told_with_its_verdict_and_the_totals(house: &House) {
    let guest = house.guest();
    post(&guest, ["before".to_owned()].into_iter());
    house.wait_for_seq(1);
    let mut stream = Stream::open(house, &guest, None);
    assert_eq!(stream.totals(|totals| totals["opens_human"] == 1)["events"], 1, "totals come at once");
    let posted = Instant::now();
    post(&guest, ["now".to_owned()].into_iter());
    let told = stream.events_until(|events| !events.is_empty()).remove(0);
    assert!(posted.elapsed() < Duration::from_millis(1500), "it was told after {:?}", posted.elapsed());
    let data = &told.data;
    assert_eq!(ids(std::slice::from_ref(&told)), ["now"], "what was there before is not told again");
    assert_eq!(
        (data["kind"].as_str(), data["class"].as_str(), &data["score"]),
        (Some("opened"), Some("human"), &json!(0.0))
    );
    assert_eq!(
        (data["campaign"].as_str(), data["recipient"].as_str(), data["client"].as_str()),
        (Some("spring"), Some("anna"), Some("Chrome"))
    );
    assert_eq!(told.id, Some(2));
    let totals = stream.totals(|totals| totals["opens_human"] == 2);
    assert_eq!(totals, json!({"opens_human": 2, "clicks_human": 0, "opens_proxy": 0, "machine": 0, "events": 2}));
}

fn who_comes_back_is_told_what_was_missed_once(house: &House) {
    let guest = house.guest();
    let name = |number: i64| format!("e-{number}");
    // Somebody watches, so that the process has looked at the log, and goes away.
    let mut first = Stream::open(house, &guest, None);
    post(&guest, (1..=10).map(name));
    let seen = first.events_until(|events| events.len() == 10);
    assert_eq!(seen.iter().map(|told| told.id).collect::<Vec<_>>(), (1..=10).map(Some).collect::<Vec<_>>());
    drop(first);
    std::thread::sleep(Duration::from_millis(300));
    post(&guest, (11..=30).map(name));
    house.wait_for_seq(30);
    let mut again = Stream::open(house, &guest, Some(4));
    std::thread::sleep(Duration::from_millis(600));
    post(&guest, ["last".to_owned()].into_iter());
    let told = again.events_until(|events| events.last().is_some_and(|told| told.data["id"] == "last"));
    let expected: Vec<String> = (5..=30).map(name).chain(["last".to_owned()]).collect();
    assert_eq!(ids(&told), expected, "everything after the last id, once and in order");
    // Who has seen everything is told nothing.
    let mut up_to_date = Stream::open(house, &guest, Some(31));
    post(&guest, ["news".to_owned()].into_iter());
    assert_eq!(ids(&up_to_date.events_until(|events| !events.is_empty())), ["news"]);
}

#[test]
fn steady_traffic_is_told_once_and_in_order() {
    let house = House::sqlite();
    let guest = house.guest();
    let mut stream = Stream::open(&house, &guest, None);
    for number in 0..120 {
        post(&guest, [format!("e-{number}")].into_iter());
        std::thread::sleep(Duration::from_millis(15));
    }
    post(&guest, ["last".to_owned()].into_iter());
    let told = stream.events_until(|events| events.last().is_some_and(|told| told.data["id"] == "last"));
    let expected: Vec<String> = (0..120).map(|number| format!("e-{number}")).chain(["last".to_owned()]).collect();
    assert_eq!(ids(&told), expected);
}

/// Of a flood only a part is told, the newest; the totals tell all of it.
#[test]
fn of_a_flood_the_newest_are_told() {
    let house = House::sqlite();
    let guest = house.guest();
    let mut stream = Stream::open(&house, &guest, None);
    post(&guest, (0..2000).map(|number| format!("e-{number}")));
    let told = stream.events_until(|events| events.last().is_some_and(|told| told.data["id"] == "e-1999"));
    assert!(told.len() <= 500, "{} events", told.len());
    stream.totals(|totals| totals["events"] == 2000);
    // And who was away for so long sees the newest too, not the oldest.
    let mut again = Stream::open(&house, &guest, Some(1));
    let told = again.events_until(|events| events.last().is_some_and(|told| told.data["id"] == "e-1999"));
    assert!(told.len() <= 500, "{} events", told.len());
}

#[test]
fn a_stream_shows_its_own_principals_whatever_others_do() {
    let house = House::sqlite();
    let acme_id = house.principal("acme");
    let zeta_id = house.principal("zeta");
    let acme = house.guest_with("reports:read", Some("acme"));
    let mut stream = Stream::open(&house, &acme, None);
    // One of ours among a flood of somebody else's, all in one commit.
    let event = |number: i64, principal: &str| {
        let mut event = open(&format!("e-{number}"));
        event["principal"] = json!(principal);
        event
    };
    let events: Vec<Value> =
        (0..400).map(|number| event(number, if number == 3 { &acme_id } else { &zeta_id })).collect();
    assert_eq!(house.guest().post(&json!(events).to_string()).status, 200);
    house.wait_for_seq(400);
    assert_eq!(house.guest().post(&event(999, &acme_id).to_string()).status, 200);
    let told = stream.events_until(|events| events.last().is_some_and(|told| told.data["id"] == "e-999"));
    assert_eq!(ids(&told), ["e-3", "e-999"], "a flood of others hides nothing of one's own");
    assert_eq!(stream.totals(|totals| totals["events"] == 2)["opens_human"], 2);
}

/// A stream may be open for days: it must not outlive the right to see it.
#[test]
fn a_stream_ends_with_its_token() {
    let house = House::sqlite();
    let made: Value = serde_json::from_str(&house.run(&[
        "api-token",
        "create",
        "--name",
        "x",
        "--scope",
        "reports:read",
        "--output",
        "json",
    ]))
    .expect("JSON");
    let watcher = Guest::with_token(&house, made["token"].as_str().expect("a token"));
    let mut stream = Stream::open(&house, &watcher, None);
    stream.totals(|_| true);
    house.run(&["api-token", "revoke", made["id"].as_str().expect("an id")]);
    std::thread::sleep(Duration::from_secs(3));
    let secret = house.guest();
    for number in 0..20 {
        post(&secret, [format!("secret-{number}")].into_iter());
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut seen = Vec::new();
    while let Some(told) = stream.next() {
        seen.push(told);
        assert!(seen.len() < 10, "three seconds after its token was revoked the stream goes on: {seen:#?}");
    }
}
