//! The binary: one file per command, and the wiring of the features.

mod command;
mod installation;
mod keyfile;
mod logs;
mod output;
mod server;
mod settings;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = command::Cli::parse();
    match command::run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}
