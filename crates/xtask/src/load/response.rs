//! Reading HTTP/1.1 answers by their Content-Length, piece by piece, in the part of HTTP that our servers speak.

use std::fmt;

/// A head larger than this is taken for something that is not HTTP.
const HEAD_LIMIT_BYTES: usize = 64 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) status: u16,
    /// `None`: the body ends with the connection.
    pub(crate) body_bytes: Option<u64>,
    pub(crate) event_id: Option<&'a [u8]>,
    pub(crate) close: bool,
    /// Of the head itself, with the empty line.
    pub(crate) length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// It carried an `x-event-id`.
    pub(crate) recorded: bool,
    /// The server closes the connection after it.
    pub(crate) close: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not an answer that can be read: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// The head at the start of `bytes`; `None` while it is not complete.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<Head<'_>>, Malformed> {
    let Some((line, mut at)) = next_line(bytes, 0) else { return Ok(None) };
    let mut head = Head { status: status(line)?, body_bytes: None, event_id: None, close: false, length: 0 };
    loop {
        let Some((line, next)) = next_line(bytes, at) else { return Ok(None) };
        at = next;
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err(Malformed("a header without a colon"));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // Few headers matter: most are told apart by length.
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => head.body_bytes = Some(number(value)?),
            10 if name.eq_ignore_ascii_case(b"x-event-id") => head.event_id = Some(value),
            10 if name.eq_ignore_ascii_case(b"connection") => head.close = value.eq_ignore_ascii_case(b"close"),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                return Err(Malformed("a transfer encoding, where a Content-Length was expected"));
            }
            _ => {}
        }
    }
    head.length = at;
    if head.status == 204 || head.status == 304 || head.status < 200 {
        head.body_bytes = Some(0);
    }
    Ok(Some(head))
}

/// Puts the pieces of one answer at a time together.
#[derive(Default)]
pub(crate) struct Reader {
    /// The start of a head that is not complete; empty as a rule, since an answer comes in one piece.
    partial: Vec<u8>,
    body: Option<(Answer, u64)>,
}

impl Reader {
    /// Returns the answer when `bytes` complete it. An id is handed over with its head, before the body.
    pub(crate) fn feed(&mut self, bytes: &[u8], on_event_id: impl FnMut(&[u8])) -> Result<Option<Answer>, Malformed> {
        if self.body.is_some() {
            return self.skip_body(bytes.len());
        }
        if self.partial.is_empty() {
            return self.start(bytes, on_event_id);
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(bytes);
        let done = self.start(&whole, on_event_id);
        if self.partial.is_empty() {
            whole.clear();
            self.partial = whole;
        }
        done
    }

    /// For the next connection.
    pub(crate) fn reset(&mut self) {
        self.partial.clear();
        self.body = None;
    }

    fn start(&mut self, bytes: &[u8], mut on_event_id: impl FnMut(&[u8])) -> Result<Option<Answer>, Malformed> {
        let Some(head) = parse_head(bytes)? else {
            if bytes.len() > HEAD_LIMIT_BYTES {
                return Err(Malformed("a head without an end"));
            }
            self.partial.extend_from_slice(bytes);
            return Ok(None);
        };
        let length = head.body_bytes.ok_or(Malformed("no Content-Length"))?;
        if let Some(id) = head.event_id {
            on_event_id(id);
        }
        let answer = Answer { status: head.status, recorded: head.event_id.is_some(), close: head.close };
        self.body = Some((answer, length));
        self.skip_body(bytes.len() - head.length)
    }

    fn skip_body(&mut self, available: usize) -> Result<Option<Answer>, Malformed> {
        let Some((answer, left)) = self.body else { return Ok(None) };
        let left = left.checked_sub(available as u64).ok_or(Malformed("more bytes than its Content-Length"))?;
        self.body = (left > 0).then_some((answer, left));
        Ok((left == 0).then_some(answer))
    }
}

/// The line at `from` without its end, and where the next one starts.
fn next_line(bytes: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let end = from + bytes[from..].iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[from..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
}

fn status(line: &[u8]) -> Result<u16, Malformed> {
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "));
    let digits = rest.and_then(|rest| rest.get(..3)).ok_or(Malformed("no status line"))?;
    match u16::try_from(number(digits)?) {
        Ok(status @ 100..=599) => Ok(status),
        _ => Err(Malformed("a status out of range")),
    }
}

fn number(digits: &[u8]) -> Result<u64, Malformed> {
    if digits.is_empty() {
        return Err(Malformed("a number without digits"));
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10).ok_or(Malformed("not a number"))?;
        number
            .checked_mul(10)
            .and_then(|number| number.checked_add(digit.into()))
            .ok_or(Malformed("too large a number"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\nX-Event-Id: 01J0ZK\r\nContent-Length: 5\r\n\r\nGIF89";

    #[test]
    fn an_answer_is_the_same_however_it_is_cut() {
        for first in 0..GIF.len() {
            for second in first..GIF.len() {
                let mut reader = Reader::default();
                let mut ids = Vec::new();
                let mut done = None;
                for piece in [&GIF[..first], &GIF[first..second], &GIF[second..]] {
                    assert_eq!(done, None, "cut at {first} and {second}");
                    done = reader.feed(piece, |id| ids.push(id.to_vec())).unwrap();
                }
                assert_eq!(done, Some(Answer { status: 200, recorded: true, close: false }));
                assert_eq!(ids, [b"01J0ZK"]);
            }
        }
    }

    #[test]
    fn one_reader_reads_answer_after_answer() {
        let mut reader = Reader::default();
        for _ in 0..3 {
            assert_eq!(reader.feed(&GIF[..30], |_| {}), Ok(None));
            assert!(reader.feed(&GIF[30..], |_| {}).unwrap().is_some());
        }
    }

    #[test]
    fn a_redirect_without_an_id_and_with_a_close_is_read() {
        let bytes = b"HTTP/1.1 302 Found\r\nlocation: /x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let answer = Reader::default().feed(bytes, |_| panic!("there is no id")).unwrap();
        assert_eq!(answer, Some(Answer { status: 302, recorded: false, close: true }));
    }

    #[test]
    fn an_answer_that_has_no_body_needs_no_length() {
        let answer = Reader::default().feed(b"HTTP/1.1 204 No Content\r\n\r\n", |_| {}).unwrap();
        assert_eq!(answer.map(|answer| answer.status), Some(204));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bytes in [
            &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            b"HTTP/1.1 999 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
        ] {
            assert!(Reader::default().feed(bytes, |_| {}).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        let mut endless = Reader::default();
        assert_eq!(endless.feed(b"HTTP/1.1 200 OK\r\n", |_| {}), Ok(None));
        assert!(endless.feed(&vec![b'a'; HEAD_LIMIT_BYTES], |_| {}).is_err());
    }
}
