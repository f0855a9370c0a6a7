//! What time does to links, sessions, codes and tokens: it is moved, also backwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use signalbox_access::brake::Brake;
use signalbox_access::email::Email;
use signalbox_access::error::AccessError;
use signalbox_access::links::{self, Purpose};
use signalbox_access::reach::Reach;
use signalbox_access::role::Role;
use signalbox_access::second_factor;
use signalbox_access::sessions::{self, NewSession, Sessions};
use signalbox_access::settings::Rules;
use signalbox_access::tokens::{self, NewToken, Tokens};
use signalbox_access::trail::{Act, By};
use signalbox_access::users::{self, Authority, NewUser};
use signalbox_core::id::{IdMaker, UserId};
use signalbox_core::time::{DAY, HOUR, MINUTE, Micros, SECOND};
use signalbox_crypto::keyring::Keyring;
use signalbox_http::caller::Permission;
use signalbox_store::{Conn, Faults, Scope, Settings, Store, StoreError};

const NOW: Micros = Micros(1_780_000_000_000_000);
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

struct House {
    store: Store,
    ids: Arc<IdMaker>,
    user: UserId,
    _folder: tempfile::TempDir,
}

impl House {
    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            Settings { data: folder.path().into(), database_url: None, connections: 2, faults: Faults::default() };
        let store = Store::open(&settings).unwrap();
        let features = [signalbox_audit::schema::MIGRATIONS, signalbox_access::schema::MIGRATIONS];
        store.migrate(&features, NOW).unwrap();
        let mut house = Self { store, ids: Arc::new(IdMaker::new(1)), user: UserId(0), _folder: folder };
        let new = NewUser {
            email: Email::parse("ada@example.org").unwrap(),
            name: String::new(),
            role: Role::Owner,
            reach: Reach::All,
            password: None,
        };
        let act = house.act(NOW);
        house.user = house.change(|conn| users::create(conn, &act, &Authority::root(), &new)).unwrap().id;
        house
    }

    fn act(&self, now: Micros) -> Act {
        Act { by: By::command("test"), now, ids: Arc::clone(&self.ids) }
    }

    fn change<T>(
        &self,
        run: impl FnOnce(&mut Conn<'_>) -> Result<Result<T, AccessError>, StoreError>,
    ) -> Result<T, AccessError> {
        self.store.write_here(&Scope::all(), run)?
    }

    fn session(&self, rules: &Rules, now: Micros) -> String {
        let new = NewSession {
            user: self.user,
            method: "password",
            proved: false,
            pending: false,
            address: CLIENT,
            agent: "test".into(),
        };
        let act = self.act(now);
        self.change(|conn| sessions::start(conn, &act, rules, &new, None)).unwrap().secret.to_string()
    }
}

#[test]
fn a_link_ends_after_a_day_and_after_one_use() {
    let house = House::build();
    let make = || {
        let path = house.change(|conn| links::create(conn, Purpose::Password, Some(house.user), NOW)).unwrap();
        path.split_once("?k=").unwrap().1.to_owned()
    };
    let find = |secret: &str, now| house.change(|conn| links::find(conn, secret, now).map(Ok)).unwrap();
    let take = |secret: &str, now| house.change(|conn| links::take(conn, secret, now).map(Ok)).unwrap();
    let first = make();
    let second = make();
    assert!(find(&first, NOW).is_none(), "a newer link ends the older one");
    assert!(find(&second, NOW.plus(DAY - 1)).is_some());
    assert!(find(&second, NOW.plus(DAY)).is_none() && take(&second, NOW.plus(DAY)).is_none());
    assert!(find(&second, NOW.plus(-DAY)).is_some(), "a clock that was put back ends nothing");
    assert!(take(&second, NOW).is_some());
    assert!(take(&second, NOW).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let house = House::build();
    let rules = Rules::default();
    let (busy, idle) = {
        let rules = rules.clone();
        tokio::task::block_in_place(|| (house.session(&rules, NOW), house.session(&rules, NOW)))
    };
    let sessions = Sessions::new(house.store.clone(), rules);
    let last_seen = || {
        let newest =
            |conn: &mut Conn<'_>| conn.first("SELECT MAX(seen_at) FROM user_session", &[], |row| row.int(0)).map(Ok);
        tokio::task::block_in_place(|| house.change(newest)).unwrap().unwrap()
    };
    let mut now = NOW;
    while now < NOW.plus(7 * DAY) {
        assert!(sessions.check(&busy, now).await.unwrap().is_some(), "{now}");
        // It is written beside the request.
        for _ in 0..2_000 {
            if last_seen() == now.0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        now = now.plus(6 * HOUR);
    }
    assert!(sessions.check(&busy, now).await.unwrap().is_none(), "it is seven days old");
    assert!(sessions.check(&idle, NOW.plus(12 * HOUR - 1)).await.unwrap().is_some());
    let other = tokio::task::block_in_place(|| house.session(&Rules::default(), NOW));
    assert!(sessions.check(&other, NOW.plus(12 * HOUR)).await.unwrap().is_none(), "it was not used for twelve hours");
    assert!(sessions.check(&other, NOW.plus(-DAY)).await.unwrap().is_some(), "a clock that was put back ends nothing");
    for wrong in ["", "x", &"A".repeat(43), &"A".repeat(5000)] {
        assert!(sessions.check(wrong, NOW).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_when_it_says_and_tells_its_last_use() {
    let house = House::build();
    let (made, secret) = tokio::task::block_in_place(|| {
        let new = NewToken {
            name: "t".into(),
            scopes: vec![Permission::ReportsRead],
            reach: Reach::All,
            expires_at: Some(NOW.plus(DAY)),
        };
        let act = house.act(NOW);
        house.change(|conn| tokens::create(conn, &act, None, &new)).unwrap()
    });
    let tokens = Tokens::new(house.store.clone());
    let used = || {
        let get = |conn: &mut Conn<'_>| tokens::get(conn, made.id).map(Ok);
        tokio::task::block_in_place(|| house.change(get)).unwrap().unwrap().used_at
    };
    // It is written beside the request.
    let becomes = async |wanted: Micros| {
        for _ in 0..2_000 {
            if used() == Some(wanted) {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        false
    };
    assert_eq!(used(), None);
    assert!(tokens.check(&secret, NOW).await.unwrap().is_some());
    assert!(becomes(NOW).await);
    assert!(tokens.check(&secret, NOW.plus(MINUTE - 1)).await.unwrap().is_some());
    assert!(tokens.check(&secret, NOW.plus(MINUTE + SECOND)).await.unwrap().is_some());
    assert!(becomes(NOW.plus(MINUTE + SECOND)).await);
    assert!(tokens.check(&secret, NOW.plus(DAY)).await.unwrap().is_none());
}

#[test]
fn a_code_does_not_work_again_when_the_clock_is_put_back() {
    let house = House::build();
    let ring = Keyring::create(NOW).unwrap();
    let enrolment = house.change(|conn| second_factor::begin(conn, &ring, house.user, "ada@example.org", NOW)).unwrap();
    assert!(enrolment.uri.starts_with("otpauth://totp/Signalbox:ada%40example.org?secret="));
    let again = house.change(|conn| second_factor::begin(conn, &ring, house.user, "ada@example.org", NOW)).unwrap();
    assert_eq!(*enrolment.secret, *again.secret, "a mistyped code does not change the QR code");
    // Every code is tried: the right one is among them, and works once.
    let act = house.act(NOW);
    let right = (0..1_000_000)
        .map(|number| format!("{number:06}"))
        .find(|code| {
            let secret = decode(&enrolment.secret);
            signalbox_crypto::totp::check(&secret, code, NOW, 0).is_some()
        })
        .unwrap();
    house.change(|conn| second_factor::confirm(conn, &act, &ring, house.user, &right)).unwrap();
    for back in [0, -30 * SECOND, -DAY] {
        let verified = house
            .change(|conn| second_factor::verify(conn, &ring, house.user, &right, NOW.plus(back)).map(Ok))
            .unwrap();
        assert!(verified.is_none(), "{back}");
    }
}

fn decode(text: &str) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String =
        text.bytes().map(|letter| format!("{:05b}", letters.iter().position(|one| *one == letter).unwrap())).collect();
    bits.as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_shut_the_owner_out() {
    let house = House::build();
    let brake = Brake::new(house.store.clone());
    let mut now = NOW;
    for number in 0..200_u8 {
        now = now.plus(SECOND);
        // From many places, as fast as the delays allow.
        let stranger = IpAddr::V4(Ipv4Addr::new(198, 51, 100, number));
        let _ = brake.attempt("ada@example.org", stranger, false, now).await.unwrap();
    }
    assert!(brake.attempt("ada@example.org", CLIENT, true, now).await.unwrap().is_ok(), "from where she signs in");
    let elsewhere = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
    let wait = brake.attempt("ada@example.org", elsewhere, false, now).await.unwrap();
    assert!(wait.is_ok() || wait.unwrap_err().retry_after_s <= 31);
}
