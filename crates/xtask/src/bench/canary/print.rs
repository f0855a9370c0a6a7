//! The figures as the tables of docs/canary.md.

use super::figures::{Figures, Found, ScenarioFigures};
use super::peers::Peer;

pub(crate) fn print(figures: &Figures) {
    println!("{} roll-outs of each scenario, seed {}, {:.0} s", figures.roll_outs, figures.seed, figures.seconds);
    println!("\nFalse alarms, of healthy roll-outs watched to their end\n");
    header(&["signalbox, strict", "signalbox, limits", "its breaker alone"], "", "usual constants", true);
    for scenario in figures.scenarios.iter().filter(|scenario| scenario.healthy) {
        let ours = [share(&scenario.strict), share(&scenario.limits), share(&scenario.breaker)];
        let peers = scenario.calibrated.iter().chain(&scenario.usual).map(share);
        row(scenario.name, ours.into_iter().chain(peers));
    }
    println!("\nFalse alarms as bad as the limits allow, peers calibrated there\n");
    header(&["signalbox, limits"], "", "", false);
    for scenario in figures.scenarios.iter().filter(|scenario| scenario.at_limit) {
        row(
            scenario.name,
            std::iter::once(share(&scenario.limits)).chain(scenario.calibrated_at_limit.iter().map(share)),
        );
    }
    println!("\nRequests of a healthy canary until it passes within its limits\n");
    for scenario in figures.scenarios.iter().filter(|scenario| scenario.healthy) {
        if let Some(passed) = &scenario.passed {
            println!("- {}: {}", scenario.name, detail(passed));
        }
    }
    let faulty = || figures.scenarios.iter().filter(|scenario| !scenario.healthy && !scenario.at_limit);
    table("Requests of the canary until it is failed, peers calibrated to as few false alarms", faulty(), |scenario| {
        (&scenario.strict, &scenario.same_rate)
    });
    table("… peers calibrated to 5 % false alarms when healthy", faulty(), |scenario| {
        (&scenario.strict, &scenario.calibrated)
    });
    table("… peers calibrated to 5 % false alarms in every healthy scenario", faulty(), |scenario| {
        (&scenario.strict, &scenario.calibrated_on_all)
    });
    table("… with limits, peers calibrated to 5 % false alarms at the limits", faulty(), |scenario| {
        (&scenario.limits, &scenario.calibrated_at_limit)
    });
    table("… with limits, peers with their usual constants", faulty(), |scenario| {
        (&scenario.limits, &scenario.usual)
    });
    println!("\nBounds\n");
    for rule in &figures.rules {
        println!("- {}, {}: {:?}", rule.peer, rule.how, rule.bounds);
    }
}

fn table<'f>(
    title: &str,
    scenarios: impl Iterator<Item = &'f ScenarioFigures>,
    of: impl Fn(&'f ScenarioFigures) -> (&'f Found, &'f Vec<Found>),
) {
    println!("\n{title}\n");
    header(&["signalbox"], "", "", false);
    for scenario in scenarios {
        let (ours, peers) = of(scenario);
        row(scenario.name, std::iter::once(detail(ours)).chain(peers.iter().map(detail)));
    }
}

fn header(ours: &[&str], first: &str, second: &str, twice: bool) {
    let peer =
        |peer: Peer, how: &str| if how.is_empty() { peer.name().to_owned() } else { format!("{}, {how}", peer.name()) };
    let mut columns: Vec<String> = ours.iter().map(|&column| column.to_owned()).collect();
    columns.extend(Peer::ALL.map(|which| peer(which, first)));
    if twice {
        columns.extend(Peer::ALL.map(|which| peer(which, second)));
    }
    println!("| | {} |", columns.join(" | "));
    println!("|---|{}", "---|".repeat(columns.len()));
}

fn row(name: &str, cells: impl Iterator<Item = String>) {
    println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn share(found: &Found) -> String {
    format!("{:.2} %", found.share * 100.0)
}

/// Median and 90th percentile of requests, median seconds, and the share found if it is not all.
fn detail(found: &Found) -> String {
    let number = |value: Option<u32>| value.map_or_else(|| "never".to_owned(), |value| value.to_string());
    let share = if found.share >= 0.9995 { String::new() } else { format!(", {:.1} %", found.share * 100.0) };
    match found.median_requests {
        None => format!("{:.1} %", found.share * 100.0),
        Some(_) => format!(
            "{} ({}; {} s{share})",
            number(found.median_requests),
            number(found.p90_requests),
            number(found.median_seconds)
        ),
    }
}
