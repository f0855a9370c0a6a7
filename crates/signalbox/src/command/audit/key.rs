use serde_json::json;

use super::Common;
use crate::audit::key_of;
use crate::output::print;

pub(super) fn run(common: &Common) -> anyhow::Result<()> {
    let settings = common.settings(None, false)?;
    let public = key_of(&settings.server.data)?.public();
    print(common.output, &json!({"algorithm": "ed25519", "public_key": public}), |_| public.to_string())
}
