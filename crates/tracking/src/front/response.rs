//! Writing the few answers that hits have.

use std::fmt::Write as _;

use signalbox_core::id::EventId;
use signalbox_core::time::Micros;

use crate::answer::{CSP, EVENT_ID_HEADER, GIF, INVALID_PAGE, NO_STORE};
use crate::hit::{Path, Target};

/// The value of the Date header, rendered once a second.
#[derive(Default)]
pub(super) struct DateLine {
    second: i64,
    text: String,
}

impl DateLine {
    pub(super) fn at(&mut self, now: Micros) -> &str {
        let second = now.0.div_euclid(1_000_000);
        if second != self.second {
            self.second = second;
            self.text = jiff::Timestamp::from_second(second)
                .map(|instant| instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
                .unwrap_or_default();
        }
        &self.text
    }
}

/// How an answer is framed.
#[derive(Clone, Copy)]
pub(super) struct Frame<'d> {
    pub(super) head: bool,
    pub(super) close: bool,
    pub(super) date: &'d str,
}

struct Out<'o>(&'o mut Vec<u8>);

impl std::fmt::Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn line(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

fn start(out: &mut Vec<u8>, status: &str, frame: Frame<'_>) {
    line(out, &["HTTP/1.1 ", status, "\r\ndate: ", frame.date, "\r\ncache-control: ", NO_STORE, "\r\n"]);
    if frame.close {
        out.extend_from_slice(b"connection: close\r\n");
    }
}

/// A pixel or a redirect; `event` when it is on disk.
pub(super) fn target(out: &mut Vec<u8>, target: &Target, event: Option<i64>, frame: Frame<'_>) {
    match target {
        Target::Pixel => start(out, "200 OK", frame),
        Target::Redirect(_) => start(out, "302 Found", frame),
    }
    if let Some(event) = event {
        let _ = write!(Out(out), "{EVENT_ID_HEADER}: {}\r\n", EventId(event));
    }
    match target {
        Target::Pixel => {
            out.extend_from_slice(
                b"content-type: image/gif\r\nx-content-type-options: nosniff\r\ncontent-length: 43\r\n\r\n",
            );
            if !frame.head {
                out.extend_from_slice(GIF);
            }
        }
        Target::Redirect(destination) => {
            line(out, &["location: ", destination, "\r\nreferrer-policy: no-referrer\r\ncontent-length: 0\r\n\r\n"]);
        }
    }
}

/// What a request with a token that is not valid gets.
pub(super) fn invalid(out: &mut Vec<u8>, is_open: bool, frame: Frame<'_>) {
    if is_open { self::target(out, &Target::Pixel, None, frame) } else { invalid_page(out, frame) }
}

fn invalid_page(out: &mut Vec<u8>, frame: Frame<'_>) {
    start(out, "404 Not Found", frame);
    line(
        out,
        &[
            "content-type: text/html; charset=utf-8\r\nx-content-type-options: nosniff\r\ncontent-security-policy: ",
            CSP,
        ],
    );
    let _ = write!(Out(out), "\r\ncontent-length: {}\r\n\r\n", INVALID_PAGE.len());
    if !frame.head {
        out.extend_from_slice(INVALID_PAGE.as_bytes());
    }
}

/// A pixel, or the page for a link, for a request that begins with `start` and that the web shell could not read.
pub fn unreadable(start: &[u8]) -> Option<Vec<u8>> {
    let asked = super::request::salvage(start)?;
    let mut out = Vec::new();
    let (status, kind, body) = match asked.path {
        Path::Open(_) => ("200 OK", "image/gif".to_owned(), GIF.as_slice()),
        Path::Click(_) => (
            "404 Not Found",
            format!("text/html; charset=utf-8\r\ncontent-security-policy: {CSP}"),
            INVALID_PAGE.as_bytes(),
        ),
    };
    line(
        &mut out,
        &["HTTP/1.1 ", status, "\r\ncache-control: ", NO_STORE, "\r\nconnection: close\r\ncontent-type: ", &kind],
    );
    let _ = write!(Out(&mut out), "\r\nx-content-type-options: nosniff\r\ncontent-length: {}\r\n\r\n", body.len());
    if !asked.head {
        out.extend_from_slice(body);
    }
    Some(out)
}
