//! Who the recipients are: which programs open and click for them, and what they should be taken for.

use std::net::Ipv4Addr;

use signalbox_events::kind::Class;

/// Browsers and mail clients with a person in front.
const PERSONS: [&str; 8] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.3.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; Microsoft Outlook 16.0.5266; ms-office; MSOffice 16)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
];
const GMAIL: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const YAHOO: &str = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html";
const APPLE: &str = "Mozilla/5.0";
const SCANNER_TOOL: &str = "Mozilla/5.0 (compatible; Barracuda Sentinel)";

/// How a recipient's mail is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    /// In a client that loads images itself.
    Direct,
    AppleProxy,
    GmailProxy,
    YahooProxy,
    /// A scanner opens everything first, in a browser's clothes; only its speed gives it away.
    BehindBurstScanner,
    /// A scanner that says what it is.
    BehindToolScanner,
    /// Nobody opens.
    Silent,
}

/// Small, repeatable randomness: the demo tells the same story every time.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides` (xorshift64*, Vigna 2016).
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    pub fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.roll(list.len() as u64) as usize]
    }
}

impl Person {
    pub fn of(dice: &mut Dice) -> Self {
        match dice.roll(100) {
            0..34 => Person::Direct,
            34..54 => Person::AppleProxy,
            54..68 => Person::GmailProxy,
            68..72 => Person::YahooProxy,
            72..80 => Person::BehindBurstScanner,
            80..86 => Person::BehindToolScanner,
            _ => Person::Silent,
        }
    }
}

/// One request that is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    pub what: What,
    pub user_agent: &'static str,
    pub address: Ipv4Addr,
    pub played: Class,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Open,
    /// The link with this number.
    Click(usize),
}

/// What one recipient's mail goes through, in order; the groups are played with time between them.
pub fn acts(person: Person, number: u32, links: usize, dice: &mut Dice) -> Vec<Act> {
    let home = Ipv4Addr::from(0x0b00_0000 + number * 7);
    let agent = dice.pick(&PERSONS);
    let open = |user_agent, address, played| Act { what: What::Open, user_agent, address, played };
    let mut acts = Vec::new();
    match person {
        Person::Direct => {
            for _ in 0..=dice.roll(3) {
                acts.push(open(agent, home, Class::Human));
            }
        }
        Person::AppleProxy => {
            acts.push(open(APPLE, Ipv4Addr::new(17, 58, 0, (number % 250) as u8), Class::PrivacyProxy))
        }
        Person::GmailProxy => {
            for _ in 0..=dice.roll(2) {
                acts.push(open(GMAIL, Ipv4Addr::new(66, 249, 84, (number % 250) as u8), Class::PrivacyProxy));
            }
        }
        Person::YahooProxy => {
            acts.push(open(YAHOO, Ipv4Addr::new(98, 136, 96, (number % 250) as u8), Class::PrivacyProxy))
        }
        Person::BehindBurstScanner => {
            let scanner = Ipv4Addr::from(0x0c00_0000 + number * 7);
            acts.push(open(PERSONS[0], scanner, Class::Machine));
            acts.extend((0..links).map(|link| Act {
                what: What::Click(link),
                user_agent: PERSONS[0],
                address: scanner,
                played: Class::Machine,
            }));
        }
        Person::BehindToolScanner => {
            let scanner = Ipv4Addr::new(209, 222, 82, (number % 250) as u8);
            acts.push(open(SCANNER_TOOL, scanner, Class::Machine));
            acts.push(Act { what: What::Click(0), user_agent: SCANNER_TOOL, address: scanner, played: Class::Machine });
        }
        Person::Silent => return acts,
    }
    // A person clicks one link at a time; two within seconds would be nobody's reading.
    let clicks = match person {
        Person::BehindToolScanner => dice.roll(100) < 20,
        _ => dice.roll(100) < 42,
    };
    if clicks {
        let link = dice.roll(links as u64) as usize;
        acts.push(Act { what: What::Click(link), user_agent: agent, address: home, played: Class::Human });
    }
    acts
}
