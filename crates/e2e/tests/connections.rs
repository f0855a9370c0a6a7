//! How requests may arrive: pipelined, in pieces, too large, too slow, too many, through proxies.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use signalbox_e2e::client::{Client, request};
use signalbox_e2e::environment::{alone, program};
use signalbox_e2e::installation::{DESTINATION, Installation};
use signalbox_e2e::process::{below, wait_for};
use signalbox_e2e::server::Server;

struct Rig {
    installation: Installation,
    server: Server,
    pixel: String,
    click: String,
    bearer: String,
}

impl Rig {
    fn start(arguments: &[&str]) -> Result<Self> {
        let installation = Installation::sqlite()?;
        let pixel = installation.mint_opens(1)?.remove(0).path;
        let click = installation.mint_clicks(1)?.remove(0).path;
        let bearer = format!("Bearer {}", installation.token()?);
        let server = installation.serve_with(arguments)?;
        Ok(Self { installation, server, pixel, click, bearer })
    }

    /// A request that records the API event `id`.
    fn api_event(&self, id: &str) -> Vec<u8> {
        let body = format!("{{\"kind\":\"custom\",\"name\":\"e2e\",\"id\":\"{id}\"}}");
        request("POST", "/api/v1/events", &[("Authorization", &self.bearer)], body.as_bytes())
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() -> Result<()> {
    let rig = Rig::start(&["--limits", "off"])?;
    let pixel = request("GET", &rig.pixel, &[], b"");
    let click = request("GET", &rig.click, &[], b"");

    let mut client = rig.server.client()?;
    client.send(&[&pixel[..], &click, &pixel].concat())?;
    for status in [200, 302, 200] {
        let answer = client.receive(true)?;
        ensure!(answer.status == status && answer.event_id().is_some(), "{answer:?}");
    }

    // Hits, then a request for the web shell, then hits again: the connection changes hands in between.
    let mut client = rig.server.client()?;
    client.send(&[&pixel[..], &click, &rig.api_event("a"), &pixel, &rig.api_event("b"), &click].concat())?;
    for status in [200, 302, 200, 200, 200, 302] {
        let answer = client.receive(true)?;
        ensure!(answer.status == status, "{answer:?}");
        ensure!(answer.event_id().is_some() || answer.text().contains("\"recorded\":1"), "{answer:?}");
    }

    let mut client = rig.server.client()?;
    let many = 300;
    client.send(&pixel.repeat(many))?;
    let ids: std::collections::HashSet<_> =
        (0..many).map(|_| Ok(client.receive(true)?.event_id().map(str::to_owned))).collect::<Result<_>>()?;
    ensure!(ids.len() == many && !ids.contains(&None), "{} different ids for {many} pixels", ids.len());
    ensure!(rig.installation.count()? == 3 + 6 + many, "{} events are stored", rig.installation.count()?);
    Ok(())
}

#[test]
fn requests_in_pieces_are_understood() -> Result<()> {
    let rig = Rig::start(&["--limits", "off"])?;
    let mut client = rig.server.client()?;
    let bytes = [request("GET", &rig.pixel, &[], b""), request("HEAD", &rig.click, &[], b""), rig.api_event("slow")];
    for (bytes, status) in bytes.iter().zip([200, 302, 200]) {
        for byte in bytes {
            client.send(&[*byte])?;
            std::thread::sleep(Duration::from_micros(500));
        }
        let answer = client.receive(status != 302)?;
        ensure!(answer.status == status, "{answer:?}");
        ensure!(answer.event_id().is_some() || answer.text().contains("\"recorded\":1"), "{answer:?}");
    }
    // Cut at every place there is.
    let whole = request("GET", &rig.pixel, &[("User-Agent", "cut")], b"");
    let mut client = rig.server.client()?;
    for place in 1..whole.len() {
        client.send(&whole[..place])?;
        std::thread::sleep(Duration::from_millis(1));
        client.send(&whole[place..])?;
        ensure!(client.receive(true)?.event_id().is_some(), "cut at {place}");
    }
    Ok(())
}

#[test]
fn oversized_heads_are_answered_as_what_they_ask_for_and_not_recorded() -> Result<()> {
    let rig = Rig::start(&["--limits", "off"])?;
    let oversized = [
        vec![("Cookie", "x".repeat(20_000))],
        vec![("X-Large", "x".repeat(200_000))],
        vec![("X-Many", "y".into()); 80],
        vec![("X-Many", "y".into()); 2_000],
    ];
    // The web shell takes the first and the third.
    for (first, oversized) in [(None, &oversized[..]), (Some("/health"), &[oversized[1].clone(), oversized[3].clone()])]
    {
        for headers in oversized {
            for (method, path) in [("GET", &rig.pixel), ("HEAD", &rig.pixel), ("GET", &rig.click)] {
                let what = format!("{method} {path} after {first:?} with {} headers", headers.len());
                let mut client = rig.server.client()?;
                if let Some(path) = first {
                    client.get(path)?;
                }
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                // The server may close before it has taken everything.
                let _ = client.send(&request(method, path, &headers, b""));
                let answer = client.receive(method == "GET").with_context(|| what.clone())?;
                // A head that comes at once may be a little larger than one that comes in pieces.
                let is_small = headers[0].0 == "Cookie";
                ensure!(is_small || answer.event_id().is_none(), "{what}: {answer:?}");
                if *path == rig.pixel {
                    ensure!(answer.status == 200, "{what}: {answer:?}");
                    ensure!(answer.header("content-type") == Some("image/gif"), "{what}: {answer:?}");
                } else if first.is_none() {
                    let leads = answer.status == 302 && answer.header("location") == Some(DESTINATION);
                    ensure!(leads, "{what}: {answer:?}");
                } else {
                    ensure!(answer.status == 404 && answer.text().contains("not valid"), "{what}: {answer:?}");
                }
                let is_recorded = answer.event_id().is_some();
                ensure!(is_recorded || client.closes_within(Duration::from_secs(10)), "{what}: open after it");
            }
        }
    }
    let counted = rig.installation.count()?;
    ensure!(counted <= 3, "{counted} events are stored");
    let refused = rig.server.client()?.request("GET", "/health", &[("X-Large", &"x".repeat(200_000))], b"")?;
    ensure!(refused.status == 431, "{refused:?}");
    Ok(())
}

#[test]
fn slow_attackers_are_disconnected() -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(12);
    let rig = Rig::start(&["--limits", "off"])?;
    let hit = request("GET", &rig.pixel, &[("X-Filler", &"x".repeat(200))], b"");
    let api = request("GET", "/api/v1/overview", &[("Authorization", &rig.bearer)], b"");
    let body = rig.api_event("never");
    let health = request("GET", "/health", &[], b"");
    // What is sent at once, and what drips byte by byte for as long as it lasts.
    let attacks: [(&str, Vec<u8>, Vec<u8>); 9] = [
        ("a part of a hit", hit[..40].to_vec(), vec![]),
        ("a hit that drips", hit[..40].to_vec(), hit[40..].to_vec()),
        ("a second hit that drips", [&hit[..], &hit[..40]].concat(), hit[40..].to_vec()),
        ("a part of another request", api[..40].to_vec(), vec![]),
        ("another request that drips", api[..20].to_vec(), api[20..].to_vec()),
        ("a second request that drips", [&health[..], &api[..20]].concat(), api[20..].to_vec()),
        ("the first byte of another method", b"P".to_vec(), vec![]),
        ("a part of the preface of HTTP/2", b"PRI * HTTP/2.0\r\n".to_vec(), vec![]),
        ("a body that never comes", body[..body.len() - 10].to_vec(), vec![]),
    ];
    let threads = attacks.map(|(name, at_once, drip)| {
        let client = rig.server.client();
        std::thread::spawn(move || -> Result<(&str, Option<Duration>)> {
            let mut client: Client = client?;
            let start = Instant::now();
            client.send(&at_once)?;
            let mut drip = drip.into_iter();
            while start.elapsed() < LIMIT {
                let broken = drip.next().is_some_and(|byte| client.send(&[byte]).is_err());
                if broken || client.closes_within(Duration::from_millis(500)) {
                    return Ok((name, Some(start.elapsed())));
                }
            }
            Ok((name, None))
        })
    });
    let mut open = Vec::new();
    for thread in threads {
        let (name, closed) = thread.join().expect("the attacker does not panic")?;
        eprintln!("{name}: {closed:?}");
        if closed.is_none() {
            open.push(name);
        }
    }
    ensure!(open.is_empty(), "still open after {LIMIT:?}: {open:?}");
    ensure!(rig.server.get(&rig.pixel)?.event_id().is_some(), "the server does not record any more");
    Ok(())
}

#[test]
fn who_waits_for_a_descriptor_is_served_when_there_is_one() -> Result<()> {
    let installation = Installation::sqlite()?;
    let pixel = installation.mint_opens(1)?.remove(0).path;
    let mut prlimit = Command::new(program("prlimit", "util-linux")?);
    prlimit.arg("--nofile=256:256");
    let serve = installation.command(&["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::start(&mut below(prlimit, &serve))?;
    let crowd: Vec<_> = (0..400).map(|_| server.client()).collect::<Result<_>>()?;
    let mut waiting = server.client()?;
    waiting.send(&request("GET", &pixel, &[], b""))?;
    std::thread::sleep(Duration::from_millis(300));
    drop(crowd);
    let left = Instant::now();
    let answer = waiting.receive(true).context("nobody else is connected any more, and still there is no answer")?;
    ensure!(answer.event_id().is_some(), "{answer:?}");
    ensure!(left.elapsed() < Duration::from_secs(2), "answered only after {:?}", left.elapsed());
    Ok(())
}

const FLOOD: usize = 5000;

/// Sends that many pixels as fast as possible, each with the headers that `headers` gives for its number; how many were
/// recorded, and how long it took.
fn flood(rig: &Rig, headers: fn(usize) -> Vec<(&'static str, String)>) -> Result<(usize, Duration)> {
    const CLIENTS: usize = 20;
    let start = Instant::now();
    let send = |client: usize| -> Result<usize> {
        let mut connection = rig.server.client()?;
        let mut recorded = 0;
        for number in (client..FLOOD).step_by(CLIENTS) {
            let headers = headers(number);
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = connection.request("GET", &rig.pixel, &headers, b"")?;
            ensure!(answer.status == 200 && answer.body.len() == 43, "{answer:?}");
            recorded += usize::from(answer.event_id().is_some());
        }
        Ok(recorded)
    };
    let recorded = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || send(client))).collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).sum::<Result<usize>>()
    })?;
    eprintln!("{recorded} of {FLOOD} recorded in {:?}", start.elapsed());
    Ok((recorded, start.elapsed()))
}

/// What one source may have recorded: a second's worth at once, and then as it comes.
fn ensure_limited((recorded, took): (usize, Duration)) -> Result<()> {
    let allowed = 1000 + (took.as_secs_f64() * 1000.0).ceil() as usize;
    ensure!(allowed < FLOOD, "{FLOOD} hits took {took:?}: this machine is too slow to reach the limit");
    ensure!((1000..=allowed).contains(&recorded), "{recorded} of {FLOOD} recorded in {took:?}");
    Ok(())
}

fn forwarded(number: usize) -> Vec<(&'static str, String)> {
    vec![("X-Forwarded-For", format!("198.51.{}.{}", 100 + number % 100, number / 100))]
}

#[test]
fn beyond_the_limit_hits_are_answered_and_not_recorded() -> Result<()> {
    let _alone = alone()?;
    let rig = Rig::start(&[])?;
    ensure_limited(flood(&rig, |_| vec![])?)?;
    let answer = rig.server.get(&rig.click)?;
    ensure!(answer.status == 302 && answer.header("location") == Some(DESTINATION), "{answer:?}");
    // A moment later the source may send again.
    wait_for(Duration::from_secs(2), "a recorded hit", || {
        ensure!(rig.server.get(&rig.pixel)?.event_id().is_some(), "not recorded");
        Ok(())
    })?;
    Ok(())
}

#[test]
fn addresses_in_headers_count_only_from_declared_proxies() -> Result<()> {
    let _alone = alone()?;
    // Nobody declared a proxy: one source, however many it claims to be.
    let rig = Rig::start(&[])?;
    ensure_limited(flood(&rig, forwarded)?)?;

    let folder = tempfile::tempdir()?;
    let config = folder.path().join("signalbox.toml");
    std::fs::write(&config, "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n")?;
    let config = config.to_str().expect("the folder's name is text");
    let rig = Rig::start(&["--config", config])?;
    let (recorded, _) = flood(&rig, forwarded)?;
    ensure!(recorded == FLOOD, "only {recorded} of {FLOOD} hits of as many sources behind a proxy were recorded");
    // The right-most address that is no proxy counts; what stands left of it, anybody may have written.
    ensure_limited(flood(&rig, |number| {
        vec![("X-Forwarded-For", format!("192.0.2.{}, 203.0.113.7, 127.0.0.9", number % 250))]
    })?)?;
    let exported = rig.installation.run(&["events", "export", "--format", "jsonl"])?;
    let addresses: std::collections::HashSet<String> = exported
        .lines()
        .map(|line| Ok(serde_json::from_str::<Value>(line)?["ip"].as_str().unwrap_or_default().to_owned()))
        .collect::<Result<_>>()?;
    ensure!(addresses.len() == FLOOD + 1 && addresses.contains("203.0.113.7"), "{} addresses", addresses.len());
    Ok(())
}
