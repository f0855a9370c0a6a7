//! `signalbox principal list|create`

use anyhow::bail;
use clap::Subcommand;
use serde_json::json;
use signalbox_access::principals;

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
                let all = principals::list(&common.open()?.store)?;
                print(common.output, &all, |all| {
                    let rows: Vec<_> = all
                        .iter()
                        .map(|one| vec![one.id.to_string(), one.name.clone(), one.created_at.to_string()])
                        .collect();
                    table(&["PRINCIPAL", "NAME", "CREATED"], &rows)
                })
            }
            Principal::Create { common, name } => {
                if name.trim().is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
                    bail!("a principal's name has 1 to 200 characters and no control characters");
                }
                let open = common.open()?;
                let id = principals::ensure(&open.store, &name, &open.ids, open.clock.now())?;
                print(common.output, &json!({"id": id, "name": name}), |_| format!("{id}  {name}"))
            }
        }
    }
}
