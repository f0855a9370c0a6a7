//! Whether the store may still be trusted with new events.

use std::sync::OnceLock;

/// Shared by everything that writes. Once poisoned it stays so until the process is replaced: after a failed fsync
/// the engine's next commits would seem to succeed although the kernel has dropped the dirty pages.
#[derive(Debug, Default)]
pub struct Health {
    poisoned: OnceLock<String>,
}

impl Health {
    /// Why nothing may be acknowledged any more, if so.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.get().map(String::as_str)
    }

    pub(crate) fn poison(&self, reason: &str) {
        if self.poisoned.set(reason.to_owned()).is_ok() {
            tracing::error!(
                reason,
                "a write could not be made durable: nothing is acknowledged any more, the process must be replaced"
            );
        }
    }
}
