use std::fmt;

use signalbox_core::time::Micros;

use super::record::{Event, FORMAT, Record};
use crate::model::plan::Plan;

/// The records of one release, in order. The first says what is released; behind the end nothing follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    records: Vec<Record>,
}

/// What is wrong with a journal, or with what is to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalFault {
    Empty,
    /// A line that is not the last cannot be read.
    Unreadable {
        line: usize,
        said: String,
    },
    UnknownFormat {
        line: usize,
        format: u32,
    },
    Gap {
        line: usize,
        seq: u64,
    },
    /// Another controller leads by now.
    OldEpoch {
        epoch: u64,
        newest: u64,
    },
    NotBegun,
    BegunTwice {
        line: usize,
    },
    AfterTheEnd {
        line: usize,
    },
    PlanDiffers,
}

impl fmt::Display for JournalFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(out, "the journal holds no record"),
            Self::Unreadable { line, said } => write!(out, "line {line} cannot be read: {said}"),
            Self::UnknownFormat { line, format } => {
                write!(out, "line {line} has format {format}, this program knows {FORMAT}; a newer one wrote it")
            }
            Self::Gap { line, seq } => write!(out, "line {line} has number {seq}: a record is missing"),
            Self::OldEpoch { epoch, newest } => write!(out, "epoch {epoch} is over: {newest} leads"),
            Self::NotBegun => write!(out, "the first record does not begin a release"),
            Self::BegunTwice { line } => write!(out, "line {line} begins a release in the middle of another"),
            Self::AfterTheEnd { line } => write!(out, "line {line} stands behind the end of the release"),
            Self::PlanDiffers => write!(out, "the plan in the journal is not the one that its hash names"),
        }
    }
}

impl std::error::Error for JournalFault {}

impl Journal {
    /// A journal whose first record begins a release.
    pub fn begin(plan: Plan, by: &str, at: Micros, epoch: u64) -> Result<Self, JournalFault> {
        if plan.hash != plan.compute_hash() {
            return Err(JournalFault::PlanDiffers);
        }
        let event = Event::Begun { plan: Box::new(plan), by: by.to_owned() };
        Ok(Self { records: vec![Record { v: FORMAT, seq: 1, at, epoch, event }] })
    }

    /// Reads lines of JSON. A last line that was torn by a crash is left out: what it spoke of had not gone on yet.
    pub fn read(text: &str) -> Result<Self, JournalFault> {
        let mut journal = Self { records: Vec::new() };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        for (number, line) in whole.lines().enumerate() {
            let line_number = number + 1;
            let record: Record = serde_json::from_str(line)
                .map_err(|error| JournalFault::Unreadable { line: line_number, said: error.to_string() })?;
            if record.v != FORMAT {
                return Err(JournalFault::UnknownFormat { line: line_number, format: record.v });
            }
            journal.push(record)?;
        }
        if journal.records.is_empty() { Err(JournalFault::Empty) } else { Ok(journal) }
    }

    /// Adds what happened and returns its record, whose line is to be written and synced.
    pub fn append(&mut self, at: Micros, epoch: u64, event: Event) -> Result<&Record, JournalFault> {
        let seq = self.records.len() as u64 + 1;
        self.push(Record { v: FORMAT, seq, at, epoch, event })?;
        self.records.last().ok_or(JournalFault::Empty)
    }

    /// In order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What is released.
    pub fn plan(&self) -> &Plan {
        match &self.records[0].event {
            Event::Begun { plan, .. } => plan,
            _ => unreachable!("push refuses a first record that begins no release"),
        }
    }

    /// The highest epoch so far.
    pub fn epoch(&self) -> u64 {
        self.records.last().map_or(0, |record| record.epoch)
    }

    /// The journal as it was after its first `count` records.
    pub fn prefix(&self, count: usize) -> Option<Self> {
        (1..=self.records.len()).contains(&count).then(|| Self { records: self.records[..count].to_vec() })
    }

    fn push(&mut self, record: Record) -> Result<(), JournalFault> {
        let line = self.records.len() + 1;
        if record.seq != line as u64 {
            return Err(JournalFault::Gap { line, seq: record.seq });
        }
        if record.epoch < self.epoch() {
            return Err(JournalFault::OldEpoch { epoch: record.epoch, newest: self.epoch() });
        }
        match (&record.event, self.records.last().map(|last| &last.event)) {
            (Event::Begun { plan, .. }, None) if plan.hash != plan.compute_hash() => {
                return Err(JournalFault::PlanDiffers);
            }
            (Event::Begun { .. }, None) => (),
            (_, None) => return Err(JournalFault::NotBegun),
            (Event::Begun { .. }, Some(_)) => return Err(JournalFault::BegunTwice { line }),
            (_, Some(Event::Ended { .. })) => return Err(JournalFault::AfterTheEnd { line }),
            _ => (),
        }
        self.records.push(record);
        Ok(())
    }
}

impl Record {
    /// Its line, newline included.
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("types of the model always have a JSON");
        line.push('\n');
        line
    }
}
