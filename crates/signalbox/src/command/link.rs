//! `signalbox link mint`

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use signalbox_access::principals;
use signalbox_core::id::{CampaignId, ContactId, LinkId, MessageId};
use signalbox_core::setting::Period;
use signalbox_core::time::DAY;
use signalbox_crypto::keyring::VERIFY_FOR;
use signalbox_crypto::link::{Destination, Link as Target, sign_click, sign_open};
use signalbox_events::record::most;
use signalbox_insight::names::{Name, Space, resolve};
use signalbox_store::Scope;

use super::Common;
use crate::output::{Output, line};

#[derive(Debug, Subcommand)]
pub enum Link {
    /// Print ready paths, each with a message and a recipient of its own unless told.
    Mint(Mint),
}

#[derive(Debug, clap::Args)]
pub struct Mint {
    #[command(flatten)]
    common: Common,
    #[arg(long, value_enum)]
    kind: Kind,
    /// How many.
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// The campaign's name; it is made where there is none yet.
    #[arg(long)]
    campaign: String,
    /// Where a click leads: required with --kind click.
    #[arg(long)]
    url: Option<String>,
    /// The recipient's key, for example an address or a customer number; a new recipient per link unless told.
    #[arg(long)]
    recipient: Option<String>,
    /// The message's key: give the pixel and the links of one mail the same. A new message per link unless told.
    #[arg(long)]
    message: Option<String>,
    /// Whose campaign it is.
    #[arg(long, default_value = principals::DEFAULT)]
    principal: String,
    /// How long the links work, for example 90d; rounded up to whole minutes. 400 days unless told.
    #[arg(long, value_name = "DURATION")]
    expires: Option<Period>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Open,
    Click,
}

/// One minted link.
#[derive(Debug, Serialize)]
struct Minted {
    path: String,
    campaign: CampaignId,
    message: MessageId,
    recipient: ContactId,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkId>,
}

impl Link {
    pub fn run(self) -> anyhow::Result<()> {
        let Link::Mint(mint) = self;
        mint.run()
    }
}

fn check_key(what: &str, key: &str) -> anyhow::Result<()> {
    if key.trim().is_empty() || key.len() > most::KEY || key.chars().any(char::is_control) {
        bail!("a {what} has 1 to {} characters and no control characters", most::KEY);
    }
    Ok(())
}

impl Mint {
    fn run(self) -> anyhow::Result<()> {
        check_key("campaign's name", &self.campaign)?;
        let lasts = match self.expires.map(Period::micros) {
            Some(0) => {
                bail!("--expires 0 makes links that have expired already; name how long they work, for example 90d")
            }
            Some(lasts) if lasts > VERIFY_FOR => {
                bail!(
                    "--expires is at most {}d: so long are the keys kept that links are checked with",
                    VERIFY_FOR / DAY
                )
            }
            lasts => lasts.unwrap_or(VERIFY_FOR),
        };
        let destination = match (self.kind, &self.url) {
            (Kind::Click, Some(url)) => Some(Destination::parse(url)?),
            (Kind::Click, None) => bail!("a click needs a destination: add --url https://…"),
            (Kind::Open, Some(_)) => bail!("--url goes with --kind click; an open leads nowhere"),
            (Kind::Open, None) => None,
        };
        if let Some(recipient) = &self.recipient {
            check_key("recipient's key", recipient)?;
        }
        if let Some(message) = &self.message {
            check_key("message's key", message)?;
        }
        let open = self.common.set_up()?;
        let ring = open.keyring()?;
        let now = open.clock.now();
        let expires = now.plus(lasts);
        let (principal, campaign, link, recipient, message) = open
            .store
            .write_here(&Scope::all(), |conn| {
                let Some(principal) = principals::find(conn, &self.principal)? else { return Ok(None) };
                let principal = principal.0;
                let mut id_of = |space: Space, key: &str| {
                    let name = Name { principal, space, key: key.to_owned() };
                    resolve(conn, std::slice::from_ref(&name), &open.ids, now)
                        .map(|found| found.get(&name).copied().unwrap_or_default())
                };
                let campaign = id_of(Space::Campaign, &self.campaign)?;
                let link = destination.as_ref().map_or(Ok(0), |url| id_of(Space::Link { campaign }, url.as_str()))?;
                let recipient = self.recipient.as_ref().map_or(Ok(0), |key| id_of(Space::Contact, key))?;
                let message = self.message.as_ref().map_or(Ok(0), |key| id_of(Space::Message, key))?;
                Ok(Some((principal, campaign, link, recipient, message)))
            })?
            .with_context(|| {
                format!("there is no principal called {:?}; `signalbox principal create` makes one", self.principal)
            })?;
        let mint = || {
            let message = if message == 0 { open.ids.next_at(now) } else { message };
            let recipient = if recipient == 0 { open.ids.next_at(now) } else { recipient };
            let target = Target { principal, campaign, message, recipient, link };
            let path = match &destination {
                Some(destination) => format!("/c/{}", sign_click(&ring, &target, destination, Some(expires), now)),
                None => format!("/o/{}.gif", sign_open(&ring, &target, Some(expires), now)),
            };
            let path = format!("{}{path}", open.settings.server.public_url.trim_end_matches('/'));
            let link = (link != 0).then_some(LinkId(link));
            Minted {
                path,
                campaign: CampaignId(campaign),
                message: MessageId(message),
                recipient: ContactId(recipient),
                link,
            }
        };
        let mut text = String::new();
        for _ in 0..self.count {
            let minted = mint();
            match self.common.output {
                Output::Text => writeln!(text, "{}", minted.path)?,
                Output::Json => writeln!(text, "{}", serde_json::to_string(&minted)?)?,
            }
            if text.len() > 1 << 20 {
                line(text.trim_end())?;
                text.clear();
            }
        }
        if text.is_empty() { Ok(()) } else { line(text.trim_end()) }
    }
}
