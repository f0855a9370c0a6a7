//! The header fields that the edge understands itself, and those that it never passes on.

/// What the fields of a request say to the edge.
#[derive(Debug, Default)]
pub(crate) struct Fields<'h> {
    pub(crate) host: Option<&'h [u8]>,
    pub(crate) hosts: usize,
    pub(crate) length: Option<&'h [u8]>,
    pub(crate) lengths: usize,
    pub(crate) coding: Option<&'h [u8]>,
    pub(crate) codings: usize,
    pub(crate) connection: Tokens<'h>,
    pub(crate) upgrade: Option<&'h [u8]>,
    pub(crate) expect: Option<&'h [u8]>,
    pub(crate) request_id: Option<&'h [u8]>,
    pub(crate) agent: Option<&'h [u8]>,
}

/// The lines of `Connection`.
#[derive(Debug, Default)]
pub(crate) struct Tokens<'h> {
    lines: [&'h [u8]; 4],
    count: usize,
    /// A token beside close, keep-alive and upgrade: a field that is meant for this hop only.
    pub(crate) names_fields: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
}

impl<'h> Tokens<'h> {
    /// False when there are too many lines to be meant well.
    pub(crate) fn add(&mut self, line: &'h [u8]) -> bool {
        if self.count == self.lines.len() {
            return false;
        }
        self.lines[self.count] = line;
        self.count += 1;
        for token in line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if token.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if token.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if !token.is_empty() {
                self.names_fields = true;
            }
        }
        true
    }

    pub(crate) fn names(&self, field: &[u8]) -> bool {
        self.names_fields
            && self.lines[..self.count].iter().any(|line| {
                line.split(|byte| *byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(field))
            })
    }
}

/// Too many lines of `Connection`.
#[derive(Debug)]
pub(crate) struct TooMany;

impl<'h> Fields<'h> {
    pub(crate) fn read(headers: impl Iterator<Item = (&'h [u8], &'h [u8])>) -> Result<Self, TooMany> {
        let mut fields = Self::default();
        for (name, value) in headers {
            let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
            match name.len() {
                4 if is(b"host") => (fields.host, fields.hosts) = (Some(value), fields.hosts + 1),
                6 if is(b"expect") => fields.expect = Some(value),
                7 if is(b"upgrade") => fields.upgrade = Some(value),
                10 if is(b"connection") && !fields.connection.add(value) => {
                    return Err(TooMany);
                }
                10 if is(b"user-agent") => fields.agent = Some(value),
                12 if is(b"x-request-id") => fields.request_id = Some(value),
                14 if is(b"content-length") => (fields.length, fields.lengths) = (Some(value), fields.lengths + 1),
                17 if is(b"transfer-encoding") => (fields.coding, fields.codings) = (Some(value), fields.codings + 1),
                _ => (),
            }
        }
        Ok(fields)
    }
}

/// Fields of a request that end here: hop-by-hop ones (RFC 9110 §7.6.1), those that the edge writes itself, and those by
/// which a client could pretend to be forwarded. Some servers read `_` as `-`, so both spellings end here.
pub(crate) fn ends_here(name: &[u8]) -> bool {
    const ENDING: [&[u8]; 18] = [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"host",
        b"content-length",
        b"expect",
        b"x-request-id",
        b"forwarded",
        b"x-real-ip",
        b"x-client-ip",
        b"true-client-ip",
    ];
    const PREFIX: &[u8] = b"x-forwarded-";
    let same = |wanted: &[u8], name: &[u8]| {
        wanted
            .iter()
            .zip(name)
            .all(|(wanted, byte)| byte.to_ascii_lowercase() == *wanted || (*wanted == b'-' && *byte == b'_'))
    };
    // Most names are told apart by their first letter.
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b'c' | b'k' | b'p' | b't' | b'u' | b'h' | b'e' | b'x' | b'f') => (),
        _ => return false,
    }
    (name.len() >= PREFIX.len() && same(PREFIX, name))
        || ENDING.iter().any(|wanted| wanted.len() == name.len() && same(wanted, name))
}

/// Fields of an answer that end here.
pub(crate) fn answer_ends_here(name: &[u8]) -> bool {
    let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
    match name.len() {
        2 => is(b"te"),
        7 => is(b"trailer") || is(b"upgrade"),
        10 => is(b"connection") || is(b"keep-alive"),
        14 => is(b"content-length"),
        16 => is(b"proxy-connection"),
        17 => is(b"transfer-encoding"),
        18 => is(b"proxy-authenticate"),
        _ => false,
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'h>(line: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    line.split(|byte| *byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|byte| *byte == b'=')?;
        (pair[..at].trim_ascii() == name).then(|| pair[at + 1..].trim_ascii())
    })
}

/// A length in digits alone.
pub(crate) fn parse_length(value: &[u8]) -> Option<u64> {
    let plain = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    plain.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_and_hop_by_hop_fields_end_here() {
        for name in ["Connection", "TE", "X-Forwarded-For", "x_forwarded_for", "X-FORWARDED-anything", "Forwarded"] {
            assert!(ends_here(name.as_bytes()), "{name}");
        }
        for name in ["accept", "cookie", "x-forwarded", "content-type", "host-name", "t", "upgrade-insecure-requests"] {
            assert!(!ends_here(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn tokens_name_fields() {
        let mut tokens = Tokens::default();
        assert!(tokens.add(b"close, X-Secret") && tokens.add(b"upgrade"));
        assert!(tokens.names(b"x-secret") && !tokens.names(b"x-other"));
        assert!(tokens.close && tokens.upgrade && !tokens.keep_alive);
        assert!(tokens.add(b"") && tokens.add(b"") && !tokens.add(b""));
    }

    #[test]
    fn cookies_and_lengths() {
        assert_eq!(cookie(b"a=1; sid = x=y ;b=2", b"sid"), Some(&b"x=y"[..]));
        assert_eq!(cookie(b"xsid=1", b"sid"), None);
        assert_eq!(parse_length(b"0012"), Some(12));
        for bad in ["", "+1", "-1", "1 ", "1,1", "0x1", "9999999999999999999"] {
            assert_eq!(parse_length(bad.as_bytes()), None, "{bad}");
        }
    }
}
