//! All word tables compiled into one automaton, and what one pass over a string finds.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{client, shape, table};

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
    /// the end of a host name: in lower case, a letter or digit before, none after
    Host,
}

/// What a word tells.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    /// a mail provider's or mail client's image proxy; decides alone
    Proxy { reason: &'static str, client: &'static str },
    /// a machine, whatever else the string claims
    Machine(&'static str),
    /// a machine, unless the word stands in a phone's model
    Hint(&'static str),
    /// this very word is no hint: it ends where the shorter hint ends
    Pardon,
    /// a program with a person in front, also without a browser's shape
    Person,
    /// a machine on a desk; says nothing on a phone
    Vague(&'static str),
    /// introduces a program's name: the name decides
    Compatible,
    /// the end of a browser's engine: what follows in the same comment decides
    LikeGecko,
    /// a fact about the shape or the device: the constants below
    Trait(u8),
    /// a program with a person in front, and its family
    Named(&'static str),
    /// a client family; the earlier in the table, the more it weighs
    Client(&'static str),
}

/// One row of a table: words (separated by `|`, any case) that share an edge and a meaning.
pub(super) struct Group {
    pub(super) mark: Mark,
    pub(super) edge: Edge,
    pub(super) words: &'static str,
}

/// Windows, macOS, Linux on a desk.
pub(super) const DESKTOP: u8 = 1;
/// A phone, tablet, television, console: its programs have many shapes and all have a person in front.
pub(super) const HANDHELD: u8 = 1 << 1;
/// The word "Mobile" or a phone by name.
pub(super) const PHONE: u8 = 1 << 2;
/// A tablet by name.
pub(super) const TABLET: u8 = 1 << 3;
/// Television, console, car, watch, speaker.
pub(super) const APPLIANCE: u8 = 1 << 4;
/// Android, whose browsers say "Mobile" on phones only.
pub(super) const ANDROID: u8 = 1 << 5;
/// A browser engine.
pub(super) const ENGINE: u8 = 1 << 6;
/// Something written like a web address, or a name no browser puts there.
pub(super) const FOREIGN: u8 = 1 << 7;

/// What one pass found.
#[derive(Default)]
pub(super) struct Sight {
    pub(super) proxy: Option<(&'static str, &'static str)>,
    pub(super) machine: Option<&'static str>,
    pub(super) hint: Option<&'static str>,
    pub(super) person: bool,
    pub(super) vague: Option<&'static str>,
    pub(super) client: Option<&'static str>,
    traits: u8,
}

impl Sight {
    /// Whether any of the traits was found.
    pub(super) fn has(&self, traits: u8) -> bool {
        self.traits & traits != 0
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

/// One pass over the string.
pub(super) fn sight(text: &str) -> Sight {
    let bytes = text.as_bytes();
    let model = shape::model(text);
    let mut sight = Sight::default();
    // the row that each slot holds now; a match from an earlier row replaces it
    let (mut machine, mut hint, mut vague, mut client) = (usize::MAX, usize::MAX, usize::MAX, usize::MAX);
    let mut pardoned = None;
    for found in LEXICON.automaton.find_overlapping_iter(bytes) {
        let row = found.pattern().as_usize();
        let (mark, edge) = LEXICON.marks[row];
        if !stands(bytes, found.start(), found.end(), edge) {
            continue;
        }
        match mark {
            Mark::Proxy { reason, client } => sight.proxy = Some((reason, client)),
            Mark::Machine(reason) => keep_first(&mut sight.machine, &mut machine, row, reason),
            Mark::Hint(reason) => {
                let in_model = model.contains(&found.start()) && bytes.get(found.end()) != Some(&b'/');
                if pardoned != Some(found.end()) && !in_model {
                    keep_first(&mut sight.hint, &mut hint, row, reason);
                }
            }
            Mark::Pardon => pardoned = Some(found.end()),
            Mark::Person => sight.person = true,
            Mark::Vague(reason) => keep_first(&mut sight.vague, &mut vague, row, reason),
            Mark::Compatible if shape::stranger_after_compatible(&text[found.end()..]) => sight.traits |= FOREIGN,
            Mark::LikeGecko if shape::stranger_after_gecko(&text[found.end()..]) => sight.traits |= FOREIGN,
            Mark::Compatible | Mark::LikeGecko => {}
            Mark::Trait(traits) => sight.traits |= traits,
            Mark::Named(name) => {
                sight.person = true;
                keep_first(&mut sight.client, &mut client, row, name);
            }
            Mark::Client(name) => keep_first(&mut sight.client, &mut client, row, name),
        }
    }
    sight
}

fn keep_first(slot: &mut Option<&'static str>, held: &mut usize, row: usize, value: &'static str) {
    if row < *held {
        *held = row;
        *slot = Some(value);
    }
}

fn stands(bytes: &[u8], start: usize, end: usize, edge: Edge) -> bool {
    let opens = start == 0 || !bytes[start - 1].is_ascii_alphanumeric();
    let next = bytes.get(end);
    let closes = next.is_none_or(|next| !next.is_ascii_alphabetic());
    match edge {
        Edge::Any => true,
        Edge::Start => opens,
        Edge::End => closes,
        Edge::Word => opens && closes,
        Edge::Lead => start == 0,
        Edge::Host => {
            let ends = next.is_none_or(|next| !next.is_ascii_alphanumeric() && *next != b'.');
            !opens && ends && bytes[end - 1].is_ascii_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_compare_the_neighbours() {
        let at = |text: &str, word: &str, edge| {
            let start = text.find(word).expect("the word is in the text");
            stands(text.as_bytes(), start, start + word.len(), edge)
        };
        assert!(at("mybottle", "bot", Edge::Any));
        assert!(at("Examplebot/1", "bot", Edge::End));
        assert!(!at("bottle", "bot", Edge::End));
        assert!(at("a bot", "bot", Edge::Word));
        assert!(!at("abot", "bot", Edge::Start));
        assert!(at("curl/8", "curl", Edge::Lead));
        assert!(at("see example.com)", ".com", Edge::Host));
        assert!(!at("(.com", ".com", Edge::Host));
        assert!(!at("com.example.community", ".com", Edge::Host));
    }

    #[test]
    fn earlier_rows_weigh_more() {
        assert_eq!(sight("HeadlessChrome crawler").machine, Some("agent.headless"));
        assert_eq!(sight("crawler of HeadlessChrome").machine, Some("agent.headless"));
    }

    #[test]
    fn hints_inside_a_model_or_pardoned_words_do_not_count() {
        assert_eq!(sight("Mozilla/5.0 (Linux; Android 7.0; M bot 60) Chrome/58").hint, None);
        assert_eq!(sight("Instagram 33 Android (22/5.1; CUBOT; S550)").hint, None);
        assert!(sight("Mozilla/5.0 (Linux; Android 7.0; examplebot/1.0)").hint.is_some());
        assert!(sight("Mozilla/5.0 (X11; Linux x86_64) examplebot").hint.is_some());
    }
}
