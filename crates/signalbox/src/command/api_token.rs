//! `signalbox api-token create|list|revoke`

use anyhow::bail;
use clap::Subcommand;
use serde_json::json;
use signalbox_access::tokens::{self, NewToken};
use signalbox_core::id::TokenId;
use signalbox_core::setting::Period;
use signalbox_http::caller::Permission;
use signalbox_store::Scope;

use super::Common;
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
        /// What it may do, for example events:write; `signalbox role list` shows all. Several: repeat or separate by commas.
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
                let open = common.set_up()?;
                let reach = open.reach(&principal)?;
                let now = open.clock.now();
                let expires_at =
                    expires.map(|period| now.plus(i64::try_from(period.0.as_micros()).unwrap_or(i64::MAX)));
                let new = NewToken { name, scopes: scope, reach, expires_at };
                let act = open.act("api-token create");
                let (made, token) = open.change(|conn| tokens::create(conn, &act, None, &new))?;
                let told = json!({"id": made.id, "name": made.name, "scopes": made.scopes, "token": *token});
                print(common.output, &told, |_| {
                    format!("{}  {}: keep this token, it is not shown again\n{}", made.id, made.name, *token)
                })
            }
            ApiToken::List(common) => {
                print(common.output, &common.open()?.store.read_here(&Scope::all(), tokens::list)?, |all| {
                    let rows: Vec<_> = all
                        .iter()
                        .map(|token| {
                            let scopes = token.scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>().join(",");
                            let state = match (token.revoked_at, token.expires_at) {
                                (Some(at), _) => format!("revoked {at}"),
                                (None, Some(at)) => format!("until {at}"),
                                (None, None) => "active".into(),
                            };
                            let used = token.used_at.map_or("never".into(), |at| at.to_string());
                            vec![token.id.to_string(), token.name.clone(), scopes, state, used]
                        })
                        .collect();
                    table(&["TOKEN", "NAME", "SCOPES", "STATE", "LAST USE"], &rows)
                })
            }
            ApiToken::Revoke { common, id } => {
                let open = common.open()?;
                let act = open.act("api-token revoke");
                if !open.change(|conn| tokens::revoke(conn, &act, id).map(Ok))? {
                    bail!("no active token has the id {id}; `signalbox api-token list` shows them");
                }
                print(common.output, &json!({"revoked": id}), |_| format!("{id} is revoked"))
            }
        }
    }
}
