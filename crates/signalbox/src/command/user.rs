//! `signalbox user create|list|show|change|disable|enable|delete|reset`

use std::io::Read as _;

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;
use signalbox_access::email::Email;
use signalbox_access::error::AccessError;
use signalbox_access::passkeys;
use signalbox_access::password;
use signalbox_access::reach::Reach;
use signalbox_access::role::Role;
use signalbox_access::second_factor;
use signalbox_access::users::{self, Authority, Change, NewUser, User as UserRow};
use signalbox_core::id::UserId;
use signalbox_store::{Conn, Scope, StoreError};
use zeroize::Zeroizing;

use super::Common;
use crate::installation::Installation;
use crate::output::{Output, print, table};

#[derive(Debug, Subcommand)]
pub enum User {
    /// Make a user. Without --password-stdin a link is printed with which the user chooses a password.
    Create(Create),
    /// Show all users.
    List(Common),
    /// Show one user.
    Show(One),
    /// Change role, name or principals.
    Change(ChangeUser),
    /// Sign a user out everywhere and let nobody sign in with this account.
    Disable(One),
    /// Let a disabled user sign in again.
    Enable(One),
    /// Remove a user. The tokens that the user made end.
    Delete(One),
    /// Print a link with which the user chooses a new password; earlier links end.
    Reset {
        #[command(flatten)]
        one: One,
        /// Switch the second factor off and remove passkeys too, for somebody who has lost the device.
        #[arg(long)]
        second_factor: bool,
    },
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["owner", "role"]))]
pub struct Create {
    #[command(flatten)]
    common: Common,
    /// The e-mail address: the name of sign-in.
    #[arg(long, value_name = "ADDRESS")]
    email: String,
    /// The name that others see; the address unless told.
    #[arg(long, default_value = "")]
    name: String,
    /// May do everything.
    #[arg(long)]
    owner: bool,
    /// owner, admin, operator, marketer, analyst, viewer or auditor.
    #[arg(long)]
    role: Option<Role>,
    /// Whose rows the user reaches; all principals unless told. Several: repeat or separate by commas.
    #[arg(long, value_delimiter = ',')]
    principal: Vec<String>,
    /// Read the password from standard input.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub struct One {
    #[command(flatten)]
    common: Common,
    /// The e-mail address, or the id that `list` shows.
    user: String,
}

#[derive(Debug, Args)]
pub struct ChangeUser {
    #[command(flatten)]
    one: One,
    #[arg(long)]
    role: Option<Role>,
    #[arg(long)]
    name: Option<String>,
    /// Whose rows the user reaches: names with commas between them, or `all`.
    #[arg(long, value_delimiter = ',')]
    principal: Vec<String>,
}

impl User {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            User::Create(create) => create.run(),
            User::List(common) => {
                let all = common.open()?.store.read_here(&Scope::all(), users::list)?;
                print(common.output, &all, |all| {
                    let rows: Vec<_> = all.iter().map(row).collect();
                    table(&["USER", "E-MAIL", "ROLE", "PRINCIPALS", "STATE"], &rows)
                })
            }
            User::Show(one) => {
                let (_, user) = one.find()?;
                print(one.common.output, &user, shown)
            }
            User::Change(change) => {
                let (open, user) = change.one.find()?;
                let reach = match change.principal.as_slice() {
                    [] => None,
                    names => Some(open.reach(names)?),
                };
                let wanted = Change { role: change.role, name: change.name, reach, disabled: None };
                change.one.change(&open, user.id, wanted)
            }
            User::Disable(one) => {
                let (open, user) = one.find()?;
                one.change(&open, user.id, Change { disabled: Some(true), ..Change::default() })
            }
            User::Enable(one) => {
                let (open, user) = one.find()?;
                one.change(&open, user.id, Change { disabled: Some(false), ..Change::default() })
            }
            User::Delete(one) => {
                let (open, user) = one.find()?;
                let act = open.act("user delete");
                open.change(|conn| users::delete(conn, &act, &Authority::root(), user.id))?;
                print(one.common.output, &json!({"deleted": user.id}), |_| format!("{} is removed", user.email))
            }
            User::Reset { one, second_factor } => {
                let (open, user) = one.find()?;
                let act = open.act("user reset");
                let link = open.change(|conn| {
                    if second_factor {
                        second_factor::disable(conn, &act, user.id)?;
                        passkeys::remove_all(conn, &act, user.id)?;
                    }
                    users::password_link(conn, &act, &Authority::root(), user.id)
                })?;
                tell_link(one.common.output, &open, &user, &link)
            }
        }
    }
}

impl Create {
    fn run(self) -> anyhow::Result<()> {
        let email = Email::parse(&self.email)?;
        let open = self.common.set_up()?;
        let reach = open.reach(&self.principal)?;
        let password = if self.password_stdin { Some(read_password(&email)?) } else { None };
        let has_password = password.is_some();
        let role = if self.owner { Role::Owner } else { self.role.context("say --owner or --role ROLE")? };
        let new = NewUser { email, name: self.name, role, reach, password };
        let act = open.act("user create");
        let made = open.change(|conn| users::create(conn, &act, &Authority::root(), &new));
        let user = match made {
            Err(AccessError::Taken) => bail!("{} is a user already; `signalbox user reset` prints a link", new.email),
            made => made?,
        };
        if has_password {
            return print(self.common.output, &user, |user| format!("{}  {} is {}", user.id, user.email, user.role));
        }
        let link = open.change(|conn| users::password_link(conn, &act, &Authority::root(), user.id))?;
        tell_link(self.common.output, &open, &user, &link)
    }
}

impl One {
    fn find(&self) -> anyhow::Result<(Installation, UserRow)> {
        let open = self.common.open()?;
        let user = open.store.read_here(&Scope::all(), |conn| find(conn, &self.user))?;
        let user =
            user.with_context(|| format!("there is no user {:?}; `signalbox user list` shows them", self.user))?;
        Ok((open, user))
    }

    fn change(&self, open: &Installation, id: UserId, change: Change) -> anyhow::Result<()> {
        let act = open.act("user change");
        let user = open.change(|conn| users::change(conn, &act, &Authority::root(), id, &change))?;
        print(self.common.output, &user, shown)
    }
}

fn find(conn: &mut Conn<'_>, text: &str) -> Result<Option<UserRow>, StoreError> {
    match (text.parse::<UserId>(), Email::parse(text)) {
        (Ok(id), _) => users::get(conn, id),
        (_, Ok(email)) => users::find(conn, &email),
        _ => Ok(None),
    }
}

/// One line from standard input, hashed.
fn read_password(email: &Email) -> anyhow::Result<String> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin().take(4096).read_to_string(&mut text).context("the password could not be read")?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    password::check_strength(password, email)?;
    Ok(password::hash(password)?)
}

fn tell_link(output: Output, open: &Installation, user: &UserRow, path: &str) -> anyhow::Result<()> {
    let link = open.link(path);
    print(output, &json!({"user": user, "link": link}), |_| {
        format!("{}  {} ({}): this link is good once, for 24 hours\n{link}", user.id, user.email, user.role)
    })
}

fn reach_words(user: &UserRow) -> String {
    match &user.reach {
        Reach::All => "all".into(),
        Reach::Principals(ids) => {
            ids.iter().map(|id| signalbox_core::id::PrincipalId(*id).to_string()).collect::<Vec<_>>().join(",")
        }
    }
}

fn state(user: &UserRow) -> &'static str {
    match user {
        user if user.disabled => "disabled",
        user if user.second_factor => "second factor",
        user if user.has_password => "password",
        _ => "invited",
    }
}

fn row(user: &UserRow) -> Vec<String> {
    vec![user.id.to_string(), user.email.clone(), user.role.to_string(), reach_words(user), state(user).into()]
}

fn shown(user: &UserRow) -> String {
    let last = user.signed_in_at.map_or("never".into(), |at| at.to_string());
    format!(
        "{}  {}\nname        {}\nrole        {}\nprincipals  {}\nstate       {}\nsigned in   {last}",
        user.id,
        user.email,
        user.name,
        user.role,
        reach_words(user),
        state(user)
    )
}
