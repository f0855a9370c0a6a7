//! What can be wrong with a change of access, in words that say what to do.

use signalbox_crypto::keyring::KeyringError;
use signalbox_store::StoreError;

/// A change was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Random(#[from] KeyringError),
    /// A value is wrong; `field` names the field of the form.
    #[error("{detail}")]
    Invalid { field: &'static str, detail: String },
    #[error("there is a user with this e-mail address already")]
    Taken,
    #[error("this is the last owner; make somebody else an owner first")]
    LastOwner,
    /// The caller may not give or take this.
    #[error("{0}")]
    NotAllowed(String),
    #[error("there is no such user, session, token or link")]
    NotFound,
    #[error("too many password checks run at the moment; try again in a few seconds")]
    Busy,
}

impl AccessError {
    /// A wrong value of a field.
    pub fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid { field, detail: detail.into() }
    }
}

/// What a transaction gives that may refuse: a refusal comes before any of its writes.
pub(crate) type Outcome<T> = Result<Result<T, AccessError>, StoreError>;

/// The two kinds of failure as one.
pub(crate) fn settle<T>(outcome: Outcome<T>) -> Result<T, AccessError> {
    outcome?
}
