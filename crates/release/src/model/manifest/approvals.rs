use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::setting_file::{Field, Reader};

use super::health::positive;
use super::{Profile, Said};
use crate::model::value::Name;

/// Who has to sign before production.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approvals {
    pub roles: Vec<Name>,
    /// How long a signature is good; it ends at once when the plan changes.
    pub expires: Period,
}

/// Who has to sign before production.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Approvals")]
pub(super) struct ApprovalsWire {
    /// One signature for each; default none, for careful technical, security, operations and product.
    roles: Option<Vec<Field<Name>>>,
    /// How long a signature is good; default 7d. It ends at once when the plan changes.
    expires: Said<Period>,
}

impl ApprovalsWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>, profile: Profile) -> Approvals {
        let expires = positive(reader, self.expires).unwrap_or(Period::from_secs(7 * 86_400));
        let Some(said) = self.roles else {
            let roles = profile.roles().iter().filter_map(|role| role.parse().ok()).collect();
            return Approvals { roles, expires };
        };
        let mut roles: Vec<Name> = Vec::new();
        for field in said {
            let at = field.at;
            let Some(role) = reader.take(Some(field)) else { continue };
            if roles.contains(&role) {
                reader.wrong(at, format!("\"{role}\" is there twice"));
            }
            roles.push(role);
        }
        Approvals { roles, expires }
    }
}
