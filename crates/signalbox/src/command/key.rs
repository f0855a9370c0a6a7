//! `signalbox key list|rotate|retire`

use clap::Subcommand;
use serde_json::json;
use signalbox_access::trail::{Deed, note};
use signalbox_core::time::Micros;
use signalbox_crypto::keyring::{KeyInfo, Keyring, KeyringError};
use signalbox_store::Scope;

use super::Common;
use crate::installation::Installation;
use crate::keyfile;
use crate::output::{print, table};

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Show every key and what it still does.
    List(Common),
    /// Make a new key that signs from now on; links of the old ones stay good for 400 days.
    Rotate(Common),
    /// End a key at once: every link that it signed stops working.
    Retire {
        #[command(flatten)]
        common: Common,
        /// The key's number.
        id: u16,
    },
}

impl Key {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Key::List(common) => {
                let open = common.set_up()?;
                print(common.output, &open.keyring()?.list(open.clock.now()), |keys| {
                    let until = |key: &KeyInfo| key.verify_until.map_or("-".into(), |at| at.to_string());
                    let row = |key: &KeyInfo| {
                        vec![key.id.to_string(), key.state.into(), key.sign_from.to_string(), until(key)]
                    };
                    table(&["KEY", "STATE", "SIGNS FROM", "VERIFIES UNTIL"], &keys.iter().map(row).collect::<Vec<_>>())
                })
            }
            Key::Rotate(common) => {
                let id = change(&common.open()?, "key rotate", "key.rotated", |ring, now| ring.rotate(now))?;
                print(common.output, &json!({"key": id}), |_| {
                    format!("key {id} signs from now on; running servers take it over within seconds")
                })
            }
            Key::Retire { common, id } => {
                change(&common.open()?, "key retire", "key.retired", |ring, now| ring.retire(id, now).map(|()| id))?;
                print(common.output, &json!({"retired": id}), |_| {
                    format!("key {id} is retired; its links no longer work")
                })
            }
        }
    }
}

/// Changes the key file. The audit log is told first: whatever happens in between, no change goes untold.
fn change(
    open: &Installation,
    words: &str,
    action: &str,
    work: impl FnOnce(&mut Keyring, Micros) -> Result<u16, KeyringError>,
) -> anyhow::Result<u16> {
    let act = open.act(words);
    let mut ring = open.keyring()?;
    let states = |ring: &Keyring| {
        let keys = ring.list(act.now).into_iter();
        Some(json!(keys.map(|key| json!({"key": key.id, "state": key.state})).collect::<Vec<_>>()))
    };
    let before = states(&ring);
    let id = work(&mut ring, act.now)?;
    let object = id.to_string();
    let tell = |action: &str, before, after| {
        let deed = Deed { action, object: &object, before, after };
        open.store.write_here(&Scope::all(), |conn| note(conn, &act, deed))
    };
    tell(action, before, states(&ring))?;
    if let Err(error) = keyfile::replace(open.data(), &ring) {
        tell("key.change_failed", None, Some(json!({"action": action})))?;
        return Err(error);
    }
    Ok(id)
}
