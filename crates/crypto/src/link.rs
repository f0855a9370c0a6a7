//! Link tokens: everything a hit needs, signed, so that neither a pixel nor a redirect needs a lookup.
//!
//! Layout before base64url without padding, integers big-endian:
//! version 1 · kind 1 · key id 2 · principal 8 · campaign 8 · message 8 · recipient 8 · link 8 ·
//! expiry 4 (whole minutes since the epoch, rounded up, 0 = never) · destination (clicks only) · HMAC-SHA-256 32.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use signalbox_core::time::{MINUTE, Micros};
use subtle::ConstantTimeEq as _;

use crate::keyring::{Keyring, Purpose, mac_of};

const VERSION: u8 = 1;
const HEAD: usize = 48;
const TAG: usize = 32;
/// The longest destination that can be signed, in bytes.
pub const MOST_DESTINATION: usize = 2048;
/// The longest token that can be valid, in characters.
pub const MOST_TOKEN: usize = (HEAD + MOST_DESTINATION + TAG).div_ceil(3) * 4;

/// What a link says about the hit it will cause. Ids of 0 mean "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    pub principal: i64,
    pub campaign: i64,
    pub message: i64,
    pub recipient: i64,
    pub link: i64,
}

/// A place that a click may lead to: an absolute http or https URL, at most [`MOST_DESTINATION`] printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination(String);

/// Why a destination cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDestination {
    #[error("a destination starts with http:// or https:// and names a host")]
    NotAbsolute,
    #[error("a destination names no user or password before its host")]
    Credentials,
    #[error("a destination is printable ASCII without spaces; write other characters percent-encoded")]
    Characters,
    #[error("a destination has at most {MOST_DESTINATION} characters")]
    TooLong,
}

/// The token is not good: forged, cut, expired, of another kind, or of a key that has ended. Deliberately without a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link is not valid")]
pub struct InvalidLink;

impl Destination {
    /// Checks `url`; keeps it as it is.
    pub fn parse(url: &str) -> Result<Self, BadDestination> {
        if url.len() > MOST_DESTINATION {
            return Err(BadDestination::TooLong);
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return Err(BadDestination::Characters);
        }
        let scheme_end = url.find("://").ok_or(BadDestination::NotAbsolute)?;
        if !matches!(url[..scheme_end].to_ascii_lowercase().as_str(), "http" | "https") {
            return Err(BadDestination::NotAbsolute);
        }
        let rest = &url[scheme_end + 3..];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        if authority.contains('@') {
            return Err(BadDestination::Credentials);
        }
        if authority.is_empty() || authority.starts_with(':') {
            return Err(BadDestination::NotAbsolute);
        }
        Ok(Self(url.to_owned()))
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn head(kind: Purpose, key: u16, link: &Link, expires: Option<Micros>) -> [u8; HEAD] {
    let minutes = expires
        .map_or(0, |at| u32::try_from(at.0.saturating_add(MINUTE - 1).div_euclid(MINUTE)).unwrap_or(u32::MAX).max(1));
    let mut head = [0; HEAD];
    head[0] = VERSION;
    head[1] = kind as u8;
    head[2..4].copy_from_slice(&key.to_be_bytes());
    for (place, id) in [link.principal, link.campaign, link.message, link.recipient, link.link].into_iter().enumerate()
    {
        head[4 + 8 * place..12 + 8 * place].copy_from_slice(&id.to_be_bytes());
    }
    head[44..].copy_from_slice(&minutes.to_be_bytes());
    head
}

fn sign(
    ring: &Keyring,
    kind: Purpose,
    link: &Link,
    destination: &[u8],
    expires: Option<Micros>,
    now: Micros,
) -> String {
    let (key, state) = ring.signer(kind, now);
    let head = head(kind, key, link, expires);
    let tag = mac_of(state, &[&head, destination]);
    URL_SAFE_NO_PAD.encode([&head, destination, &tag].concat())
}

/// A token for `GET /o/{token}.gif`.
pub fn sign_open(ring: &Keyring, link: &Link, expires: Option<Micros>, now: Micros) -> String {
    sign(ring, Purpose::OpenLink, link, b"", expires, now)
}

/// A token for `GET /c/{token}`, leading to `destination`.
pub fn sign_click(
    ring: &Keyring,
    link: &Link,
    destination: &Destination,
    expires: Option<Micros>,
    now: Micros,
) -> String {
    sign(ring, Purpose::ClickLink, link, destination.as_str().as_bytes(), expires, now)
}

/// Checks the tag in constant time; the work depends on the token's length alone, not on where it is wrong.
fn verify<'b>(
    ring: &Keyring,
    kind: Purpose,
    token: &[u8],
    buffer: &'b mut [u8],
    now: Micros,
) -> Result<(Link, &'b [u8]), InvalidLink> {
    let length = URL_SAFE_NO_PAD.decode_slice(token, buffer).map_err(|_| InvalidLink)?;
    let bytes = &buffer[..length];
    if length < HEAD + TAG || bytes[0] != VERSION || bytes[1] != kind as u8 {
        return Err(InvalidLink);
    }
    let (signed, tag) = bytes.split_at(length - TAG);
    let state = ring.verifier(u16::from_be_bytes([bytes[2], bytes[3]]), kind, now).ok_or(InvalidLink)?;
    if !bool::from(mac_of(state, &[signed]).ct_eq(tag)) {
        return Err(InvalidLink);
    }
    let id = |place: usize| i64::from_be_bytes(signed[4 + 8 * place..12 + 8 * place].try_into().expect("eight bytes"));
    let minutes = u32::from_be_bytes(signed[44..HEAD].try_into().expect("four bytes"));
    if minutes != 0 && now.0 >= i64::from(minutes) * MINUTE {
        return Err(InvalidLink);
    }
    let link = Link { principal: id(0), campaign: id(1), message: id(2), recipient: id(3), link: id(4) };
    Ok((link, &signed[HEAD..]))
}

/// Checks the token of a pixel.
pub fn verify_open(ring: &Keyring, token: &[u8], now: Micros) -> Result<Link, InvalidLink> {
    // Room for one token exactly, plus what the decoder wants to be able to refuse a longer one.
    let mut buffer = [0; HEAD + TAG + 4];
    match verify(ring, Purpose::OpenLink, token, &mut buffer, now)? {
        (link, b"") => Ok(link),
        _ => Err(InvalidLink),
    }
}

/// Checks the token of a click and gives the destination that was signed.
pub fn verify_click(ring: &Keyring, token: &[u8], now: Micros) -> Result<(Link, String), InvalidLink> {
    if token.len() > MOST_TOKEN {
        return Err(InvalidLink);
    }
    let mut buffer = vec![0; token.len()];
    let (link, destination) = verify(ring, Purpose::ClickLink, token, &mut buffer, now)?;
    let destination = std::str::from_utf8(destination).map_err(|_| InvalidLink)?;
    if destination.is_empty() {
        return Err(InvalidLink);
    }
    Ok((link, destination.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Micros = Micros(1_780_000_000_000_000);

    fn links() -> impl Strategy<Value = Link> {
        (any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>()).prop_map(
            |(principal, campaign, message, recipient, link)| Link { principal, campaign, message, recipient, link },
        )
    }

    fn shop() -> Destination {
        Destination::parse("https://shop.example/spring?x=1&y=%C3%A4#top").unwrap()
    }

    proptest! {
        #[test]
        fn a_signed_link_reads_back(link in links()) {
            let ring = Keyring::create(NOW).unwrap();
            let open = sign_open(&ring, &link, None, NOW);
            prop_assert_eq!(verify_open(&ring, open.as_bytes(), NOW), Ok(link));
            let click = sign_click(&ring, &link, &shop(), None, NOW);
            prop_assert_eq!(verify_click(&ring, click.as_bytes(), NOW), Ok((link, shop().0)));
            prop_assert_eq!(verify_click(&ring, open.as_bytes(), NOW), Err(InvalidLink));
            prop_assert_eq!(verify_open(&ring, click.as_bytes(), NOW), Err(InvalidLink));
            let other = Keyring::create(NOW).unwrap();
            prop_assert_eq!(verify_open(&other, open.as_bytes(), NOW), Err(InvalidLink));
        }

        #[test]
        fn no_other_spelling_of_a_token_is_good(link in links(), place in any::<prop::sample::Index>(), letter in any::<u8>()) {
            let ring = Keyring::create(NOW).unwrap();
            for (token, click) in [(sign_open(&ring, &link, None, NOW), false), (sign_click(&ring, &link, &shop(), None, NOW), true)] {
                let good = |bytes: &[u8]| if click { verify_click(&ring, bytes, NOW).is_ok() } else { verify_open(&ring, bytes, NOW).is_ok() };
                let mut changed = token.clone().into_bytes();
                let at = place.index(changed.len());
                changed[at] = letter;
                prop_assert!(changed == token.as_bytes() || !good(&changed));
                prop_assert!(!good(&token.as_bytes()[..at]));
                let mut inserted = token.clone().into_bytes();
                inserted.insert(at, letter);
                prop_assert!(!good(&inserted));
                for tail in ["=", "==", "A", "\n", ".gif"] {
                    let longer = format!("{token}{tail}");
                    prop_assert!(!good(longer.as_bytes()));
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let ring = Keyring::create(NOW).unwrap();
            prop_assert!(verify_open(&ring, &bytes, NOW).is_err());
            prop_assert!(verify_click(&ring, &bytes, NOW).is_err());
            prop_assert!(verify_open(&ring, URL_SAFE_NO_PAD.encode(&bytes).as_bytes(), NOW).is_err());
        }

        #[test]
        fn a_destination_never_breaks_a_header(url in ".{0,80}") {
            if let Ok(destination) = Destination::parse(&url) {
                prop_assert!(destination.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }

    #[test]
    fn links_end_when_they_say() {
        let ring = Keyring::create(NOW).unwrap();
        let token = sign_open(&ring, &Link::default(), Some(NOW.plus(10 * MINUTE)), NOW);
        assert!(verify_open(&ring, token.as_bytes(), NOW.plus(9 * MINUTE)).is_ok());
        assert!(verify_open(&ring, token.as_bytes(), NOW.plus(11 * MINUTE)).is_err());
        // Half a minute is half a minute at least: NOW itself lies within a minute.
        let end = NOW.plus(MINUTE / 2);
        let token = sign_open(&ring, &Link::default(), Some(end), NOW);
        assert!(verify_open(&ring, token.as_bytes(), end.plus(-1)).is_ok());
        assert!(verify_open(&ring, token.as_bytes(), end.plus(MINUTE)).is_err());
    }

    #[test]
    fn destinations_that_are_no_web_addresses_are_refused() {
        for url in [
            "",
            "//shop.example",
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "http://u:p@shop.example/",
            "https://a b",
            "https://shop.example/\r\nx: y",
            "https://shop.example/ä",
            "http://:80/",
            "data:text/html,x",
        ] {
            assert!(Destination::parse(url).is_err(), "{url}");
        }
        assert_eq!(
            Destination::parse(&format!("https://a/{}", "x".repeat(MOST_DESTINATION))),
            Err(BadDestination::TooLong)
        );
        assert!(Destination::parse("HTTPS://shop.example:8443?a=b").is_ok());
    }
}
