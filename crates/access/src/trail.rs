//! Who makes a change, as the audit log tells it.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;
pub use signalbox_audit::Actor;
use signalbox_audit::{Entry, append};
use signalbox_core::id::IdMaker;
use signalbox_core::time::Micros;
use signalbox_http::caller::{Caller, Identity};
use signalbox_http::shell::Origin;
use signalbox_store::{Conn, StoreError};

/// Who makes a change, and from where.
#[derive(Debug, Clone)]
pub struct By {
    pub actor: Actor,
    pub name: String,
    pub address: Option<IpAddr>,
    /// The id of the request, or the words of the command.
    pub correlation: String,
}

impl By {
    /// A command on the host.
    pub fn command(words: &str) -> Self {
        Self { actor: Actor::Command, name: "command line".into(), address: None, correlation: words.into() }
    }

    /// A caller of the API or a page.
    pub fn caller(caller: &Caller, origin: &Origin) -> Self {
        let actor = match caller.identity {
            Identity::Token(id) => Actor::Token(id.0),
            Identity::User(id) => Actor::User(id.0),
        };
        Self { actor, name: caller.name.clone(), address: Some(origin.client), correlation: origin.request_id.clone() }
    }

    /// Somebody who has just shown to be the user `id`.
    pub fn user(id: i64, name: &str, origin: &Origin) -> Self {
        Self {
            actor: Actor::User(id),
            name: name.into(),
            address: Some(origin.client),
            correlation: origin.request_id.clone(),
        }
    }

    /// Somebody who has not signed in; `name` is what they said, if anything.
    pub fn anonymous(origin: &Origin, name: &str) -> Self {
        Self {
            actor: Actor::Anonymous,
            name: name.into(),
            address: Some(origin.client),
            correlation: origin.request_id.clone(),
        }
    }
}

/// A change that is being made: by whom, when, and the maker of the ids that it needs.
#[derive(Clone)]
pub struct Act {
    pub by: By,
    pub now: Micros,
    pub ids: Arc<IdMaker>,
}

/// What happened to what. Secrets are never in it.
#[derive(Debug, Default)]
pub struct Deed<'a> {
    /// For example `user.created`.
    pub action: &'a str,
    /// The id of what was changed, or nothing.
    pub object: &'a str,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Appends `deed` to the audit log, in the transaction of the change itself and as its last step: it holds a lock.
pub fn note(conn: &mut Conn<'_>, act: &Act, deed: Deed<'_>) -> Result<(), StoreError> {
    let entry = Entry {
        at: act.now,
        actor: act.by.actor,
        actor_name: &act.by.name,
        address: act.by.address,
        correlation: &act.by.correlation,
        action: deed.action,
        object: deed.object,
        before: deed.before,
        after: deed.after,
    };
    append(conn, &act.ids, &entry).map(drop)
}
