use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting::{Period, did_you_mean};
use signalbox_core::setting_file::{Field, Reader};

use super::Said;
use super::health::positive;
use crate::model::readiness::{CHECKS, Component};
use crate::model::value::{Command, Count};

/// Checks about which the end of a command says everything.
pub const LOOKED_AT: [&str; 14] = [
    "configuration.settings",
    "git.clean",
    "git.checks",
    "build.tests",
    "dependencies.advisories",
    "dependencies.licences",
    "migrations.rehearsed",
    "security.findings",
    "security.secrets",
    "monitoring.alerts",
    "automation.smoke",
    "documentation.runbooks",
    "documentation.changelog",
    "team.announced",
];

/// From when on a version is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadinessRules {
    /// Below it, it is a no-go.
    pub threshold: Count<0, 100>,
    /// What each component weighs.
    pub weights: BTreeMap<Component, u64>,
    /// Checks that must pass beside those that always must.
    pub must: Vec<String>,
    pub backup_age: Period,
    pub drill_age: Period,
    pub baseline_age: Period,
    /// Whatever else was looked at counts for so long.
    pub evidence_age: Period,
    /// What looks at a check: it ends with 0 where the check passes.
    pub commands: BTreeMap<String, Command>,
}

impl Default for ReadinessRules {
    fn default() -> Self {
        let days = |days: u64| Period::from_secs(days * 86_400);
        Self {
            threshold: Count::of(95),
            weights: Component::ALL.into_iter().map(|component| (component, component.usual_weight())).collect(),
            must: Vec::new(),
            backup_age: days(1),
            drill_age: days(31),
            baseline_age: days(31),
            evidence_age: days(1),
            commands: BTreeMap::new(),
        }
    }
}

/// From when on a version is ready.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Readiness")]
pub(super) struct ReadinessWire {
    /// Below it, it is a no-go; default 95.
    threshold: Said<Count<0, 100>>,
    /// What each component weighs; 0 takes it out of the score.
    weights: BTreeMap<String, Field<Count<0, 1000>>>,
    /// Checks that must pass beside those that always must, for example "build.coverage".
    must: Vec<Field<String>>,
    /// How old the last verified backup may be; default 1d.
    backup_age: Said<Period>,
    /// How old the last restore drill may be; default 31d.
    drill_age: Said<Period>,
    /// How old the performance baseline may be; default 31d.
    baseline_age: Said<Period>,
    /// How long anything else that was looked at counts; default 1d.
    evidence_age: Said<Period>,
    /// Commands that look at a check right before the release and end with 0 where it passes: "build.tests" = ["make", "test"].
    commands: BTreeMap<String, Field<Command>>,
}

impl ReadinessWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>) -> ReadinessRules {
        let mut rules = ReadinessRules::default();
        if let Some(threshold) = reader.take(self.threshold) {
            rules.threshold = threshold;
        }
        for (word, weight) in self.weights {
            let at = weight.at;
            let Some(component) = Component::ALL.into_iter().find(|component| component.word() == word) else {
                let known: Vec<&str> = Component::ALL.iter().map(|component| component.word()).collect();
                let hint = did_you_mean(&word, known.iter().copied());
                reader.wrong(at, format!("{word:?} is not a component; there are {}{hint}", known.join(", ")));
                continue;
            };
            if let Some(weight) = reader.take(Some(weight)) {
                rules.weights.insert(component, weight.get());
            }
        }
        for (id, command) in self.commands {
            let at = command.at;
            if !LOOKED_AT.contains(&id.as_str()) {
                let hint = did_you_mean(&id, LOOKED_AT);
                let known = LOOKED_AT.join(", ");
                reader.wrong(at, format!("{id:?} is not a check that a command looks at; there are {known}{hint}"));
            }
            if let Some(command) = reader.take(Some(command)) {
                rules.commands.insert(id, command);
            }
        }
        for field in self.must {
            let at = field.at;
            let Some(id) = reader.take(Some(field)) else { continue };
            if !CHECKS.iter().any(|check| check.id == id) {
                let hint = did_you_mean(&id, CHECKS.iter().map(|check| check.id));
                reader.wrong(at, format!("{id:?} is not a check{hint}"));
            }
            rules.must.push(id);
        }
        let ages = [
            (self.backup_age, &mut rules.backup_age),
            (self.drill_age, &mut rules.drill_age),
            (self.baseline_age, &mut rules.baseline_age),
            (self.evidence_age, &mut rules.evidence_age),
        ];
        for (said, age) in ages {
            if let Some(said) = positive(reader, said) {
                *age = said;
            }
        }
        rules
    }
}
