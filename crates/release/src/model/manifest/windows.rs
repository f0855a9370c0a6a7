use schemars::JsonSchema;
use serde::Deserialize;
use signalbox_core::setting_file::{Field, Reader};

use super::Said;
use crate::model::calendar::{Calendar, Day, Freeze, Window, Zone};

/// When a release may begin. A rollback is always allowed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Windows")]
pub(super) struct WindowsWire {
    /// Only then: Mon..Thu 09:00-16:00 Europe/Berlin. Without one: always.
    allow: Vec<Field<Window>>,
    /// Never then, whatever is allowed.
    deny: Vec<Field<Window>>,
    /// The time zone of freezes that name none; default UTC.
    zone: Said<Zone>,
    /// Days without releases.
    freeze: Vec<FreezeWire>,
}

/// Days without releases.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Freeze", extend("required" = ["from", "to", "reason"]))]
struct FreezeWire {
    /// The first day: 2026-12-20.
    from: Said<Day>,
    /// The last day, which is in it.
    to: Said<Day>,
    /// In which time zone the days begin; default: that of the windows.
    zone: Said<Zone>,
    /// Why, for those who are refused.
    reason: Said<String>,
}

impl WindowsWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>) -> Calendar {
        let allow = reader.each(self.allow);
        let deny = reader.each(self.deny);
        let usual = reader.take(self.zone).unwrap_or(Zone::UTC);
        let mut freezes = Vec::new();
        for (number, freeze) in self.freeze.into_iter().enumerate() {
            let section = format!("windows.freeze[{}]", number + 1);
            let to_at = freeze.to.as_ref().map_or(0, |to| to.at);
            let from = reader.needed(&section, "from", freeze.from);
            let to = reader.needed(&section, "to", freeze.to);
            let reason = reader.needed(&section, "reason", freeze.reason);
            let zone = reader.take(freeze.zone).unwrap_or_else(|| usual.clone());
            let (Some(from), Some(to), Some(reason)) = (from, to, reason) else { continue };
            if to < from {
                reader.wrong(to_at, format!("{to} is before {from}; a freeze ends on its first day or later"));
            }
            freezes.push(Freeze { from, to, zone, reason });
        }
        Calendar { allow, deny, freezes }
    }
}
