//! Catalogue 16: whatever a client sends, the backend sees one request for one that was accepted, and never another.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use signalbox_e2e::backend::Backend;
use signalbox_e2e::edge::EdgeHouse;

/// Requests of which nothing may reach the backend.
const REFUSED: [(&str, &str); 27] = [
    ("CL.TE", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
    (
        "TE.CL",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n",
    ),
    ("two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello"),
    ("the same length twice", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    ("a list of lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello"),
    ("a signed length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello"),
    ("a negative length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\nhello"),
    ("a hexadecimal length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello"),
    ("an endless length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nhello"),
    (
        "TE twice",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    ),
    ("an unknown TE", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("TE with a vertical tab", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("TE before a colon", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("TE folded", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    ("TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("obs-fold", "GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n Content-Length: 5\r\n\r\n"),
    ("obs-fold with a tab", "GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n\tb\r\n\r\n"),
    ("a bare line feed", "GET / HTTP/1.1\r\nHost: h\nContent-Length: 5\r\n\r\nhello"),
    ("bare line feeds all over", "GET / HTTP/1.1\nHost: h\n\n"),
    ("a bare carriage return", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rContent-Length: 5\r\n\r\nhello"),
    ("a null byte", "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n"),
    ("two hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n"),
    ("no host", "GET / HTTP/1.1\r\n\r\n"),
    ("a line end in the target", "GET /\x0bHTTP/1.1 HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("a space in the name", "GET / HTTP/1.1\r\nHost: h\r\nContent Length: 5\r\n\r\n"),
    ("HTTP/0.9", "GET /\r\n\r\n"),
];

/// A body whose framing breaks after the head: the request may have reached the backend, but nothing after it.
const BROKEN: [(&str, &str); 6] = [
    (
        "a line feed ends a size",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    ),
    ("a chunk is too long", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n"),
    ("a size with 0x", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"),
    (
        "a size that overflows",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n",
    ),
    (
        "a line feed in an extension",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
    ),
    ("a line feed in a trailer", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\n\r\n\r\n"),
];

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";

/// Sends bytes, and gives all that comes back until the edge ends the connection.
fn exchange(address: std::net::SocketAddr, bytes: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    stream.write_all(bytes.as_bytes())?;
    let mut answer = Vec::new();
    // A reset after the answer is an end too.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn what_could_be_read_in_two_ways_never_passes() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    for (name, bytes) in REFUSED {
        let answer = exchange(server.address, &format!("{bytes}{HIDDEN}"))?;
        ensure!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 50"), "{name}: {answer:?}");
        ensure!(answer.matches("HTTP/1.1 ").count() == 1, "{name}: one answer: {answer:?}");
        ensure!(backend.seen().is_empty(), "{name}: {:?}", backend.seen());
    }
    for (name, bytes) in BROKEN {
        let answer = exchange(server.address, &format!("{bytes}{HIDDEN}"))?;
        ensure!(answer.starts_with("HTTP/1.1 400"), "{name}: {answer:?}");
        ensure!(!backend.seen().iter().any(|seen| seen.line().contains("hidden")), "{name}: {:?}", backend.seen());
    }
    house.receipt()?;
    server.terminate()
}

#[test]
fn one_request_in_is_one_request_out() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    let inner = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    let cases = [
        // A request as the body of another.
        (
            format!(
                "POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{inner}",
                inner.len()
            ),
            1,
        ),
        (
            format!(
                "POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n",
                inner.len()
            ),
            1,
        ),
        // Fields that hop-by-hop listing must not take away.
        (
            format!(
                "POST /a HTTP/1.1\r\nHost: h\r\nConnection: close, Content-Length, Host\r\nContent-Length: {}\r\n\r\n{inner}",
                inner.len()
            ),
            1,
        ),
        // A body on a method that seldom has one.
        (
            format!(
                "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{inner}",
                inner.len()
            ),
            1,
        ),
        // Pipelining is two requests, and so it arrives.
        ("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_owned(), 2),
        // An upgrade that is not one leaves no door open.
        (
            format!(
                "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n{inner}"
            ),
            1,
        ),
        ("GET http://other.example/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_owned(), 1),
    ];
    for (bytes, count) in cases {
        backend.forget();
        let answer = exchange(server.address, &bytes)?;
        let seen = backend.seen();
        ensure!(answer.matches("HTTP/1.1 200").count() == count, "{bytes:?}: {answer:?}");
        ensure!(seen.len() == count && !seen.iter().any(|seen| seen.line().contains("hidden")), "{bytes:?}: {seen:?}");
        for one in &seen {
            ensure!(one.fields("content-length").len() + one.fields("transfer-encoding").len() <= 1, "{one:?}");
            ensure!(one.fields("upgrade").is_empty() && one.fields("host").len() == 1, "{one:?}");
        }
    }
    ensure!(backend.seen().iter().any(|seen| seen.fields("host") == ["other.example"]), "{:?}", backend.seen());
    server.terminate()
}

#[test]
fn answers_cannot_be_split_or_swapped() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    let answer = exchange(server.address, "GET /bad-head HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
    ensure!(answer.starts_with("HTTP/1.1 502"), "{answer:?}");
    let answer = exchange(server.address, "GET /chunked HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
    ensure!(answer.contains("chunked\r\n") && answer.ends_with("0\r\n\r\n") && answer.contains("hello"), "{answer:?}");
    let answer = exchange(server.address, "GET /until-close HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
    ensure!(answer.contains("until the end") && answer.ends_with("0\r\n\r\n"), "{answer:?}");
    let answer = exchange(server.address, "GET /chunked HTTP/1.0\r\n\r\n")?;
    ensure!(!answer.contains("chunked\r\n") && answer.ends_with("\r\n\r\nhello world"), "{answer:?}");
    house.receipt()?;
    server.terminate()
}
