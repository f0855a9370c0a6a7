//! What tracking counts about itself.

use std::sync::Arc;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The counters of one process.
pub struct Counters {
    pub recorded: IntCounter,
    /// Hits that were answered but not recorded, by reason.
    pub unrecorded: IntCounterVec,
    pub unrecorded_overload: IntCounter,
    pub unrecorded_limit: IntCounter,
    pub unrecorded_store: IntCounter,
    pub unrecorded_request: IntCounter,
    pub invalid: IntCounter,
    pub rejected_items: IntCounter,
    pub answer_seconds: Histogram,
    pub commit_seconds: Histogram,
    pub connections: IntGauge,
}

const ANSWER_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

impl Counters {
    /// Counters that `registry` shows.
    pub fn new(registry: &Registry) -> prometheus::Result<Arc<Self>> {
        let unrecorded = IntCounterVec::new(
            Opts::new("signalbox_intake_unrecorded_total", "Hits that were answered without being recorded."),
            &["reason"],
        )?;
        let counters = Self {
            recorded: IntCounter::new("signalbox_intake_events_total", "Events that are on disk.")?,
            unrecorded_overload: unrecorded.with_label_values(&["overload"]),
            unrecorded_limit: unrecorded.with_label_values(&["limit"]),
            unrecorded_store: unrecorded.with_label_values(&["store"]),
            unrecorded_request: unrecorded.with_label_values(&["request"]),
            unrecorded,
            invalid: IntCounter::new("signalbox_intake_invalid_links_total", "Hits on links that are not valid.")?,
            rejected_items: IntCounter::new(
                "signalbox_intake_rejected_items_total",
                "Items of API batches that were refused.",
            )?,
            answer_seconds: Histogram::with_opts(
                HistogramOpts::new("signalbox_intake_answer_seconds", "From reading a hit to answering it.")
                    .buckets(ANSWER_BUCKETS.to_vec()),
            )?,
            commit_seconds: Histogram::with_opts(
                HistogramOpts::new("signalbox_intake_commit_seconds", "One durable append to the intake log.")
                    .buckets(ANSWER_BUCKETS.to_vec()),
            )?,
            connections: IntGauge::new("signalbox_intake_connections", "Open connections of the hit listener.")?,
        };
        registry.register(Box::new(counters.recorded.clone()))?;
        registry.register(Box::new(counters.unrecorded.clone()))?;
        registry.register(Box::new(counters.invalid.clone()))?;
        registry.register(Box::new(counters.rejected_items.clone()))?;
        registry.register(Box::new(counters.answer_seconds.clone()))?;
        registry.register(Box::new(counters.commit_seconds.clone()))?;
        registry.register(Box::new(counters.connections.clone()))?;
        Ok(Arc::new(counters))
    }

    /// All unrecorded hits.
    pub fn unrecorded_total(&self) -> u64 {
        let reasons =
            [&self.unrecorded_overload, &self.unrecorded_limit, &self.unrecorded_store, &self.unrecorded_request];
        reasons.iter().map(|counter| counter.get()).sum()
    }
}
