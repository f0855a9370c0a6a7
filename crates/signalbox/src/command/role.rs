//! `signalbox role list`

use clap::Subcommand;
use signalbox_access::role::{Role as AccessRole, RoleInfo};

use super::Common;
use crate::output::{print, table};

#[derive(Debug, Subcommand)]
pub enum Role {
    /// Show all roles and what they allow.
    List(Common),
}

impl Role {
    pub fn run(self) -> anyhow::Result<()> {
        let Role::List(common) = self;
        let all: Vec<RoleInfo> = AccessRole::ALL.into_iter().map(AccessRole::info).collect();
        print(common.output, &all, |all| {
            let rows: Vec<_> = all
                .iter()
                .map(|role| {
                    let words = role.permissions.iter().map(|permission| permission.word()).collect::<Vec<_>>();
                    vec![role.name.to_owned(), words.join(",")]
                })
                .collect();
            table(&["ROLE", "PERMISSIONS"], &rows)
        })
    }
}
