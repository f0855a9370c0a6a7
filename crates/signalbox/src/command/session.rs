//! `signalbox session list|revoke`

use anyhow::bail;
use clap::Subcommand;
use serde_json::json;
use signalbox_access::sessions;
use signalbox_access::trail::{Deed, note};
use signalbox_core::id::SessionId;
use signalbox_store::Scope;

use super::Common;
use crate::output::{print, table};

#[derive(Debug, Subcommand)]
pub enum Session {
    /// Show who is signed in, from where.
    List(Common),
    /// End a session.
    Revoke {
        #[command(flatten)]
        common: Common,
        /// The session's id, as `list` shows it.
        id: SessionId,
    },
}

impl Session {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Session::List(common) => {
                let open = common.open()?;
                let (rules, now) = (open.settings.access.rules(), open.clock.now());
                let all = open.store.read_here(&Scope::all(), |conn| sessions::list(conn, None, &rules, now))?;
                print(common.output, &all, |all| {
                    let rows: Vec<_> = all
                        .iter()
                        .map(|one| {
                            let address = one.address.map_or("?".into(), |address| address.to_string());
                            vec![
                                one.id.to_string(),
                                one.email.clone(),
                                address,
                                one.seen_at.to_string(),
                                one.device.clone(),
                            ]
                        })
                        .collect();
                    table(&["SESSION", "USER", "ADDRESS", "LAST SEEN", "DEVICE"], &rows)
                })
            }
            Session::Revoke { common, id } => {
                let open = common.open()?;
                let act = open.act("session revoke");
                let ended = open.change(|conn| {
                    let ended = sessions::end(conn, id, None)?;
                    if ended {
                        note(
                            conn,
                            &act,
                            Deed { action: "session.revoked", object: &id.to_string(), ..Deed::default() },
                        )?;
                    }
                    Ok(Ok(ended))
                })?;
                if !ended {
                    bail!("there is no session {id}; `signalbox session list` shows them");
                }
                print(common.output, &json!({"revoked": id}), |_| format!("{id} has ended"))
            }
        }
    }
}
