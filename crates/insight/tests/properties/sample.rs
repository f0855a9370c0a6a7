//! Random logs, as hits and the API would leave them: bursts, late and repeated events, names and ids.

use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::select;
use signalbox_core::address::to_bytes;
use signalbox_core::id::EventId;
use signalbox_core::time::{DAY, HOUR, MINUTE, SECOND};
use signalbox_events::chunk::{Packed, join};
use signalbox_events::kind::Kind;
use signalbox_events::record::{Detail, Name, Record, RecordId, hint};
use signalbox_store::LogWriter;

/// When the log begins.
pub const START: i64 = 1_780_000_000 * SECOND;
const OWN: i64 = 5_000_000;

const AGENTS: [&str; 9] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    "Mozilla/5.0",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "curl/8.5.0",
    "Java/17.0.2",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "",
];
/// Two addresses, one network of IPv6, a scanner, a mail proxy.
const SOURCES: [&str; 6] = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::ffff", "40.92.0.7", "66.102.0.5"];

/// An id, a name, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameOf {
    None,
    Id(i64),
    Key(&'static str),
}

/// One event, as it would be recorded.
#[derive(Debug, Clone)]
pub struct Event {
    pub principal: i64,
    own: i64,
    given: Option<String>,
    kind: Kind,
    campaign: NameOf,
    message: NameOf,
    recipient: NameOf,
    link: NameOf,
    occurred_at: i64,
    received_at: i64,
    source: Option<IpAddr>,
    agent: &'static str,
    hints: u32,
    value: Option<(i64, &'static str)>,
    json: &'static str,
}

impl NameOf {
    fn as_name(self) -> Name<'static> {
        match self {
            NameOf::None => Name::None,
            NameOf::Id(id) => Name::Id(id),
            NameOf::Key(key) => Name::Key(key),
        }
    }
}

impl Event {
    pub fn record(&self) -> Record<'_> {
        let detail = Detail {
            value_micros: self.value.map(|(value, _)| value),
            currency: self.value.map_or("", |(_, currency)| currency),
            json: self.json,
        };
        Record {
            id: self.given.as_deref().map_or(RecordId::Own(self.own), RecordId::Given),
            principal: self.principal,
            campaign: self.campaign.as_name(),
            message: self.message.as_name(),
            recipient: self.recipient.as_name(),
            link: self.link.as_name(),
            kind: self.kind as u8,
            occurred_at: self.occurred_at,
            received_at: self.received_at,
            source: self.source.map(to_bytes),
            user_agent: self.agent,
            request_id: "",
            hints: self.hints,
            detail: (detail != Detail::default()).then_some(detail),
        }
    }
}

/// What every log here begins behind: a few events before a new stretch begins, so that look-ups have to cross it.
pub const FLOOR: i64 = (1 << 17) - 8;

/// Appends events as few chunks, in one append. Which version an event came through depends on it alone.
pub fn append(writer: &mut LogWriter, events: &[Event]) {
    let version = |event: &Event| if event.occurred_at % 3 == 0 { "1.3.0" } else { "1.2.3" };
    let runs = events.chunk_by(|one, other| version(one) == version(other));
    let chunks = runs.flat_map(|run| {
        let mut packed = Packed::default();
        run.iter().for_each(|event| packed.push(&event.record()));
        join(version(&run[0]), std::iter::once(&packed)).collect::<Vec<_>>()
    });
    writer.append(chunks.map(|chunk| (chunk.body, chunk.count))).expect("the log takes a chunk");
}

/// What an event is about, before it has its time and its id.
#[derive(Debug, Clone)]
struct About {
    principal: i64,
    kind: Kind,
    reported: bool,
    campaign: NameOf,
    message: NameOf,
    recipient: NameOf,
    link: NameOf,
    source: Option<usize>,
    agent: usize,
    hints: u32,
    value: (i64, &'static str),
}

/// A run of alike events: whether it is about the same mail and reader as the one before, how long after that it comes,
/// how many they are, how far apart, how late, and under which id.
type Run = (About, bool, i64, usize, i64, i64, Option<u8>);

fn names(ids: &'static [i64], keys: &'static [&'static str]) -> impl Strategy<Value = NameOf> {
    let ids = ids.iter().copied().map(NameOf::Id);
    select(ids.chain(keys.iter().copied().map(NameOf::Key)).chain([NameOf::None]).collect::<Vec<_>>())
}

fn about(principals: i64, only_keys: bool) -> impl Strategy<Value = About> {
    use Kind::{Bounced, Clicked, Converted, Custom, Delivered, Opened, Sent};
    let of = move |ids: &'static [i64], keys| names(if only_keys { &[] } else { ids }, keys);
    let kinds = [Opened, Opened, Opened, Clicked, Clicked, Clicked, Sent, Delivered, Converted, Bounced, Custom];
    (
        (1..=principals, select(kinds.to_vec()), prop::bool::weighted(0.3)),
        (of(&[11, 12], &["spring", "autumn"]), of(&[21, 22, 23], &["m-1", "m-2"]), of(&[31, 32], &["anna", "bert"])),
        (of(&[41, 42], &["https://a.example/", "https://b.example/"]), prop::option::weighted(0.9, 0..SOURCES.len())),
        (0..AGENTS.len(), select(vec![0, 0, 0, hint::HEAD, hint::PREFETCH, hint::REFERER])),
        select(vec![(1_000_000, "EUR"), (0, "EUR"), (-2_500_000, "EUR"), (19_990_000, "USD")]),
    )
        .prop_map(
            |((principal, kind, reported), (campaign, message, recipient), (link, source), (agent, hints), value)| {
                About { principal, kind, reported, campaign, message, recipient, link, source, agent, hints, value }
            },
        )
}

/// A random log of some hundred events over so many principals. `only_keys`: everything has a name, nothing a bare id.
pub fn logs(principals: i64, only_keys: bool) -> impl Strategy<Value = Vec<Event>> {
    let gap = select(vec![0, SECOND / 20, SECOND, 3 * SECOND, 4 * SECOND, 20 * SECOND, 8 * MINUTE, 70 * MINUTE, DAY]);
    let late = select(vec![0, 0, 0, SECOND, 20 * SECOND, 15 * MINUTE, 3 * HOUR, 2 * DAY]);
    let apart = select(vec![0, SECOND / 50, SECOND / 4, 6 * SECOND]);
    // Now and then so many that their source gets a name.
    let count = prop_oneof![12 => 1..9_usize, 1 => 25..40_usize];
    let given = prop::option::weighted(0.3, any::<u8>());
    let run = (about(principals, only_keys), any::<bool>(), gap, count, apart, late, given);
    prop::collection::vec(run, 1..60).prop_map(timed)
}

fn timed(runs: Vec<Run>) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut now = START;
    let mut before: Option<About> = None;
    for (mut about, same, gap, count, apart, late, given) in runs {
        if let Some(before) = before.filter(|_| same) {
            about = About { kind: about.kind, link: about.link, reported: about.reported, ..before };
        }
        before = Some(about.clone());
        now += gap;
        for turn in 0..count {
            now += if turn == 0 { 0 } else { apart };
            events.push(event(&about, now, late, given.map(|given| (given, turn)), events.len() as i64));
        }
    }
    events
}

fn event(about: &About, now: i64, late: i64, given: Option<(u8, usize)>, place: i64) -> Event {
    let judged = about.kind.is_judged();
    // A hit is seen by us: it has our id, its own source, and happens when it arrives.
    let reported = about.reported || !judged;
    let given = given.filter(|_| reported).map(|(given, turn)| match given {
        // Somebody makes up an id of ours: one that is there, or will be.
        0..16 => EventId(OWN + place + i64::from(given) - 8).to_string(),
        _ => format!("e-{}", (usize::from(given) + turn) % 40),
    });
    let source = about.source.map(|place| SOURCES[place].parse().expect("an address"));
    Event {
        principal: about.principal,
        own: OWN + place,
        given,
        kind: about.kind,
        campaign: about.campaign,
        message: about.message,
        recipient: about.recipient,
        link: match about.kind {
            Kind::Clicked => about.link,
            Kind::Converted if matches!(about.link, NameOf::Id(_)) => about.link,
            _ => NameOf::None,
        },
        occurred_at: if reported { now - late } else { now },
        received_at: now,
        source: if reported {
            source.filter(|_| about.agent.is_multiple_of(2))
        } else {
            source.or(Some([192, 0, 2, 3].into()))
        },
        agent: if judged { AGENTS[about.agent] } else { "" },
        hints: if reported { hint::REPORTED } else { about.hints },
        value: (about.kind == Kind::Converted).then_some(about.value),
        json: if about.kind == Kind::Custom { r#"{"name":"signed up"}"# } else { "" },
    }
}
