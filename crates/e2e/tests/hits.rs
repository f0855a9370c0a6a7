//! What mail clients and attackers get for pixels and clicks of every kind, through the fast listener and through the
//! web shell that the same connection may end up in.

use std::time::Duration;

use anyhow::{Result, ensure};
use signalbox_e2e::client::{Answer, Client, request};
use signalbox_e2e::installation::{DESTINATION, Installation};
use signalbox_e2e::server::Server;

/// Which part of the server answers.
#[derive(Debug, Clone, Copy)]
enum Door {
    /// A new connection on which the first request is a hit.
    Fast,
    /// A connection that has asked for something else before.
    Shell,
}

const DOORS: [Door; 2] = [Door::Fast, Door::Shell];

struct Rig {
    installation: Installation,
    server: Server,
    pixel: String,
    click: String,
}

impl Rig {
    fn start() -> Result<Self> {
        let installation = Installation::sqlite()?;
        let pixel = installation.mint_opens(1)?.remove(0).path;
        let click = installation.mint_clicks(1)?.remove(0).path;
        let server = installation.serve()?;
        Ok(Self { installation, server, pixel, click })
    }

    fn connect(&self, door: Door) -> Result<Client> {
        let mut client = self.server.client()?;
        if let Door::Shell = door {
            ensure!(client.get("/health")?.status == 200, "/health");
        }
        Ok(client)
    }
}

fn ensure_never_kept(answer: &Answer) -> Result<()> {
    let control = answer.header("cache-control").unwrap_or_default();
    ensure!(control.contains("no-store"), "may be kept: {answer:?}");
    ensure!(answer.header("etag").is_none() && answer.header("last-modified").is_none(), "may be kept: {answer:?}");
    Ok(())
}

fn ensure_pixel(answer: &Answer) -> Result<()> {
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(answer.header("content-type") == Some("image/gif"), "{answer:?}");
    ensure!(answer.body.len() == 43 && answer.body.starts_with(b"GIF89a"), "{answer:?}");
    ensure_never_kept(answer)
}

fn ensure_redirect(answer: &Answer) -> Result<()> {
    ensure!(answer.status == 302 && answer.header("location") == Some(DESTINATION), "{answer:?}");
    ensure_never_kept(answer)
}

/// A plain page that says that the link is not valid, and leads nowhere.
fn ensure_invalid_page(answer: &Answer) -> Result<()> {
    ensure!(answer.status == 404, "{answer:?}");
    ensure!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{answer:?}");
    ensure!(answer.header("location").is_none() && answer.event_id().is_none(), "{answer:?}");
    ensure!(answer.text().contains("not valid") && !answer.text().contains("http"), "{answer:?}");
    ensure_never_kept(answer)
}

/// Asks for every path and tells which answers are not as they should be.
fn complaints(rig: &Rig, door: Door, paths: &[String], check: impl Fn(&Answer) -> Result<()>) -> Result<Vec<String>> {
    let mut client = rig.connect(door)?;
    let mut wrong = Vec::new();
    for path in paths {
        let checked = match client.get(path) {
            Ok(answer) => check(&answer),
            Err(broken) => {
                client = rig.connect(door)?;
                Err(broken.into())
            }
        };
        if let Err(error) = checked {
            wrong.push(format!("{}: {error:#}", &path[..path.len().min(100)]));
        }
    }
    Ok(wrong)
}

fn token_of(path: &str) -> &str {
    path.trim_start_matches("/o/").trim_start_matches("/c/").trim_end_matches(".gif")
}

/// Tokens that nobody signed for this use; `valid` is one that is good, `other` one of the other kind.
fn broken(valid: &str, other: &str, foreign: &str) -> Vec<String> {
    let flipped = if valid.ends_with('A') { "B" } else { "A" };
    let percent: String = valid.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut tokens = vec![
        String::new(),
        "x".into(),
        "garbage".into(),
        "-_-_-_".into(),
        "%".into(),
        "%00".into(),
        "%ff%fe%fd".into(),
        "..%2f..%2fetc%2fpasswd".into(),
        "../../etc/passwd".into(),
        "a/b/c".into(),
        "//".into(),
        "https://evil.example/".into(),
        valid[..valid.len() / 2].into(),
        valid[..valid.len() - 1].into(),
        valid[1..].into(),
        format!("{}{flipped}", &valid[..valid.len() - 1]),
        format!("{valid}A"),
        format!("{valid}="),
        format!("{valid}{valid}"),
        format!(" {valid}").trim_start().to_owned() + "%20",
        valid.to_ascii_uppercase(),
        percent,
        other.into(),
        foreign.into(),
        "A".repeat(4_000),
        "A".repeat(12_000),
        format!("{valid}/https://evil.example/"),
    ];
    let with_query: Vec<_> = ["?", "?url=https://evil.example/", "?a=b&c=%ff"]
        .iter()
        .map(|query| format!("{}{query}", &valid[..valid.len() - 3]))
        .collect();
    tokens.extend(with_query);
    tokens
}

#[test]
fn a_pixel_is_a_pixel_whatever_its_token() -> Result<()> {
    let rig = Rig::start()?;
    let foreign = Installation::sqlite()?.mint_opens(1)?.remove(0).path;
    let tokens = broken(token_of(&rig.pixel), token_of(&rig.click), token_of(&foreign));
    let paths = tokens.iter().flat_map(|token| {
        let (name, query) = token.find('?').map_or((token.as_str(), ""), |at| token.split_at(at));
        [format!("/o/{name}.gif{query}"), format!("/o/{token}")]
    });
    let paths: Vec<_> = paths.collect();
    for door in DOORS {
        let wrong = complaints(&rig, door, &paths, |answer| {
            ensure!(answer.event_id().is_none(), "recorded");
            ensure_pixel(answer)
        })?;
        ensure!(wrong.is_empty(), "{door:?}:\n{}", wrong.join("\n"));
        let mut client = rig.connect(door)?;
        ensure!(client.get(&rig.pixel)?.event_id().is_some(), "the valid pixel was not recorded");
        ensure!(client.get(&format!("{}?cache=1", rig.pixel))?.event_id().is_some(), "a query spoils a valid pixel");
    }
    ensure!(rig.installation.count()? == 4, "{} events are stored", rig.installation.count()?);
    Ok(())
}

/// Tokens that no HTTP request can hold, or that are larger than a request may be.
fn unreadable_tokens() -> Vec<Vec<u8>> {
    let mut tokens: Vec<Vec<u8>> =
        [&b"\xff\xfe\xfd"[..], b"\xc3\xa4\xc3\xb6", b"a\x80b", b"a b", b" ", b"a\x01b", b"\x7f", b"\x00", b"a\tb"]
            .iter()
            .map(|raw| raw.to_vec())
            .collect();
    tokens.extend([vec![b'A'; 20_000], vec![b'A'; 70_000], vec![b'A'; 200_000]]);
    tokens
}

#[test]
fn bytes_that_are_no_token_get_a_pixel_or_the_page_too() -> Result<()> {
    let rig = Rig::start()?;
    let mut wrong = Vec::new();
    for door in DOORS {
        for raw in unreadable_tokens() {
            for (method, kind) in [("GET", "o"), ("HEAD", "o"), ("GET", "c"), ("HEAD", "c")] {
                for parts in [1, 2] {
                    let mut client = rig.connect(door)?;
                    let line = format!("{method} /{kind}/").into_bytes();
                    let asked = [&line[..], &raw, b" HTTP/1.1\r\nHost: t.example.org\r\n\r\n"].concat();
                    let cut = asked.len() / parts;
                    client.send(&asked[..cut])?;
                    if parts > 1 {
                        std::thread::sleep(Duration::from_millis(10));
                        // The answer may be there before the rest is taken.
                        let _ = client.send(&asked[cut..]);
                    }
                    let answer = client.receive(method == "GET");
                    let checked = answer.map_err(anyhow::Error::from).and_then(|answer| {
                        ensure!(answer.event_id().is_none(), "recorded: {answer:?}");
                        match (method, kind) {
                            ("GET", "o") => ensure_pixel(&answer)?,
                            ("GET", _) => ensure_invalid_page(&answer)?,
                            (_, "o") => ensure!(answer.header("content-length") == Some("43"), "{answer:?}"),
                            _ => ensure!(answer.status == 404, "{answer:?}"),
                        }
                        // Letters and a head of this size can be read after all, and the connection goes on.
                        let goes_on = raw == "äö".as_bytes() || raw.len() == 20_000;
                        ensure!(goes_on || client.closes_within(Duration::from_secs(10)), "open after it");
                        Ok(())
                    });
                    if let Err(error) = checked {
                        let raw = &raw[..raw.len().min(10)];
                        wrong.push(format!("{door:?} {method} /{kind}/ {raw:?} in {parts}: {error:#}"));
                    }
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_click_leads_only_where_it_was_signed_to_lead() -> Result<()> {
    let rig = Rig::start()?;
    let foreign = Installation::sqlite()?.mint_clicks(1)?.remove(0).path;
    let tokens = broken(token_of(&rig.click), token_of(&rig.pixel), token_of(&foreign));
    let paths: Vec<_> = tokens.iter().map(|token| format!("/c/{token}")).collect();
    for door in DOORS {
        let wrong = complaints(&rig, door, &paths, ensure_invalid_page)?;
        ensure!(wrong.is_empty(), "{door:?}:\n{}", wrong.join("\n"));
        let mut client = rig.connect(door)?;
        for query in ["", "?url=https://evil.example/", "?"] {
            let answer = client.get(&format!("{}{query}", rig.click))?;
            ensure_redirect(&answer)?;
            ensure!(answer.event_id().is_some(), "the valid click was not recorded");
        }
    }
    ensure!(rig.installation.count()? == 6, "{} events are stored", rig.installation.count()?);
    Ok(())
}

#[test]
fn head_is_answered_without_a_body_and_recorded() -> Result<()> {
    let rig = Rig::start()?;
    for door in DOORS {
        let mut client = rig.connect(door)?;
        for _ in 0..2 {
            let answer = client.request("HEAD", &rig.pixel, &[], b"")?;
            ensure!(answer.status == 200 && answer.event_id().is_some(), "{door:?} {answer:?}");
            ensure!(answer.header("content-length") == Some("43"), "{door:?} {answer:?}");
            let answer = client.request("HEAD", &rig.click, &[], b"")?;
            ensure_redirect(&answer)?;
            ensure!(answer.event_id().is_some(), "{door:?} {answer:?}");
            let answer = client.request("HEAD", "/o/garbage.gif", &[], b"")?;
            ensure!(answer.status == 200 && answer.event_id().is_none(), "{door:?} {answer:?}");
            let answer = client.request("HEAD", "/c/garbage", &[], b"")?;
            ensure!(answer.status == 404 && answer.header("location").is_none(), "{door:?} {answer:?}");
        }
        // A byte of a body would be taken for the start of this answer.
        ensure_pixel(&client.get(&rig.pixel)?)?;
    }
    ensure!(rig.installation.count()? == 10, "{} events are stored", rig.installation.count()?);
    Ok(())
}

#[test]
fn other_methods_record_nothing() -> Result<()> {
    let rig = Rig::start()?;
    for path in [&rig.pixel, &rig.click] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"] {
            let answer = rig.server.client()?.request(method, path, &[], b"")?;
            ensure!((400..500).contains(&answer.status), "{method} {path}: {answer:?}");
            ensure!(answer.event_id().is_none() && answer.header("location").is_none(), "{method} {path}: {answer:?}");
        }
    }
    ensure!(rig.installation.count()? == 0, "{} events are stored", rig.installation.count()?);
    Ok(())
}

#[test]
fn connections_end_when_the_client_says_so() -> Result<()> {
    const AT_ONCE: Duration = Duration::from_secs(1);
    let rig = Rig::start()?;
    for door in DOORS {
        let mut client = rig.connect(door)?;
        let answer = client.request("GET", &rig.pixel, &[("Connection", "close")], b"")?;
        ensure_pixel(&answer)?;
        ensure!(answer.event_id().is_some() && answer.header("connection") == Some("close"), "{door:?} {answer:?}");
        ensure!(client.closes_within(AT_ONCE), "{door:?}: open after Connection: close");

        let mut client = rig.connect(door)?;
        client.send(format!("GET {} HTTP/1.0\r\n\r\n", rig.click).as_bytes())?;
        let answer = client.receive(true)?;
        ensure_redirect(&answer)?;
        ensure!(answer.event_id().is_some(), "{door:?} {answer:?}");
        ensure!(client.closes_within(AT_ONCE), "{door:?}: open after HTTP/1.0");

        let mut client = rig.connect(door)?;
        ensure_pixel(&client.get(&rig.pixel)?)?;
        ensure!(!client.closes_within(AT_ONCE), "{door:?}: closed although the client keeps it");
    }
    // Without a word of goodbye, before the answer: the hit counts all the same.
    let mut client = rig.connect(Door::Fast)?;
    client.send(&request("GET", &rig.pixel, &[], b""))?;
    std::thread::sleep(Duration::from_millis(100));
    drop(client);
    ensure!(rig.installation.count()? == 7, "{} events are stored", rig.installation.count()?);
    Ok(())
}
