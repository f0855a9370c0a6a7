//! A roll-out, second by second.

use signalbox_canary::window::{Arm, Errors, Measured, Reading, Tally, Window};

use super::random::Random;
use super::scenario::{
    BEFORE_SECONDS, ERRORS, Fault, HEALTHY, MEDIAN_US, Noise, ORDERS, PER_SECOND, SHARES, SPREAD, STEP_SECONDS,
    Scenario, VISITS,
};

const TABLE: usize = 1 << 14;
pub(super) const ORDERS_METRIC: &str = "orders per visit";

/// Latencies by quantile, so that drawing one is a look-up.
pub(super) struct Latencies(Vec<f64>);

impl Latencies {
    pub(super) fn new() -> Self {
        let of = |index: usize| {
            let share = (index as f64 + 0.5) / TABLE as f64;
            MEDIAN_US * (SPREAD * normal_quantile(share)).exp()
        };
        Self((0..TABLE).map(of).collect())
    }

    fn draw(&self, random: &mut Random) -> f64 {
        self.0[(random.bits() >> 50) as usize]
    }
}

/// Bisection is good enough for a table.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0f64, 8.0f64);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if normal_share(middle) < share { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// Abramowitz and Stegun 7.1.26: right to 1.5e-7.
pub(super) fn normal_share(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly =
        ((((1.061_405_429 * t - 1.453_152_027) * t + 1.421_413_741) * t - 0.284_496_736) * t + 0.254_829_592) * t;
    let upper = 0.5 * poly * (-x * x).exp();
    if z > 0.0 { 1.0 - upper } else { upper }
}

pub(super) struct Stream<'s> {
    scenario: &'s Scenario,
    latencies: &'s Latencies,
    random: Random,
    second: u64,
    outage_until: i64,
    window: Window,
    control: Control,
    /// Nobody asks for the baseline's latencies any more.
    lean: bool,
}

/// As many requests of the baseline as the canary has: Kayenta is meant to compare groups of the same size.
#[derive(Default, Clone, Copy)]
pub(super) struct Control {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) latency_us: u64,
    pub(super) orders: Tally,
}

impl<'s> Stream<'s> {
    pub(super) fn new(scenario: &'s Scenario, latencies: &'s Latencies, seed: u64) -> Self {
        let nothing = Measured::Share { canary: Tally::default(), baseline: Tally::default() };
        let readings = vec![Reading { metric: ORDERS_METRIC.to_owned(), value: nothing }];
        let window = Window { readings, ..Window::default() };
        Self {
            scenario,
            latencies,
            random: Random::new(seed),
            second: 0,
            outage_until: i64::MIN,
            window,
            control: Control::default(),
            lean: false,
        }
    }

    /// A second before the canary begins.
    pub(super) fn before(&mut self, second: u64) -> &Window {
        self.fill(second as i64 - BEFORE_SECONDS as i64, 0.0, HEALTHY)
    }

    /// The next second.
    pub(super) fn next(&mut self) -> &Window {
        let second = self.second;
        self.second += 1;
        let fault = if second >= self.scenario.fault.from { self.scenario.fault } else { HEALTHY };
        self.fill(second as i64, SHARES[(second / STEP_SECONDS) as usize], fault)
    }

    /// From now on latencies are drawn for the canary and its control group only.
    pub(super) fn only_peers_watch(&mut self) {
        self.lean = true;
    }

    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    fn fill(&mut self, second: i64, share: f64, fault: Fault) -> &Window {
        let outage = self.scenario.noise == Noise::Outages && self.outage(second);
        let canary = self.arm(share, fault, outage, true);
        let baseline = self.arm(1.0 - share, HEALTHY, outage, false);
        self.take_control(baseline);
        self.window.readings[0].value = Measured::Share { canary, baseline };
        self.window.from = second * 1_000_000;
        self.window.to = self.window.from + 1_000_000;
        &self.window
    }

    fn take_control(&mut self, orders: Tally) {
        let (random, arm) = (&mut self.random, &self.window.baseline);
        let requests = self.window.canary.requests.min(arm.requests);
        let part = requests as f64 / arm.requests.max(1) as f64;
        let mut thin = |count: u64| if part >= 1.0 { count } else { random.binomial(count, part) };
        self.control.requests = requests;
        self.control.errors = thin(arm.errors.failures());
        let visits = thin(orders.trials);
        self.control.orders = Tally::new(thin(orders.events), visits);
    }

    /// One begins every two minutes or so.
    fn outage(&mut self, second: i64) -> bool {
        if second >= self.outage_until && self.random.chance(1.0 / 120.0) {
            self.outage_until = second + 5 + (self.random.bits() % 11) as i64;
        }
        second < self.outage_until
    }

    fn arm(&mut self, share: f64, fault: Fault, outage: bool, canary: bool) -> Tally {
        let random = &mut self.random;
        let mut rate = ERRORS + fault.errors;
        let mut slowness = fault.latency;
        if outage {
            rate *= 20.0;
            slowness *= 2.0;
        }
        if self.scenario.noise == Noise::Uneven {
            rate *= random.gamma(4);
            slowness *= (0.05 * random.normal()).exp();
        }
        let requests = random.poisson(PER_SECOND * share);
        let errors = if self.scenario.noise == Noise::Bursts {
            let bursts = random.poisson(requests as f64 * rate / 4.0);
            (0..bursts).map(|_| random.geometric(4.0)).sum::<u64>().min(requests)
        } else {
            random.binomial(requests, rate.min(1.0))
        };
        let visits = random.binomial(requests, VISITS);
        let orders = random.binomial(visits, ORDERS * fault.orders);
        let control = self.window.canary.requests;
        let arm: &mut Arm = if canary { &mut self.window.canary } else { &mut self.window.baseline };
        arm.requests = requests;
        arm.errors = Errors { server: errors, ..Errors::default() };
        arm.latency.clear();
        let mut sum = 0;
        for index in 0..if self.lean && !canary { control.min(requests) } else { requests } {
            let latency_us = (self.latencies.draw(random) * slowness) as u64;
            arm.latency.record(latency_us);
            sum += if index < control { latency_us } else { 0 };
        }
        self.control.latency_us = sum;
        Tally::new(orders, visits)
    }
}
