//! What the figures are held against: said in the report, never asserted, except that nothing may be lost.

use super::figures::{Engine, EngineFigures, Figures};

pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) target: &'static str,
    pub(crate) measured: String,
    pub(crate) meets: bool,
}

pub(crate) fn verdicts(figures: &Figures) -> Vec<Verdict> {
    figures.engines.iter().flat_map(of_engine).collect()
}

/// How the verdicts are told, a line each.
pub(crate) fn lines(verdicts: &[Verdict]) -> String {
    let line = |verdict: &Verdict| {
        let word = if verdict.meets { "meets " } else { "MISSES" };
        format!("{word}  {:<52}{:>10}  ({})\n", verdict.what, verdict.measured, verdict.target)
    };
    verdicts.iter().map(line).collect()
}

fn of_engine(figures: &EngineFigures) -> Vec<Verdict> {
    let engine = figures.engine;
    let mut verdicts = Vec::new();
    let mut add = |what: &str, target, measured: String, meets| {
        verdicts.push(Verdict { what: format!("{engine:?}: {what}"), target, measured, meets });
    };
    let flood = figures.floods.iter().find(|flood| flood.connections == 256);
    match (engine, flood) {
        (Engine::Sqlite, Some(flood)) => {
            add("requests/s to nginx's, 256 connections", "≥ 1.0", format!("{:.3}", flood.ratio), flood.ratio >= 1.0);
        }
        (Engine::Postgres, Some(flood)) => {
            let rate = flood.signalbox.requests_per_second;
            add("recorded requests/s, 256 connections", "≥ 25,000", format!("{rate:.0}"), rate >= 25_000.0);
        }
        (_, None) => {}
    }
    let report = &figures.constant_rate.report;
    let p99_ms = report.latency_us.p99 as f64 / 1_000.0;
    add("p99 at 10,000 requests/s, ms", "< 10", format!("{p99_ms:.2}"), p99_ms < 10.0);
    let unrecorded = report.unrecorded;
    add("unrecorded at 10,000 requests/s", "0", unrecorded.to_string(), unrecorded == 0);
    let errors = report.errors.sum() + report.bad_statuses();
    add("errors at 10,000 requests/s", "0", errors.to_string(), errors == 0);
    match figures.catch_up_events_per_second {
        Some(rate) => add("catch-up, events/s", "≥ 100,000", format!("{rate:.0}"), rate >= 100_000.0),
        None => add("catch-up, events/s", "≥ 100,000", "it had kept up".into(), true),
    }
    if engine == Engine::Sqlite {
        let start_ms = figures.start_seconds * 1_000.0;
        add("start until healthy, ms", "< 300", format!("{start_ms:.0}"), start_ms < 300.0);
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let idle = megabytes(figures.memory_idle.now_bytes);
        add("memory idle, MB", "< 50", format!("{idle:.0}"), idle < 50.0);
        let after = megabytes(figures.memory_after.peak_bytes);
        add("memory under load, highest, MB", "< 200", format!("{after:.0}"), after < 200.0);
    }
    add("acknowledged events lost", "0", figures.lost.to_string(), figures.lost == 0);
    verdicts
}
