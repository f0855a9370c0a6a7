use clap::Args;
use serde_json::json;
use signalbox_release::model::exit::Exit;

use super::source::Source;
use crate::output::{Output, print};

#[derive(Debug, Args)]
pub struct Validate {
    #[command(flatten)]
    source: Source,
}

impl Validate {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let path = self.source.manifest.display().to_string();
        let manifest = match self.source.read()? {
            Ok(manifest) => manifest,
            Err(faults) => {
                if self.source.output == Output::Json {
                    let list = faults.list().iter().map(|fault| json!({"line": fault.line, "said": fault.message}));
                    let value = json!({"valid": false, "faults": list.collect::<Vec<_>>()});
                    print(Output::Json, &value, |_| String::new())?;
                } else {
                    faults.to_string().lines().for_each(|fault| eprintln!("error: {fault}"));
                }
                return Ok(Exit::Error);
            }
        };
        let value = json!({"valid": true, "digest": manifest.digest(), "manifest": manifest});
        print(self.source.output, &value, |_| {
            format!(
                "{path} is right: {}, profile {}, {} steps, {} metrics, digest {}",
                manifest.service.name,
                manifest.profile.word(),
                manifest.canary.steps.len(),
                manifest.canary.metrics.len(),
                manifest.digest().short()
            )
        })?;
        Ok(Exit::Done)
    }
}
