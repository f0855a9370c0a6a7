//! All word tables compiled into one automaton, and what one pass over a string finds.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{client, table};

/// Where a word may stand: its neighbours are compared, not consumed.
#[derive(Clone, Copy)]
pub(super) enum Edge {
    /// anywhere, also inside a longer word
    Any,
    /// not preceded by a letter or digit
    Start,
    /// not followed by a letter
    End,
    /// both
    Word,
    /// at the very beginning of the string
    Lead,
}

/// What a word tells.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    /// a mail provider's or mail client's image proxy; decides alone
    Proxy { reason: &'static str, client: &'static str },
    /// a machine, whatever else the string claims
    Machine(&'static str),
    /// a machine, unless the string names a program of a person or the word stands in a phone's model
    Hint(&'static str),
    /// this very word is no hint: it ends where the shorter hint ends
    Pardon,
    /// a program with a person in front, also without a browser's shape
    Person,
    /// a fact about the shape or the device, one of the bits below
    Trait(u16),
    /// a client family; the earlier in the table, the more it weighs
    Client(&'static str),
}

/// One row of a table: words (separated by `|`, any case) that share an edge and a meaning.
pub(super) struct Group {
    pub(super) mark: Mark,
    pub(super) edge: Edge,
    pub(super) words: &'static str,
}

/// a browser engine or browser product
pub(super) const ENGINE: u16 = 1;
/// Windows, macOS, Linux on a desk
pub(super) const DESKTOP: u16 = 1 << 1;
/// an operating system of phones or tablets
pub(super) const HANDHELD: u16 = 1 << 2;
/// the word "Mobile" or a phone by name
pub(super) const PHONE: u16 = 1 << 3;
/// a tablet by name
pub(super) const TABLET: u16 = 1 << 4;
/// television, console, car, watch, speaker
pub(super) const APPLIANCE: u16 = 1 << 5;
/// Android, which says "Mobile" on phones only
pub(super) const ANDROID: u16 = 1 << 6;
/// something written like a web or mail address
pub(super) const ADDRESS: u16 = 1 << 7;

/// What one pass found.
#[derive(Default)]
pub(super) struct Sight {
    pub(super) proxy: Option<(&'static str, &'static str)>,
    pub(super) machine: Option<&'static str>,
    pub(super) hint: Option<&'static str>,
    /// set when the hint stands inside the model name of an Android comment
    pub(super) person: bool,
    pub(super) traits: u16,
    pub(super) client: Option<&'static str>,
}

impl Sight {
    pub(super) fn has(&self, bits: u16) -> bool {
        self.traits & bits != 0
    }
}

struct Lexicon {
    automaton: AhoCorasick,
    marks: Vec<(Mark, Edge)>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut words = Vec::new();
    let mut marks = Vec::new();
    for group in table::GROUPS.iter().chain(client::GROUPS) {
        for word in group.words.split('|').map(str::trim).filter(|word| !word.is_empty()) {
            words.push(word);
            marks.push((group.mark, group.edge));
        }
    }
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .expect("the tables are constant and small enough for an automaton");
    Lexicon { automaton, marks }
});

/// One pass over the string. `model` is the part that names an Android device, where hints do not count.
pub(super) fn sight(text: &str, model: std::ops::Range<usize>) -> Sight {
    let bytes = text.as_bytes();
    let mut sight = Sight::default();
    let mut ranks = [usize::MAX; 3];
    let mut pardoned = usize::MAX;
    for found in LEXICON.automaton.find_overlapping_iter(bytes) {
        let index = found.pattern().as_usize();
        let (mark, edge) = LEXICON.marks[index];
        if !stands(bytes, found.start(), found.end(), edge) {
            continue;
        }
        match mark {
            Mark::Proxy { reason, client } => sight.proxy = sight.proxy.or(Some((reason, client))),
            Mark::Machine(reason) => keep_first(&mut sight.machine, &mut ranks[0], index, reason),
            Mark::Hint(reason) => {
                let in_model = model.contains(&found.start()) && bytes.get(found.end()) != Some(&b'/');
                if pardoned != found.end() && !in_model {
                    keep_first(&mut sight.hint, &mut ranks[1], index, reason);
                }
            }
            Mark::Pardon => pardoned = found.end(),
            Mark::Person => sight.person = true,
            Mark::Trait(bits) => sight.traits |= bits,
            Mark::Client(name) => keep_first(&mut sight.client, &mut ranks[2], index, name),
        }
    }
    sight
}

fn keep_first(slot: &mut Option<&'static str>, rank: &mut usize, index: usize, value: &'static str) {
    if index < *rank {
        *rank = index;
        *slot = Some(value);
    }
}

fn stands(bytes: &[u8], start: usize, end: usize, edge: Edge) -> bool {
    let opens = || start == 0 || !bytes[start - 1].is_ascii_alphanumeric();
    let closes = || bytes.get(end).is_none_or(|next| !next.is_ascii_alphabetic());
    match edge {
        Edge::Any => true,
        Edge::Start => opens(),
        Edge::End => closes(),
        Edge::Word => opens() && closes(),
        Edge::Lead => start == 0,
    }
}
