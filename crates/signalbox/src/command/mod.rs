//! The commands. What each does is in its file; what it takes is declared here, once, for help and parsing.

mod api_token;
mod audit;
mod control;
mod demo;
mod doctor;
mod edge;
mod engage;
mod events;
mod key;
mod link;
mod migrate;
mod principal;
mod rebuild;
mod release;
mod role;
mod serve;
mod session;
mod shim;
mod snapshot;
mod user;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use signalbox_store::Faults;

use crate::installation::{Installation, Schema};
use crate::output::Output;
use crate::settings::{self, Overrides, Settings};

/// Tracks what happens to mail: opens, clicks and events, judged, counted and reported.
#[derive(Debug, Parser)]
#[command(name = "signalbox", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The data directory (default: ./signalbox-data).
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The settings file (default: ./signalbox.toml or DIR/signalbox.toml where they exist).
    #[arg(long, global = true, value_name = "FILE", env = "SIGNALBOX_CONFIG")]
    config: Option<PathBuf>,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: a campaign, its mail clients, a receipt, and pages to look at. Leaves nothing behind.
    Demo(demo::Demo),
    /// Serve everything: pixels, clicks, API, pages.
    Serve(serve::Serve),
    /// One of several instances behind the edge: pixels, clicks, API, pages.
    Engage(engage::Engage),
    /// The weighted reverse proxy in front of the versions of a service.
    Edge(edge::Edge),
    /// The controller of releases: it moves traffic, judges, goes back.
    Control(control::Control),
    /// Bring the database schema up to date.
    Migrate(migrate::Migrate),
    /// The keys that sign links.
    #[command(subcommand)]
    Key(key::Key),
    /// Make tracking links.
    #[command(subcommand)]
    Link(link::Link),
    /// The stored events.
    #[command(subcommand)]
    Events(events::Events),
    /// Compute every figure again from the events and say whether it differs.
    Rebuild(rebuild::Rebuild),
    /// How opens and clicks are judged.
    #[command(subcommand)]
    Verdict(rebuild::Verdict),
    /// Check settings, disk, clock, database and keys.
    Doctor(doctor::Doctor),
    /// The whole store in one file, and back.
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    /// The brands or clients whose rows are kept apart.
    #[command(subcommand)]
    Principal(principal::Principal),
    /// What was changed, by whom, and whether the record of it holds.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Who may sign in.
    #[command(subcommand)]
    User(user::User),
    /// What users may be.
    #[command(subcommand)]
    Role(role::Role),
    /// Who is signed in.
    #[command(subcommand)]
    Session(session::Session),
    /// How a version of a service goes to production.
    #[command(subcommand)]
    Release(release::Release),
    /// Take a version to production, as `release deploy`.
    Deploy(release::Deploy),
    /// How the release stands, or the service, as `release status`.
    Status(release::Status),
    /// Back to the version before, as `release rollback`.
    Rollback(release::Rollback),
    /// Tokens for the API.
    #[command(subcommand)]
    ApiToken(api_token::ApiToken),
    /// Stands over one instance of a service.
    #[command(subcommand, hide = true)]
    Shim(shim::Shim),
}

impl Common {
    fn settings(&self, listen: Option<SocketAddr>, limits_off: bool) -> anyhow::Result<Settings> {
        let overrides =
            Overrides { config: self.config.clone(), data: self.data.clone(), listen, limits_off, no_file: false };
        Ok(Settings::load(&overrides, &settings::environment())?)
    }

    /// Opens the installation for a command that works beside a running server or without one.
    fn open(&self) -> anyhow::Result<Installation> {
        Installation::open(self.settings(None, false)?, Schema::Require, Faults::default(), false)
    }

    /// As [`Common::open`], for a command that makes what the first start of a server may need: sets up what is not there.
    fn set_up(&self) -> anyhow::Result<Installation> {
        Installation::open(self.settings(None, false)?, Schema::MakeOrRequire, Faults::default(), false)
    }
}

/// Puts the options that every command takes behind all words of the command, wherever they stand.
pub fn options_behind(words: Vec<OsString>) -> Vec<OsString> {
    const EVERYWHERE: [&str; 3] = ["--data", "--config", "--output"];
    let (mut command, mut options) = (Vec::with_capacity(words.len()), Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            options.push(word);
            break;
        }
        let text = word.to_str().unwrap_or_default();
        if EVERYWHERE.contains(&text) {
            options.push(word);
            options.extend(words.next());
        } else if EVERYWHERE.iter().any(|name| text.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))) {
            options.push(word);
        } else {
            command.push(word);
        }
    }
    command.into_iter().chain(options).chain(words).collect()
}

/// Runs what the command line says.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Engage(command) => command.run(),
        Command::Edge(command) => command.run(),
        Command::Control(command) => return command.run(),
        Command::Migrate(command) => command.run(),
        Command::Key(command) => command.run(),
        Command::Link(command) => command.run(),
        Command::Events(command) => command.run(),
        Command::Rebuild(command) => command.run(),
        Command::Verdict(command) => command.run(),
        Command::Doctor(command) => return Ok(if command.run()? { ExitCode::SUCCESS } else { ExitCode::from(1) }),
        Command::Audit(command) => return Ok(command.run()),
        Command::Release(command) => return Ok(command.run()),
        Command::Deploy(command) => return Ok(release::ended(command.run())),
        Command::Status(command) => return Ok(release::ended(command.run())),
        Command::Rollback(command) => return Ok(release::ended(command.run())),
        Command::Principal(command) => command.run(),
        Command::User(command) => command.run(),
        Command::Role(command) => command.run(),
        Command::Session(command) => command.run(),
        Command::ApiToken(command) => command.run(),
        Command::Shim(command) => command.run(),
        Command::Snapshot(command) => command.run(),
    }?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_before_the_command_are_read_as_if_they_stood_behind_it() {
        let behind = |line: &str| {
            let words = options_behind(line.split(' ').map(OsString::from).collect());
            words.join(" ".as_ref()).into_string().unwrap()
        };
        for (line, read) in [
            ("x --data d events count", "x events count --data d"),
            (
                "x --data=d --output json --config c serve --listen a",
                "x serve --listen a --data=d --output json --config c",
            ),
            ("x --data d edge -- y", "x edge --data d -- y"),
            ("x events count --data d", "x events count --data d"),
            ("x events --data d count", "x events count --data d"),
            ("x link mint --database d --output", "x link mint --database d --output"),
            ("x --help", "x --help"),
            ("x --data", "x --data"),
            ("x --data d", "x --data d"),
        ] {
            assert_eq!(behind(line), read, "{line}");
        }
    }
}
