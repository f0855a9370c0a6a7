//! The phases in which production changes.

use super::make::Maker;
use super::{Action, LiveVersion, Phase, Undo};
use crate::model::manifest::Hold;
use crate::model::migration::{Inspection, Migration};
use crate::model::value::Percent;

/// Adds deploy, validation and what comes after.
pub(super) fn add(maker: &mut Maker<'_>, target: Option<&LiveVersion>, migrations: &Inspection) {
    deploy(maker, target, migrations);
    validate(maker, target);
    afterwards(maker, target, migrations);
}

fn deploy(maker: &mut Maker<'_>, target: Option<&LiveVersion>, migrations: &Inspection) {
    let (manifest, version) = (maker.inputs.manifest, maker.inputs.version);
    maker.begin(Phase::ProductionDeploy);
    for migration in &migrations.before {
        let why = "the old version runs on it as well".to_owned();
        maker.add(migrate(migration), Undo::Stays { why });
    }
    if !migrations.before.is_empty() {
        maker.look(Action::VerifyMigrations);
    }
    if manifest.keeps_own_store() {
        let why = "the old version runs on it as well".to_owned();
        maker.add(Action::MigrateOwn { version: version.clone() }, Undo::Stays { why });
    }
    let canary = &manifest.canary;
    let alone =
        [Hold { weight: Percent::ALL, hold: canary.steps.last().map_or_else(Default::default, |step| step.hold) }];
    // Without an old version there is nobody to compare with, and nobody to send the other requests to.
    let steps: &[Hold] = if target.is_some() { &canary.steps } else { &alone };
    let deciding = canary.metrics.iter().filter(|metric| !metric.shadow).count();
    let mut have = 0;
    for step in steps {
        let needed = step.weight.of_instances(manifest.service.instances.get()).max(1);
        if needed > have {
            // Capacity comes before weight.
            let scale = Action::Scale { version: version.clone(), instances: needed };
            maker.add(scale, Undo::StopInstances { version: version.clone() });
            have = needed;
        }
        let undo = match target {
            Some(target) => Undo::RouteAll { to: target.version.clone() },
            None => Undo::Stays { why: "no other version could answer".into() },
        };
        maker.add(Action::SetWeight { version: version.clone(), weight: step.weight }, undo);
        maker.look(Action::Judge {
            weight: step.weight,
            hold: step.hold,
            min_requests: canary.min_requests.get(),
            insufficient: Some(canary.insufficient),
            metrics: deciding,
        });
    }
}

fn validate(maker: &mut Maker<'_>, target: Option<&LiveVersion>) {
    let manifest = maker.inputs.manifest;
    maker.begin(Phase::ProductionValidation);
    let probes = manifest.staging.as_ref().map_or(0, |staging| staging.probes.len());
    if probes > 0 {
        maker.look(Action::ProbeProduction { probes });
    }
    if target.is_some() && !manifest.canary.bake.0.is_zero() {
        maker.look(Action::Bake { lasting: manifest.canary.bake });
    }
}

fn afterwards(maker: &mut Maker<'_>, target: Option<&LiveVersion>, migrations: &Inspection) {
    let manifest = maker.inputs.manifest;
    maker.begin(Phase::PostDeployment);
    if let Some(target) = target {
        let version = &target.version;
        maker.look(Action::Drain { version: version.clone(), at_most: manifest.service.drain });
        let undo = Undo::StartAgain { version: version.clone(), instances: target.instances.max(1) };
        maker.add(Action::Stop { version: version.clone() }, undo);
    }
    for migration in &migrations.contracts {
        let why = format!("{migration} takes away what the old version needs");
        maker.add(migrate(migration), Undo::Impossible { why });
    }
    if !migrations.contracts.is_empty() {
        maker.look(Action::VerifyMigrations);
    }
    maker.look(Action::CleanUp);
    maker.look(Action::Record);
}

fn migrate(migration: &Migration) -> Action {
    Action::Migrate {
        number: migration.number,
        migration: migration.to_string(),
        kind: migration.kind,
        checksum: migration.checksum,
    }
}
