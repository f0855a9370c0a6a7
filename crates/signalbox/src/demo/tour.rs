//! The releases of the demo under steady traffic: a good version, one that loses clicks, and one whose controller is
//! killed on the way.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use signalbox_core::id::{EventId, node_of};
use signalbox_store::Scope;

use super::plant::Plant;
use super::play::Played;
use super::story::Story;
use crate::installation::Installation;
use crate::output::line;

/// The first version, before anything is told.
pub const FIRST: &str = "1.0.0";
/// Drops most of the clicks, and answers them as if it had not.
const FAULT: &str = "drop-clicks=70%";
/// The controller stays away for so long.
const AWAY: Duration = Duration::from_millis(700);

/// How one release ended.
#[derive(Debug, Serialize)]
pub struct Released {
    pub version: &'static str,
    /// `promoted` or `rolled_back`.
    pub state: String,
    /// Why it was rolled back.
    pub said: String,
    /// From the decision until no request reached it any more.
    pub routed_back_in_ms: Option<u64>,
    pub control_killed: bool,
}

/// Everything that the releases have to show.
#[derive(Debug, Serialize)]
pub struct TourReceipt {
    pub releases: Vec<Released>,
    pub requests: Requests,
    pub events: Events,
}

/// What became of the requests, over all versions.
#[derive(Debug, Serialize)]
pub struct Requests {
    pub accepted: u64,
    pub answered: u64,
    /// The edge itself answered: no version did.
    pub answered_by_edge: u64,
    pub broken: u64,
    pub aborted_by_clients: u64,
    pub open: u64,
    pub balances: bool,
}

/// What became of the hits.
#[derive(Debug, Serialize)]
pub struct Events {
    pub acknowledged: u64,
    /// Of the acknowledged.
    pub stored: u64,
    /// Acknowledged and not stored by a version that is no bad one on purpose.
    pub lost: u64,
    /// What the bad version said it had recorded, and had not.
    pub pretended: u64,
}

/// Releases one version after the other.
pub fn tour(plant: &mut Plant, shown: bool) -> anyhow::Result<Vec<Released>> {
    let mut released = Vec::new();
    for (version, fault, killed) in [("1.1.0", None, false), ("1.2.0", Some(FAULT), false), ("1.3.0", None, true)] {
        if shown {
            line(&format!(
                "▸ release {version}{}",
                if fault.is_some() { "   (it loses most of the clicks, and answers 302 as ever)" } else { "" }
            ))?;
        }
        plant.write_manifest(fault)?;
        let mut story = Story::new(shown);
        let mut to_kill = killed;
        let ended = plant.deploy(version, |plant, told| {
            let holding = story.hear(told)?;
            if to_kill && holding.as_deref() == Some("25 %") {
                to_kill = false;
                plant.kill_control()?;
                std::thread::sleep(AWAY);
                plant.start_control()?;
                if shown {
                    line("    control killed at 25 %, and started again: it goes on from the journal")?;
                }
            }
            Ok(())
        })?;
        let text = |key: &str| ended[key].as_str().unwrap_or_default().to_owned();
        let one = Released {
            version,
            state: text("state"),
            said: text("said"),
            routed_back_in_ms: ended["routed_back_in_ms"].as_u64(),
            control_killed: killed,
        };
        let wanted = if fault.is_some() { "rolled_back" } else { "promoted" };
        ensure!(one.state == wanted, "{version} should be {wanted} and is {}: {}", one.state, one.said);
        if let (true, Some(millis)) = (shown, one.routed_back_in_ms) {
            let seconds = Duration::from_millis(millis).as_secs_f64();
            line(&format!("    rolled back {seconds:.2} s after the verdict: no request reaches {version} any more"))?;
        }
        released.push(one);
    }
    Ok(released)
}

/// The version whose instance made an id: that of the nearest id of the same node.
fn maker(makers: &BTreeMap<(u16, i64), String>, id: i64) -> Option<&str> {
    let node = node_of(id);
    let before = makers.range((node, i64::MIN)..(node, id)).next_back();
    let after = makers.range((node, id)..=(node, i64::MAX)).next();
    let nearest = before.into_iter().chain(after).min_by_key(|((_, other), _)| other.abs_diff(id));
    nearest.map(|(_, version)| version.as_str())
}

impl TourReceipt {
    /// Compares what clients were told, what the edge counted and what is stored.
    pub fn write(
        open: &Installation,
        plant: &Plant,
        releases: Vec<Released>,
        played: &[Played],
    ) -> anyhow::Result<Self> {
        let receipt = plant.receipt()?;
        let mut requests = Requests {
            accepted: 0,
            answered: 0,
            answered_by_edge: 0,
            broken: 0,
            aborted_by_clients: 0,
            open: 0,
            balances: receipt.balances,
        };
        for arm in &receipt.arms {
            let counted = &arm.counts;
            requests.accepted += counted.accepted;
            requests.answered += counted.answered.sum();
            requests.answered_by_edge += counted.answered_by_edge.sum();
            requests.broken += counted.broken;
            requests.aborted_by_clients += counted.aborted;
            requests.open += counted.open;
        }
        // One instance at a time makes ids with a node's number, so that an id tells who made it.
        let (mut stored, mut makers) = (HashSet::new(), BTreeMap::new());
        open.store.read_here(&Scope::all(), |conn| {
            conn.stream("SELECT e.id, e.version FROM event AS e", &[], &mut |row| {
                let (id, version) = (row.text(0)?, row.text(1)?);
                if let Ok(own) = id.parse::<EventId>() {
                    makers.insert((node_of(own.0), own.0), version);
                }
                stored.insert(id);
                Ok(())
            })
        })?;
        let bad = releases.iter().find(|one| one.state == "rolled_back").context("no version was rolled back")?.version;
        let mut events = Events { acknowledged: 0, stored: 0, lost: 0, pretended: 0 };
        for id in played.iter().filter_map(|one| one.event.as_ref()) {
            events.acknowledged += 1;
            if stored.contains(id) {
                events.stored += 1;
            } else if id.parse::<EventId>().is_ok_and(|own| maker(&makers, own.0) == Some(bad)) {
                events.pretended += 1;
            } else {
                events.lost += 1;
            }
        }
        Ok(Self { releases, requests, events })
    }

    /// Whether nothing was lost.
    pub fn is_whole(&self) -> bool {
        let Requests { answered_by_edge, broken, balances, .. } = self.requests;
        balances && answered_by_edge == 0 && broken == 0 && self.events.lost == 0
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::from("receipt of the releases\n");
        let Requests { accepted, answered, aborted_by_clients, open, .. } = self.requests;
        let failed = self.requests.answered_by_edge + self.requests.broken;
        let _ = writeln!(
            text,
            "  requests   accepted {accepted} = answered {answered} + failed {failed} + aborted by clients {aborted_by_clients} + open {open}"
        );
        let Events { acknowledged, stored, lost, pretended } = self.events;
        let _ = writeln!(text, "  hits       acknowledged {acknowledged}  stored {stored}  lost {lost}");
        if pretended > 0 {
            let _ = writeln!(
                text,
                "             {pretended} more were acknowledged by the bad version alone, which is why it was rolled back"
            );
        }
        text
    }
}
