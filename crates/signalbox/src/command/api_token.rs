//! `signalbox api-token create|list|revoke`

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::json;
use signalbox_access::principals;
use signalbox_access::tokens::{self, Reach};
use signalbox_core::id::TokenId;
use signalbox_core::setting::Period;
use signalbox_http::caller::Permission;
use signalbox_store::Scope;

use super::Common;
use crate::installation::Installation;
use crate::output::{print, table};

#[derive(Debug, Subcommand)]
pub enum ApiToken {
    /// Make a token. It is shown once; only its hash is kept.
    Create {
        #[command(flatten)]
        common: Common,
        /// What it is for.
        #[arg(long)]
        name: String,
        /// What it may do: events:write, events:read, reports:read, metrics:read. Several: repeat or separate by commas.
        #[arg(long, required = true, value_delimiter = ',')]
        scope: Vec<Permission>,
        /// Whose rows it reaches; all principals unless told. Several: repeat or separate by commas.
        #[arg(long, value_delimiter = ',')]
        principal: Vec<String>,
        /// When it ends by itself, for example 90d.
        #[arg(long, value_name = "DURATION")]
        expires: Option<Period>,
    },
    /// Show all tokens (never the secrets).
    List(Common),
    /// End a token.
    Revoke {
        #[command(flatten)]
        common: Common,
        /// The token's id, as `list` shows it.
        id: TokenId,
    },
}

impl ApiToken {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            ApiToken::Create { common, name, scope, principal, expires } => {
                if name.trim().is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
                    bail!("a token's name has 1 to 200 characters and no control characters");
                }
                let open = common.open()?;
                let reach = reach(&open, &principal)?;
                let now = open.clock.now();
                let expires_at =
                    expires.map(|period| now.plus(i64::try_from(period.0.as_micros()).unwrap_or(i64::MAX)));
                let (id, token) = tokens::create(&open.store, &name, &scope, &reach, expires_at, &open.ids, now)?;
                print(common.output, &json!({"id": id, "name": name, "scopes": scope, "token": *token}), |_| {
                    format!("{id}  {name}: keep this token, it is not shown again\n{}", *token)
                })
            }
            ApiToken::List(common) => print(common.output, &tokens::list(&common.open()?.store)?, |all| {
                let rows: Vec<_> = all
                    .iter()
                    .map(|token| {
                        let scopes = token.scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>().join(",");
                        let state = match (token.revoked_at, token.expires_at) {
                            (Some(at), _) => format!("revoked {at}"),
                            (None, Some(at)) => format!("until {at}"),
                            (None, None) => "active".into(),
                        };
                        vec![token.id.to_string(), token.name.clone(), scopes, state]
                    })
                    .collect();
                table(&["TOKEN", "NAME", "SCOPES", "STATE"], &rows)
            }),
            ApiToken::Revoke { common, id } => {
                let open = common.open()?;
                if !tokens::revoke(&open.store, id, open.clock.now())? {
                    bail!("no active token has the id {id}; `signalbox api-token list` shows them");
                }
                print(common.output, &json!({"revoked": id}), |_| format!("{id} is revoked"))
            }
        }
    }
}

fn reach(open: &Installation, names: &[String]) -> anyhow::Result<Reach> {
    if names.is_empty() {
        return Ok(Reach::All);
    }
    let mut ids = Vec::new();
    for name in names {
        let found = open.store.read_here(&Scope::all(), |conn| principals::find(conn, name))?;
        ids.push(
            found
                .with_context(|| {
                    format!("there is no principal called {name:?}; `signalbox principal create` makes one")
                })?
                .0,
        );
    }
    Ok(Reach::Principals(ids))
}
