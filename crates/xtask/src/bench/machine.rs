//! What the figures were measured on.

use std::fs;
use std::path::Path;

use serde::Serialize;

#[derive(Serialize, Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// The stores lie in memory: an fsync costs nothing, and durable figures mean nothing.
    pub(crate) stores_in_memory: bool,
}

impl Machine {
    /// `folder` is where the stores lie.
    pub(crate) fn look(folder: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let kilobytes = field(&read("/proc/meminfo"), "MemTotal").and_then(|total| {
            let number: Option<u64> = total.split_whitespace().next()?.parse().ok();
            number
        });
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: kilobytes.unwrap_or(0) * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            stores_in_memory: in_memory(folder),
        }
    }
}

#[cfg(target_os = "linux")]
fn in_memory(folder: &Path) -> bool {
    const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;
    rustix::fs::statfs(folder).is_ok_and(|system| system.f_type == TMPFS_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_folder: &Path) -> bool {
    false
}
