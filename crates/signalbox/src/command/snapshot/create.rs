use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde_json::json;
use signalbox_access::trail::{Deed, note};
use signalbox_store::{Faults, Progress, Scope};

use super::super::Common;
use super::told;
use crate::installation::{MIGRATIONS, is_new, lost_database, nothing_there, open_store};
use crate::output::print;
use crate::snapshot;

#[derive(Debug, Args)]
pub struct Create {
    /// The file; it must not be there yet.
    file: PathBuf,
    #[command(flatten)]
    common: Common,
}

impl Create {
    pub fn run(self) -> anyhow::Result<()> {
        let settings = self.common.settings(None, false)?;
        if let Some(lost) = lost_database(&settings) {
            bail!(lost);
        }
        if is_new(&settings) {
            bail!(nothing_there(&settings));
        }
        let store = open_store(&settings, Faults::default())?;
        if !matches!(store.progress()?, Progress::At(_)) {
            bail!(nothing_there(&settings));
        }
        // The whole store leaves the house: who did that is told first. A store of another version cannot be told, and can
        // be saved all the same.
        match store.require_schema(&MIGRATIONS) {
            Ok(()) => {
                let open = self.common.open()?;
                let object = self.file.display().to_string();
                let deed = Deed { action: "snapshot.created", object: &object, ..Deed::default() };
                open.store.write_here(&Scope::all(), |conn| note(conn, &open.act("snapshot create"), deed))?;
            }
            Err(error) => eprintln!("warning: the audit log is not told: {error}"),
        }
        let manifest = snapshot::create(&settings, &store, &self.file)?;
        let file_bytes = std::fs::metadata(&self.file)?.len();
        print(self.common.output, &json!({"file": self.file, "file_bytes": file_bytes, "manifest": manifest}), |_| {
            format!("{}: {}, {:.1} MB in the file", self.file.display(), told(&manifest), file_bytes as f64 / 1e6)
        })
    }
}
