use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use signalbox_e2e::backend::Backend;
use signalbox_e2e::edge::{EdgeHouse, routes};
use signalbox_e2e::server::Server;

/// How many of `count` requests each backend answered.
fn shares(
    server: &Server,
    count: usize,
    headers: impl Fn(usize) -> Vec<(String, String)>,
) -> Result<HashMap<String, usize>> {
    let mut shares = HashMap::new();
    let mut client = server.client()?;
    for number in 0..count {
        let headers = headers(number);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = client.request("GET", "/", &headers, b"")?;
        ensure!(answer.status == 200, "{answer:?}");
        *shares.entry(answer.text()).or_insert(0) += 1;
    }
    Ok(shares)
}

#[test]
fn weights_are_observed_and_epochs_refused() -> Result<()> {
    let (one, two) = (Backend::start("one")?, Backend::start("two")?);
    let house = EdgeHouse::new()?;
    let server = house.start(&[])?;
    ensure!(server.get("/")?.status == 503, "there are no routes yet");
    house.route(5, &[("v1", &one.url(), 90), ("v2", &two.url(), 10)])?;
    let seen = shares(&server, 5_000, |_| Vec::new())?;
    ensure!((400..600).contains(&seen["two"]), "10 % of 5,000: {seen:?}");
    for (epoch, arms, status) in [(4, 10, 409), (5, 11, 409), (5, 10, 200), (6, 0, 200)] {
        let body = routes(epoch, &[("v1", &one.url(), 90), ("v2", &two.url(), arms)]);
        let (got, answer) = house.call("PUT", "/routes", &body)?;
        ensure!(got == status, "epoch {epoch}: {answer}");
    }
    let seen = shares(&server, 500, |_| Vec::new())?;
    ensure!(!seen.contains_key("two"), "weight 0 gets nothing from the moment of the answer on: {seen:?}");
    let arm = house.arm("v1")?;
    ensure!(arm["answered"]["s2xx"].as_u64() > Some(4_000) && arm["latency"]["buckets"].is_array(), "{arm}");
    for (body, said) in [
        (json!({"epoch": 9, "arms": [{"name": "v1"}]}), "missing field"),
        (json!({"epoch": 9, "arms": [], "extra": 1}), "unknown field"),
        (routes(9, &[("v1", "https://127.0.0.1:1", 1)]), "no https"),
    ] {
        let (status, answer) = house.call("PUT", "/routes", &body)?;
        ensure!(
            (400..500).contains(&status) && answer["detail"].as_str().is_some_and(|text| text.contains(said)),
            "{answer}"
        );
    }
    ensure!(
        house.call("GET", "/nothing", &Value::Null)?.0 == 404 && house.call("POST", "/stats", &Value::Null)?.0 == 405
    );
    house.receipt()?;
    let modes = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(house.socket())?.permissions());
    ensure!(modes & 0o777 == 0o600, "the admin socket is for its owner: {modes:o}");
    server.terminate()
}

#[test]
fn a_client_stays_with_its_arm_while_the_canary_grows() -> Result<()> {
    let (one, two) = (Backend::start("one")?, Backend::start("two")?);
    let house = EdgeHouse::new()?;
    let server = house.start(&[])?;
    let put = |epoch: u64, weight: u32, sticky: Value| {
        let mut body = routes(epoch, &[("v1", &one.url(), 100 - weight), ("v2", &two.url(), weight)]);
        body["sticky"] = sticky;
        house.ask("PUT", "/routes", &body)
    };
    let by_header = json!({"by": "header", "name": "x-user"});
    let assigned = || -> Result<Vec<String>> {
        let mut client = server.client()?;
        (0..400)
            .map(|user| Ok(client.request("GET", "/", &[("X-User", &format!("user {user}"))], b"")?.text()))
            .collect()
    };
    put(1, 10, by_header.clone())?;
    let first = assigned()?;
    ensure!(first == assigned()?, "the same clients, the same arms");
    ensure!((15..70).contains(&first.iter().filter(|arm| *arm == "two").count()), "about a tenth");
    put(2, 50, by_header.clone())?;
    let grown = assigned()?;
    ensure!(
        first.iter().zip(&grown).all(|(before, after)| before == "one" || after == "two"),
        "nobody leaves the canary"
    );
    put(3, 0, by_header)?;
    ensure!(assigned()?.iter().all(|arm| arm == "one"), "an arm without weight keeps nobody");

    put(4, 50, json!({"by": "cookie", "name": "sb"}))?;
    let answer = server.get("/")?;
    let cookie = answer.header("set-cookie").map(str::to_owned).unwrap_or_default();
    ensure!(cookie.starts_with("sb=") && cookie.contains("HttpOnly") && !cookie.contains("v1"), "{answer:?}");
    let pair = cookie.split(';').next().unwrap_or_default().to_owned();
    let seen = shares(&server, 50, |_| vec![("Cookie".into(), format!("a=b; {pair}"))])?;
    ensure!(seen.len() == 1 && seen.contains_key(&answer.text()), "{seen:?}");
    let again = server.client()?.request("GET", "/", &[("Cookie", &pair)], b"")?;
    ensure!(again.header("set-cookie").is_none(), "it has one already: {again:?}");
    put(5, 50, json!({"by": "address"}))?;
    ensure!(shares(&server, 50, |_| Vec::new())?.len() == 1, "one address, one arm");
    server.terminate()
}

#[test]
fn paths_lead_to_an_arm_and_copies_go_to_the_mirror() -> Result<()> {
    let (one, ops, shadow) = (Backend::start("one")?, Backend::start("ops")?, Backend::start("shadow")?);
    let house = EdgeHouse::new()?;
    let server = house.start(&[])?;
    let mut body = routes(1, &[("engage", &one.url(), 1), ("control", &ops.url(), 0)]);
    body["paths"] = json!([{"prefix": "/ops", "arm": "control"}]);
    body["mirror"] = json!({"upstreams": [shadow.url()], "percent": 100});
    house.ask("PUT", "/routes", &body)?;
    for (path, wanted) in [("/ops", "ops"), ("/ops/x?y", "ops"), ("/opsy", "one"), ("/", "one")] {
        let answer = server.get(path)?;
        ensure!(answer.text() == wanted, "{path}: {answer:?}");
    }
    ensure!(server.client()?.request("POST", "/", &[], b"text")?.status == 200);
    signalbox_e2e::process::wait_for(Duration::from_secs(5), "copies", || {
        ensure!(house.ask("GET", "/stats", &Value::Null)?["mirrored"] == json!(4));
        Ok(())
    })?;
    let copies = shadow.seen();
    ensure!(copies.len() == 4 && copies.iter().all(|seen| seen.fields("x-signalbox-mirror") == ["1"]), "{copies:?}");
    ensure!(one.seen().iter().all(|seen| seen.fields("x-signalbox-mirror").is_empty()));
    drop(shadow);
    ensure!(server.get("/")?.status == 200, "a mirror that is gone is nobody's trouble");
    server.terminate()
}

#[test]
fn routes_survive_a_kill_and_control_is_not_needed() -> Result<()> {
    let one = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let address = SocketAddr::from(([127, 0, 0, 1], signalbox_e2e::environment::free_port()?));
    let server = house.start_on(address, &[])?;
    house.route(7, &[("v1", &one.url(), 1)])?;
    for _ in 0..20 {
        ensure!(server.get("/")?.text() == "one");
    }
    let second = house.start_on(address, &[]).err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(second.contains("--upgrade"), "two edges on one directory: {second}");
    std::thread::sleep(Duration::from_millis(2_500));
    server.kill()?;
    let server = house.start_on(address, &[])?;
    ensure!(server.get("/")?.text() == "one", "the routes come from the disk");
    ensure!(house.ask("GET", "/health", &Value::Null)?["epoch"] == json!(7));
    let receipt = house.receipt()?;
    let states =
        receipt["generations"].as_array().map(|all| all.iter().map(|one| one["state"].clone()).collect::<Vec<_>>());
    ensure!(states == Some(vec![json!("lost"), json!("serving")]), "{receipt}");
    ensure!(signalbox_e2e::edge::arm(&receipt, "v1").is_some_and(|arm| arm["accepted"] == json!(21)), "{receipt}");
    let status = server.stop(Signal::TERM, Duration::from_secs(15))?;
    ensure!(status.success(), "{status}");
    let server = house.start_on(address, &[])?;
    let receipt = house.receipt()?;
    ensure!(signalbox_e2e::edge::arm(&receipt, "v1").is_some_and(|arm| arm["accepted"] == json!(21)), "{receipt}");
    server.terminate()
}

#[test]
fn upstreams_on_the_command_line_need_no_control() -> Result<()> {
    let (one, two) = (Backend::start("one")?, Backend::start("two")?);
    let house = EdgeHouse::new()?;
    let server =
        house.start(&["--upstream", &format!("{}=1", one.url()), "--upstream", &format!("{}=1", two.url())])?;
    let seen = shares(&server, 200, |_| Vec::new())?;
    ensure!(seen.len() == 2 && seen.values().all(|count| *count > 50), "{seen:?}");
    let log = std::fs::read_to_string(house.data.join("edge/access.log")).unwrap_or_default();
    server.terminate()?;
    let log = log + &std::fs::read_to_string(house.data.join("edge/access.log"))?;
    let line: Value = serde_json::from_str(log.lines().last().unwrap_or_default())?;
    ensure!(line["status"] == json!(200) && line["arm"].is_string() && line["path"] == json!("/"), "{line}");
    let written = std::fs::read_to_string(house.data.join("edge/access.log"))?;
    ensure!(written.lines().count() == 200, "{} lines for 200 requests", written.lines().count());
    Ok(())
}
