//! `signalbox key list|rotate|retire`

use clap::Subcommand;
use serde_json::json;
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_crypto::keyring::KeyInfo;

use super::Common;
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
        let now = SystemClock.now();
        let (common, change) = match self {
            Key::List(common) => (common, None),
            Key::Rotate(common) => (common, Some(None)),
            Key::Retire { common, id } => (common, Some(Some(id))),
        };
        let data = common.settings(None, false)?.server.data;
        let mut ring = keyfile::load_or_create(&data, now)?;
        match change {
            None => print(common.output, &ring.list(now), |keys| {
                let until = |key: &KeyInfo| key.verify_until.map_or("-".into(), |at| at.to_string());
                let row =
                    |key: &KeyInfo| vec![key.id.to_string(), key.state.into(), key.sign_from.to_string(), until(key)];
                table(&["KEY", "STATE", "SIGNS FROM", "VERIFIES UNTIL"], &keys.iter().map(row).collect::<Vec<_>>())
            }),
            Some(None) => {
                let id = ring.rotate(now)?;
                keyfile::replace(&data, &ring)?;
                print(common.output, &json!({"key": id}), |_| {
                    format!("key {id} signs from now on; running servers take it over within seconds")
                })
            }
            Some(Some(id)) => {
                ring.retire(id, now)?;
                keyfile::replace(&data, &ring)?;
                print(common.output, &json!({"retired": id}), |_| {
                    format!("key {id} is retired; its links no longer work")
                })
            }
        }
    }
}
