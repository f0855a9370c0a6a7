use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Migration, Problem};
use crate::model::manifest::Order;

/// Every migration of a version, in the order in which they run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Set {
    ordered: Vec<Migration>,
}

impl Set {
    /// In the order in which they run.
    pub fn ordered(&self) -> &[Migration] {
        &self.ordered
    }

    /// The one with this number.
    pub fn get(&self, number: u32) -> Option<&Migration> {
        self.ordered.iter().find(|migration| migration.number == number)
    }
}

/// Reads the files of a folder, given by name and content, and puts them in order; or tells everything that is wrong.
/// Files that do not end in `.sql` are somebody else's.
pub fn read<'f>(files: impl IntoIterator<Item = (&'f str, &'f [u8])>, order: Order) -> Result<Set, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut by_number: BTreeMap<u32, Vec<Migration>> = BTreeMap::new();
    for (file, content) in files.into_iter().filter(|(file, _)| file.ends_with(".sql")) {
        match Migration::read(file, content) {
            Ok(migration) => by_number.entry(migration.number).or_default().push(migration),
            Err(problem) => problems.push(problem),
        }
    }
    for (number, same) in by_number.iter().filter(|(_, same)| same.len() > 1) {
        let mut files: Vec<String> = same.iter().map(ToString::to_string).collect();
        files.sort();
        problems.push(Problem::SameNumber { number: *number, files });
    }
    let one_each: BTreeMap<u32, &Migration> = by_number.iter().map(|(number, same)| (*number, &same[0])).collect();
    for migration in one_each.values() {
        for wants in &migration.depends_on {
            let (name, wants) = (migration.to_string(), *wants);
            if !one_each.contains_key(&wants) {
                problems.push(Problem::UnknownDependency { migration: name, wants });
            } else if order == Order::Number && wants >= migration.number {
                problems.push(Problem::DependsOnLater { migration: name, wants });
            }
        }
    }
    let ordered = match order {
        Order::Number => one_each.values().map(|migration| (*migration).clone()).collect(),
        Order::DependsOn => sort(&one_each, &mut problems),
    };
    if problems.is_empty() { Ok(Set { ordered }) } else { Err(problems) }
}

/// The lowest number that waits for nothing, again and again.
fn sort(migrations: &BTreeMap<u32, &Migration>, problems: &mut Vec<Problem>) -> Vec<Migration> {
    let mut waiting: BTreeSet<u32> = migrations.keys().copied().collect();
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let free = |number: &&u32| {
            let wants = &migrations[*number].depends_on;
            wants.iter().all(|want| !waiting.contains(want))
        };
        let Some(next) = waiting.iter().find(free).copied() else {
            let migrations = waiting.iter().map(|number| migrations[number].to_string()).collect();
            problems.push(Problem::Circle { migrations });
            break;
        };
        waiting.remove(&next);
        ordered.push(migrations[&next].clone());
    }
    ordered
}
