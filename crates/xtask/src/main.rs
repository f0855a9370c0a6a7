//! The habits of the house: `cargo xtask check`, `test`, `bench` and `load`. It never ships and no crate depends on it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod check;
mod commands;
mod environment;
mod guard;
mod load;
mod metadata;
mod process;
mod services;
mod setup;
mod stages;
mod workspace;

/// Check, test, measure and load Signalbox
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(commands::check::Check),
    Test(commands::test::Test),
    Bench(commands::bench::Bench),
    Load(commands::load::Load),
    Guard(commands::guard::Cleanup),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Check(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Load(command) => command.run(),
        Command::Guard(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
