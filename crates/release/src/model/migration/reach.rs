use serde::Serialize;
use signalbox_core::time::Micros;

use super::{Applied, Kind, Set};

/// How far back the code can go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reach", rename_all = "snake_case")]
pub enum Reach {
    /// To that version, whatever runs until then: nothing waits that would take away what it needs.
    Code,
    /// To that version, until this contract runs.
    UntilContract { contract: String },
    /// Not by code: this contract took away what that version needs. What is left is restoring the database.
    DatabaseOnly { contract: u32, at: Micros },
}

/// Whether the code can roll back to a version that was last live at `last_live`.
pub fn reach(set: &Set, applied: &[Applied], last_live: Micros) -> Reach {
    let contracts = applied.iter().filter(|one| one.kind == Kind::Contract && one.at >= last_live);
    if let Some(first) = contracts.min_by_key(|one| one.at) {
        return Reach::DatabaseOnly { contract: first.number, at: first.at };
    }
    let ran = |number: u32| applied.iter().any(|one| one.number == number);
    let waiting = set.ordered().iter().find(|one| one.kind == Kind::Contract && !ran(one.number));
    waiting.map_or(Reach::Code, |contract| Reach::UntilContract { contract: contract.to_string() })
}
