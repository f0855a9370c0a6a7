//! The signals that one event carries by itself.

use std::net::IpAddr;

use super::reason::Reasons;
use crate::agent::{Agent, NetworkKind, is_bare_webkit, is_gmail_prefetch, network_of};
use crate::kind::Kind;
use crate::record::hint;

/// What one event tells by itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'f> {
    pub kind: Kind,
    pub user_agent: &'f str,
    /// What [`crate::agent::read_agent`] makes of `user_agent`.
    pub agent: &'f Agent,
    pub source: Option<IpAddr>,
    /// Bits of [`hint`].
    pub hints: u32,
}

/// The signals of an open or a click that need no other event.
pub fn own_reasons(facts: &Facts<'_>) -> Reasons {
    if !facts.kind.is_judged() {
        return Reasons::NONE;
    }
    let is = |bit: u32| facts.hints & bit != 0;
    let click = facts.kind == Kind::Clicked;
    let network = facts.source.and_then(network_of);
    // Without a user agent, an event that was reported to us says nothing about who was there.
    let mut reasons = match facts.agent.reason {
        "agent.empty" if is(hint::REPORTED) => Reasons::NONE,
        "agent.empty" if click => Reasons::EMPTY_CLICK,
        // With a Referer it is not Apple's proxy, which sends none.
        "agent.proxy.apple" if is(hint::REFERER) => Reasons::NONE,
        code => Reasons::by_code(code),
    };
    if click && reasons.any(Reasons::PROXY) {
        reasons = reasons.with(Reasons::PROXY_CLICK);
    }
    let google = network.is_some_and(|network| network.kind == NetworkKind::MailProxy && network.owner == "Google");
    let seen = [
        (is_bare_webkit(facts.user_agent), Reasons::BARE_WEBKIT),
        (is_gmail_prefetch(facts.user_agent) && (is(hint::REFERER_GMAIL) || google), Reasons::GMAIL_PREFETCH),
        (is(hint::HEAD), Reasons::HEAD),
        (is(hint::PREFETCH), Reasons::PREFETCH),
        (network.is_some_and(|network| network.kind == NetworkKind::Scanner), Reasons::SCANNER_NETWORK),
    ];
    seen.into_iter().filter(|(seen, _)| *seen).fold(reasons, |reasons, (_, reason)| reasons.with(reason))
}
