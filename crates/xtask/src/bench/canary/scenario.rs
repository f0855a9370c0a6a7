//! What is simulated.

/// How a service behaves around its mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Noise {
    /// Requests are independent of each other.
    Independent,
    /// Errors come in bursts of four on the average, within a second and an arm.
    Bursts,
    /// Each arm has good and bad seconds of its own: its error rate varies by half of itself (one standard deviation), its
    /// latencies by 5 %.
    Uneven,
    /// Now and then both arms fail twenty times as often and take twice as long, for 5 to 15 seconds.
    Outages,
}

/// What the canary does worse than the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fault {
    /// Added to the share of requests that fail.
    pub(super) errors: f64,
    /// Multiplies latencies.
    pub(super) latency: f64,
    /// Multiplies the share of visits that end in an order.
    pub(super) orders: f64,
    /// The second in which it begins.
    pub(super) from: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) noise: Noise,
    pub(super) fault: Fault,
}

impl Scenario {
    pub(super) fn is_healthy(&self) -> bool {
        self.fault == NONE
    }
}

const NONE: Fault = Fault { errors: 0.0, latency: 1.0, orders: 1.0, from: 0 };

const fn healthy(name: &'static str, noise: Noise) -> Scenario {
    Scenario { name, noise, fault: NONE }
}

const fn faulty(name: &'static str, fault: Fault) -> Scenario {
    Scenario { name, noise: Noise::Independent, fault }
}

/// The first one is what the rules of the peers are calibrated on.
pub(super) const SCENARIOS: [Scenario; 13] = [
    healthy("healthy", Noise::Independent),
    healthy("healthy, errors in bursts", Noise::Bursts),
    healthy("healthy, uneven arms", Noise::Uneven),
    healthy("healthy, outages of both arms", Noise::Outages),
    faulty("errors +0.5 points (at the limit)", Fault { errors: 0.005, ..NONE }),
    faulty("errors +1 point", Fault { errors: 0.01, ..NONE }),
    faulty("errors +2 points", Fault { errors: 0.02, ..NONE }),
    faulty("errors +5 points", Fault { errors: 0.05, ..NONE }),
    faulty("errors +20 points", Fault { errors: 0.2, ..NONE }),
    faulty("errors +5 points from 25 % on", Fault { errors: 0.05, from: 900, ..NONE }),
    faulty("latency +20 %", Fault { latency: 1.2, ..NONE }),
    faulty("latency +100 %", Fault { latency: 2.0, ..NONE }),
    faulty("orders -50 % (rare events)", Fault { orders: 0.5, ..NONE }),
];

/// Requests per second of both arms together.
pub(super) const PER_SECOND: f64 = 400.0;
/// The canary's share of them, step by step. At 100 % nothing is left to compare with.
pub(super) const SHARES: [f64; 5] = [0.01, 0.05, 0.1, 0.25, 0.5];
pub(super) const STEP_SECONDS: u64 = 300;
pub(super) const SECONDS: u64 = STEP_SECONDS * SHARES.len() as u64;
/// The share of requests that fail in the baseline.
pub(super) const ERRORS: f64 = 0.005;
/// Latencies are log-normal.
pub(super) const MEDIAN_US: f64 = 40_000.0;
pub(super) const SPREAD: f64 = 0.5;
/// A fifth of the requests are visits, and of those this share ends in an order.
pub(super) const VISITS: f64 = 0.2;
pub(super) const ORDERS: f64 = 0.03;
