//! One roll-out: what the rules of the peers measure of it, and when signalbox's judge fails or passes it.

use signalbox_canary::histogram::Histogram;
use signalbox_canary::judge::Judge;
use signalbox_canary::verdict::Outcome;
use signalbox_canary::window::{Arm, Measured, Tally, Window};

use super::kayenta;
use super::scenario::{BEFORE_SECONDS, SECONDS, STEP_SECONDS};
use super::stream::{Control, Stream};

/// Argo Rollouts and Flagger look once a minute, and Kayenta is let look as often.
pub(super) const CHECK_SECONDS: u64 = 60;
pub(super) const CHECKS: usize = (SECONDS / CHECK_SECONDS) as usize;
/// Seconds of a point of Kayenta, and points that it compares: 50 points in a step of five minutes.
const POINT_SECONDS: u64 = 6;
const POINTS: usize = 50;

/// What is measured in a minute, such that higher is worse.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Check {
    /// Of the canary: share of errors, mean latency, minus the share of visits with an order.
    pub(super) argo: [f32; 3],
    /// The same with the 99th percentile of latency.
    pub(super) flagger: [f32; 3],
    /// Statistics of Mann-Whitney over the last 50 points.
    pub(super) kayenta: [f32; 3],
    /// Requests of the canary so far.
    pub(super) requests: u32,
}

/// When something was decided: the second, and the requests of the canary until then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Decided {
    pub(super) second: u32,
    pub(super) requests: u32,
}

/// Signalbox's, before they have seen anything.
#[derive(Clone)]
pub(super) struct Judges {
    pub(super) strict: Judge,
    pub(super) limits: Judge,
    pub(super) breaker: Judge,
}

pub(super) struct RollOut {
    pub(super) checks: [Check; CHECKS],
    pub(super) strict: Option<Decided>,
    pub(super) limits: Option<Decided>,
    /// When the breaker alone would have opened.
    pub(super) breaker: Option<Decided>,
    /// The first time that it passes within its limits.
    pub(super) passed: Option<Decided>,
}

/// Sums of an arm over a while.
#[derive(Default)]
struct Sums {
    requests: u64,
    errors: u64,
    latency_us: u64,
    orders: Tally,
}

impl Sums {
    fn add(&mut self, arm: &Arm, orders: Tally) {
        self.requests += arm.requests;
        self.errors += arm.errors.failures();
        self.latency_us += arm.latency.sum_us();
        self.orders = Tally::new(self.orders.events + orders.events, self.orders.trials + orders.trials);
    }

    fn add_control(&mut self, control: &Control) {
        self.requests += control.requests;
        self.errors += control.errors;
        self.latency_us += control.latency_us;
        let Tally { events, trials } = control.orders;
        self.orders = Tally::new(self.orders.events + events, self.orders.trials + trials);
    }

    fn measures(&self) -> [f64; 3] {
        let share = |events: u64, trials: u64| if trials == 0 { f64::NAN } else { events as f64 / trials as f64 };
        [
            share(self.errors, self.requests),
            share(self.latency_us, self.requests),
            -share(self.orders.events, self.orders.trials),
        ]
    }
}

/// Kayenta's points: for each metric the last ones of canary and control.
#[derive(Default)]
struct Points {
    values: [[Vec<f64>; 2]; 3],
    scratch: Vec<f64>,
}

impl Points {
    fn add(&mut self, arms: [[f64; 3]; 2]) {
        for (arm, measures) in arms.iter().enumerate() {
            for (metric, value) in measures.iter().enumerate() {
                self.values[metric][arm].push(*value);
            }
        }
    }

    /// Points without a number are left out, as Kayenta does.
    fn statistics(&mut self) -> [f32; 3] {
        let mut found = [0.0; 3];
        for (metric, [canary, control]) in self.values.iter().enumerate() {
            if canary.len() < POINTS {
                continue;
            }
            let last = |values: &[f64]| -> Vec<f64> {
                values[values.len() - POINTS..].iter().copied().filter(|value| value.is_finite()).collect()
            };
            found[metric] = kayenta::statistic(&last(canary), &last(control), &mut self.scratch) as f32;
        }
        found
    }
}

/// Runs it to its end. `passes` also asks again and again whether it passes.
pub(super) fn run(mut stream: Stream<'_>, judges: Judges, passes: bool) -> RollOut {
    let Judges { mut strict, mut limits, mut breaker } = judges;
    let mut out =
        RollOut { checks: [Check::default(); CHECKS], strict: None, limits: None, breaker: None, passed: None };
    for second in 0..BEFORE_SECONDS {
        let window = stream.before(second);
        strict.observe(window);
        limits.observe(window);
    }
    let mut requests = 0;
    let (mut minute, mut latency) = (Sums::default(), Histogram::default());
    let (mut canary, mut control) = (Sums::default(), Sums::default());
    let mut points = Points::default();
    for second in 0..SECONDS {
        if out.strict.is_some() && out.limits.is_some() {
            stream.only_peers_watch();
        }
        let window = stream.next();
        requests += window.canary.requests;
        let decided = Decided { second: second as u32 + 1, requests: requests as u32 };
        if second % STEP_SECONDS == 0 {
            strict.begin_step();
            limits.begin_step();
        }
        watch(&mut strict, &mut out.strict, window, decided);
        watch(&mut limits, &mut out.limits, window, decided);
        watch(&mut breaker, &mut out.breaker, window, decided);
        if passes && second % 10 == 9 && out.passed.is_none() && limits.verdict().outcome == Outcome::Pass {
            out.passed = Some(decided);
        }
        let canary_orders = orders(window);
        minute.add(&window.canary, canary_orders);
        latency.merge(&window.canary.latency);
        canary.add(&window.canary, canary_orders);
        control.add_control(stream.control());
        if (second + 1) % POINT_SECONDS == 0 {
            points.add([std::mem::take(&mut canary).measures(), std::mem::take(&mut control).measures()]);
        }
        if (second + 1) % CHECK_SECONDS == 0 {
            let measures = std::mem::take(&mut minute).measures();
            let p99 = latency.quantile_us(0.99).map_or(f64::NAN, |p99| p99 as f64);
            latency.clear();
            out.checks[(second / CHECK_SECONDS) as usize] = Check {
                argo: measures.map(|measure| measure as f32),
                flagger: [measures[0] as f32, p99 as f32, measures[2] as f32],
                kayenta: points.statistics(),
                requests: requests as u32,
            };
        }
    }
    out
}

fn watch(judge: &mut Judge, failed: &mut Option<Decided>, window: &Window, decided: Decided) {
    if failed.is_none() {
        judge.observe(window);
        if judge.failed() {
            *failed = Some(decided);
        }
    }
}

fn orders(window: &Window) -> Tally {
    match window.readings.first().map(|reading| reading.value) {
        Some(Measured::Share { canary, .. }) => canary,
        _ => Tally::default(),
    }
}
