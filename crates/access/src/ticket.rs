//! Tickets: what a browser carries from the first half of a sign-in to the second, sealed in a cookie, so that any process
//! of the installation can finish what another began. A ticket is short-lived and works once, over all processes.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use signalbox_core::time::{Micros, SECOND};
use signalbox_crypto::keyring::{Keyring, KeyringError};
use signalbox_crypto::seal;
use signalbox_crypto::secret::{hash_secret, new_secret};
use signalbox_store::{Conn, StoreError};

/// What tickets are for: a ticket for one thing is nothing for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Oidc,
    NewPasskey,
    Passkey,
}

impl Kind {
    fn context(self) -> &'static str {
        match self {
            Kind::Oidc => "ticket:oidc",
            Kind::NewPasskey => "ticket:new-passkey",
            Kind::Passkey => "ticket:passkey",
        }
    }

    fn cookie(self) -> &'static str {
        match self {
            Kind::Oidc => "__Host-signalbox-oidc",
            Kind::NewPasskey => "__Host-signalbox-new-passkey",
            Kind::Passkey => "__Host-signalbox-passkey",
        }
    }

    /// A provider sends people back from another site, and a strict cookie would not come along.
    fn same_site(self) -> &'static str {
        match self {
            Kind::Oidc => "Lax",
            Kind::NewPasskey | Kind::Passkey => "Strict",
        }
    }

    /// How long it is good, in microseconds.
    fn lasts(self) -> i64 {
        match self {
            Kind::Oidc => 600 * SECOND,
            Kind::NewPasskey | Kind::Passkey => 300 * SECOND,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Wire<T> {
    id: String,
    expires_at: i64,
    content: T,
}

/// The part of a ticket that shows whether it was used.
#[derive(Debug, Clone)]
pub(crate) struct Stub {
    hash: [u8; 32],
    expires_at: i64,
}

/// A cookie with a new ticket.
pub(crate) fn issue(ring: &Keyring, kind: Kind, content: &impl Serialize, now: Micros) -> Result<String, KeyringError> {
    let wire = Wire { id: new_secret()?.to_string(), expires_at: now.plus(kind.lasts()).0, content };
    let text = serde_json::to_vec(&wire).map_err(|error| KeyringError::Unreadable(error.to_string()))?;
    let sealed = URL_SAFE_NO_PAD.encode(seal::seal(ring, kind.context(), &text, now)?);
    Ok(cookie(kind, &sealed, kind.lasts() / SECOND))
}

/// A cookie that takes the ticket away.
pub(crate) fn clear(kind: Kind) -> String {
    cookie(kind, "", 0)
}

fn cookie(kind: Kind, value: &str, lasts_s: i64) -> String {
    let (name, same_site) = (kind.cookie(), kind.same_site());
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={lasts_s}")
}

/// The ticket that came with a request, if it is whole and still good. It has to be spent too.
pub(crate) fn read<T: DeserializeOwned>(
    ring: &Keyring,
    kind: Kind,
    headers: &HeaderMap,
    now: Micros,
) -> Option<(Stub, T)> {
    let cookies = headers.get_all(header::COOKIE);
    let mut pairs = cookies.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let value = pairs.find_map(|pair| pair.trim().strip_prefix(kind.cookie())?.strip_prefix('='))?;
    let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
    let text = seal::open(ring, kind.context(), &sealed)?;
    let wire: Wire<T> = serde_json::from_slice(&text).ok()?;
    // A clock that fell back does not make a ticket live longer than it was meant to.
    let good = (wire.expires_at - kind.lasts() - 60 * SECOND..wire.expires_at).contains(&now.0);
    good.then(|| (Stub { hash: hash_secret(&wire.id), expires_at: wire.expires_at }, wire.content))
}

/// Uses a ticket up; `false` when it was used before.
pub(crate) fn spend(conn: &mut Conn<'_>, stub: &Stub, now: Micros) -> Result<bool, StoreError> {
    // An hour more than needed, for clocks that differ.
    conn.execute("DELETE FROM spent_ticket WHERE expires_at < $1", &[now.plus(-3600 * SECOND).0.into()])?;
    let sql = "INSERT INTO spent_ticket (hash, expires_at) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING";
    Ok(conn.execute(sql, &[stub.hash.as_slice().into(), stub.expires_at.into()])? == 1)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(cookie: &str) -> HeaderMap {
        let value = cookie.split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&format!("a=b; {value}; c=d")).unwrap())])
    }

    #[test]
    fn a_ticket_opens_for_its_kind_its_ring_and_its_time() {
        let now = Micros(1_780_000_000_000_000);
        let ring = Keyring::create(now).unwrap();
        let cookie = issue(&ring, Kind::Oidc, &"content", now).unwrap();
        assert!(cookie.contains("; Secure; HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
        let read = |ring: &Keyring, kind, cookie: &str, now| read::<String>(ring, kind, &headers(cookie), now);
        assert_eq!(read(&ring, Kind::Oidc, &cookie, now).unwrap().1, "content");
        assert!(read(&ring, Kind::Oidc, &cookie, now.plus(600 * SECOND)).is_none());
        assert!(read(&ring, Kind::Oidc, &cookie, now.plus(-61 * SECOND)).is_none());
        assert!(read(&ring, Kind::Passkey, &cookie, now).is_none());
        let renamed = cookie.replace("__Host-signalbox-oidc", "__Host-signalbox-passkey");
        assert!(read(&ring, Kind::Passkey, &renamed, now).is_none(), "a ticket of another kind");
        assert!(read(&Keyring::create(now).unwrap(), Kind::Oidc, &cookie, now).is_none());
        assert!(read(&ring, Kind::Oidc, &clear(Kind::Oidc), now).is_none());
    }
}
