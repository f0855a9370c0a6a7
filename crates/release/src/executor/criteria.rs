//! What the manifest says of metrics and triggers, as the judge takes it.

use signalbox_canary::criteria::{Criteria, Limits, Metric, Source as CanarySource};
use signalbox_canary::rule::breaker::Breaker;
use signalbox_canary::rule::held::Held;
use signalbox_canary::setting::worse::Worse;

use super::business::trials;
use crate::model::manifest::{Manifest, Source};
use crate::model::plan::{FALSE_ALARMS, Plan};

/// What the judge is told; or what of the manifest it cannot judge by.
pub fn criteria(manifest: &Manifest, plan: &Plan) -> Result<Criteria, String> {
    let mut metrics = Vec::new();
    for metric in &manifest.canary.metrics {
        let source = match &metric.source {
            Source::Errors => CanarySource::Errors { client: false },
            Source::Latency => CanarySource::Latency,
            Source::Query(_) => CanarySource::Sample,
            Source::Business(metric) => CanarySource::Share { trials: trials(*metric).into() },
        };
        let worse: Worse =
            metric.worse.to_string().parse().map_err(|error| format!("metric {:?}: {error}", metric.name))?;
        metrics.push(Metric {
            name: metric.name.clone(),
            source,
            worse,
            weight: metric.weight.get(),
            min_trials: None,
            shadow: metric.shadow,
        });
    }
    let triggers = &manifest.rollback;
    let errors = triggers.errors.on().map(|limit| read::<Held>("errors", limit)).transpose()?;
    let latency = triggers.latency.on().map(|limit| read::<Held>("latency", limit)).transpose()?;
    let breaker = triggers.breaker.on().map(|limit| read::<Breaker>("breaker", limit)).transpose()?;
    Ok(Criteria {
        canary: plan.to.to_string(),
        baseline: plan.from.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string),
        metrics,
        limits: Limits { errors, latency, breaker, burn: Vec::new() },
        min_requests: manifest.canary.min_requests.get(),
        false_alarms: FALSE_ALARMS,
    })
}

fn read<T: std::str::FromStr<Err = String>>(key: &str, limit: &impl std::fmt::Display) -> Result<T, String> {
    limit.to_string().parse().map_err(|error| format!("rollback.{key}: {error}"))
}
