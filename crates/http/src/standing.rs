//! Whether a caller still may do what a request began long ago: for streams, which may stay open for days.

use std::sync::Arc;

use signalbox_core::clock::Clock;

use crate::caller::{Authenticator, Credential, Permission};

/// An extension of every request that asked for a permission.
#[derive(Clone)]
pub struct Standing {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) credential: Credential,
    pub(crate) permission: Permission,
}

impl Standing {
    /// Asks again. While the store cannot answer, what was granted stays granted.
    pub async fn holds(&self) -> bool {
        match self.authenticator.check(self.credential.clone(), None, self.clock.now()).await {
            Ok(caller) => caller.is_some_and(|caller| caller.may(self.permission)),
            Err(_) => true,
        }
    }
}
