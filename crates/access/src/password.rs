//! Passwords: argon2id, a strength check, and a bound on how many are checked at once.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use signalbox_crypto::secret::random;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;
use zxcvbn::Score;

use crate::email::Email;
use crate::error::AccessError;

/// Characters of a password.
pub const LEAST: usize = 12;
pub const MOST: usize = 256;
/// Checks that run at once: each takes 19 MiB and a processor for some 30 ms.
const AT_ONCE: usize = 4;
/// A check that has not begun after this is refused.
const PATIENCE: Duration = Duration::from_secs(2);
/// The estimator reads this much: its time grows with the square of the length, and more adds nothing.
const ESTIMATED: usize = 72;

/// What OWASP recommends for argon2id: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Refuses passwords that are too short, too long or easily guessed by somebody who knows `email`.
pub fn check_strength(password: &str, email: &Email) -> Result<(), AccessError> {
    let wrong = |detail: String| Err(AccessError::invalid("password", detail));
    let length = password.chars().count();
    if length < LEAST {
        return wrong(format!("A password needs at least {LEAST} characters; a few random words are good."));
    }
    if length > MOST {
        return wrong(format!("A password has at most {MOST} characters."));
    }
    let parts = email.as_str().split(|letter: char| !letter.is_alphanumeric());
    let local = email.as_str().rsplit_once('@').map(|(local, _)| local);
    let words: Vec<&str> = parts.chain(local).chain([email.as_str(), "signalbox"]).collect();
    let beginning: String = password.chars().take(ESTIMATED).collect();
    let estimate = zxcvbn::zxcvbn(&beginning, &words);
    if estimate.score() >= Score::Three {
        return Ok(());
    }
    match estimate.feedback().and_then(|feedback| feedback.warning()) {
        Some(warning) => wrong(format!("This password is easily guessed: {warning} Choose a few random words.")),
        None => wrong("This password is easily guessed. Choose a few random words.".into()),
    }
}

/// Hashes `password`; parameters and salt are in the result. Takes some 30 ms: never on an asynchronous thread.
pub fn hash(password: &str) -> Result<String, AccessError> {
    let salt = random::<16>()?;
    let hash = argon2()
        .hash_password_with_salt(password.as_bytes(), salt.as_slice())
        .expect("salt and parameters are in range, and passwords are short");
    Ok(hash.to_string())
}

/// Whether `password` is the one behind `hash`, and whether that hash is older than today's parameters.
fn verify(password: &str, hash: &str) -> Verified {
    let good = password.chars().count() <= MOST && argon2().verify_password(password.as_bytes(), hash).is_ok();
    let params = PasswordHash::new(hash).ok().and_then(|hash| Params::try_from(&hash).ok());
    let wanted = argon2();
    let today = wanted.params();
    let stale = params.is_none_or(|found| {
        (found.m_cost(), found.t_cost(), found.p_cost()) != (today.m_cost(), today.t_cost(), today.p_cost())
    });
    Verified { good, stale }
}

/// The hash of nobody's password.
static DUMMY: LazyLock<Option<String>> = LazyLock::new(|| {
    let random = random::<16>().ok()?;
    hash(&random.iter().map(|byte| char::from(*byte)).collect::<String>()).ok()
});

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub good: bool,
    /// The hash should be made again with today's parameters.
    pub stale: bool,
}

/// Checks and hashes passwords, a few at a time.
#[derive(Clone)]
pub struct Passwords(Arc<Semaphore>);

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Passwords {
    /// Whether `password` is the one behind `hash`. Without a hash it takes the same time and is wrong.
    pub async fn verify(&self, password: Zeroizing<String>, hash: Option<String>) -> Result<Verified, AccessError> {
        self.run(move || {
            let Some(dummy) = DUMMY.as_deref() else { return Ok(Verified { good: false, stale: false }) };
            let known = hash.is_some();
            let verified = verify(&password, hash.as_deref().unwrap_or(dummy));
            Ok(Verified { good: verified.good && known, ..verified })
        })
        .await
    }

    /// Hashes a password.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, AccessError> {
        self.run(move || hash(&password)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AccessError> + Send + 'static,
    ) -> Result<T, AccessError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(AccessError::Busy) };
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
        .map_err(|_| AccessError::Busy)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_refused_and_the_address_does_not_count() {
        let email = Email::parse("marguerite.thompson@example.org").unwrap();
        for weak in [
            "",
            "short",
            "password1234",
            "aaaaaaaaaaaaaaaa",
            "margueritethompson",
            "signalbox123",
            "qwertyuiop12",
            &"x".repeat(257),
        ] {
            assert!(check_strength(weak, &email).is_err(), "{weak}");
        }
        for good in ["correct horse battery staple", "plinth-otter-rowing-9", "шесть зелёных лошадей"]
        {
            assert!(check_strength(good, &email).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_hash_is_argon2id_salted_and_renewed_when_its_parameters_are_old() {
        let (one, two) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two);
        assert_eq!(verify("correct horse", &one), Verified { good: true, stale: false });
        assert!(!verify("correct horsf", &one).good);
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(1024, 1, 1, None).unwrap());
        let old = weak.hash_password_with_salt(b"correct horse", &[7; 16]).unwrap().to_string();
        assert_eq!(verify("correct horse", &old), Verified { good: true, stale: true });
        assert!(!verify("x", "nonsense").good);
    }

    #[tokio::test]
    async fn more_checks_than_the_machine_can_take_are_refused() {
        let passwords = Passwords::default();
        let held = passwords.0.clone().acquire_many_owned(AT_ONCE as u32).await.unwrap();
        let tried = passwords.verify(Zeroizing::new("x".into()), None).await;
        assert!(matches!(tried, Err(AccessError::Busy)));
        drop(held);
        assert!(!passwords.verify(Zeroizing::new("x".into()), None).await.unwrap().good);
    }
}
