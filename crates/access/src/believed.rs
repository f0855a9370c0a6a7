//! Checked credentials, believed for a second: ending one takes effect within it, and a busy page asks the store once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use signalbox_core::time::{Micros, SECOND};
use signalbox_http::caller::Caller;

const MOST_REMEMBERED: usize = 10_000;

type Answers = FxHashMap<[u8; 32], (Option<Caller>, Micros)>;

/// The answers of the last second, by the hash of what was sent.
#[derive(Default)]
pub struct Believed(Mutex<Answers>);

impl Believed {
    /// The answer of the last second, if there is one.
    pub fn get(&self, hash: &[u8; 32], now: Micros) -> Option<Option<Caller>> {
        let answers = self.lock();
        let (caller, at) = answers.get(hash)?;
        // A clock that was put back must not make an answer live longer.
        (*at <= now && now < at.plus(SECOND)).then(|| caller.clone())
    }

    /// Keeps an answer.
    pub fn keep(&self, hash: [u8; 32], caller: Option<Caller>, now: Micros) {
        let mut answers = self.lock();
        if answers.len() >= MOST_REMEMBERED {
            answers.clear();
        }
        answers.insert(hash, (caller, now));
    }

    /// Forgets every answer: what was changed here holds here at once.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
