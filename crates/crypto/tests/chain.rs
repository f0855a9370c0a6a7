//! Whatever is done to a chain, the walk finds it, and finds where.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it must be")]

use proptest::prelude::*;
use signalbox_core::time::Micros;
use signalbox_crypto::chain::{
    Found, GENESIS, Hash, Kind, Known, Link, Personal, SLOT_NAME, SLOT_PAYLOAD, Walk, commitment, from_hex,
    placeholder, to_hex,
};

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    seq: i64,
    id: String,
    at: i64,
    actor: String,
    actor_name: Vec<u8>,
    address: Option<Vec<u8>>,
    action: String,
    object: String,
    correlation: String,
    payload: String,
    previous: Vec<u8>,
    hash: Vec<u8>,
    personal: Vec<(i64, Vec<u8>, String)>,
}

impl Entry {
    fn link(&self) -> Link<'_> {
        Link {
            seq: self.seq,
            id: &self.id,
            at: Micros(self.at),
            actor: &self.actor,
            actor_name: &self.actor_name,
            address: self.address.as_deref(),
            action: &self.action,
            object: &self.object,
            correlation: &self.correlation,
            payload: &self.payload,
            previous: &self.previous,
        }
    }

    fn seal(&mut self) {
        self.hash = self.link().hash().to_vec();
    }
}

fn chain(words: &[(String, String)]) -> Vec<Entry> {
    let mut previous = GENESIS.to_vec();
    (1..)
        .zip(words)
        .map(|(seq, (one, other))| {
            let salt = vec![seq as u8; 32];
            let held = serde_json::to_string(other).unwrap();
            let payload = placeholder(&commitment(seq, SLOT_PAYLOAD, &salt, &held));
            let mut entry = Entry {
                seq,
                id: format!("aud_{seq}"),
                at: 1_780_000_000_000_000 + seq,
                actor: "command".into(),
                actor_name: commitment(seq, SLOT_NAME, &salt, one).to_vec(),
                address: None,
                action: "user.created".into(),
                object: one.clone(),
                correlation: "req_1".into(),
                payload: format!("{{\"after\":{{\"email\":{payload}}}}}"),
                previous: previous.clone(),
                hash: Vec::new(),
                personal: vec![(SLOT_NAME, salt.clone(), one.clone()), (SLOT_PAYLOAD, salt, held)],
            };
            entry.seal();
            previous.clone_from(&entry.hash);
            entry
        })
        .collect()
}

fn walk(entries: &[Entry], head: &Entry, known: Vec<Known>) -> Found {
    let mut walk = Walk::new(known);
    for entry in entries {
        let personal = entry.personal.iter();
        let personal = personal.map(|(slot, salt, value)| Personal { slot: *slot, salt, value });
        walk.step(&entry.link(), &entry.hash, personal);
    }
    walk.finish(Some((head.seq, &head.hash)))
}

fn first(found: &Found) -> (i64, Kind) {
    let fault = found.faults.first().expect("a fault is found");
    (fault.seq, fault.kind)
}

fn known(entry: &Entry) -> Known {
    Known { seq: entry.seq, hash: entry.hash.clone().try_into().unwrap(), at: Micros(entry.at) }
}

fn texts() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((".{0,12}", ".{0,12}"), 2..20)
}

/// Changes one byte or character of one field.
fn flip(entry: &mut Entry, field: usize, bit: u8) {
    let flip_bytes = |bytes: &mut Vec<u8>| {
        let at = usize::from(bit) % bytes.len();
        bytes[at] ^= 1 << (bit % 8);
    };
    match field {
        0 => entry.id.push('x'),
        1 => entry.at ^= 1 << (bit % 60),
        2 => entry.actor = "system".into(),
        3 => flip_bytes(&mut entry.actor_name),
        4 => entry.address = Some(vec![1; 32]),
        5 => entry.action.truncate(4),
        6 => entry.object.push('\0'),
        7 => entry.correlation.clear(),
        8 => entry.payload.push(' '),
        9 => flip_bytes(&mut entry.previous),
        10 => flip_bytes(&mut entry.hash),
        11 => flip_bytes(&mut entry.personal[0].1),
        12 => entry.personal[0].2.push('x'),
        13 => entry.personal[1].2.clear(),
        14 => entry.personal[1].0 = 9,
        // What leaves one field for the next.
        _ => {
            let moved = entry.action.pop().unwrap();
            entry.object.insert(0, moved);
        }
    }
}

proptest! {
    #[test]
    fn an_untouched_chain_holds_and_erasing_keeps_it_valid(words in texts(), erased in any::<prop::sample::Index>()) {
        let mut entries = chain(&words);
        let head = entries.last().unwrap().clone();
        let all = entries.iter().map(known).collect();
        let found = walk(&entries, &head, all);
        prop_assert_eq!((found.faults_total, found.entries, found.erased), (0, words.len() as u64, 0));
        prop_assert_eq!(found.confirmed, Some(known(&head)));
        let at = erased.index(entries.len());
        entries[at].personal.clear();
        let found = walk(&entries, &head, Vec::new());
        prop_assert_eq!((found.faults_total, found.erased), (0, 2));
    }

    #[test]
    fn a_flip_is_found_where_it_is(words in texts(), at in any::<prop::sample::Index>(), field in 0..16_usize, bit in any::<u8>()) {
        let mut entries = chain(&words);
        let head = entries.last().unwrap().clone();
        let at = at.index(entries.len());
        flip(&mut entries[at], field, bit);
        let found = walk(&entries, &head, Vec::new());
        prop_assert_eq!(first(&found).0, at as i64 + 1);
    }

    #[test]
    fn a_deletion_is_found_where_it_is(words in texts(), at in any::<prop::sample::Index>(), renumbered in any::<bool>()) {
        let mut entries = chain(&words);
        let head = entries.last().unwrap().clone();
        let at = at.index(entries.len());
        entries.remove(at);
        if renumbered {
            entries[at..].iter_mut().for_each(|entry| entry.seq -= 1);
        }
        let found = walk(&entries, &head, Vec::new());
        prop_assert_eq!(first(&found).0, at as i64 + 1);
    }

    #[test]
    fn an_insertion_is_found_where_the_chain_no_longer_goes_on(
        words in texts(), at in any::<prop::sample::Index>(), renumbered in any::<bool>(), sealed in any::<bool>(),
    ) {
        let mut entries = chain(&words);
        let head = entries.last().unwrap().clone();
        let at = at.index(entries.len());
        let mut forged = entries[at].clone();
        forged.action = "user.deleted".into();
        if sealed {
            forged.seal();
        }
        entries.insert(at, forged);
        if renumbered {
            entries[at + 1..].iter_mut().for_each(|entry| entry.seq += 1);
        }
        let found = walk(&entries, &head, Vec::new());
        // A forged entry that continues the chain is good in itself; the true one behind it is not any more.
        let expected = at as i64 + 1 + i64::from(sealed && renumbered);
        prop_assert_eq!(first(&found).0, expected);
    }

    #[test]
    fn a_reordering_is_found_where_it_begins(words in texts(), one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), renumbered in any::<bool>()) {
        let mut entries = chain(&words);
        let head = entries.last().unwrap().clone();
        let (one, other) = (one.index(entries.len()), other.index(entries.len()));
        prop_assume!(one != other);
        entries.swap(one, other);
        if renumbered {
            let (seq_one, seq_other) = (entries[one].seq, entries[other].seq);
            (entries[one].seq, entries[other].seq) = (seq_other, seq_one);
        }
        let found = walk(&entries, &head, Vec::new());
        prop_assert_eq!(first(&found).0, one.min(other) as i64 + 1);
    }

    #[test]
    fn a_truncation_is_found_by_the_head_or_by_a_checkpoint(words in texts(), at in any::<prop::sample::Index>()) {
        let mut entries = chain(&words);
        let head = entries.last().unwrap().clone();
        let at = at.index(entries.len());
        entries.truncate(at);
        let found = walk(&entries, &head, Vec::new());
        prop_assert_eq!(first(&found), (at as i64 + 1, Kind::Truncated));
        if let Some(last) = entries.last() {
            // With the head put right too, only what left the machine tells.
            prop_assert_eq!(walk(&entries, last, Vec::new()).faults_total, 0);
            prop_assert_eq!(first(&walk(&entries, last, vec![known(&head)])), (at as i64 + 1, Kind::Truncated));
        }
    }

    #[test]
    fn a_rewritten_chain_is_found_behind_the_last_checkpoint_that_agrees(words in texts(), at in any::<prop::sample::Index>()) {
        let before = chain(&words);
        let at = at.index(before.len());
        let mut other = words.clone();
        other[at].0.push('x');
        let after = chain(&other);
        let head = after.last().unwrap();
        prop_assert_eq!(walk(&after, head, Vec::new()).faults_total, 0, "in itself it holds");
        let found = walk(&after, head, before.iter().map(known).collect());
        prop_assert_eq!(first(&found), (at as i64 + 1, Kind::Rewritten));
        prop_assert_eq!(found.confirmed.map_or(0, |known| known.seq), at as i64);
    }

    #[test]
    fn hexadecimal_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
    }
}

#[test]
fn an_empty_chain_and_a_checkpoint_of_it_hold() {
    let of_nothing = Known { seq: 0, hash: GENESIS, at: Micros(0) };
    let found = Walk::new(vec![of_nothing]).finish(Some((0, &GENESIS)));
    assert_eq!((found.faults_total, found.entries, found.confirmed), (0, 0, None));
}

/// Computed by another program from the description in docs/audit.md.
#[test]
fn the_bytes_are_those_of_the_description() {
    let name = commitment(1, SLOT_NAME, &[7; 32], "root");
    let link = Link {
        seq: 1,
        id: "aud_0000000000001",
        at: Micros(1_780_000_000_000_000),
        actor: "command",
        actor_name: &name,
        address: None,
        action: "key.rotated",
        object: "2",
        correlation: "cmd_0000000000002",
        payload: "{\"after\":{\"key\":2}}",
        previous: &GENESIS,
    };
    let hashes: [&Hash; 2] = [&name, &link.hash()];
    assert_eq!(
        hashes.map(|hash| to_hex(hash)),
        [
            "b75bc2080597dbfad36b4af0aa18e42aa7d154ef54d812fdbefe595418844603",
            "f75fd5326b4ccc053a52c35632346943980277b5fb53c18cc51bb50e680c55de",
        ]
    );
}
