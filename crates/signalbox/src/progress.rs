//! Progress of long work, on standard error, only for people who watch.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

pub struct Progress {
    label: &'static str,
    shown: Option<Instant>,
    watched: bool,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new(label: &'static str) -> Self {
        Self { label, shown: None, watched: std::io::stderr().is_terminal() }
    }

    /// Shows how far it is, a few times a second.
    pub fn at(&mut self, done: impl std::fmt::Display) {
        if self.watched && self.shown.is_none_or(|at| at.elapsed() > Duration::from_millis(200)) {
            self.shown = Some(Instant::now());
            eprint!("\r\x1b[2K{} {done}", self.label);
            let _ = std::io::stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[2K");
        }
    }
}
