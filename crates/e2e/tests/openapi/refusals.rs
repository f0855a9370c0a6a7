//! Whatever is wrong with a request is told as problem details that help.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::rig::Rig;

/// Method, target, headers, body, and what is answered: status and words.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static [u8], u16, &'static str);

const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];

const CASES: &[Case] = &[
    ("GET", "/api/v1/overview?colour=red", &[], b"", 400, "there is bucket, from, to"),
    ("GET", "/api/v1/schemas/events?x=1", &[], b"", 400, "there is none"),
    ("GET", "/api/v1/events?limit=1&limit=2", &[], b"", 400, "limit: given more than once"),
    ("GET", "/api/v1/events?limit=0", &[], b"", 400, "from 1 to 1000"),
    ("GET", "/api/v1/events?limit=99999999999999999999999", &[], b"", 400, "from 1 to 1000"),
    ("GET", "/api/v1/events?limit=ten", &[], b"", 400, "limit: from 1 to 1000"),
    ("GET", "/api/v1/events?cursor=cur_zzzzzzzzzzzzz", &[], b"", 400, "cursor: not one that this API gave"),
    ("GET", "/api/v1/events?kind=open", &[], b"", 400, "kind: \"open\" is not a kind of event; it is one of sent"),
    ("GET", "/api/v1/events?campaign=spring", &[], b"", 400, "campaign: \"spring\" is not an id of the form cmp_"),
    ("GET", "/api/v1/events?campaign=%ff", &[], b"", 400, "not UTF-8"),
    ("GET", "/api/v1/events?campaign=%00", &[], b"", 400, "NUL"),
    ("GET", "/api/v1/overview?from=", &[], b"", 400, "from: "),
    (
        "GET",
        "/api/v1/overview?from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z",
        &[],
        b"",
        400,
        "from must be before to",
    ),
    ("GET", "/api/v1/overview?from=1000-01-01T00:00:00Z&bucket=hour", &[], b"", 400, "more than 2000 buckets"),
    ("GET", "/api/v1/overview?bucket=year", &[], b"", 400, "bucket"),
    ("GET", "/api/v1/live", &[("Last-Event-ID", "yesterday")], b"", 400, "Last-Event-ID"),
    ("GET", "/api/v1/live?from=now", &[], b"", 400, "RFC 3339"),
    ("GET", "/api/v1/campaigns/cmp_0000000000000/report", &[], b"", 404, "nothing"),
    ("GET", "/api/v1/campaigns/spring/report", &[], b"", 404, "nothing"),
    ("GET", "/api/v1/campaigns/%ff/report", &[], b"", 404, "nothing"),
    ("GET", "/api/v1/campaigns/cmp_%00/report", &[], b"", 404, "nothing"),
    ("GET", "/api/v1/overview/", &[], b"", 404, "nothing"),
    ("GET", "/api/v1/schemas/events/open.json", &[], b"", 404, "nothing"),
    ("GET", "/api/v2/overview", &[], b"", 404, "nothing"),
    ("DELETE", "/api/v1/events", &[], b"", 405, "Allow"),
    ("OPTIONS", "/api/v1/overview", &[], b"", 405, "Allow"),
    ("TRACE", "/api/v1/overview", &[], b"", 405, "Allow"),
    ("BREW", "/api/v1/overview", &[], b"", 405, "Allow"),
    ("GET", "/api/v1/overview", &[("Accept", "text/html")], b"", 406, "application/json"),
    ("POST", "/api/v1/events", &[("Content-Type", "text/plain")], b"{}", 415, "send application/json"),
    ("POST", "/api/v1/events", &[("Content-Encoding", "br")], b"{}", 415, "gzip"),
    ("POST", "/api/v1/events", &[("Content-Encoding", "gzip")], b"{}", 400, "not gzip"),
    ("POST", "/api/v1/events", JSON, b"", 400, "the body is empty"),
    ("POST", "/api/v1/events", JSON, b"[", 400, "not a JSON array"),
    ("POST", "/api/v1/events", JSON, b"[]", 400, "the array is empty"),
    ("POST", "/api/v1/events", JSON, b"\xff", 400, "not UTF-8"),
    ("POST", "/api/v1/events", JSON, b"null", 400, "wrong"),
];

#[test]
fn what_is_wrong_is_told_as_problem_details() -> Result<()> {
    let rig = Rig::start()?;
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    for (method, target, headers, body, status, words) in CASES {
        let what = format!("{method} {target} {headers:?}");
        let answer = rig.send(Some(&rig.token), method, target, headers, body).context(what.clone())?;
        ensure!(answer.status == *status, "{what}: {answer:?}");
        ensure!(answer.header("content-type") == Some("application/problem+json"), "{what}: {answer:?}");
        ensure!(answer.header("x-request-id").is_some(), "{what}: {answer:?}");
        ensure!((answer.header("allow").is_some()) == (*status == 405), "{what}: {answer:?}");
        let problem: Value = serde_json::from_slice(&answer.body).with_context(|| what.clone())?;
        rig.fits(&schema, &problem, true).with_context(|| what.clone())?;
        ensure!(problem["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{what}: {problem}");
        ensure!(problem["status"] == *status, "{what}: {problem}");
    }
    Ok(())
}

#[test]
fn callers_are_checked_before_what_they_send() -> Result<()> {
    let rig = Rig::start()?;
    for (method, target) in [
        ("GET", "/api/v1/overview?colour=red"),
        ("POST", "/api/v1/events?x=1"),
        ("GET", "/api/v1/campaigns/%ff/report"),
    ] {
        for token in [None, Some("sbx_wrong"), Some("")] {
            let answer =
                rig.send(token, method, target, &[("Content-Type", "text/plain"), ("Accept", "text/html")], b"x")?;
            ensure!(answer.status == 401, "{method} {target} {token:?}: {answer:?}");
            ensure!(answer.header("www-authenticate") == Some("Bearer"), "{answer:?}");
        }
    }
    Ok(())
}

#[test]
fn what_is_usual_is_let_through() -> Result<()> {
    let rig = Rig::start()?;
    let browser = [("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];
    for target in
        ["/api/v1/overview", "/api/v1/overview?from=0001-01-01T00:00:00Z&to=0001-02-01T00:00:00Z", "/api/docs"]
    {
        ensure!(rig.send(Some(&rig.token), "GET", target, &browser, b"")?.status == 200, "{target}");
    }
    for kind in ["application/json", "application/json; charset=utf-8", "Application/X-NDJSON"] {
        let answer =
            rig.send(Some(&rig.token), "POST", "/api/v1/events", &[("Content-Type", kind)], b"{\"kind\":\"sent\"}")?;
        ensure!(answer.status == 200, "{kind}: {answer:?}");
    }
    // Health checkers ask as they please.
    ensure!(rig.send(None, "GET", "/health?probe=1", &[("Accept", "text/html")], b"")?.status == 200, "/health");
    Ok(())
}
