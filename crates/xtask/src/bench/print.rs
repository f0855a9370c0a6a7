//! The figures as tables for people.

use super::figures::{Comparison, EngineFigures, Figures, Side};
use super::verdict::{self, Verdict};

pub(crate) fn figures(figures: &Figures) {
    let machine = &figures.machine;
    println!("\n{}, {} cores, Linux {}", machine.processor, machine.cores, machine.kernel);
    println!(
        "rounds of {} s, {} tokens, {} user agents; the load generator runs on the same machine",
        figures.seconds_per_round, figures.tokens, figures.user_agents
    );
    for engine in &figures.engines {
        engine_figures(engine);
    }
}

pub(crate) fn verdicts(verdicts: &[Verdict]) {
    print!("\n{}", verdict::lines(verdicts));
}

fn engine_figures(figures: &EngineFigures) {
    println!("\n{:?}", figures.engine);
    println!(
        "{:<24}{:>10}{:>12}{:>10}{:>10}{:>10}{:>12}{:>8}",
        "medians", "ratio", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "unrecorded", "errors"
    );
    for flood in &figures.floods {
        comparison(&format!("{} connections", flood.connections), flood);
    }
    comparison(
        &format!("limits on, {} from {}", figures.limits_on.connections, figures.limits_on.sources),
        &figures.limits_on,
    );
    let constant = &figures.constant_rate;
    let side = Side::of_report(&constant.report);
    row(&format!("constant {:.0}/s", constant.requests_per_second), None, side, Some(constant.report.unrecorded));
    row("  nginx", None, Side::of_report(&constant.nginx), None);
    match figures.catch_up_events_per_second {
        Some(rate) => println!("catch-up after a flood: {rate:.0} events/s"),
        None => println!("catch-up after a flood: the projector had kept up"),
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "memory MB: idle {:.0}, after {:.0}, highest {:.0}; nginx {:.0}",
        megabytes(figures.memory_idle.now_bytes),
        megabytes(figures.memory_after.now_bytes),
        megabytes(figures.memory_after.peak_bytes),
        megabytes(figures.nginx_memory_after.now_bytes)
    );
    println!(
        "acknowledged {}, recorded {}, stored {}, lost {}",
        figures.acknowledged, figures.recorded, figures.stored, figures.lost
    );
}

fn comparison(name: &str, comparison: &Comparison) {
    row(name, Some(comparison.ratio), comparison.signalbox, Some(comparison.unrecorded));
    row("  nginx", None, comparison.nginx, None);
}

fn row(name: &str, ratio: Option<f64>, side: Side, unrecorded: Option<u64>) {
    let ms = |us: f64| format!("{:.2}", us / 1_000.0);
    println!(
        "{name:<24}{:>10}{:>12.0}{:>10}{:>10}{:>10}{:>12}{:>8}",
        ratio.map_or(String::new(), |ratio| format!("{ratio:.3}")),
        side.requests_per_second,
        ms(side.p50_us),
        ms(side.p99_us),
        ms(side.p99_9_us),
        unrecorded.map_or(String::new(), |count| count.to_string()),
        side.errors
    );
}
