//! Metrics in the text format of Prometheus, and those that every process has.

use prometheus::{Encoder as _, Gauge, IntGaugeVec, Opts, Registry, Result, TextEncoder};

/// The media type of Prometheus text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What every process tells about itself.
#[derive(Clone)]
pub struct Process {
    memory: Gauge,
}

impl Process {
    /// Registers the metrics of the process that runs `version` since `started_seconds` after the epoch.
    pub fn register(registry: &Registry, version: &str, started_seconds: f64) -> Result<Self> {
        let build =
            IntGaugeVec::new(Opts::new("signalbox_build_info", "1, with the version as a label."), &["version"])?;
        build.with_label_values(&[version]).set(1);
        registry.register(Box::new(build))?;
        let started = Gauge::new("process_start_time_seconds", "Start of the process, seconds since the epoch.")?;
        started.set(started_seconds);
        registry.register(Box::new(started))?;
        let memory = Gauge::new("process_resident_memory_bytes", "Resident memory of the process.")?;
        registry.register(Box::new(memory.clone()))?;
        Ok(Self { memory })
    }

    /// Every metric of `registry` as text.
    pub fn write(&self, registry: &Registry) -> Result<Vec<u8>> {
        if let Some(bytes) = resident_bytes() {
            self.memory.set(bytes as f64);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// Resident memory of this process, from /proc.
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
