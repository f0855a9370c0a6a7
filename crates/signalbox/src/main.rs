//! The binary: one file per command, and the wiring of the features.

mod audit;
mod command;
mod control;
mod demo;
mod fault;
mod health;
mod installation;
mod jobs;
mod keyfile;
mod output;
mod progress;
mod routes;
mod secure;
mod server;
mod settings;
mod shown;
mod snapshot;
mod web;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = command::Cli::parse_from(command::options_behind(std::env::args_os().collect()));
    match command::run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}
