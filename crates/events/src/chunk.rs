//! Chunks: what a commit appends to the log. Many events in one row, packed, with a checksum beside it.
//!
//! Layout: format 1 · length of the version 1 · version · records, each a postcard-encoded [`Record`].

use crate::record::Record;

const FORMAT: u8 = 1;
/// No chunk is larger than this, but for its head and its last record: large batches become several.
const CHUNK_BYTES: usize = 1 << 20;

/// Records on their way into the log, packed as they come.
#[derive(Debug, Default, Clone)]
pub struct Packed {
    full: Vec<Piece>,
    last: Piece,
}

/// Records that stay in one chunk.
#[derive(Debug, Default, Clone)]
struct Piece {
    bytes: Vec<u8>,
    count: u32,
}

/// One row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub body: Vec<u8>,
    /// How many records the body holds.
    pub count: u32,
}

/// The chunk is not readable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadChunk {
    #[error("the chunk has format {0}, which this version does not know")]
    Format(u8),
    #[error("the chunk ends in the middle of record {0}")]
    Record(u32),
    #[error("the chunk holds {found} records and should hold {expected}")]
    Count { expected: u32, found: u32 },
}

impl Packed {
    /// Adds a record.
    pub fn push(&mut self, record: &Record<'_>) {
        if self.last.bytes.len() >= CHUNK_BYTES {
            self.full.push(std::mem::take(&mut self.last));
        }
        let bytes = std::mem::take(&mut self.last.bytes);
        self.last.bytes = postcard::to_extend(record, bytes).expect("a vector takes every record");
        self.last.count += 1;
    }

    /// How many records there are.
    pub fn count(&self) -> u32 {
        self.pieces().map(|piece| piece.count).sum()
    }

    /// How many bytes they take.
    pub fn size_bytes(&self) -> usize {
        self.pieces().map(|piece| piece.bytes.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.last.count == 0
    }

    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.full.iter().chain([&self.last])
    }
}

/// The rows of the log out of everything that waits for a commit, one after the other as they are asked for: a single
/// one, unless there are more than `CHUNK_BYTES`. `version` is the program's.
pub fn join<'p>(version: &str, parts: impl Iterator<Item = &'p Packed>) -> impl Iterator<Item = Chunk> {
    let version = crate::record::cut(version, 255);
    let mut pieces = parts.flat_map(Packed::pieces).filter(|piece| piece.count > 0).peekable();
    std::iter::from_fn(move || {
        let first = pieces.next()?;
        let mut body = Vec::with_capacity(2 + version.len() + first.bytes.len());
        body.extend([FORMAT, version.len() as u8]);
        body.extend_from_slice(version.as_bytes());
        body.extend_from_slice(&first.bytes);
        let mut count = first.count;
        while let Some(piece) = pieces.next_if(|piece| body.len() + piece.bytes.len() <= CHUNK_BYTES) {
            body.extend_from_slice(&piece.bytes);
            count += piece.count;
        }
        Some(Chunk { body, count })
    })
}

/// Calls `each` with every record of a chunk, in order, and the version that recorded it.
pub fn read<'c>(body: &'c [u8], count: u32, mut each: impl FnMut(&'c str, Record<'c>)) -> Result<(), BadChunk> {
    let (format, rest) = body.split_first().ok_or(BadChunk::Format(0))?;
    if *format != FORMAT {
        return Err(BadChunk::Format(*format));
    }
    let (length, rest) = rest.split_first().ok_or(BadChunk::Record(0))?;
    let (version, mut rest) = rest.split_at_checked(usize::from(*length)).ok_or(BadChunk::Record(0))?;
    let version = std::str::from_utf8(version).map_err(|_| BadChunk::Record(0))?;
    let mut found = 0;
    while !rest.is_empty() {
        let (record, left) = postcard::take_from_bytes(rest).map_err(|_| BadChunk::Record(found))?;
        each(version, record);
        rest = left;
        found += 1;
    }
    if found == count { Ok(()) } else { Err(BadChunk::Count { expected: count, found }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Detail, Name, RecordId};

    fn record<'a>(id: i64, text: &'a str) -> Record<'a> {
        Record {
            id: if id % 2 == 0 { RecordId::Own(id) } else { RecordId::Given(text) },
            principal: 1,
            campaign: Name::Id(id),
            message: Name::None,
            recipient: Name::Key(text),
            link: Name::None,
            kind: 8,
            occurred_at: id,
            received_at: id,
            source: (id % 3 == 0).then_some([7; 16]),
            user_agent: text,
            request_id: "",
            hints: 5,
            detail: (id % 5 == 0).then_some(Detail { value_micros: Some(id), currency: "EUR", json: text }),
        }
    }

    proptest! {
        #[test]
        fn records_read_back_however_they_were_joined(texts in prop::collection::vec(".{0,40}", 0..40), cuts in prop::collection::vec(0usize..40, 0..5)) {
            let mut parts = vec![Packed::default()];
            for (index, text) in texts.iter().enumerate() {
                if cuts.contains(&index) {
                    parts.push(Packed::default());
                }
                parts.last_mut().unwrap().push(&record(index as i64, text));
            }
            let chunks: Vec<_> = join("0.1.0", parts.iter()).collect();
            let mut seen = Vec::new();
            for Chunk { body, count } in &chunks {
                read(body, *count, |version, record| { assert_eq!(version, "0.1.0"); seen.push(record); }).unwrap();
                prop_assert!(read(body, count + 1, |_, _| ()).is_err());
            }
            let expected: Vec<_> = texts.iter().enumerate().map(|(index, text)| record(index as i64, text)).collect();
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(chunks.len(), usize::from(!texts.is_empty()));
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body, 1, |_, _| ());
            let mut with_head = vec![FORMAT, 0];
            with_head.extend(body);
            let _ = read(&with_head, 1, |_, _| ());
        }
    }

    #[test]
    fn large_batches_become_several_chunks() {
        let text = "x".repeat(1500);
        let mut packed = Packed::default();
        (0..9_000).for_each(|id| packed.push(&record(id, &text)));
        let small = {
            let mut packed = Packed::default();
            packed.push(&record(9_000, "small"));
            packed
        };
        let chunks: Vec<_> = join("0.1.0", [&small, &packed, &small].into_iter()).collect();
        assert!(chunks.iter().all(|chunk| chunk.body.len() < CHUNK_BYTES + 10_000), "a chunk is too large");
        assert!(chunks.len() > packed.size_bytes() / (CHUNK_BYTES + 10_000), "{} chunks", chunks.len());
        let mut seen = Vec::new();
        for Chunk { body, count } in &chunks {
            read(body, *count, |_, record| seen.push(record.occurred_at)).unwrap();
        }
        let expected: Vec<i64> = [9_000].into_iter().chain(0..9_000).chain([9_000]).collect();
        assert_eq!(seen, expected);
    }
}
