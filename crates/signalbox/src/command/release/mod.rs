//! `signalbox release …`: what needs no controller, and what asks it.

mod calendar;
mod checklist;
mod deploy;
mod door;
mod init;
mod plan;
mod readiness;
mod report;
mod schema;
mod source;
mod status;
mod validate;
mod verbs;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;
pub use deploy::Deploy;
use serde_json::Value;
use signalbox_release::model::exit::Exit;
pub use status::Status;
pub use verbs::Rollback;

#[derive(Debug, Subcommand)]
pub enum Release {
    /// Write a documented manifest to begin with.
    Init(init::Init),
    /// Say everything that is wrong with a manifest.
    Validate(validate::Validate),
    /// Show how a version would go to production, and what the linter says of that.
    Plan(plan::PlanArgs),
    /// Look at every check of a version now: what was seen, where that stands, and what is missing.
    Readiness(readiness::ReadinessArgs),
    /// Print when releases may begin, as iCalendar.
    Calendar(calendar::CalendarArgs),
    /// Print the JSON schema of the manifest, for editors.
    Schema,
    /// Take a version to production.
    Deploy(Deploy),
    /// How the release stands, or the service.
    Status(Status),
    /// Go on without waiting for the verdict; somebody else answers for it.
    Promote(verbs::Promote),
    /// Stay at the present weight until somebody resumes. Triggers stay on.
    Pause(verbs::Simple),
    /// Go on after a pause.
    Resume(verbs::Simple),
    /// Take the release that runs back.
    Abort(verbs::Simple),
    /// The same release again, after it was rolled back.
    Retry(verbs::Retry),
    /// Back to the version before: of the release that runs, or after it.
    Rollback(Rollback),
    /// Sign the plan of the release that runs, for a role.
    Approve(verbs::Approve),
    /// What is to be done around the release of a version, and what was.
    Checklist(checklist::ChecklistArgs),
    /// The releases so far.
    History(verbs::Asking),
    /// The journal of a release, a line of JSON per record.
    Journal(verbs::JournalArgs),
    /// Write readiness, plan, authorization or summary of a release as a document, from what is recorded.
    Report(report::ReportArgs),
    /// Let no release begin. The way back stays open.
    Lock(verbs::Lock),
    /// What the instances wrote.
    Logs(verbs::Logs),
}

impl Release {
    /// Ends with one of the documented numbers.
    pub fn run(self) -> ExitCode {
        let done = match self {
            Release::Init(init) => init.run(),
            Release::Validate(validate) => validate.run(),
            Release::Plan(plan) => plan.run(),
            Release::Readiness(readiness) => readiness.run(),
            Release::Calendar(calendar) => calendar.run(),
            Release::Schema => schema::run(),
            Release::Deploy(deploy) => deploy.run(),
            Release::Status(status) => status.run(),
            Release::Promote(promote) => promote.run(),
            Release::Pause(pause) => pause.ask("pause", Value::Null),
            Release::Resume(resume) => resume.ask("resume", Value::Null),
            Release::Abort(abort) => abort.ask("rollback", Value::Null),
            Release::Retry(retry) => retry.run(),
            Release::Rollback(rollback) => rollback.run(),
            Release::Approve(approve) => approve.run(),
            Release::Checklist(checklist) => checklist.run(),
            Release::History(asking) => asking.history(),
            Release::Journal(journal) => journal.run(),
            Release::Report(report) => report.run(),
            Release::Lock(lock) => lock.run(),
            Release::Logs(logs) => logs.run(),
        };
        ended(done)
    }
}

/// Ends with one of the documented numbers.
pub fn ended(done: anyhow::Result<Exit>) -> ExitCode {
    let exit = done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        Exit::Error
    });
    ExitCode::from(exit.number())
}
