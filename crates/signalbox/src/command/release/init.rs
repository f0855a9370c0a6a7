use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use signalbox_release::model::exit::Exit;
use signalbox_release::model::manifest::EXAMPLE;

use crate::output::line;

#[derive(Debug, Args)]
pub struct Init {
    /// Where to write it; a file that is there stays as it is.
    #[arg(long, value_name = "FILE", default_value = "release.toml")]
    manifest: PathBuf,
}

impl Init {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let path = self.manifest.display().to_string();
        let file = std::fs::File::options().write(true).create_new(true).open(&self.manifest);
        file.and_then(|mut file| file.write_all(EXAMPLE.as_bytes())).context(path.clone())?;
        line(&format!(
            "{path} is written. Change it to your service, then: signalbox release validate --manifest {path}"
        ))?;
        Ok(Exit::Done)
    }
}
