//! `POST /api/v1/events`: bodies that are packed, large, cut off, or in another encoding.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::house::{House, body, problem};

const GZIP: &[(&str, &str)] = &[("Content-Encoding", "gzip")];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("bytes are packed");
    encoder.finish().expect("bytes are packed")
}

fn lines(count: usize, prefix: &str) -> String {
    (0..count).map(|number| format!("{{\"kind\":\"sent\",\"id\":\"{prefix}-{number}\"}}\n")).collect()
}

#[test]
fn gzip_is_taken() {
    let house = House::sqlite();
    let guest = house.guest();
    let recorded = |encoding: &str, bytes: &[u8]| {
        let answer = guest.post_bytes(&[("Content-Encoding", encoding)], bytes);
        assert_eq!(answer.status, 200, "{encoding}: {answer:?}");
        body(&answer)["recorded"].as_u64().expect("a number")
    };
    assert_eq!(recorded("gzip", &gzip(lines(500, "a").as_bytes())), 500);
    assert_eq!(recorded("x-gzip", &gzip(lines(3, "b").as_bytes())), 3);
    assert_eq!(recorded("GZIP", &gzip(lines(1, "f").as_bytes())), 1, "codings have no case");
    assert_eq!(recorded("Identity", lines(1, "g").as_bytes()), 1);
    assert_eq!(recorded("identity", lines(3, "c").as_bytes()), 3);
    let in_parts = [gzip(lines(2, "d").as_bytes()), gzip(lines(2, "e").as_bytes())].concat();
    assert_eq!(recorded("gzip", &in_parts), 4, "a file of several members, as `cat a.gz b.gz` makes it");
    house.wait_for_seq(512);
}

#[test]
fn a_body_that_is_not_what_it_says_is_refused() {
    let house = House::sqlite();
    let guest = house.guest();
    let packed = gzip(lines(200, "a").as_bytes());
    let mut flipped = packed.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    for (what, bytes) in [
        ("plain text", lines(1, "a").into_bytes()),
        ("cut off", packed[..packed.len() - 20].to_vec()),
        ("flipped", flipped),
        ("followed by something else", [packed.as_slice(), b"{\"kind\":\"sent\"}"].concat()),
        ("a head alone", packed[..10].to_vec()),
    ] {
        let told = problem(&guest.post_bytes(GZIP, &bytes), 400, "bad-request");
        assert!(told["detail"].as_str().expect("a detail").contains("gzip"), "{what}: {told}");
    }
    for encoding in ["br", "deflate", "zstd", "gzip, gzip", "compress"] {
        let answer = guest.post_bytes(&[("Content-Encoding", encoding)], &packed);
        let told = problem(&answer, 415, "unsupported-encoding");
        assert!(told["detail"].as_str().expect("a detail").contains("gzip"), "{encoding}: {told}");
    }
    for (what, bytes) in [
        ("UTF-16", "{\"kind\":\"sent\"}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        ("Latin-1", b"{\"kind\":\"custom\",\"name\":\"caf\xe9\"}".to_vec()),
        ("a lone continuation byte", b"\x80".to_vec()),
        ("nothing", b" \r\n\t ".to_vec()),
        ("a form", b"kind=sent&id=1".to_vec()),
        ("XML", b"<event kind=\"sent\"/>".to_vec()),
        ("an open array", b"[{\"kind\":\"sent\"},".to_vec()),
        ("an empty array", b"[]".to_vec()),
        ("nesting without end", b"[".repeat(100_000)),
    ] {
        let told = problem(&guest.post_bytes(&[], &bytes), 400, "bad-request");
        let words = told["detail"].as_str().expect("a detail");
        assert!(words.contains("body") || words.contains("array") || words.contains("JSON"), "{what}: {told}");
        assert!(words.len() < 300, "{what}: what was sent is not sent back");
    }
    // Deep inside one event it is that event that is wrong, or it is simply kept.
    let deep =
        format!("{{\"kind\":\"custom\",\"name\":\"x\",\"properties\":{}1{}}}", "{\"a\":".repeat(400), "}".repeat(400));
    assert!(matches!(guest.post(&deep).status, 200 | 400));
    let lone = guest.post("{\"kind\":\"custom\",\"name\":\"\\ud800\"}");
    assert_eq!(lone.status, 400, "half of a surrogate pair is no text: {lone:?}");
    let doubled = guest.post("{\"kind\":\"sent\",\"kind\":\"opened\"}");
    assert_eq!(doubled.status, 400, "which of both is meant? {doubled:?}");
    assert_eq!(guest.events("").len() as u64, guest.get("/api/v1/overview")["seq"].as_u64().expect("a seq"));
}

#[test]
fn ten_thousand_events_are_taken_and_one_more_is_not() {
    let house = House::sqlite();
    let guest = house.guest();
    let receipt = body(&guest.post(&lines(10_000, "a")));
    assert_eq!(receipt["recorded"], 10_000);
    assert_eq!(receipt["ids"].as_array().map(Vec::len), Some(10_000));
    let told = problem(&guest.post(&lines(10_001, "b")), 400, "bad-request");
    assert!(
        told["detail"].as_str().expect("a detail").contains("10,001")
            || told["detail"].as_str().expect("a detail").contains("10001"),
        "{told}"
    );
    house.wait_for_seq(10_000);
    assert_eq!(guest.get("/api/v1/overview")["totals"]["events"]["sent"]["total"], 10_000);
}

/// A few megabytes that stand for gigabytes cost no more memory than the limit allows.
#[test]
fn a_gzip_bomb_is_refused_with_bounded_memory() {
    let house = House::sqlite();
    let guest = house.guest();
    assert_eq!(guest.post(&lines(1, "a")).status, 200);
    let before = house.server.peak_memory().expect("the peak of memory");
    let member = gzip(&vec![b' '; 64 << 20]);
    let bomb = member.repeat(32);
    assert!(bomb.len() < 15 << 20, "{} bytes are a bomb no more", bomb.len());
    let start = Instant::now();
    for _ in 0..3 {
        let told = problem(&guest.post_bytes(GZIP, &bomb), 413, "too-large");
        assert!(told["detail"].as_str().expect("a detail").contains("decompression"), "{told}");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "it was unpacked for {:?}", start.elapsed());
    let grown = house.server.peak_memory().expect("the peak of memory").saturating_sub(before);
    assert!(grown < 100 << 20, "memory grew by {} MiB", grown >> 20);
    assert_eq!(guest.post(&lines(1, "b")).status, 200, "and everything goes on");
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let house = House::sqlite();
    let guest = house.guest();
    let spaces = |bytes: usize| [lines(1, "a").into_bytes(), vec![b' '; bytes]].concat();
    assert_eq!(guest.post_bytes(&[], &spaces(15 << 20)).status, 200);
    assert_eq!(guest.post_bytes(GZIP, &gzip(&spaces(15 << 20))).status, 200);
    problem(&guest.post_bytes(GZIP, &gzip(&spaces(17 << 20))), 413, "too-large");
    // Whoever announces too much need not send it: the answer comes at once.
    let mut client = house.server.client().expect("a connection");
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        guest.token,
        17 << 20
    );
    client.send(head.as_bytes()).expect("the head is sent");
    client.send(&vec![b' '; 1 << 20]).expect("the body begins");
    // It may also read on to the limit before it says so.
    let mut rest = 16;
    while rest > 0 && client.send(&vec![b' '; 1 << 20]).is_ok() {
        rest -= 1;
    }
    match client.receive(true) {
        Ok(answer) => drop(problem(&answer, 413, "too-large")),
        // A server that closes while we still send may have its answer thrown away by the kernel.
        Err(broken) => assert!(rest > 0, "{broken}"),
    }
    assert_eq!(guest.post(&lines(1, "b")).status, 200);
}
