//! The hash chain of the audit log: how an entry is hashed, how personal values are committed to, and the walk that
//! finds the place where a chain no longer holds. docs/audit.md describes every byte; a change needs a new domain word.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use signalbox_core::time::Micros;

use crate::keyring::KeyringError;

/// A SHA-256.
pub type Hash = [u8; 32];

/// What the first entry names as its predecessor.
pub const GENESIS: Hash = [0; 32];
/// The slot of the actor's name.
pub const SLOT_NAME: i64 = 0;
/// The slot of the address.
pub const SLOT_ADDRESS: i64 = 1;
/// The slot of the first personal value inside the payload; the others follow in the order of the text.
pub const SLOT_PAYLOAD: i64 = 2;

const ENTRY: &[u8] = b"signalbox/audit/entry/1";
const PERSONAL: &[u8] = b"signalbox/audit/personal/1";
/// What stands in a payload where a personal value was; followed by 64 hexadecimal digits and `"}`.
const COMMITMENT_OPEN: &str = "{\"$commitment\":\"";
const COMMITMENT_CLOSE: &str = "\"}";
/// Faults that are kept; more are only counted.
const MOST_FAULTS: usize = 100;

/// An entry as the chain sees it. Byte fields are slices, so that a damaged length is hashed like any other damage.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    pub seq: i64,
    /// As it is shown: `aud_…`.
    pub id: &'a str,
    pub at: Micros,
    pub actor: &'a str,
    /// Commitment to the actor's name.
    pub actor_name: &'a [u8],
    /// Commitment to the address, where there is one.
    pub address: Option<&'a [u8]>,
    pub action: &'a str,
    pub object: &'a str,
    pub correlation: &'a str,
    /// Canonical JSON.
    pub payload: &'a str,
    pub previous: &'a [u8],
}

impl Link<'_> {
    /// SHA-256 over every field, each behind its length.
    pub fn hash(&self) -> Hash {
        digest(&[
            ENTRY,
            &self.seq.to_be_bytes(),
            self.id.as_bytes(),
            &self.at.0.to_be_bytes(),
            self.actor.as_bytes(),
            self.actor_name,
            self.address.unwrap_or_default(),
            self.action.as_bytes(),
            self.object.as_bytes(),
            self.correlation.as_bytes(),
            self.payload.as_bytes(),
            self.previous,
        ])
    }

    /// The commitment that the chain holds for `slot`.
    fn committed(&self, slot: i64) -> Option<Hash> {
        match slot {
            SLOT_NAME => self.actor_name.try_into().ok(),
            SLOT_ADDRESS => self.address?.try_into().ok(),
            slot => commitments(self.payload).nth(usize::try_from(slot.checked_sub(SLOT_PAYLOAD)?).ok()?),
        }
    }

    fn slots(&self) -> u64 {
        1 + u64::from(self.address.is_some()) + commitments(self.payload).count() as u64
    }
}

/// A personal value beside the chain, with the salt of its commitment.
#[derive(Debug, Clone, Copy)]
pub struct Personal<'a> {
    pub slot: i64,
    pub salt: &'a [u8],
    pub value: &'a str,
}

/// What the chain holds instead of a personal value. It is bound to its place, so that values cannot be swapped.
pub fn commitment(seq: i64, slot: i64, salt: &[u8], value: &str) -> Hash {
    digest(&[PERSONAL, &seq.to_be_bytes(), &slot.to_be_bytes(), salt, value.as_bytes()])
}

/// A salt that nobody can guess: without it a commitment tells nothing, however few the possible values are.
pub fn salt() -> Result<[u8; 32], KeyringError> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|_| KeyringError::Random)?;
    Ok(salt)
}

/// What stands in a payload for a personal value.
pub fn placeholder(commitment: &Hash) -> String {
    format!("{COMMITMENT_OPEN}{}{COMMITMENT_CLOSE}", to_hex(commitment))
}

/// The commitments of a payload in the order of its text. Inside a JSON string a quote stands behind a backslash, so
/// the text of a placeholder is never part of a string.
fn commitments(payload: &str) -> impl Iterator<Item = Hash> {
    payload.match_indices(COMMITMENT_OPEN).filter_map(|(at, _)| {
        let start = at + COMMITMENT_OPEN.len();
        payload.get(start..start + 64).and_then(from_hex)?.try_into().ok()
    })
}

/// Lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

/// Reads what [`to_hex`] wrote; refuses every other spelling.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// SHA-256 over `parts`, each behind its length as eight bytes, big end first.
pub(crate) fn digest(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What is wrong at a place of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The content is not what was hashed.
    Changed,
    /// Entries are not there.
    Missing,
    /// An entry stands where it does not belong: inserted, doubled or moved.
    Misplaced,
    /// The entry does not continue the one before it.
    Detached,
    /// A personal value is not the one that was committed to.
    PersonalChanged,
    /// A personal value has no place in its entry.
    PersonalMisplaced,
    /// The head row is not that of the last entry.
    HeadDiffers,
    /// Entries at the end, which are known from the head or a checkpoint, are not there.
    Truncated,
    /// The chain holds in itself, and is not the one that a checkpoint was made of.
    Rewritten,
    /// A checkpoint is not signed by the key.
    BadCheckpoint,
}

/// A place where the chain no longer holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub seq: i64,
    pub kind: Kind,
    pub detail: String,
}

/// What somebody outside knows of the chain: the entry `seq` had this hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub seq: i64,
    pub hash: Hash,
    pub at: Micros,
}

/// Walks over a chain from its beginning, entry by entry.
#[derive(Debug)]
pub struct Walk {
    next: i64,
    /// The hash of the entry before; empty where it is unknown.
    last: Vec<u8>,
    known: std::iter::Peekable<std::vec::IntoIter<Known>>,
    confirmed: Option<Known>,
    unconfirmed: Option<Known>,
    found: Found,
}

/// What a walk has found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Found {
    pub entries: u64,
    /// Personal values that are there and are those that were committed to.
    pub personal: u64,
    /// Personal values that are no longer there.
    pub erased: u64,
    /// How many faults there are; the first hundred are told.
    pub faults_total: u64,
    pub faults: Vec<Fault>,
    /// The last entry.
    pub last_seq: i64,
    #[serde(skip)]
    pub last_hash: Vec<u8>,
    /// The last checkpoint that the chain agrees with.
    #[serde(skip)]
    pub confirmed: Option<Known>,
}

impl Found {
    /// Adds a fault.
    pub fn fault(&mut self, seq: i64, kind: Kind, detail: impl Into<String>) {
        self.faults_total += 1;
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault { seq, kind, detail: detail.into() });
        }
    }
}

impl Walk {
    /// From the first entry; `known` are checkpoints in any order.
    pub fn new(known: Vec<Known>) -> Self {
        Self::after(0, &GENESIS, known)
    }

    /// From behind the entry `seq`, which had this hash.
    pub fn after(seq: i64, hash: &Hash, mut known: Vec<Known>) -> Self {
        known.sort_by_key(|known| known.seq);
        Self {
            next: seq.saturating_add(1),
            last: hash.to_vec(),
            known: known.into_iter().peekable(),
            confirmed: None,
            unconfirmed: None,
            found: Found { last_seq: seq, ..Found::default() },
        }
    }

    /// The next entry, the hash that is stored with it, and the personal values beside it.
    pub fn step<'p>(&mut self, link: &Link<'_>, stored: &[u8], personal: impl IntoIterator<Item = Personal<'p>>) {
        let seq = link.seq;
        self.found.entries += 1;
        let in_place = self.place(seq);
        let is_sound = link.hash() == stored;
        if !is_sound {
            self.found.fault(seq, Kind::Changed, "the content is not what was hashed");
        } else if in_place && !self.last.is_empty() && link.previous != self.last {
            self.found.fault(seq, Kind::Detached, "it does not continue the entry before it");
        }
        let mut there = 0;
        for value in personal {
            match link.committed(value.slot) {
                None => {
                    let detail = format!("the personal value {} has no place in the entry", value.slot);
                    self.found.fault(seq, Kind::PersonalMisplaced, detail);
                }
                Some(committed) => {
                    there += 1;
                    if commitment(seq, value.slot, value.salt, value.value) != committed {
                        let detail = format!("the personal value {} is not the one that was committed to", value.slot);
                        self.found.fault(seq, Kind::PersonalChanged, detail);
                    }
                }
            }
        }
        self.found.personal += there;
        self.found.erased += link.slots().saturating_sub(there);
        // Goes on from what is stored, so that one changed entry is one fault.
        self.last.clear();
        self.last.extend_from_slice(stored);
        self.compare(seq, is_sound);
    }

    /// An entry that is there and cannot be read as one.
    pub fn step_unreadable(&mut self, seq: i64) {
        self.found.entries += 1;
        self.place(seq);
        self.found.fault(seq, Kind::Changed, "a field holds something that no entry holds");
        self.last.clear();
    }

    /// Line `number` of an export, which is no entry at all.
    pub fn step_damaged(&mut self, number: u64) {
        self.found.entries += 1;
        self.found.fault(self.next, Kind::Changed, format!("line {number} cannot be read as an entry"));
        self.next = self.next.saturating_add(1);
        self.found.last_seq = self.next - 1;
        // What it was is unknown: the next entry is compared with nothing.
        self.last.clear();
    }

    /// How many entries are behind it.
    pub fn entries(&self) -> u64 {
        self.found.entries
    }

    /// Whether the entry directly follows the one before it.
    fn place(&mut self, seq: i64) -> bool {
        let expected = self.next;
        if seq > expected {
            let missing = seq - expected;
            let detail = match missing {
                1 => format!("entry {expected} is missing"),
                _ => format!("{missing} entries are missing, {expected} to {}", seq - 1),
            };
            self.found.fault(expected, Kind::Missing, detail);
        } else if seq < expected {
            self.found.fault(seq, Kind::Misplaced, format!("entry {expected} was expected here"));
        }
        self.next = self.next.max(seq.saturating_add(1));
        self.found.last_seq = self.next - 1;
        seq == expected
    }

    /// Compares with the checkpoints of this entry. Of one that was changed itself they tell nothing more.
    fn compare(&mut self, seq: i64, is_sound: bool) {
        while let Some(known) = self.known.next_if(|known| known.seq <= seq) {
            if known.seq < seq {
                // Its entry is missing, which is told already; or it lies before the beginning of this walk.
                continue;
            }
            if known.hash.as_slice() == self.last {
                self.confirmed = Some(known);
            } else if is_sound && self.unconfirmed.is_none() {
                let first = self.confirmed.map_or(1, |good| good.seq + 1);
                self.unconfirmed = Some(known);
                let detail = format!(
                    "the checkpoint of {} was made of another chain: something from {first} to {seq} was rewritten",
                    known.at
                );
                self.found.fault(first, Kind::Rewritten, detail);
            }
        }
    }

    /// Ends the walk at the end of the chain, which the head row says to be `head`.
    pub fn finish(mut self, head: Option<(i64, &[u8])>) -> Found {
        let last = self.found.last_seq;
        match head {
            None => self.found.fault(last, Kind::HeadDiffers, "the head row is missing"),
            Some((seq, _)) if seq > last => {
                let detail = format!("the chain ends after {last}; the head says that there were {seq} entries");
                self.found.fault(last + 1, Kind::Truncated, detail);
            }
            Some((seq, _)) if seq < last => {
                let detail = format!("the head says that the chain ends with {seq}; it goes on to {last}");
                self.found.fault(seq + 1, Kind::HeadDiffers, detail);
            }
            Some((_, hash)) if hash != self.last => {
                self.found.fault(last, Kind::HeadDiffers, "the head row does not hold the hash of the last entry");
            }
            Some(_) => (),
        }
        if let Some(beyond) = self.known.rfind(|known| known.seq > last) {
            let detail = format!(
                "the chain ends after {last}; the checkpoint of {} knows of {} entries: at least {} are missing",
                beyond.at,
                beyond.seq,
                beyond.seq - last
            );
            self.found.fault(last + 1, Kind::Truncated, detail);
        }
        self.found.last_hash = self.last;
        self.found.confirmed = self.confirmed;
        self.found
    }
}
