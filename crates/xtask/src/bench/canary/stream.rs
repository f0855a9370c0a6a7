//! A roll-out, second by second.

use signalbox_canary::window::{Arm, Errors, Measured, Reading, Tally, Window};

use super::random::Random;
use super::scenario::{
    ERRORS, Fault, MEDIAN_US, Noise, ORDERS, PER_SECOND, SHARES, SPREAD, STEP_SECONDS, Scenario, VISITS,
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
    let poly = ((((1.061_405_429 * t - 1.453_152_027) * t + 1.421_413_741) * t - 0.284_496_736) * t + 0.254_829_592) * t;
    let upper = 0.5 * poly * (-x * x).exp();
    if z > 0.0 { 1.0 - upper } else { upper }
}

pub(super) struct Stream<'s> {
    scenario: &'s Scenario,
    latencies: &'s Latencies,
    random: Random,
    second: u64,
    outage_until: u64,
    window: Window,
}

impl<'s> Stream<'s> {
    pub(super) fn new(scenario: &'s Scenario, latencies: &'s Latencies, seed: u64) -> Self {
        let nothing = Measured::Share { canary: Tally::default(), baseline: Tally::default() };
        let readings = vec![Reading { metric: ORDERS_METRIC.to_owned(), value: nothing }];
        let window = Window { readings, ..Window::default() };
        Self { scenario, latencies, random: Random::new(seed), second: 0, outage_until: 0, window }
    }

    /// The next second.
    pub(super) fn next(&mut self) -> &Window {
        let second = self.second;
        let share = SHARES[(second / STEP_SECONDS) as usize];
        let outage = self.scenario.noise == Noise::Outages && self.outage(second);
        let healthy = Fault { errors: 0.0, latency: 1.0, orders: 1.0, from: 0 };
        let fault = if second >= self.scenario.fault.from { self.scenario.fault } else { healthy };
        let canary = self.arm(share, fault, outage, true);
        let baseline = self.arm(1.0 - share, healthy, outage, false);
        self.window.readings[0].value = Measured::Share { canary, baseline };
        self.window.from = second as i64 * 1_000_000;
        self.window.to = self.window.from + 1_000_000;
        self.second += 1;
        &self.window
    }

    /// One begins every two minutes or so.
    fn outage(&mut self, second: u64) -> bool {
        if second >= self.outage_until && self.random.chance(1.0 / 120.0) {
            self.outage_until = second + 5 + self.random.bits() % 11;
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
        let arm: &mut Arm = if canary { &mut self.window.canary } else { &mut self.window.baseline };
        arm.requests = requests;
        arm.errors = Errors { server: errors, ..Errors::default() };
        arm.latency.clear();
        for _ in 0..requests {
            arm.latency.record((self.latencies.draw(random) * slowness) as u64);
        }
        Tally::new(orders, visits)
    }
}
