//! What a long command does now, and how long each part of it took.

use std::time::{Duration, Instant};

use anyhow::Result;

#[derive(Default)]
pub(crate) struct Stages {
    done: Vec<Stage>,
}

struct Stage {
    name: &'static str,
    took: Duration,
    failed: bool,
}

impl Stages {
    pub(crate) fn run<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("▸ {name}");
        let start = Instant::now();
        let result = work();
        self.done.push(Stage { name, took: start.elapsed(), failed: result.is_err() });
        result
    }

    pub(crate) fn print_summary(&self) {
        eprintln!("\n{:<24}{:>10}", "stage", "seconds");
        for stage in &self.done {
            let failed = if stage.failed { "  FAILED" } else { "" };
            eprintln!("{:<24}{:>10.1}{failed}", stage.name, stage.took.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|stage| stage.took).sum();
        eprintln!("{:<24}{:>10.1}", "together", total.as_secs_f64());
    }
}
