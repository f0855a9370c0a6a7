//! The table of signals: what each is called, what it weighs, what it means in words.

use crate::kind::{Class, Kind};

/// The version of these rules; every verdict keeps the one that made it.
pub const RULE_VERSION: i64 = 1;
/// At this score, in thousandths, an event counts as machine.
const MACHINE_AT: u16 = 700;

/// A signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// Its place in the bit set that the store keeps. Never used again for something else.
    pub bit: u8,
    /// Its stable name.
    pub code: &'static str,
    /// How much it speaks for a machine, in thousandths.
    pub weight: u16,
    /// What it means, for people.
    pub words: &'static str,
}

macro_rules! reasons {
    ($($name:ident = $bit:literal, $code:literal, $weight:literal, $words:literal;)+) => {
        /// Every signal.
        pub const REASONS: &[Reason] = &[$(Reason { bit: $bit, code: $code, weight: $weight, words: $words }),+];

        impl Reasons {
            $(#[doc = $words] pub const $name: Reasons = Reasons(1 << $bit);)+
        }
    };
}

reasons! {
    PROXY_APPLE = 0, "agent.proxy.apple", 0, "Apple Mail Privacy Protection fetched the image, perhaps before anybody looked";
    PROXY_GMAIL = 1, "agent.proxy.gmail", 0, "Gmail's image proxy: somebody opened, from where is hidden";
    PROXY_YAHOO = 2, "agent.proxy.yahoo", 0, "Yahoo's image proxy: somebody opened, from where is hidden";
    BARE_WEBKIT = 3, "agent.bare_webkit", 0, "a WebKit without a browser's name: Apple Mail or its proxy";
    PROXY_IN_WINDOW = 4, "agent.proxy.in_window", 0, "a WebKit without a browser's name within minutes of the delivery: a privacy proxy";
    TOOL = 5, "agent.tool", 950, "the program is a tool or a library, not a mail client";
    CRAWLER = 6, "agent.crawler", 950, "the program is a crawler";
    SCANNER = 7, "agent.scanner", 950, "the program is a security scanner";
    PREVIEW = 8, "agent.preview", 950, "the program makes link previews";
    HEADLESS = 9, "agent.headless", 950, "the browser runs without a screen";
    MALFORMED = 10, "agent.malformed", 750, "the user agent is not one that a browser or mail client sends";
    EMPTY_OPEN = 11, "agent.empty", 400, "the request named no user agent";
    EMPTY_CLICK = 12, "agent.empty_click", 700, "the click named no user agent, as link scanners do";
    HEAD = 13, "method.head", 900, "the request asked for the head only";
    PREFETCH = 14, "header.prefetch", 900, "the request said that it is a prefetch or a preview";
    GMAIL_PREFETCH = 15, "agent.gmail_prefetch", 900, "Gmail fetched the image ahead of time";
    SCANNER_NETWORK = 16, "network.scanner", 500, "the address belongs to a mail security provider";
    PROXY_CLICK = 17, "agent.proxy_click", 300, "a click with the user agent of an image proxy, which does not click";
    BURST_LINKS = 20, "burst.links", 1000, "several links of one message were fetched within five seconds from one source";
    BURST_RATE = 21, "burst.rate", 1000, "one message was fetched five times within a second from one source";
    EARLY_OPEN = 22, "time.early_open", 200, "opened within a minute of being sent";
    EARLY_CLICK = 23, "time.early_click", 250, "clicked within half a minute of being sent";
    EARLY_NETWORK = 24, "time.early_network", 500, "from a mail security provider within ten minutes of being sent";
    BEFORE_DELIVERY = 25, "time.before_delivery", 900, "before the recipient's server had accepted the message";
    BAD_SOURCE = 26, "source.reputation", 200, "nearly everything from this source was a machine so far";
}

/// A set of signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Reasons(pub u32);

/// What is made of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub class: Class,
    /// Thousandths: 0 speaks for a person, 1000 for a machine.
    pub score: u16,
}

impl Reasons {
    /// None.
    pub const NONE: Reasons = Reasons(0);
    /// The ones that fetching for a person, hidden by a proxy, leaves.
    pub const PROXY: Reasons =
        Reasons(Self::PROXY_APPLE.0 | Self::PROXY_GMAIL.0 | Self::PROXY_YAHOO.0 | Self::PROXY_IN_WINDOW.0);
    /// The ones that follow from when the message was sent and delivered.
    pub(super) const TIMING: Reasons = Reasons(
        Self::EARLY_OPEN.0
            | Self::EARLY_CLICK.0
            | Self::EARLY_NETWORK.0
            | Self::BEFORE_DELIVERY.0
            | Self::PROXY_IN_WINDOW.0,
    );

    /// This and `other`.
    #[must_use]
    pub const fn with(self, other: Reasons) -> Reasons {
        Reasons(self.0 | other.0)
    }

    /// This but not `other`.
    #[must_use]
    pub const fn without(self, other: Reasons) -> Reasons {
        Reasons(self.0 & !other.0)
    }

    /// Whether any of `other` is in this.
    pub const fn any(self, other: Reasons) -> bool {
        self.0 & other.0 != 0
    }

    /// The reason with this code.
    pub fn by_code(code: &str) -> Reasons {
        REASONS.iter().find(|reason| reason.code == code).map_or(Reasons::NONE, |reason| Reasons(1 << reason.bit))
    }

    /// The reasons in this set, in the order of the table.
    pub fn list(self) -> impl Iterator<Item = &'static Reason> {
        REASONS.iter().filter(move |reason| self.0 & (1 << reason.bit) != 0)
    }
}

/// The verdict that a set of signals gives. Independent signals add up as probabilities do: 1 − Π(1 − weight).
pub fn weigh(kind: Kind, reasons: Reasons) -> Verdict {
    if !kind.is_judged() {
        return Verdict { class: Class::Unjudged, score: 0 };
    }
    let burst = Reasons::BURST_LINKS.with(Reasons::BURST_RATE);
    // An image proxy fetches for a person, whatever else speaks against it; but it does not click through a mail.
    if reasons.any(Reasons::PROXY) && (kind == Kind::Opened || !reasons.any(burst)) {
        return Verdict { class: Class::PrivacyProxy, score: 0 };
    }
    let human = reasons.list().fold(1_000_000_u64, |human, reason| human * u64::from(1000 - reason.weight) / 1000);
    let score = ((1_000_000 - human) / 1000) as u16;
    Verdict { class: if score >= MACHINE_AT { Class::Machine } else { Class::Human }, score }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_bits_are_unique() {
        for (index, reason) in REASONS.iter().enumerate() {
            assert!(reason.bit < 32 && reason.weight <= 1000);
            assert!(REASONS[..index].iter().all(|other| other.bit != reason.bit && other.code != reason.code));
            assert_eq!(Reasons::by_code(reason.code).list().next(), Some(reason));
        }
    }

    #[test]
    fn time_alone_never_makes_a_machine() {
        let early = Reasons::EARLY_OPEN.with(Reasons::EARLY_CLICK).with(Reasons::BAD_SOURCE);
        assert_eq!(weigh(Kind::Clicked, early).class, Class::Human);
        assert_eq!(weigh(Kind::Clicked, Reasons::SCANNER_NETWORK).class, Class::Human);
        let scanner = Reasons::SCANNER_NETWORK.with(Reasons::EARLY_NETWORK);
        assert_eq!(weigh(Kind::Clicked, scanner), Verdict { class: Class::Machine, score: 750 });
    }

    #[test]
    fn an_image_proxy_is_never_a_machine() {
        for proxy in [Reasons::PROXY_APPLE, Reasons::PROXY_GMAIL, Reasons::PROXY_YAHOO] {
            let worst = proxy
                .with(Reasons::HEAD)
                .with(Reasons::BURST_RATE)
                .with(Reasons::BEFORE_DELIVERY)
                .with(Reasons::BAD_SOURCE);
            assert_eq!(weigh(Kind::Opened, worst).class, Class::PrivacyProxy);
            assert_eq!(weigh(Kind::Clicked, proxy.with(Reasons::PROXY_CLICK)).class, Class::PrivacyProxy);
        }
    }
}
