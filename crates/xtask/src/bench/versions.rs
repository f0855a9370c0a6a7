//! This version against an earlier one, in alternating rounds: what a change costs on the path of a hit.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::catch_up;
use crate::guard::Guard;
use crate::load::agents::agents;
use crate::load::run::raise_open_files;
use crate::services::folder::Folder;
use crate::services::signalbox::{Installation, Server};
use crate::services::wrk::Wrk;

const CONNECTIONS: usize = 256;
const TOKENS: usize = 20_000;
/// Student's t at 97.5 % for 2 to 30 degrees of freedom; beyond, that of the normal distribution is near enough.
const T: [f64; 29] = [
    4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
    2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

pub(crate) struct Versions {
    pub(crate) guard: Arc<Guard>,
    pub(crate) binary: PathBuf,
    pub(crate) base: PathBuf,
    pub(crate) seconds: u64,
    pub(crate) rounds: usize,
}

/// Recorded requests per second of this version over those of the earlier one.
#[derive(serde::Serialize)]
pub(crate) struct Ratio {
    pub(crate) rounds: Vec<f64>,
    pub(crate) mean: f64,
    pub(crate) low_95: f64,
    pub(crate) high_95: f64,
}

/// One version, running.
struct Side {
    server: Server,
    wrk: Wrk,
    /// Goes away at the end.
    _folder: Folder,
}

impl Versions {
    pub(crate) fn run(&self) -> Result<Ratio> {
        ensure!(self.rounds >= 3, "an interval needs three rounds at least");
        raise_open_files();
        let (new, old) = (self.start(&self.binary)?, self.start(&self.base)?);
        for side in [&new, &old] {
            self.round(side, 1)?;
        }
        let mut rounds = Vec::with_capacity(self.rounds);
        for number in 1..=self.rounds {
            // Who comes first changes, so that nobody profits from the order.
            let (first, second) = if number % 2 == 0 { (&new, &old) } else { (&old, &new) };
            let (one, other) = (self.round(first, self.seconds)?, self.round(second, self.seconds)?);
            let (now, before) = if number % 2 == 0 { (one, other) } else { (other, one) };
            eprintln!("  round {number}: before {before:.0}/s, now {now:.0}/s, ratio {:.3}", now / before);
            rounds.push(now / before);
        }
        new.server.stop()?;
        old.server.stop()?;
        Ok(Ratio::of(rounds))
    }

    fn start(&self, binary: &std::path::Path) -> Result<Side> {
        let folder = Folder::create(&self.guard, "versions")?;
        let data = folder.path().join("data");
        let installation = Installation { binary: binary.to_owned(), data, database_url: None };
        let paths = installation.mint_opens(TOKENS)?;
        let token = installation.create_token()?;
        let wrk = Wrk::prepare(&self.guard, folder.path(), &paths, &agents())?;
        let (server, _) = installation.serve(&self.guard, false, &token)?;
        Ok(Side { server, wrk, _folder: folder })
    }

    /// Recorded requests per second.
    fn round(&self, side: &Side, seconds: u64) -> Result<f64> {
        let before = side.server.counters()?;
        side.wrk.flood(side.server.address, CONNECTIONS, Duration::from_secs(seconds))?;
        catch_up::wait(&side.server)?;
        Ok((side.server.counters()?.recorded - before.recorded) as f64 / seconds as f64)
    }
}

impl Ratio {
    /// The geometric mean with the interval of its logarithm.
    fn of(rounds: Vec<f64>) -> Self {
        let count = rounds.len() as f64;
        let logs: Vec<f64> = rounds.iter().map(|ratio| ratio.ln()).collect();
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let half = T.get(rounds.len() - 3).copied().unwrap_or(1.96) * (variance / count).sqrt();
        Self { rounds, mean: mean.exp(), low_95: (mean - half).exp(), high_95: (mean + half).exp() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_students() {
        let ratio = Ratio::of(vec![1.0, 1.0, 1.0]);
        assert!((ratio.mean, ratio.low_95, ratio.high_95) == (1.0, 1.0, 1.0));
        let ratio = Ratio::of(vec![0.9, 1.0, 1.0 / 0.9]);
        // 4.303 × standard error of the logarithms, 0.1054 / √3
        assert!(
            (ratio.mean - 1.0).abs() < 1e-9
                && (ratio.low_95 - (-4.303_f64 * 0.10536 / 3.0_f64.sqrt()).exp()).abs() < 1e-3
        );
    }
}
