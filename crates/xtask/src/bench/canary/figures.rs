//! The figures of a run.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::peers::{Peer, Rule};
use super::roll_out::{CHECK_SECONDS, Decided, RollOut};
use super::scenario::SCENARIOS;
use super::simulate::simulate;
use super::stream::Latencies;

pub(super) const ALLOWED: f64 = 0.05;

#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(super) roll_outs: usize,
    pub(super) seed: u64,
    pub(super) seconds: f64,
    pub(super) scenarios: Vec<ScenarioFigures>,
    pub(super) rules: Vec<RuleFigures>,
}

#[derive(Debug, Serialize)]
pub(super) struct ScenarioFigures {
    pub(super) name: &'static str,
    pub(super) healthy: bool,
    pub(super) strict: Found,
    pub(super) limits: Found,
    pub(super) breaker: Found,
    pub(super) passed: Option<Found>,
    pub(super) at_limit: bool,
    /// In the order of [`Peer::ALL`].
    pub(super) usual: Vec<Found>,
    pub(super) calibrated: Vec<Found>,
    pub(super) same_rate: Vec<Found>,
    pub(super) calibrated_on_all: Vec<Found>,
    pub(super) calibrated_at_limit: Vec<Found>,
}

#[derive(Debug, Serialize)]
pub(super) struct RuleFigures {
    pub(super) peer: &'static str,
    pub(super) how: &'static str,
    /// Statistic, or share of errors, microseconds, minus the share of orders. None: no bound.
    pub(super) bounds: [Option<f32>; 3],
}

/// How often something was decided, and after how many requests of the canary and seconds, at the median and the 90th
/// percentile of all roll-outs. None: it was not decided in so many of them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Found {
    pub(super) share: f64,
    pub(super) median_requests: Option<u32>,
    pub(super) p90_requests: Option<u32>,
    pub(super) median_seconds: Option<u32>,
    pub(super) p90_seconds: Option<u32>,
}

impl Found {
    fn of(decided: impl Iterator<Item = Option<Decided>>) -> Self {
        let all: Vec<Option<Decided>> = decided.collect();
        let found = all.iter().flatten().count();
        let quantile = |share: f64, of: fn(&Decided) -> u32| {
            let mut values: Vec<u32> = all.iter().map(|decided| decided.as_ref().map_or(u32::MAX, of)).collect();
            let place = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1;
            let (_, value, _) = values.select_nth_unstable(place);
            (*value != u32::MAX).then_some(*value)
        };
        Self {
            share: found as f64 / all.len() as f64,
            median_requests: quantile(0.5, |decided| decided.requests),
            p90_requests: quantile(0.9, |decided| decided.requests),
            median_seconds: quantile(0.5, |decided| decided.second),
            p90_seconds: quantile(0.9, |decided| decided.second),
        }
    }
}

impl Figures {
    /// Healthy scenarios in which signalbox fails too many canaries, and the one at the limit.
    pub(crate) fn broken(&self) -> Vec<String> {
        // Three standard deviations of the simulation itself.
        let slack = 3.0 * (ALLOWED * (1.0 - ALLOWED) / self.roll_outs as f64).sqrt();
        let too_many = |found: &Found| found.share > ALLOWED + slack;
        let mut broken = Vec::new();
        for scenario in &self.scenarios {
            if scenario.healthy && too_many(&scenario.strict) {
                broken.push(format!("{} (strict)", scenario.name));
            }
            if (scenario.healthy || scenario.at_limit) && too_many(&scenario.limits) {
                broken.push(format!("{} (limits)", scenario.name));
            }
        }
        broken
    }
}

pub(crate) fn run(roll_outs: usize, seed: u64) -> Result<Figures> {
    let started = Instant::now();
    let latencies = Latencies::new();
    let mut simulated = Vec::new();
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        simulated.push(simulate(scenario, &latencies, roll_outs, seed.wrapping_mul(1 << 10) + index as u64)?);
        eprintln!("{:>6.0} s  {}", started.elapsed().as_secs_f64(), scenario.name);
    }
    let healthy: Vec<&Vec<RollOut>> =
        SCENARIOS.iter().zip(&simulated).filter(|(scenario, _)| scenario.is_healthy()).map(|(_, all)| all).collect();
    let ours = |of: fn(&RollOut) -> Option<Decided>| Found::of(healthy[0].iter().map(of)).share;
    let same = ours(|roll_out| roll_out.strict);
    let each = |rule: &dyn Fn(Peer) -> Rule| Peer::ALL.map(rule);
    let usual = each(&Peer::usual);
    let calibrated = each(&|peer| peer.calibrated(healthy[0], ALLOWED));
    let same_rate = each(&|peer| peer.calibrated(healthy[0], same));
    let on_all = each(&|peer| {
        let rules = healthy.iter().map(|all| peer.calibrated(all, ALLOWED));
        rules.reduce(Rule::loosest).unwrap_or_else(|| peer.usual())
    });
    let on_limit = each(&|peer| {
        let mut rule = peer.calibrated(healthy[0], ALLOWED);
        for (scenario, all) in SCENARIOS.iter().zip(&simulated) {
            if let Some(metric) = scenario.at_limit() {
                rule.bounds[metric] = rule.bounds[metric].max(peer.bound(all, metric, ALLOWED / 3.0));
            }
        }
        rule
    });
    let scenarios = SCENARIOS.iter().zip(&simulated).map(|(scenario, all)| {
        let found = |rules: &[Rule]| {
            let found = |rule: &Rule| Found::of(all.iter().map(|roll_out| rule.fails(roll_out, CHECK_SECONDS)));
            rules.iter().map(found).collect::<Vec<_>>()
        };
        ScenarioFigures {
            name: scenario.name,
            healthy: scenario.is_healthy(),
            at_limit: scenario.at_limit().is_some(),
            strict: Found::of(all.iter().map(|roll_out| roll_out.strict)),
            limits: Found::of(all.iter().map(|roll_out| roll_out.limits)),
            breaker: Found::of(all.iter().map(|roll_out| roll_out.breaker)),
            passed: scenario.is_healthy().then(|| Found::of(all.iter().map(|roll_out| roll_out.passed))),
            usual: found(&usual),
            calibrated: found(&calibrated),
            same_rate: found(&same_rate),
            calibrated_on_all: found(&on_all),
            calibrated_at_limit: found(&on_limit),
        }
    });
    let scenarios = scenarios.collect();
    let kinds = [
        ("usual", usual),
        ("calibrated on healthy, 5 %", calibrated),
        ("calibrated on healthy, as seldom as signalbox", same_rate),
        ("calibrated on every healthy scenario", on_all),
        ("calibrated at the limit", on_limit),
    ];
    let rules = kinds.iter().flat_map(|(how, rules)| {
        rules.iter().map(|rule| RuleFigures {
            peer: rule.peer.name(),
            how,
            bounds: rule.bounds.map(|bound| bound.is_finite().then_some(bound)),
        })
    });
    let rules = rules.collect();
    Ok(Figures { roll_outs, seed, seconds: started.elapsed().as_secs_f64(), scenarios, rules })
}
