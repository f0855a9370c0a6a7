use std::collections::BTreeMap;

use super::Spec;
use crate::driver::{InstanceId, Role};
use crate::model::value::Version;

/// Where programs are looked for. What control was started with does not reach an instance: it may hold secrets, and a
/// service would run otherwise after control was started otherwise.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Marks every process of an instance.
pub(super) const MARK: &str = "SIGNALBOX_INSTANCE";

impl Spec {
    /// The marks of an instance, whatever else its environment says.
    pub(crate) fn own_env(id: &InstanceId, version: &Version, role: Role, sandboxed: bool) -> BTreeMap<String, String> {
        let role = match role {
            Role::Production => "production",
            Role::Staging => "staging",
        };
        let sandbox = if sandboxed { "no-network" } else { "none" };
        BTreeMap::from([
            (MARK.to_owned(), id.to_string()),
            (format!("{MARK}_VERSION"), version.to_string()),
            (format!("{MARK}_ROLE"), role.to_owned()),
            (format!("{MARK}_SANDBOX"), sandbox.to_owned()),
        ])
    }
}
