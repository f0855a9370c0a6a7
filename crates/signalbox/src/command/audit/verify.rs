use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use signalbox_audit::checkpoint::read_lines;
use signalbox_audit::verify::{self, Outside, Report};
use signalbox_crypto::checkpoint::PublicKey;
use signalbox_store::Faults;

use super::Common;
use crate::audit;
use crate::installation::{MIGRATIONS, is_new, open_store};
use crate::output::print;
use crate::progress::Progress;

#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    common: Common,
    /// An export, instead of the store; needs no data directory and no settings.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Checkpoints that left the machine: a checkpoint file, or a file of syslog. For the store, the file of the
    /// settings unless told.
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
    /// A public key that you know from elsewhere, as `signalbox audit key` printed it; several: repeat.
    #[arg(long, value_name = "HEX")]
    key: Vec<PublicKey>,
}

impl Verify {
    /// Whether nothing was found.
    pub(super) fn run(self) -> anyhow::Result<bool> {
        let mut outside = Outside { keys: self.key.clone(), checkpoints: Vec::new() };
        if let Some(path) = &self.checkpoints {
            outside.checkpoints = read_lines(path).with_context(|| path.display().to_string())?;
            if outside.checkpoints.is_empty() {
                bail!("{} holds no checkpoint", path.display());
            }
        }
        let started = Instant::now();
        let mut progress = Progress::new("entries verified");
        let report = match &self.file {
            Some(path) => {
                let file = open(path)?;
                verify::export(BufReader::with_capacity(1 << 18, file), &outside, |entries| progress.at(entries))
                    .with_context(|| path.display().to_string())?
            }
            None => self.store(outside, &mut progress)?,
        };
        drop(progress);
        self.print(&report, started.elapsed().as_secs_f64())?;
        Ok(report.intact)
    }

    fn store(&self, outside: Outside, progress: &mut Progress) -> anyhow::Result<Report> {
        let settings = self.common.settings(None, false)?;
        if is_new(&settings) {
            bail!(
                "{} holds no database; name an export with --file, or a data directory with --data",
                settings.server.data.display()
            );
        }
        let store = open_store(&settings, Faults::default())?;
        store.require_schema(&MIGRATIONS)?;
        audit::verify_store(&store, &settings, outside, |entries| progress.at(entries))
    }

    fn print(&self, report: &Report, seconds: f64) -> anyhow::Result<()> {
        let per_second = (report.found.entries as f64 / seconds.max(0.001)) as u64;
        let mut value = serde_json::to_value(report)?;
        value["first"] = json!(report.first());
        value["seconds"] = json!(seconds);
        value["entries_per_second"] = json!(per_second);
        value["end"] = json!(end(report));
        print(self.common.output, &value, |_| {
            let mut text = match report.first() {
                None => format!("intact: {} entries in {seconds:.1} s\n", report.found.entries),
                Some(first) => format!("TAMPERED WITH at entry {}: {}\n", first.seq, first.detail),
            };
            if !report.intact {
                for fault in &report.found.faults {
                    text.push_str(&format!("  {}: {}\n", fault.seq, fault.detail));
                }
                let more = report.found.faults_total.saturating_sub(report.found.faults.len() as u64);
                if more > 0 {
                    text.push_str(&format!("  and {more} more\n"));
                }
            }
            if report.found.erased > 0 {
                text.push_str(&format!("{} personal values are erased\n", report.found.erased));
            }
            text.push_str(&end(report));
            if self.key.is_empty()
                && let Some(key) = report.public_key
            {
                text.push_str(&format!(
                    "\nThe export names its key itself: {key}\nCompare it with the one that you know, or name that with --key."
                ));
            }
            text
        })
    }
}

/// What is known of the end.
fn end(report: &Report) -> String {
    match report.proven {
        Some(proven) => {
            let after = report.found.last_seq.saturating_sub(proven.seq);
            let rest = match after {
                0 => String::new(),
                1 => "; the entry after it is chained, but nothing proves yet that it is the last".into(),
                _ => format!("; the {after} entries after it are chained, but nothing proves yet that they are all"),
            };
            format!("Proven up to entry {} by the checkpoint of {}{rest}.", proven.seq, proven.at)
        }
        None => "No checkpoint agrees with this log, so its end cannot be proven: entries may have been cut off. \
                 Keep checkpoints outside, and name them with --checkpoints."
            .into(),
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    if file.metadata()?.is_dir() {
        bail!("{} is a folder", path.display());
    }
    Ok(file)
}
