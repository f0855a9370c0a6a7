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
        self.fault == HEALTHY
    }

    /// The metric that is as bad as the limits allow: errors, latency or orders.
    pub(super) fn at_limit(&self) -> Option<usize> {
        [ERRORS_LIMIT, LATENCY_LIMIT, ORDERS_LIMIT].iter().position(|limit| *limit == self.fault)
    }
}

pub(super) const HEALTHY: Fault = Fault { errors: 0.0, latency: 1.0, orders: 1.0, from: 0 };

const ERRORS_LIMIT: Fault = Fault { errors: 0.005, ..HEALTHY };
const LATENCY_LIMIT: Fault = Fault { latency: 1.1, ..HEALTHY };
const ORDERS_LIMIT: Fault = Fault { orders: 0.8, ..HEALTHY };

const fn healthy(name: &'static str, noise: Noise) -> Scenario {
    Scenario { name, noise, fault: HEALTHY }
}

const fn faulty(name: &'static str, fault: Fault) -> Scenario {
    Scenario { name, noise: Noise::Independent, fault }
}

/// The first one is what the rules of the peers are calibrated on.
pub(super) const SCENARIOS: [Scenario; 15] = [
    healthy("healthy", Noise::Independent),
    healthy("healthy, errors in bursts", Noise::Bursts),
    healthy("healthy, uneven arms", Noise::Uneven),
    healthy("healthy, outages of both arms", Noise::Outages),
    faulty("errors +0.5 points (at the limit)", ERRORS_LIMIT),
    faulty("latency +10 % (at the limit)", LATENCY_LIMIT),
    faulty("orders -20 % (at the limit)", ORDERS_LIMIT),
    faulty("errors +1 point", Fault { errors: 0.01, ..HEALTHY }),
    faulty("errors +2 points", Fault { errors: 0.02, ..HEALTHY }),
    faulty("errors +5 points", Fault { errors: 0.05, ..HEALTHY }),
    faulty("errors +20 points", Fault { errors: 0.2, ..HEALTHY }),
    faulty("errors +5 points from 25 % on", Fault { errors: 0.05, from: 900, ..HEALTHY }),
    faulty("latency +20 %", Fault { latency: 1.2, ..HEALTHY }),
    faulty("latency +100 %", Fault { latency: 2.0, ..HEALTHY }),
    faulty("orders -50 % (rare events)", Fault { orders: 0.5, ..HEALTHY }),
];

/// Requests per second of both arms together.
pub(super) const PER_SECOND: f64 = 400.0;
/// The canary's share of them, step by step. At 100 % nothing is left to compare with.
pub(super) const SHARES: [f64; 5] = [0.01, 0.05, 0.1, 0.25, 0.5];
pub(super) const STEP_SECONDS: u64 = 300;
pub(super) const SECONDS: u64 = STEP_SECONDS * SHARES.len() as u64;
/// Before that, all traffic goes to the baseline. The rules of the peers do not look at it.
pub(super) const BEFORE_SECONDS: u64 = 60;
/// The share of requests that fail in the baseline.
pub(super) const ERRORS: f64 = 0.005;
/// Latencies are log-normal.
pub(super) const MEDIAN_US: f64 = 40_000.0;
pub(super) const SPREAD: f64 = 0.5;
/// A fifth of the requests are visits, and of those this share ends in an order.
pub(super) const VISITS: f64 = 0.2;
pub(super) const ORDERS: f64 = 0.03;
