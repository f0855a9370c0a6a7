//! `/health`, `/metrics`, and the limit on the API.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;
use signalbox_e2e::environment;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::server::Server;

use crate::house::{House, body, hit, problem};
use crate::on_both_engines;

on_both_engines!(health_tells_each_part_in_a_word, metrics_are_what_prometheus_takes);

fn health_tells_each_part_in_a_word(house: &House) {
    let answer = house.request("GET", "/health", &[], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = body(&answer);
    assert_eq!(told["status"], "pass", "{answer:?}");
    let parts: Vec<_> = told["components"]
        .as_array()
        .expect("components")
        .iter()
        .map(|part| part["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(parts, ["database", "intake", "disk", "clock", "projector"]);
    for part in told["components"].as_array().expect("components") {
        assert_eq!(part.as_object().map(|part| part.len()), Some(2), "a word each, no details: {part}");
    }
    let text = answer.text();
    assert!(
        !text.contains("postgres") && !text.contains("/tmp") && !text.contains("/var") && !text.contains("127.0.0.1"),
        "{text}"
    );
    let head = house.request("HEAD", "/health", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    let value = line.unwrap_or_else(|| panic!("no {name} in\n{text}")).rsplit(' ').next().expect("a value");
    value.parse().expect("a number")
}

fn metrics_are_what_prometheus_takes(house: &House) {
    let guest = house.guest();
    let text = || {
        let answer = guest.answer("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            answer.header("content-type").is_some_and(|value| value.starts_with("text/plain; version=0.0.4")),
            "{answer:?}"
        );
        answer.text()
    };
    let before = text();
    for name in [
        "signalbox_intake_events_total",
        "signalbox_intake_invalid_links_total",
        "signalbox_intake_rejected_items_total",
    ] {
        assert_eq!(metric(&before, name), 0.0, "{name}");
    }
    for reason in ["limit", "overload", "store"] {
        assert_eq!(
            metric(&before, &format!("signalbox_intake_unrecorded_total{{reason=\"{reason}\"}}")),
            0.0,
            "a counter is there before it counts"
        );
    }
    let pixel = house.installation.mint_opens(1).expect("a link").remove(0).path;
    assert!(hit(house, &pixel).event_id().is_some());
    assert!(hit(house, "/o/nonsense.gif").event_id().is_none());
    assert_eq!(
        guest
            .post(&json!([{"kind": "sent", "id": "a"}, {"kind": "sent", "id": "a"}, {"kind": "nonsense"}]).to_string())
            .status,
        200
    );
    house.wait_for_seq(3);
    let after = text();
    for (name, value) in [
        ("signalbox_intake_events_total", 3.0),
        ("signalbox_intake_invalid_links_total", 1.0),
        ("signalbox_intake_rejected_items_total", 1.0),
        ("signalbox_projector_events_total", 3.0),
        ("signalbox_projector_duplicates_total", 1.0),
        ("signalbox_projector_lag_events", 0.0),
        ("signalbox_projector_failing", 0.0),
    ] {
        assert_eq!(metric(&after, name), value, "{name}");
    }
    assert!(metric(&after, "process_resident_memory_bytes") > 1e6);
    assert!(after.contains("signalbox_build_info{version="));

    let promtool = environment::program("promtool", "prometheus").expect("promtool");
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().expect("promtool starts");
    check.stdin.take().expect("its input").write_all(after.as_bytes()).expect("it reads");
    let output = check.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn both_may_be_elsewhere() {
    let installation = Installation::sqlite().expect("a folder");
    let token = installation.token().expect("a token");
    let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0"]);
    let server =
        Server::start(command.env("METRICS_ENDPOINT", "/internal/metrics").env("HEALTH_CHECK_ENDPOINT", "/up"))
            .expect("a server");
    let status = |path: &str| {
        let headers = [("Authorization", format!("Bearer {token}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        server.client().expect("a connection").request("GET", path, &headers, b"").expect("an answer").status
    };
    assert_eq!(
        (status("/internal/metrics"), status("/up"), status("/metrics"), status("/health")),
        (200, 200, 404, 404)
    );
}

#[test]
fn who_asks_too_often_is_told_to_wait() {
    let installation = Installation::sqlite().expect("a folder");
    let token = installation.token().expect("a token");
    let pixel = installation.mint_opens(1).expect("a link").remove(0).path;
    let server = installation.serve_with(&[]).expect("a server");
    let mut client = server.client().expect("a connection");
    let authorization = format!("Bearer {token}");
    let mut answers: Vec<_> = (0..300)
        .map(|_| {
            client.request("GET", "/api/v1/campaigns", &[("Authorization", &authorization)], b"").expect("an answer")
        })
        .collect();
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert!(refused > 20, "{refused} of 300 at once were refused; 100 a second are allowed");
    assert!(answers[..100].iter().all(|answer| answer.status == 200), "the first hundred are within the limit");
    let last = answers.iter().rposition(|answer| answer.status == 429).expect("a refusal");
    let answer = answers.swap_remove(last);
    let told = problem(&answer, 429, "too-many-requests");
    assert_eq!((answer.header("retry-after"), &told["retry_after"]), (Some("1"), &json!(1)));
    let hit = server.get(&pixel).expect("an answer");
    assert!(hit.status == 200 && hit.event_id().is_some(), "pixels have a limit of their own: {hit:?}");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let answer =
        client.request("GET", "/api/v1/campaigns", &[("Authorization", &authorization)], b"").expect("an answer");
    assert_eq!(answer.status, 200, "after a second it goes on");
}
