//! An entry made ready: personal values taken out and committed to, the rest as canonical JSON, hashed.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value as Json;
use signalbox_core::id::AuditId;
use signalbox_core::time::Micros;
use signalbox_crypto::chain::{self, Hash, Link, SLOT_ADDRESS, SLOT_NAME, SLOT_PAYLOAD};
use signalbox_store::StoreError;

use crate::entry::Entry;

/// A value that callers mark as personal: `{"$personal": value}`.
const MARK: &str = "$personal";

pub(crate) struct Draft {
    pub(crate) seq: i64,
    id: String,
    at: Micros,
    actor: String,
    actor_name: Hash,
    address: Option<Hash>,
    action: String,
    object: String,
    correlation: String,
    payload: String,
    previous: Hash,
    pub(crate) hash: Hash,
    pub(crate) personal: Vec<Value>,
}

/// A personal value, kept beside the chain.
pub(crate) struct Value {
    pub(crate) slot: i64,
    pub(crate) salt: [u8; 32],
    pub(crate) value: String,
}

struct Commit {
    seq: i64,
    values: Vec<Value>,
}

impl Commit {
    fn to(&mut self, slot: i64, value: String) -> Result<Hash, StoreError> {
        let salt = chain::salt().map_err(|error| StoreError::Aborted(error.to_string()))?;
        let commitment = chain::commitment(self.seq, slot, &salt, &value);
        self.values.push(Value { slot, salt, value });
        Ok(commitment)
    }
}

impl Draft {
    pub(crate) fn new(seq: i64, id: AuditId, entry: &Entry<'_>, previous: Hash) -> Result<Self, StoreError> {
        let mut commit = Commit { seq, values: Vec::new() };
        let actor_name = commit.to(SLOT_NAME, storable(entry.actor_name))?;
        let address = entry.address.map(|address| commit.to(SLOT_ADDRESS, address.to_string())).transpose()?;
        let mut payload = String::from("{");
        let mut slot = SLOT_PAYLOAD;
        for (name, value) in [("after", &entry.after), ("before", &entry.before)] {
            let Some(value) = value else { continue };
            if payload.len() > 1 {
                payload.push(',');
            }
            payload.push_str(&format!("\"{name}\":"));
            write(value, &mut payload, &mut |value| {
                let commitment = commit.to(slot, value)?;
                slot += 1;
                Ok(commitment)
            })?;
        }
        payload.push('}');
        let mut draft = Self {
            seq,
            id: id.to_string(),
            at: entry.at,
            actor: entry.actor.to_string(),
            actor_name,
            address,
            action: storable(entry.action),
            object: storable(entry.object),
            correlation: storable(entry.correlation),
            payload,
            previous,
            hash: [0; 32],
            personal: commit.values,
        };
        draft.hash = draft.link().hash();
        Ok(draft)
    }

    pub(crate) fn link(&self) -> Link<'_> {
        Link {
            seq: self.seq,
            id: &self.id,
            at: self.at,
            actor: &self.actor,
            actor_name: &self.actor_name,
            address: self.address.as_ref().map(<[u8; 32]>::as_slice),
            action: &self.action,
            object: &self.object,
            correlation: &self.correlation,
            payload: &self.payload,
            previous: &self.previous,
        }
    }
}

/// PostgreSQL holds no NUL in a text.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Writes canonical JSON: no spaces, keys in the order of their bytes. What is personal is handed to `commit`.
fn write(
    value: &Json,
    out: &mut String,
    commit: &mut dyn FnMut(String) -> Result<Hash, StoreError>,
) -> Result<(), StoreError> {
    match value {
        Json::String(text) if is_personal(text) => out.push_str(&chain::placeholder(&commit(plain(value)?)?)),
        Json::Object(fields) if fields.keys().any(|key| key.starts_with('$') || is_personal(key)) => {
            let marked = if fields.len() == 1 { fields.get(MARK) } else { None };
            out.push_str(&chain::placeholder(&commit(plain(marked.unwrap_or(value))?)?));
        }
        Json::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (position, (key, value)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                out.push_str(&Json::String(key.clone()).to_string());
                out.push(':');
                write(value, out, commit)?;
            }
            out.push('}');
        }
        Json::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write(item, out, commit)?;
            }
            out.push(']');
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => out.push_str(&value.to_string()),
    }
    Ok(())
}

fn plain(value: &Json) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Aborted(error.to_string()))
}

/// Whether a text holds an e-mail address or is an IP address.
fn is_personal(text: &str) -> bool {
    let mail = text.match_indices('@').any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + 1..].chars().next();
        before.is_some_and(|before| !before.is_whitespace()) && after.is_some_and(|after| !after.is_whitespace())
    });
    mail || text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::entry::Actor;

    fn draft(after: Json) -> Draft {
        let entry = Entry {
            at: Micros(1_780_000_000_000_000),
            actor: Actor::User(5),
            actor_name: "Ann\0",
            address: Some([192, 0, 2, 7].into()),
            correlation: "req_1",
            action: "user.created",
            object: "usr_1",
            before: None,
            after: Some(after),
        };
        Draft::new(1, AuditId(1), &entry, chain::GENESIS).unwrap()
    }

    #[test]
    fn what_is_personal_never_enters_the_chain() {
        let made = draft(json!({
            "role": "viewer",
            "email": "anna@example.org",
            "name": {"$personal": "Anna A."},
            "hosts": ["192.0.2.9", "2001:db8::1", "[2001:db8::1]:443"],
            "said": "write to anna@example.org please",
            "grants": {"anna@example.org": true},
            "forged": {"$commitment": "00", "x": "Anna A."},
        }));
        for secret in ["anna", "Anna", "192.0", "2001"] {
            assert!(!made.payload.contains(secret), "{}", made.payload);
        }
        assert!(made.payload.contains("\"role\":\"viewer\""));
        let slots: Vec<_> = made.personal.iter().map(|value| value.slot).collect();
        assert_eq!(slots, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(made.personal[0].value, "Ann\u{fffd}");
        assert_eq!(made.personal[1].value, "192.0.2.7");
        assert!(made.personal.iter().any(|value| value.value == "\"Anna A.\""), "the mark itself is not kept");
    }

    #[test]
    fn json_is_canonical() {
        let made = draft(json!({"b": [1, -2.5, null, true], "a": "say \"hi\"\u{0}", "ä": {}, "Z": " @ "}));
        assert_eq!(made.payload, r#"{"after":{"Z":" @ ","a":"say \"hi\"\u0000","b":[1,-2.5,null,true],"ä":{}}}"#);
        assert_eq!(made.personal.len(), 2);
    }

    #[test]
    fn a_string_never_looks_like_a_placeholder() {
        let made = draft(json!({"text": format!("{{\"$commitment\":\"{}\"}}", "0".repeat(64))}));
        let mut walk = chain::Walk::new(Vec::new());
        let personal = made.personal.iter().map(|value| chain::Personal {
            slot: value.slot,
            salt: &value.salt,
            value: &value.value,
        });
        walk.step(&made.link(), &made.hash, personal);
        let found = walk.finish(Some((1, &made.hash)));
        assert_eq!((found.faults_total, found.personal, found.erased), (0, 2, 0), "{found:?}");
    }
}
