use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;

use super::{Kind, Migration, Problem, Set};
use crate::model::manifest::Order;
use crate::model::value::{Digest, Version};

/// A migration that ran, as the database has it written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub number: u32,
    pub kind: Kind,
    pub checksum: Digest,
    pub at: Micros,
    /// The version whose release ran it.
    pub version: Version,
}

/// What waits to run, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Inspection {
    /// Before the new version gets traffic, in order.
    pub before: Vec<Migration>,
    /// When the old version is gone, in order.
    pub contracts: Vec<Migration>,
    pub problems: Vec<Problem>,
}

/// Whether a contract may run at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    pub old_version_lives: bool,
    /// A rollback to the old version is still promised.
    pub rollback_window_open: bool,
}

/// Compares the files with what ran.
pub fn inspect(set: &Set, applied: &[Applied], order: Order) -> Inspection {
    let mut found = Inspection::default();
    let ran = |number: u32| applied.iter().find(|one| one.number == number);
    let highest = applied.iter().map(|one| one.number).max();
    for one in applied {
        let Some(migration) = set.get(one.number) else {
            found.problems.push(Problem::Missing { number: one.number });
            continue;
        };
        let name = migration.to_string();
        if one.checksum != migration.checksum {
            found.problems.push(Problem::Changed { migration: name });
        } else if one.kind != migration.kind {
            found.problems.push(Problem::Relabelled { migration: name, ran_as: one.kind.word().to_owned() });
        }
    }
    for migration in set.ordered().iter().filter(|migration| ran(migration.number).is_none()) {
        let later = match order {
            Order::Number => highest.filter(|highest| *highest > migration.number),
            Order::DependsOn => {
                let wants_it =
                    |one: &&Migration| one.depends_on.contains(&migration.number) && ran(one.number).is_some();
                set.ordered().iter().find(wants_it).map(|one| one.number)
            }
        };
        if let Some(ran) = later {
            found.problems.push(Problem::OutOfOrder { migration: migration.to_string(), ran });
        }
        if migration.kind == Kind::Contract {
            found.contracts.push(migration.clone());
            continue;
        }
        let behind = found.contracts.iter().find(|contract| match order {
            Order::Number => true,
            Order::DependsOn => migration.depends_on.contains(&contract.number),
        });
        if let Some(contract) = behind {
            let (migration, contract) = (migration.to_string(), contract.to_string());
            found.problems.push(Problem::BehindContract { migration, contract });
        }
        found.before.push(migration.clone());
    }
    found
}

impl Inspection {
    /// Why the contracts may not run now; nothing when they may.
    pub fn refusals(&self, now: Situation) -> Vec<Problem> {
        let why = |migration: &Migration| {
            let migration = migration.to_string();
            if now.old_version_lives {
                Some(Problem::ContractWhileOldLives { migration })
            } else if now.rollback_window_open {
                Some(Problem::ContractWhileWindowOpen { migration })
            } else {
                None
            }
        };
        self.contracts.iter().filter_map(why).collect()
    }
}
