//! Appending: in the caller's transaction, so that a change and what tells of it are stored together or not at all.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde_json::Value as Json;
use signalbox_core::id::{AuditId, IdMaker, TokenId, UserId};
use signalbox_core::time::Micros;
use signalbox_crypto::chain::{GENESIS, Hash, Link};
use signalbox_store::{Column, Conn, Insert, StoreError, Type};

use crate::draft::Draft;

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The program itself.
    System,
    /// Somebody on the host, by a command.
    Command,
    /// A program with an API token.
    Token(i64),
    /// A user who signed in.
    User(i64),
    /// Nobody who is known, for example at a failed sign-in.
    Anonymous,
}

/// What happened. Secrets are never passed in.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub at: Micros,
    pub actor: Actor,
    /// What the actor was called at that time; kept outside the chain.
    pub actor_name: &'a str,
    /// Kept outside the chain.
    pub address: Option<IpAddr>,
    /// The id of the request or of the command: what was changed together has the same.
    pub correlation: &'a str,
    /// For example `user.created`.
    pub action: &'a str,
    /// The id of what was changed, for example `usr_…`; or empty.
    pub object: &'a str,
    /// What it was before. Strings that hold an e-mail or IP address, and values in `{"$personal": …}`, are kept
    /// outside the chain.
    pub before: Option<Json>,
    /// What it is now.
    pub after: Option<Json>,
}

/// Appends an entry and returns its seq. The head of the log stays locked until the transaction ends: append last.
pub fn append(conn: &mut Conn<'_>, ids: &IdMaker, entry: &Entry<'_>) -> Result<i64, StoreError> {
    append_all(conn, ids, std::slice::from_ref(entry))
}

/// Appends entries in their order and returns the seq of the last one, as [`append`].
pub fn append_all(conn: &mut Conn<'_>, ids: &IdMaker, entries: &[Entry<'_>]) -> Result<i64, StoreError> {
    let (end, previous) = lock_head(conn, entries.len() as i64)?;
    let first = end - entries.len() as i64 + 1;
    let mut previous = previous;
    let mut drafts = Vec::with_capacity(entries.len());
    for (seq, entry) in (first..).zip(entries) {
        let draft = Draft::new(seq, AuditId(ids.next_at(entry.at)), entry, previous)?;
        previous = draft.hash;
        drafts.push(draft);
    }
    insert_entries(conn, &drafts)?;
    insert_personal(conn, &drafts)?;
    let head = "UPDATE audit_head SET hash = $1 WHERE one = 1";
    conn.execute(head, &[previous.as_slice().into()])?;
    Ok(end)
}

/// Takes the next `count` seqs: the last of them, and the hash of the entry before the first.
fn lock_head(conn: &mut Conn<'_>, count: i64) -> Result<(i64, Hash), StoreError> {
    let sql = "UPDATE audit_head SET seq = seq + $1 WHERE one = 1 RETURNING seq, hash";
    let head = conn.first(sql, &[count.into()], |row| Ok((row.int(0)?, row.opt_bytes(1)?)))?;
    let damaged = || StoreError::Corrupt("the audit log has no head; run `signalbox audit verify`".into());
    let (end, hash) = head.ok_or_else(damaged)?;
    let previous = match hash {
        None if end == count => GENESIS,
        Some(hash) => hash.try_into().map_err(|_| damaged())?,
        None => return Err(damaged()),
    };
    Ok((end, previous))
}

const ENTRY: Insert = Insert {
    table: "audit_entry",
    columns: &[
        ("seq", Type::Int),
        ("id", Type::Text),
        ("at", Type::Int),
        ("actor", Type::Text),
        ("actor_name", Type::Bytes),
        ("address", Type::Bytes),
        ("action", Type::Text),
        ("object", Type::Text),
        ("correlation", Type::Text),
        ("payload", Type::Text),
        ("previous", Type::Bytes),
        ("hash", Type::Bytes),
    ],
    conflict: "",
    returning: "",
};

fn insert_entries(conn: &mut Conn<'_>, drafts: &[Draft]) -> Result<(), StoreError> {
    let links: Vec<Link<'_>> = drafts.iter().map(Draft::link).collect();
    let columns = [
        Column::Ints(links.iter().map(|link| link.seq).collect()),
        Column::Texts(links.iter().map(|link| link.id).collect()),
        Column::Ints(links.iter().map(|link| link.at.0).collect()),
        Column::Texts(links.iter().map(|link| link.actor).collect()),
        Column::Bytes(links.iter().map(|link| link.actor_name).collect()),
        Column::OptBytes(links.iter().map(|link| link.address).collect()),
        Column::Texts(links.iter().map(|link| link.action).collect()),
        Column::Texts(links.iter().map(|link| link.object).collect()),
        Column::Texts(links.iter().map(|link| link.correlation).collect()),
        Column::Texts(links.iter().map(|link| link.payload).collect()),
        Column::Bytes(links.iter().map(|link| link.previous).collect()),
        Column::Bytes(drafts.iter().map(|draft| draft.hash.as_slice()).collect()),
    ];
    conn.insert(&ENTRY, &columns, &mut |_| Ok(())).map(drop)
}

const PERSONAL: Insert = Insert {
    table: "audit_personal",
    columns: &[("seq", Type::Int), ("slot", Type::Int), ("salt", Type::Bytes), ("value", Type::Text)],
    conflict: "",
    returning: "",
};

fn insert_personal(conn: &mut Conn<'_>, drafts: &[Draft]) -> Result<(), StoreError> {
    let values: Vec<_> =
        drafts.iter().flat_map(|draft| draft.personal.iter().map(|value| (draft.seq, value))).collect();
    let columns = [
        Column::Ints(values.iter().map(|(seq, _)| *seq).collect()),
        Column::Ints(values.iter().map(|(_, value)| value.slot).collect()),
        Column::Bytes(values.iter().map(|(_, value)| value.salt.as_slice()).collect()),
        Column::Texts(values.iter().map(|(_, value)| value.value.as_str()).collect()),
    ];
    conn.insert(&PERSONAL, &columns, &mut |_| Ok(())).map(drop)
}

/// As the chain holds it: `user:usr_…`, `command`.
impl fmt::Display for Actor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::System => out.write_str("system"),
            Actor::Command => out.write_str("command"),
            Actor::Token(id) => write!(out, "token:{}", TokenId(*id)),
            Actor::User(id) => write!(out, "user:{}", UserId(*id)),
            Actor::Anonymous => out.write_str("anonymous"),
        }
    }
}

impl FromStr for Actor {
    type Err = String;

    /// Also takes the bare id of a user or a token.
    fn from_str(text: &str) -> Result<Self, String> {
        let user = |text: &str| text.parse::<UserId>().ok().map(|id| Actor::User(id.0));
        let token = |text: &str| text.parse::<TokenId>().ok().map(|id| Actor::Token(id.0));
        let actor = match text {
            "system" => Some(Actor::System),
            "command" => Some(Actor::Command),
            "anonymous" => Some(Actor::Anonymous),
            _ => user(text.strip_prefix("user:").unwrap_or(text))
                .or_else(|| token(text.strip_prefix("token:").unwrap_or(text))),
        };
        actor.ok_or_else(|| {
            format!(
                "{text:?} is no actor; write system, command, anonymous, or the id of a user (usr_…) or token (tok_…)"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_read_back() {
        let all = [Actor::System, Actor::Command, Actor::Token(7), Actor::User(9), Actor::Anonymous];
        for actor in all {
            assert_eq!(actor.to_string().parse::<Actor>(), Ok(actor));
        }
        assert_eq!(UserId(9).to_string().parse::<Actor>(), Ok(Actor::User(9)));
        assert!("user:tok_0000000000007".parse::<Actor>().is_err());
        assert!("somebody".parse::<Actor>().unwrap_err().contains("usr_"));
    }
}
