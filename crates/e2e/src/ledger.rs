//! What the clients know: every request that they sent and every event that was acknowledged. Kept outside the server,
//! so that it survives whatever happens to it, and compared with what is stored in the end.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::installation::{Link, Stored};

/// Requests and acknowledgements of any number of clients.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Hits that were sent, per message.
    hits_sent: HashMap<String, u32>,
    /// Hits that carried `x-event-id`: the id, and the message of the link.
    hits_acknowledged: Vec<(String, String)>,
    /// Ids of API events that were sent, batch by batch.
    batches_sent: HashMap<String, Vec<String>>,
    /// Ids of API events that were acknowledged.
    events_acknowledged: Vec<String>,
    /// Answered hits without `x-event-id`.
    pub unrecorded: u64,
    /// Answers to API requests that recorded nothing.
    pub refused: u64,
    /// Connections that ended before an answer began.
    pub unanswered: u64,
    /// Answers that began and did not end; only a process that was killed may leave them.
    pub cut_off: Vec<String>,
    /// Answers that no client should ever see.
    pub wrong: Vec<String>,
}

/// What is stored, held against the ledger.
#[derive(Debug, Default)]
pub struct Balance {
    pub sent: usize,
    pub acknowledged: usize,
    pub stored: usize,
    /// Acknowledged and not stored.
    pub lost: Vec<String>,
    /// Stored, and never sent, or more often than it was sent.
    pub unknown: Vec<String>,
    /// Ids with more than one row.
    pub doubled: Vec<String>,
    /// Batches of which a part is stored.
    pub partial: Vec<String>,
}

impl Ledger {
    pub fn send_hit(&mut self, link: &Link) {
        *self.hits_sent.entry(link.message.clone()).or_default() += 1;
    }

    pub fn acknowledge_hit(&mut self, link: &Link, id: &str) {
        self.hits_acknowledged.push((id.to_owned(), link.message.clone()));
    }

    /// The same batch may be sent again.
    pub fn send_batch(&mut self, name: &str, ids: &[String]) {
        self.batches_sent.entry(name.to_owned()).or_insert_with(|| ids.to_vec());
    }

    pub fn acknowledge_batch(&mut self, ids: &[String]) {
        self.events_acknowledged.extend_from_slice(ids);
    }

    /// Takes over what another client knows.
    pub fn merge(&mut self, other: Ledger) {
        for (message, count) in other.hits_sent {
            *self.hits_sent.entry(message).or_default() += count;
        }
        self.hits_acknowledged.extend(other.hits_acknowledged);
        self.batches_sent.extend(other.batches_sent);
        self.events_acknowledged.extend(other.events_acknowledged);
        self.unrecorded += other.unrecorded;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.cut_off.extend(other.cut_off);
        self.wrong.extend(other.wrong);
    }

    /// How many events were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.hits_acknowledged.len() + self.events_acknowledged.len()
    }

    /// Acknowledged ⊆ stored ⊆ sent, one row per id, batches whole.
    pub fn balance(&self, stored: &[Stored]) -> Balance {
        let mut rows: HashMap<&str, (usize, &str)> = HashMap::new();
        let mut hits: HashMap<&str, u32> = HashMap::new();
        let mut unknown = Vec::new();
        let api_sent: HashSet<&str> = self.batches_sent.values().flatten().map(String::as_str).collect();
        for event in stored {
            rows.entry(&event.id).or_insert((0, &event.message)).0 += 1;
            if event.kind == "custom" {
                if !api_sent.contains(event.id.as_str()) {
                    unknown.push(event.id.clone());
                }
            } else {
                *hits.entry(&event.message).or_default() += 1;
            }
        }
        let more = hits.iter().filter(|(message, count)| **count > self.hits_sent.get(**message).copied().unwrap_or(0));
        unknown.extend(more.map(|(message, count)| format!("{message}: {count} hits stored")));
        let lost_hits = self
            .hits_acknowledged
            .iter()
            .filter(|(id, message)| rows.get(id.as_str()).is_none_or(|(_, stored_message)| stored_message != message));
        let lost_events = self.events_acknowledged.iter().filter(|id| !rows.contains_key(id.as_str()));
        let partial = self.batches_sent.iter().filter(|(_, ids)| {
            let found = ids.iter().filter(|id| rows.contains_key(id.as_str())).count();
            found != 0 && found != ids.len()
        });
        let hits_sent: u32 = self.hits_sent.values().sum();
        Balance {
            sent: hits_sent as usize + api_sent.len(),
            acknowledged: self.acknowledged(),
            stored: stored.len(),
            lost: lost_hits.map(|(id, _)| id).chain(lost_events).cloned().collect(),
            unknown,
            doubled: rows.iter().filter(|(_, (count, _))| *count > 1).map(|(id, _)| (*id).to_owned()).collect(),
            partial: partial.map(|(name, _)| name.clone()).collect(),
        }
    }
}

impl Balance {
    /// Nothing acknowledged is lost, nothing is stored that nobody sent, nothing twice, no batch in part.
    pub fn is_even(&self) -> bool {
        self.lost.is_empty() && self.unknown.is_empty() && self.doubled.is_empty() && self.partial.is_empty()
    }
}

/// Counts, and the first few of what is wrong.
impl fmt::Display for Balance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "sent {}, acknowledged {}, stored {}", self.sent, self.acknowledged, self.stored)?;
        let wrong = [
            ("lost", &self.lost),
            ("stored but not sent", &self.unknown),
            ("stored twice", &self.doubled),
            ("stored in part", &self.partial),
        ];
        for (name, ids) in wrong {
            write!(out, ", {name} {}", ids.len())?;
            if !ids.is_empty() {
                write!(out, " ({} …)", ids[..ids.len().min(3)].join(", "))?;
            }
        }
        Ok(())
    }
}
