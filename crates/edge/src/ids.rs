//! Request ids: 32 hexadecimal digits from a generator that is seeded by the system, one per thread.

use std::cell::Cell;

use crate::choose::mix;

const LENGTH: usize = 32;
/// A foreign id that is believed has at most so many characters.
const MOST: usize = 128;

#[derive(Debug)]
pub(crate) struct Ids {
    stream: u64,
    count: Cell<u64>,
}

impl Ids {
    pub(crate) fn new() -> Self {
        let random = || getrandom::u64().unwrap_or_else(|_| mix(std::process::id().into()));
        Self { stream: random(), count: Cell::new(random()) }
    }

    /// A number that nobody foresees who has not seen the others.
    pub(crate) fn next(&self) -> u64 {
        let count = self.count.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.count.set(count);
        mix(count ^ self.stream)
    }

    pub(crate) fn id(&self) -> Id {
        let mut text = [0; MOST];
        for (half, number) in [self.next(), self.next()].into_iter().enumerate() {
            for (place, digit) in text[half * 16..half * 16 + 16].iter_mut().enumerate() {
                *digit = b"0123456789abcdef"[(number >> (60 - 4 * place)) as usize & 15];
            }
        }
        Id { text, length: LENGTH as u8 }
    }
}

/// The id of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id {
    text: [u8; MOST],
    length: u8,
}

impl Id {
    /// One that a declared proxy gave, if it can stand in a header and in a log.
    pub(crate) fn believed(text: &[u8]) -> Option<Self> {
        let fits = (1..=MOST).contains(&text.len()) && text.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"');
        fits.then(|| {
            let mut id = Self { text: [0; MOST], length: text.len() as u8 };
            id.text[..text.len()].copy_from_slice(text);
            id
        })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_plain() {
        let ids = Ids::new();
        let many: std::collections::HashSet<_> = (0..10_000).map(|_| ids.id().bytes().to_vec()).collect();
        assert_eq!(many.len(), 10_000);
        assert!(many.iter().all(|id| id.len() == LENGTH && id.iter().all(u8::is_ascii_hexdigit)));
        assert!(Id::believed(b"a-1").is_some() && Id::believed(b"").is_none() && Id::believed(b"a\"b").is_none());
        assert!(Id::believed(&[b'a'; MOST + 1]).is_none());
    }
}
