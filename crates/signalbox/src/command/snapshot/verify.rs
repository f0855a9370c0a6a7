use std::path::PathBuf;

use clap::Args;

use super::super::Common;
use super::told;
use crate::output::print;
use crate::snapshot;

#[derive(Debug, Args)]
pub struct Verify {
    file: PathBuf,
    #[command(flatten)]
    common: Common,
}

impl Verify {
    pub fn run(self) -> anyhow::Result<()> {
        let settings = self.common.settings(None, false)?;
        let proven = snapshot::verify(&settings, &self.file)?;
        print(self.common.output, &proven, |proven| {
            let lines = proven.proven.iter().map(|line| format!("✓ {line}\n")).collect::<String>();
            format!("{}\n{lines}", told(&proven.manifest))
        })
    }
}
