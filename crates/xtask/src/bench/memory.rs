//! The memory of a process, as Linux counts it.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

#[derive(Serialize, Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    pub(crate) now_bytes: u64,
    pub(crate) peak_bytes: u64,
}

/// Of one process.
pub(crate) fn of(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading a process's memory")?;
    parse(&status).context("no VmRSS and VmHWM")
}

/// Of a process and its children. What they share counts once per process.
pub(crate) fn of_family(pid: u32) -> Result<Memory> {
    let mut sum = of(pid)?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
        // A child may end while we look.
        if let Ok(memory) = of(child) {
            sum.now_bytes += memory.now_bytes;
            sum.peak_bytes += memory.peak_bytes;
        }
    }
    Ok(sum)
}

fn parse(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = rest.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes * 1024)
    };
    Some(Memory { now_bytes: bytes("VmRSS:")?, peak_bytes: bytes("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_writes_kilobytes() {
        let status = "Name:\tnginx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse(status), Some(Memory { now_bytes: 1 << 20, peak_bytes: 2 << 20 }));
        assert_eq!(parse("Name:\tgone\n"), None);
    }
}
