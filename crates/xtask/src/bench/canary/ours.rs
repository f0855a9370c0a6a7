//! Signalbox's judge on a simulated stream.

use anyhow::Result;
use signalbox_canary::criteria::{Criteria, Limits, Metric, Source};
use signalbox_canary::judge::Judge;
use signalbox_canary::setting::worse::Worse;

use super::stream::ORDERS_METRIC;

/// How much worse a canary may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// Not at all: the question that the peers answer when they are calibrated on healthy canaries.
    Strict,
    /// By half a point of errors, 10 % of latency, 20 % of orders.
    Limits,
}

pub(super) fn judge(setting: Setting) -> Result<Judge> {
    let [errors, latency, orders] = match setting {
        Setting::Strict => ["+0 points", "+0 %", "-0 %"],
        Setting::Limits => ["+0.5 points", "+10 %", "-20 %"],
    };
    let metric = |name: &str, source, worse: &str| {
        let worse = Worse::parse(worse).map_err(anyhow::Error::msg)?;
        anyhow::Ok(Metric { name: name.to_owned(), source, worse, weight: 1, min_trials: None, shadow: false })
    };
    let metrics = vec![
        metric("errors", Source::Errors { client: false }, errors)?,
        metric("latency", Source::Latency, latency)?,
        metric(ORDERS_METRIC, Source::Share { trials: "visits".to_owned() }, orders)?,
    ];
    criteria(metrics, Limits::default())
}

/// The breaker alone, which no bound on false alarms covers.
pub(super) fn breaker() -> Result<Judge> {
    let breaker = Some("50 % of 20 requests".parse().map_err(anyhow::Error::msg)?);
    criteria(Vec::new(), Limits { breaker, ..Limits::default() })
}

fn criteria(metrics: Vec<Metric>, limits: Limits) -> Result<Judge> {
    let (canary, baseline) = ("1.1.0".to_owned(), "1.0.0".to_owned());
    Ok(Judge::new(Criteria { canary, baseline, metrics, limits, min_requests: 200, false_alarms: 0.05 })?)
}
