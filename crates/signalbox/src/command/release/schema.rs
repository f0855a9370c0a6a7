use signalbox_release::model::exit::Exit;
use signalbox_release::model::manifest::schema;

use crate::output::line;

pub(super) fn run() -> anyhow::Result<Exit> {
    line(&serde_json::to_string_pretty(&schema())?)?;
    Ok(Exit::Done)
}
