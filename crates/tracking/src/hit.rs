//! From a request to a packed event: one path for the fast listener and for requests that came another way.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use signalbox_core::address::{TrustedProxies, to_bytes};
use signalbox_core::clock::Clock;
use signalbox_core::id::IdMaker;
use signalbox_core::time::Micros;
use signalbox_crypto::keyring::Keyring;
use signalbox_crypto::link::{Link, verify_click, verify_open};
use signalbox_events::chunk::Packed;
use signalbox_events::kind::Kind;
use signalbox_events::record::{Name, Record, RecordId, cut, hint, most};
use signalbox_http::limit::{Door, Fault, Limits};

/// The keyring in use; swapped whole when the key file changes.
#[derive(Clone)]
pub struct Keys(Arc<RwLock<Arc<Keyring>>>);

impl Keys {
    /// Keys that start as `ring`.
    pub fn new(ring: Keyring) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(ring))))
    }

    /// The present ring.
    pub fn get(&self) -> Arc<Keyring> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `ring` in its place.
    pub fn replace(&self, ring: Keyring) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }
}

/// Everything that judging a request needs, shared by all listeners.
#[derive(Clone)]
pub struct Gate {
    pub keys: Keys,
    pub ids: Arc<IdMaker>,
    pub clock: Arc<dyn Clock>,
    pub proxies: Arc<TrustedProxies>,
    pub limiter: Arc<dyn Limits>,
}

/// A request for a pixel or a click, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    pub path: Path<'r>,
    pub head: bool,
    pub client: IpAddr,
    pub user_agent: &'r str,
    /// Believed only from a declared proxy; empty otherwise.
    pub request_id: &'r str,
    /// Bits of [`hint`] that the headers gave.
    pub hints: u32,
}

/// Which of the two paths, and the token in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path<'r> {
    Open(&'r str),
    Click(&'r str),
}

/// What a request turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Packed; the answer waits for the commit.
    Record {
        event: i64,
        target: Target,
    },
    /// Answered as if recorded, but over the limit of its source.
    Limited(Target),
    Invalid,
}

/// What the answer will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Pixel,
    Redirect(String),
}

impl<'r> Path<'r> {
    /// Reads `/o/{token}.gif` or `/c/{token}`; a query is ignored.
    pub fn parse(path: &'r str) -> Option<Self> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        if let Some(token) = path.strip_prefix("/o/") {
            return Some(Path::Open(token.strip_suffix(".gif").unwrap_or(token)));
        }
        path.strip_prefix("/c/").map(Path::Click)
    }
}

impl Gate {
    /// What a token stands for, if it is valid.
    fn check(ring: &Keyring, path: Path<'_>, now: Micros) -> Option<(Link, Kind, Target)> {
        match path {
            Path::Open(token) => {
                verify_open(ring, token.as_bytes(), now).map(|link| (link, Kind::Opened, Target::Pixel))
            }
            Path::Click(token) => verify_click(ring, token.as_bytes(), now)
                .map(|(link, destination)| (link, Kind::Clicked, Target::Redirect(destination))),
        }
        .ok()
    }

    /// Where a valid token leads; nothing is counted or recorded.
    pub fn target(&self, ring: &Keyring, path: Path<'_>, now: Micros) -> Option<Target> {
        Self::check(ring, path, now).map(|(_, _, target)| target)
    }

    /// Checks the token and the limits, and packs the event.
    pub fn judge(&self, ring: &Keyring, request: &Request<'_>, now: Micros, packed: &mut Packed) -> Verdict {
        let Some((link, kind, target)) = Self::check(ring, request.path, now) else {
            self.limiter.blame(Fault::BadLink, request.client, now);
            return Verdict::Invalid;
        };
        if self.limiter.admit(Door::Hit, request.client, now).is_err() {
            return Verdict::Limited(target);
        }
        let event = self.ids.next_at(now);
        packed.push(&record(&link, kind, request, event, now));
        Verdict::Record { event, target }
    }
}

fn record<'r>(link: &Link, kind: Kind, request: &Request<'r>, event: i64, now: Micros) -> Record<'r> {
    let name = |id: i64| if id == 0 { Name::None } else { Name::Id(id) };
    Record {
        id: RecordId::Own(event),
        principal: link.principal,
        campaign: name(link.campaign),
        message: name(link.message),
        recipient: name(link.recipient),
        link: name(link.link),
        kind: kind as u8,
        occurred_at: now.0,
        received_at: now.0,
        source: Some(to_bytes(request.client)),
        user_agent: cut(request.user_agent, most::USER_AGENT),
        request_id: cut(request.request_id, most::REQUEST_ID),
        hints: request.hints | if request.head { hint::HEAD } else { 0 },
        detail: None,
    }
}

/// The facts that headers tell, gathered in one pass.
#[derive(Debug, Default, Clone, Copy)]
pub struct Headers<'r> {
    pub user_agent: &'r str,
    pub request_id: &'r str,
    pub hints: u32,
}

impl<'r> Headers<'r> {
    /// Takes note of one header. Values that are not readable text count as absent.
    pub fn note(&mut self, name: &str, value: &'r [u8]) {
        let text = || std::str::from_utf8(value).unwrap_or_default().trim();
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            10 if is("user-agent") => self.user_agent = text(),
            12 if is("x-request-id") => self.request_id = text(),
            7 if is("referer") => {
                self.hints |= hint::REFERER;
                if text().starts_with("https://mail.google.com/") || text() == "https://mail.google.com" {
                    self.hints |= hint::REFERER_GMAIL;
                }
            }
            15 if is("accept-language") => self.hints |= hint::ACCEPT_LANGUAGE,
            7 if is("purpose") => self.purpose(text()),
            5 if is("x-moz") => self.purpose(text()),
            9 if is("x-purpose") => self.purpose(text()),
            11 if is("sec-purpose") => self.purpose(text()),
            _ => (),
        }
    }

    fn purpose(&mut self, value: &str) {
        let value = value.to_ascii_lowercase();
        if value.contains("prefetch") || value.contains("preview") || value.contains("prerender") {
            self.hints |= hint::PREFETCH;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        assert_eq!(Path::parse("/o/abc.gif?x=1"), Some(Path::Open("abc")));
        assert_eq!(Path::parse("/o/abc"), Some(Path::Open("abc")));
        assert_eq!(Path::parse("/c/abc"), Some(Path::Click("abc")));
        assert_eq!(Path::parse("/x/abc"), None);
    }

    #[test]
    fn headers_leave_hints() {
        let mut headers = Headers::default();
        for (name, value) in [
            ("User-Agent", "Mozilla/5.0"),
            ("Sec-Purpose", "prefetch;prerender"),
            ("Referer", "https://mail.google.com/mail/u/0/"),
            ("Accept", "*/*"),
        ] {
            headers.note(name, value.as_bytes());
        }
        assert_eq!(headers.user_agent, "Mozilla/5.0");
        assert_eq!(headers.hints, hint::PREFETCH | hint::REFERER | hint::REFERER_GMAIL);
        headers.note("user-agent", b"\xff\xfe");
        assert_eq!(headers.user_agent, "");
    }
}
