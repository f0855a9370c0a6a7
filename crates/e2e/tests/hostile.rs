//! Clients that mean harm: handshakes that never end, floods, bombs, and what they may not do to others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use signalbox_e2e::client::{Client, request};
use signalbox_e2e::environment::alone;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::server::Server;
use signalbox_e2e::tls::{self, Authority, NAME};

struct Rig {
    installation: Installation,
    server: Server,
    authority: Authority,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn start(arguments: &[&str], settings: &str) -> Result<Self> {
        let (installation, authority, folder) = (Installation::sqlite()?, Authority::new()?, tempfile::tempdir()?);
        authority.issue_into(folder.path())?;
        let config = folder.path().join("signalbox.toml");
        std::fs::write(&config, settings)?;
        let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(arguments).arg("--config").arg(&config).env("SIGNALBOX_TLS_LISTEN", "127.0.0.1:0");
        command.env("SIGNALBOX_TLS_REDIRECT", "false");
        command.env("SSL_CERT_PATH", folder.path().join("cert.pem")).env("SSL_KEY_PATH", folder.path().join("key.pem"));
        let server = Server::start(&mut command)?;
        Ok(Self { installation, server, authority, _folder: folder })
    }

    fn address(&self) -> Result<std::net::SocketAddr> {
        self.server.tls_address.context("it serves no TLS")
    }

    fn client(&self) -> Result<Client> {
        tls::client(self.address()?, &self.authority.client_config(&["http/1.1"])?, NAME)
    }
}

/// Whether the peer ends the connection within `limit`.
fn ends(stream: &mut TcpStream, limit: Duration) -> bool {
    let start = Instant::now();
    let mut bytes = [0; 4096];
    while let Some(left) = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        let _ = stream.set_read_timeout(Some(left));
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
            Err(_) => return true,
            Ok(_) => (),
        }
    }
    false
}

#[test]
fn handshakes_that_never_end_are_reaped_and_keep_nobody_out() -> Result<()> {
    let _alone = alone()?;
    let rig = Rig::start(&["--limits", "off"], "[tls]\nhandshakes = 20")?;
    let start = Instant::now();
    // The first bytes of a record, and silence.
    let open = |bytes: &[u8]| -> Result<TcpStream> {
        let mut stream = TcpStream::connect(rig.address()?)?;
        stream.write_all(bytes)?;
        Ok(stream)
    };
    let mut one = open(b"\x16\x03\x01")?;
    ensure!(ends(&mut one, Duration::from_secs(12)), "a handshake that never ends is kept");
    ensure!(start.elapsed() > Duration::from_secs(8), "ended after {:?}", start.elapsed());

    let mut stalled = (0..60).map(|_| open(b"\x16\x03\x01")).collect::<Result<Vec<_>>>()?;
    for _ in 0..3 {
        let start = Instant::now();
        let answer = rig.client()?.get("/health")?;
        ensure!(answer.status == 200, "{answer:?}");
        eprintln!("served after {:?} beside {} stalled handshakes", start.elapsed(), stalled.len());
    }
    for stream in &mut stalled {
        ensure!(ends(stream, Duration::from_secs(15)), "a stalled handshake is kept");
    }
    let answer = rig.client()?.get("/health")?;
    ensure!(answer.status == 200, "{answer:?}");
    // Plain HTTP, and noise, at the port of TLS.
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 512], &[0xff; 512]] {
        ensure!(ends(&mut open(noise)?, Duration::from_secs(5)), "noise is listened to");
    }
    Ok(())
}

#[test]
fn one_source_cannot_hold_every_connection() -> Result<()> {
    let rig = Rig::start(&["--limits", "off"], "[server]\nconnections = 40")?;
    let pixel = rig.installation.mint_opens(1)?.remove(0).path;
    let mut held = Vec::new();
    for number in 0..10 {
        let mut client = if number % 2 == 0 { rig.server.client()? } else { rig.client()? };
        ensure!(client.get("/health")?.status == 200, "connection {number}");
        held.push(client);
    }
    let mut refused = rig.server.client()?;
    let answer = refused.get("/health")?;
    ensure!(answer.status == 503 && answer.header("retry-after") == Some("5"), "{answer:?}");
    ensure!(refused.closes_within(Duration::from_secs(2)), "open after 503");
    ensure!(rig.client()?.get("/health").is_err(), "one more over TLS");
    // Pixels have connections of their own, and those that are open go on.
    ensure!(rig.server.get(&pixel)?.event_id().is_some(), "a pixel");
    for client in &mut held {
        ensure!(client.get("/health")?.status == 200, "a connection that was there before");
    }
    drop(held);
    signalbox_e2e::process::wait_for(Duration::from_secs(5), "room again", || {
        ensure!(rig.server.get("/health")?.status == 200, "no room");
        Ok(())
    })
}

#[test]
fn bodies_are_bounded_and_bombs_do_not_go_off() -> Result<()> {
    let _alone = alone()?;
    let rig = Rig::start(&["--limits", "off"], "")?;
    let bearer = format!("Bearer {}", rig.installation.token()?);
    ensure!(rig.client()?.get("/health")?.status == 200, "/health");
    let before = rig.server.peak_memory()?;
    let large = vec![b'x'; 65 * 1024];
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let answer = rig.client()?.request("POST", "/sign-in", &[kind], &large)?;
    ensure!(answer.status == 413, "{answer:?}");
    // The same without a length.
    let mut client = rig.client()?;
    let mut chunked = b"POST /sign-in HTTP/1.1\r\nHost: t.example.org\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    (0..80).for_each(|_| chunked.extend_from_slice(&[b"400\r\n".as_slice(), &[b'x'; 1024], b"\r\n"].concat()));
    let _ = client.send(&chunked);
    let answer = client.receive(true)?;
    ensure!(answer.status == 413, "{answer:?}");

    let json = ("Content-Type", "application/json");
    let auth = ("Authorization", bearer.as_str());
    for nested in ["[".repeat(1 << 20), "{\"a\":".repeat(1 << 18)] {
        let answer = rig.client()?.request("POST", "/api/v1/events", &[json, auth], nested.as_bytes())?;
        ensure!(answer.status == 400 || answer.status == 413, "{answer:?}");
    }
    // A megabyte that becomes a gigabyte.
    let folder = tempfile::tempdir()?;
    let bomb = folder.path().join("bomb.gz");
    let made = std::process::Command::new("sh")
        .args(["-c", "head -c 1073741824 /dev/zero | gzip -1 > \"$0\""])
        .arg(&bomb)
        .status()?;
    ensure!(made.success(), "no bomb");
    let bomb = std::fs::read(bomb)?;
    for _ in 0..3 {
        let headers = [json, auth, ("Content-Encoding", "gzip")];
        let mut client = rig.client()?;
        // It answers before it has taken everything, and may close before we have read that.
        let _ = client.send(&request("POST", "/api/v1/events", &headers, &bomb));
        if let Ok(answer) = client.receive(true) {
            ensure!(answer.status == 413 || answer.status == 400, "{answer:?}");
        }
    }
    let grown = rig.server.peak_memory()? - before;
    ensure!(grown < 64 << 20, "memory grew by {} MiB", grown >> 20);
    for headers in [vec![("X-Large", "x".repeat(200_000))], vec![("X-Many", "y".to_owned()); 2_000]] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut client = rig.client()?;
        let _ = client.send(&request("GET", "/health", &headers, b""));
        ensure!(client.receive(true)?.status == 431, "a flood of headers");
    }
    Ok(())
}

#[test]
fn a_body_that_drips_is_not_waited_for() -> Result<()> {
    let rig = Rig::start(&["--limits", "off"], "")?;
    let mut client = rig.client()?;
    client.send(b"POST /sign-in HTTP/1.1\r\nHost: t.example.org\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n")?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(28) {
        client.send(b"x")?;
        std::thread::sleep(Duration::from_millis(500));
    }
    let answer = client.receive(true)?;
    ensure!(answer.status == 408 && start.elapsed() < Duration::from_secs(35), "{:?}: {answer:?}", start.elapsed());
    ensure!(client.closes_within(Duration::from_secs(2)), "open after 408");
    Ok(())
}

#[test]
fn a_bad_record_slows_down_and_retry_after_says_for_how_long() -> Result<()> {
    let rig = Rig::start(&[], "")?;
    let mut client = rig.client()?;
    let mut refused = None;
    for _ in 0..60 {
        let answer = client.request("GET", "/api/v1/overview", &[("Authorization", "Bearer no-such-token")], b"")?;
        match answer.status {
            401 => (),
            429 => refused = refused.or(answer.header("retry-after").map(str::to_owned)),
            _ => anyhow::bail!("{answer:?}"),
        }
    }
    let wait: u64 = refused.context("60 bad tokens and no limit, of 100 per second")?.parse()?;
    ensure!((1..=10).contains(&wait), "Retry-After: {wait}");
    std::thread::sleep(Duration::from_secs(wait));
    let answer = client.get("/health")?;
    ensure!(answer.status == 200, "after Retry-After: {answer:?}");
    Ok(())
}

#[test]
fn every_answer_has_the_security_headers_and_a_nonce_of_its_own() -> Result<()> {
    let rig = Rig::start(&["--limits", "off"], "")?;
    let mut client = rig.client()?;
    let mut nonces = std::collections::HashSet::new();
    for path in ["/sign-in", "/", "/no/such/page", "/api/v1/overview", "/health", "/sign-in"] {
        let answer = client.get(path)?;
        let is = |name: &str, value: &str| answer.header(name) == Some(value);
        ensure!(is("x-content-type-options", "nosniff") && is("x-frame-options", "DENY"), "{answer:?}");
        ensure!(is("referrer-policy", "no-referrer") && is("x-permitted-cross-domain-policies", "none"), "{answer:?}");
        ensure!(is("cross-origin-opener-policy", "same-origin"), "{answer:?}");
        ensure!(is("cross-origin-resource-policy", "same-origin"), "{answer:?}");
        ensure!(is("cross-origin-embedder-policy", "require-corp"), "{answer:?}");
        ensure!(answer.header("permissions-policy").is_some_and(|policy| policy.contains("camera=()")), "{answer:?}");
        ensure!(answer.header("strict-transport-security").is_some(), "{answer:?}");
        ensure!(answer.header("server").is_none() && answer.header("x-powered-by").is_none(), "{answer:?}");
        let policy = answer.header("content-security-policy").context("no policy")?;
        ensure!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let nonce = policy.split_once("'nonce-").and_then(|(_, rest)| rest.split_once('\'')).context("no nonce")?.0;
        ensure!(nonces.insert(nonce.to_owned()), "the nonce {nonce} came twice");
    }
    let pixel = rig.installation.mint_opens(1)?.remove(0).path;
    let answer = client.get(&pixel)?;
    ensure!(answer.header("cross-origin-resource-policy") == Some("cross-origin"), "{answer:?}");
    Ok(())
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /` in HPACK.
const GET: &[u8] = b"\x82\x87\x84\x41\x0dt.example.org";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn http2(rig: &Rig) -> Result<rustls::StreamOwned<rustls::ClientConnection, TcpStream>> {
    let mut stream = tls::connect(rig.address()?, &rig.authority.client_config(&["h2"])?, NAME)?;
    stream.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat())?;
    Ok(stream)
}

/// Whether the connection ends within `limit`, whatever is said before.
fn ends_tls(stream: &mut rustls::StreamOwned<rustls::ClientConnection, TcpStream>, limit: Duration) -> Result<bool> {
    let start = Instant::now();
    let mut bytes = [0; 16 * 1024];
    while start.elapsed() < limit {
        stream.sock.set_read_timeout(Some(Duration::from_millis(200)))?;
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(true),
            Ok(_) => (),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => (),
            Err(_) => return Ok(true),
        }
    }
    Ok(false)
}

#[test]
fn floods_of_http2_are_cut_off_and_others_unharmed() -> Result<()> {
    let _alone = alone()?;
    let rig = Rig::start(&["--limits", "off"], "")?;
    // An honest request first: the answer's head begins with 0x88, status 200, for /health; here any head will do.
    let mut stream = http2(&rig)?;
    stream.write_all(&frame(1, 5, 1, GET))?;
    let (mut got, mut bytes) = (Vec::new(), [0; 4096]);
    while !got.windows(9).any(|frame: &[u8]| frame[3] == 1 && frame[5..9] == 1_u32.to_be_bytes()) {
        let count = stream.read(&mut bytes).context("an answer over HTTP/2")?;
        ensure!(count > 0, "no answer over HTTP/2");
        got.extend_from_slice(&bytes[..count]);
    }
    let before = rig.server.peak_memory()?;
    // Requests that are taken back at once.
    let mut stream = http2(&rig)?;
    let mut cut = false;
    for number in 0..20_000_u32 {
        let id = number * 2 + 1;
        let attack = [frame(1, 5, id, GET), frame(3, 0, id, &8_u32.to_be_bytes())].concat();
        if stream.write_all(&attack).is_err() {
            cut = true;
            break;
        }
    }
    ensure!(cut || ends_tls(&mut stream, Duration::from_secs(12))?, "rapid resets are served for ever");
    // A head that never ends.
    let mut stream = http2(&rig)?;
    let mut cut = stream.write_all(&frame(1, 1, 1, GET)).is_err();
    let filler = [b"\x00\x01a\x7f\x81\x7d".as_slice(), &[b'x'; 252]].concat();
    for _ in 0..20_000 {
        if cut {
            break;
        }
        cut = stream.write_all(&frame(9, 0, 1, &filler)).is_err();
    }
    ensure!(cut || ends_tls(&mut stream, Duration::from_secs(12))?, "a head without end is read for ever");
    // Nothing at all after the handshake, and half a head.
    let mut silent = tls::connect(rig.address()?, &rig.authority.client_config(&["h2"])?, NAME)?;
    let mut half = http2(&rig)?;
    half.write_all(&frame(1, 0, 1, &GET[..2]))?;
    ensure!(ends_tls(&mut half, Duration::from_secs(15))?, "half a head is waited for");
    ensure!(ends_tls(&mut silent, Duration::from_secs(15))?, "silence is waited for");
    ensure!(rig.client()?.get("/health")?.status == 200, "others are harmed");
    let grown = rig.server.peak_memory()? - before;
    ensure!(grown < 64 << 20, "memory grew by {} MiB", grown >> 20);
    Ok(())
}
