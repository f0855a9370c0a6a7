use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use signalbox_audit::export::{self, Header};

use super::Common;
use crate::audit::key_of;
use crate::installation::Installation;
use crate::output::print;
use crate::progress::Progress;

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    common: Common,
    /// Where to; `-` is standard output. An existing file is replaced when the export is complete.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let open = self.common.open()?;
        if self.file == Path::new("-") {
            // What a program reads must not be mixed with what is said about it.
            write(&open, &mut BufWriter::with_capacity(1 << 16, std::io::stdout().lock())).map(drop)
        } else {
            let header = to_file(&open, &self.file)?;
            let head = &header.head;
            let value = json!({"file": self.file, "entries": head.seq, "head": head});
            print(self.common.output, &value, |_| {
                format!("{} entries written to {}\npublic key {}", head.seq, self.file.display(), head.public_key)
            })
        }
    }
}

/// Beside the file first: an export is there whole or not at all.
fn to_file(open: &Installation, path: &Path) -> anyhow::Result<Header> {
    let shown = || path.display().to_string();
    let is_special = fs::metadata(path).is_ok_and(|meta| !meta.is_file());
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let temporary = if is_special { path.to_owned() } else { PathBuf::from(name) };
    let mut options = OpenOptions::new();
    options.write(true).create(!is_special).truncate(!is_special).mode(0o600);
    let file = options.open(&temporary).with_context(shown)?;
    let written = (|| {
        let mut out = BufWriter::with_capacity(1 << 16, &file);
        let header = write(open, &mut out)?;
        if !is_special {
            file.sync_all().with_context(shown)?;
            fs::rename(&temporary, path).with_context(shown)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
        }
        Ok(header)
    })();
    if written.is_err() && !is_special {
        // The error that is told is the one that came first.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write(open: &Installation, out: &mut dyn std::io::Write) -> anyhow::Result<Header> {
    let mut progress = Progress::new("entries exported");
    let header = export::write(&open.store, &key_of(open.data())?, open.clock.now(), out, |seq| progress.at(seq))?;
    out.flush().context("writing the export")?;
    Ok(header)
}
