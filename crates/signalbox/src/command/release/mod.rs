//! `signalbox release init|validate|plan|calendar|schema`

mod calendar;
mod init;
mod plan;
mod schema;
mod source;
mod validate;

use std::process::ExitCode;

use clap::Subcommand;
use signalbox_release::model::exit::Exit;

#[derive(Debug, Subcommand)]
pub enum Release {
    /// Write a documented manifest to begin with.
    Init(init::Init),
    /// Say everything that is wrong with a manifest.
    Validate(validate::Validate),
    /// Show how a version would go to production, and what the linter says of that.
    Plan(plan::PlanArgs),
    /// Print when releases may begin, as iCalendar.
    Calendar(calendar::CalendarArgs),
    /// Print the JSON schema of the manifest, for editors.
    Schema,
}

impl Release {
    /// Ends with one of the documented numbers.
    pub fn run(self) -> ExitCode {
        let done = match self {
            Release::Init(init) => init.run(),
            Release::Validate(validate) => validate.run(),
            Release::Plan(plan) => plan.run(),
            Release::Calendar(calendar) => calendar.run(),
            Release::Schema => schema::run(),
        };
        let exit = done.unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Exit::Error
        });
        ExitCode::from(exit.number())
    }
}
