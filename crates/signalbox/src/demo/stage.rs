//! What the demo is played on: two campaigns, their recipients and links, and a few days of history.

use signalbox_core::id::EventId;
use signalbox_core::time::{DAY, HOUR, MINUTE, Micros};
use signalbox_crypto::link::{Destination, Link, sign_click, sign_open};
use signalbox_events::chunk::{Packed, join};
use signalbox_events::kind::{Class, Kind};
use signalbox_events::record::{Name as RecordName, Record, RecordId, hint};
use signalbox_insight::names::{Name, Space, resolve};
use signalbox_store::Scope;

use super::people::{Act, Dice, Person, What, acts};
use crate::installation::Installation;

const CAMPAIGN: &str = "Spring letter";
const EARLIER: &str = "Welcome series";
const LINKS: [&str; 4] = [
    "https://shop.example/spring/catalogue?utm_source=letter",
    "https://shop.example/seeds",
    "https://shop.example/workshops/pruning",
    "https://shop.example/preferences",
];
const HISTORY_DAYS: i64 = 3;

/// A request line and what it should be taken for.
#[derive(Debug, Clone)]
pub struct Cue {
    pub path: String,
    pub act: Act,
}

/// The stage.
pub struct Stage {
    pub name: &'static str,
    pub recipients: u32,
    /// What the recipients' clients will ask for; one list per recipient, in order.
    pub cues: Vec<Vec<Cue>>,
    /// Ids of the events that were put into the log directly, as sending does.
    pub logged: Vec<String>,
}

impl Stage {
    /// Makes campaigns, contacts and links, records that everything was sent and delivered, and adds history.
    pub fn set(open: &Installation, recipients: u32) -> anyhow::Result<Self> {
        let principal = open.default_principal()?;
        let now = open.clock.now();
        let ring = open.keyring()?;
        let name = |space: Space, key: &str| Name { principal, space, key: key.to_owned() };
        let contact = |number: u32| name(Space::Contact, &format!("reader-{number:04}@example.org"));
        let (campaign, earlier, links, contacts) = open.store.write_here(&Scope::all(), |conn| {
            let campaigns = [name(Space::Campaign, EARLIER), name(Space::Campaign, CAMPAIGN)];
            let found = resolve(conn, &campaigns, &open.ids, now)?;
            let (earlier, campaign) = (found[&campaigns[0]], found[&campaigns[1]]);
            let links = LINKS.map(|url| name(Space::Link { campaign }, url));
            let found = resolve(conn, &links, &open.ids, now)?;
            let links = links.map(|link| found[&link]);
            let contacts: Vec<Name> = (0..recipients).map(contact).collect();
            let found = resolve(conn, &contacts, &open.ids, now)?;
            Ok((campaign, earlier, links, contacts.iter().map(|contact| found[contact]).collect::<Vec<i64>>()))
        })?;
        let mut dice = Dice::new(0x5157_4e41_4c42_4f58);
        let mut stage = Self { name: CAMPAIGN, recipients, cues: Vec::new(), logged: Vec::new() };
        let mut packed = Packed::default();
        stage.history(open, principal, earlier, &contacts, &mut dice, &mut packed);
        for (number, contact) in contacts.iter().enumerate() {
            let message = open.ids.next_at(now);
            let sent_at = now.plus(-20 * MINUTE);
            for (kind, at) in [(Kind::Sent, sent_at), (Kind::Delivered, sent_at.plus(2_000_000))] {
                stage.log(
                    open,
                    &mut packed,
                    Logged { principal, campaign, message, recipient: *contact, kind, at, act: None },
                );
            }
            let target = |link: i64| Link { principal, campaign, message, recipient: *contact, link };
            let cue = |act: Act| Cue {
                path: match act.what {
                    What::Open => format!("/o/{}.gif", sign_open(&ring, &target(0), None, now)),
                    What::Click(number) => {
                        let destination = Destination::parse(LINKS[number]).expect("the demo's links are good");
                        format!("/c/{}", sign_click(&ring, &target(links[number]), &destination, None, now))
                    }
                },
                act,
            };
            let person = Person::of(&mut dice);
            stage.cues.push(acts(person, number as u32, LINKS.len(), &mut dice).into_iter().map(cue).collect());
        }
        let chunks = join(env!("CARGO_PKG_VERSION"), std::iter::once(&packed));
        open.store.log().writer(0)?.append(chunks.map(|chunk| (chunk.body, chunk.count)))?;
        Ok(stage)
    }

    /// An earlier campaign's opens and clicks, busier by day than by night.
    fn history(
        &mut self,
        open: &Installation,
        principal: i64,
        campaign: i64,
        contacts: &[i64],
        dice: &mut Dice,
        packed: &mut Packed,
    ) {
        let now = open.clock.now();
        let start = now.plus(-HISTORY_DAYS * DAY).hour();
        let mut hour = start;
        while hour.plus(HOUR) <= now {
            let of_day = (hour.0.rem_euclid(DAY)) / HOUR;
            let busy = [1, 1, 0, 0, 0, 1, 3, 7, 10, 12, 11, 9, 8, 8, 7, 7, 6, 6, 7, 9, 8, 5, 3, 2][of_day as usize];
            for _ in 0..busy * 12 {
                let contact = *dice.pick(contacts);
                let number = dice.roll(u64::from(u32::MAX)) as u32 % 60_000;
                let person = Person::of(dice);
                let at = hour.plus(dice.roll(HOUR as u64) as i64);
                let message = open.ids.next_at(at);
                for (index, act) in acts(person, number, 1, dice).into_iter().enumerate() {
                    let kind = if act.what == What::Open { Kind::Opened } else { Kind::Clicked };
                    // A person takes half a minute for each step, a scanner none.
                    let pace = if act.played == Class::Machine { 0 } else { 30_000_000 };
                    let at = at.plus(index as i64 * pace).min(now);
                    self.log(
                        open,
                        packed,
                        Logged { principal, campaign, message, recipient: contact, kind, at, act: Some(act) },
                    );
                }
            }
            hour = hour.plus(HOUR);
        }
    }

    fn log(&mut self, open: &Installation, packed: &mut Packed, event: Logged) {
        let id = open.ids.next_at(open.clock.now());
        self.logged.push(EventId(id).to_string());
        let address = event.act.map(|act| act.address.to_ipv6_mapped().octets());
        packed.push(&Record {
            id: RecordId::Own(id),
            principal: event.principal,
            campaign: RecordName::Id(event.campaign),
            message: RecordName::Id(event.message),
            recipient: RecordName::Id(event.recipient),
            link: RecordName::None,
            kind: event.kind as u8,
            occurred_at: event.at.0,
            received_at: open.clock.now().0,
            source: address,
            user_agent: event.act.map_or("", |act| act.user_agent),
            request_id: "",
            hints: hint::REPORTED,
            detail: None,
        });
    }
}

struct Logged {
    principal: i64,
    campaign: i64,
    message: i64,
    recipient: i64,
    kind: Kind,
    at: Micros,
    act: Option<Act>,
}
