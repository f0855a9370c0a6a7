//! `GET /about`: version, build, and the licences of what is compiled in.

use askama::Template;
use axum::extract::{Extension, State};
use axum::response::Response;
use signalbox_events::judge::RULE_VERSION;
use signalbox_http::caller::Caller;
use signalbox_http::page::Frame;
use signalbox_http::reply::Reply;

use super::{Process, render};

/// Name, version and licence of every crate in the binary, a line each. `cargo xtask check --fix` writes it from
/// `cargo metadata`, and `cargo xtask check` sees that it is true.
const DEPENDENCIES: &str = include_str!("../../dependencies.tsv");

#[derive(Debug, Template)]
#[template(path = "about.html")]
struct AboutPage {
    frame: Frame,
    engine: &'static str,
    target: String,
    build: &'static str,
    rule_version: i64,
    dependencies: Vec<[&'static str; 3]>,
}

pub(super) async fn page(State(process): State<Process>, Extension(caller): Extension<Caller>) -> Reply<Response> {
    let dependencies = DEPENDENCIES.lines().filter_map(|line| {
        let mut parts = line.split('\t');
        Some([parts.next()?, parts.next()?, parts.next()?])
    });
    render(&AboutPage {
        frame: Frame::new("About", "", Some(&caller)),
        engine: process.engine,
        target: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
        rule_version: RULE_VERSION,
        dependencies: dependencies.collect(),
    })
}
