use signalbox_audit::checkpoint::{MakeError, make, read_lines};
use signalbox_audit::verify::{self, Outside};

use super::Common;
use crate::audit::{key_of, sinks};
use crate::output::print;
use crate::progress::Progress;

/// Whether the log holds.
pub(super) fn run(common: &Common) -> anyhow::Result<bool> {
    let open = common.open()?;
    let sinks = sinks(&open.settings)?;
    let key = key_of(open.data())?;
    let lines = if sinks.file.exists() { read_lines(&sinks.file)? } else { Vec::new() };
    let last = lines.iter().rev().find_map(|line| line.checkpoint.clone());
    let mut progress = Progress::new("entries verified");
    let outside = Outside { keys: vec![key.public()], checkpoints: lines };
    let report = verify::store(&open.store, &outside, |entries| progress.at(entries))?;
    drop(progress);
    if let Some(fault) = report.first() {
        eprintln!("error: {}", MakeError::Tampered(fault.clone()));
        return Ok(false);
    }
    match make(&open.store, &key, last.as_ref(), open.clock.now()) {
        Ok(checkpoint) => {
            sinks.write(&checkpoint).map_err(anyhow::Error::msg)?;
            print(common.output, &checkpoint, |_| {
                format!("checkpoint of entry {} written to {}", checkpoint.seq, sinks.file.display())
            })?;
            Ok(true)
        }
        Err(error @ MakeError::Tampered(_)) => {
            eprintln!("error: {error}");
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
