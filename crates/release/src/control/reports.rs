//! Documents of releases, made from what is written down alone: the same release always makes the same document.

use serde::Deserialize;
use signalbox_core::time::Micros;

use super::controller::Controller;
use super::refusal::Refused;
use super::shelf::Kept;
use crate::executor::{Found, Kind as ReleaseKind, signed, ticked};
use crate::model::document::{Document, Kind, Measured, Sources, document};
use crate::model::exit::Exit;
use crate::model::machine::{Direction, Event, Journal, Record};
use crate::model::manifest::Manifest;
use crate::model::plan::{Action, Lint, StepId, lint};
use crate::model::readiness::{self, Decision, Fact, Inputs, Report, SourceOfFact};

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Markdown,
    Html,
    /// Before it is either.
    Json,
}

impl Controller {
    /// A document of a release: of one id, or of the newest release of a version.
    pub fn report(&self, which: &str, kind: Kind) -> Result<Document, Refused> {
        let kept = self.one(which)?;
        let refuse = |said: String| Refused::new(Exit::Refused, format!("{}: {said}", kept.id));
        if kept.request.kind == ReleaseKind::Rollback {
            let said = "a way back is judged by nobody, so there is nothing to report; its journal has every step";
            return Err(refuse(said.into()));
        }
        let manifest = kept.manifest().map_err(Refused::error)?;
        let (journal, plan) = (&kept.journal, kept.journal.plan());
        let lints = lint(plan, &manifest, journal.records()[0].at);
        let Some((readiness, decision)) = judged(&kept, &manifest, &lints, decided_at(&kept))? else {
            return Err(refuse("its readiness has not been judged, and every document rests on that".into()));
        };
        let measured = measured(journal);
        let sources = Sources {
            manifest: &manifest,
            plan,
            lints: &lints,
            readiness: &readiness,
            decision: &decision,
            journal: Some(journal),
            measured: &measured,
        };
        document(kind, &sources).ok_or_else(|| refuse("there is nothing to tell yet".into()))
    }
}

/// The readiness of a release and what follows from it; none while that was not looked at.
pub(crate) fn judged(
    kept: &Kept,
    manifest: &Manifest,
    lints: &[Lint],
    now: Micros,
) -> Result<Option<(Report, Decision)>, Refused> {
    let Some(found) = Found::of(&kept.folder).map_err(Refused::error)? else { return Ok(None) };
    let (journal, plan) = (&kept.journal, kept.journal.plan());
    let readiness = found.report(plan, manifest);
    let done = ticked(kept.service_folder(), &kept.request.version).map_err(Refused::error)?;
    let decision = readiness::decide(Inputs {
        manifest,
        plan,
        lints,
        readiness: &readiness,
        sign_offs: &signed(journal),
        done: &done,
        start: now,
        now,
    });
    Ok(Some((readiness, decision)))
}

/// When it was decided whether production may change; before that, the last thing that is written.
pub(crate) fn decided_at(kept: &Kept) -> Micros {
    let records = kept.journal.records();
    let gate =
        |id: StepId| kept.journal.plan().step(id).is_some_and(|step| matches!(step.action, Action::AwaitGo { .. }));
    let passed = records.iter().find(|record| matches!(&record.event, Event::Effect { step, .. } if gate(*step)));
    passed.or(records.last()).map_or(kept.request.at, |record| record.at)
}

/// What the steps that look at figures said, as the journal has it.
fn measured(journal: &Journal) -> Vec<Measured> {
    let figure = |record: &Record| {
        let (step, passes, said) = match &record.event {
            Event::Effect { step, direction: Direction::Do, said } => (*step, true, said),
            Event::Failed { step, direction: Direction::Do, said } => (*step, false, said),
            _ => return None,
        };
        let action = &journal.plan().step(step)?.action;
        let looks = matches!(
            action,
            Action::CheckReadiness { .. }
                | Action::VerifyBackup
                | Action::RunSuite { .. }
                | Action::ProbeStaging { .. }
                | Action::LoadStaging { .. }
                | Action::TakeBaseline { .. }
                | Action::ProbeProduction { .. }
                | Action::Judge { .. }
                | Action::Record
        );
        let source = SourceOfFact {
            command: format!("signalbox release journal {}", journal.plan().to),
            reference: format!("journal {}", record.seq),
            at: record.at,
        };
        looks.then(|| Measured { what: action.to_string(), figure: Fact { value: (passes, said.clone()), source } })
    };
    journal.records().iter().filter_map(figure).collect()
}
