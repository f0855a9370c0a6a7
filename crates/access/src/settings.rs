//! What can be set about access.

use signalbox_core::time::{DAY, HOUR};

use crate::role::Role;

/// The rules that the settings give.
#[derive(Debug, Clone)]
pub struct Rules {
    /// A session that is not used ends after this, in microseconds.
    pub session_idle: i64,
    /// A session ends after this, used or not.
    pub session_lifetime: i64,
    /// Roles whose users need a second factor.
    pub second_factor: Vec<Role>,
    /// Whether people who sign in only look: of the permissions of their roles they have those that read.
    pub read_only: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { session_idle: 12 * HOUR, session_lifetime: 7 * DAY, second_factor: Vec::new(), read_only: false }
    }
}
