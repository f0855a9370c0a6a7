//! `signalbox principal list|create`

use clap::Subcommand;
use serde_json::json;
use signalbox_access::principals;
use signalbox_store::Scope;

use super::Common;
use crate::output::{print, table};

#[derive(Debug, Subcommand)]
pub enum Principal {
    /// Show all principals.
    List(Common),
    /// Make a principal.
    Create {
        #[command(flatten)]
        common: Common,
        name: String,
    },
}

impl Principal {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Principal::List(common) => {
                let all = common.open()?.store.read_here(&Scope::all(), principals::list)?;
                print(common.output, &all, |all| {
                    let rows: Vec<_> = all
                        .iter()
                        .map(|one| vec![one.id.to_string(), one.name.clone(), one.created_at.to_string()])
                        .collect();
                    table(&["PRINCIPAL", "NAME", "CREATED"], &rows)
                })
            }
            Principal::Create { common, name } => {
                let open = common.set_up()?;
                let act = open.act("principal create");
                // Making one that exists is no mistake: scripts may run twice.
                let id = open.change(|conn| match principals::find(conn, name.trim())? {
                    Some(id) => Ok(Ok(id)),
                    None => Ok(principals::create(conn, &act, &name)?.map(|made| made.id)),
                })?;
                print(common.output, &json!({"id": id, "name": name}), |_| format!("{id}  {name}"))
            }
        }
    }
}
