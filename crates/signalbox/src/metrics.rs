//! `GET /metrics`: Prometheus text, for callers with the permission.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder as _, Gauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// The media type of Prometheus text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Adds what every process tells about itself.
pub fn describe_process(registry: &Registry, started_seconds: f64) -> prometheus::Result<Gauge> {
    let build = IntGaugeVec::new(Opts::new("signalbox_build_info", "1, with the version as a label."), &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    let started = Gauge::new("process_start_time_seconds", "Start of the process, seconds since the epoch.")?;
    started.set(started_seconds);
    registry.register(Box::new(started))?;
    let memory = Gauge::new("process_resident_memory_bytes", "Resident memory of the process.")?;
    registry.register(Box::new(memory.clone()))?;
    Ok(memory)
}

/// Resident memory of this process, from /proc.
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The answer.
pub fn answer(registry: &Registry, memory: &Gauge) -> Response {
    if let Some(bytes) = resident_bytes() {
        memory.set(bytes as f64);
    }
    let mut text = Vec::new();
    match TextEncoder::new().encode(&registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
