use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::super::Common;
use super::told;
use crate::output::print;
use crate::snapshot::{self, Keys};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct Restore {
    file: PathBuf,
    /// Give the copy keys of its own: no link and no session of the original is valid there.
    #[arg(long, group = "which")]
    new_keys: bool,
    /// Give it the keys of this folder, for example the `keys` of the original.
    #[arg(long, value_name = "DIR", group = "which")]
    keys: Option<PathBuf>,
    /// It takes the place of the original: it is not marked as a copy from which nothing goes out.
    #[arg(long, requires = "keys", conflicts_with = "new_keys")]
    live: bool,
    #[command(flatten)]
    common: Common,
}

impl Restore {
    pub fn run(self) -> anyhow::Result<()> {
        let settings = self.common.settings(None, false)?;
        let keys = self.keys.map_or(Keys::New, Keys::From);
        let restored = snapshot::restore(&settings, &self.file, &keys, self.live)?;
        print(self.common.output, &restored, |restored| {
            let lines = restored.proven.proven.iter().map(|line| format!("✓ {line}\n")).collect::<String>();
            let held = if restored.held { "held: nothing goes out of this copy\n" } else { "" };
            let keys = match keys {
                Keys::New => "it has keys of its own: links and sessions of the original are not valid there\n",
                Keys::From(_) => "",
            };
            format!("{}\n{lines}{held}{keys}restored into {}", told(&restored.proven.manifest), restored.data.display())
        })
    }
}
