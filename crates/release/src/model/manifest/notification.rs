use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting_file::{Field, Reader};

use super::Said;
use crate::model::value::{HttpUrl, Template};

/// A webhook that is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notification {
    pub url: HttpUrl,
    /// A file with the secret that signs what is sent.
    pub secret_file: Option<Template>,
    /// All of them where none is named.
    pub on: Vec<Occasion>,
}

/// What a webhook is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    Begun,
    AwaitingApproval,
    Step,
    Paused,
    RollingBack,
    RolledBack,
    Promoted,
    Failed,
}

/// A webhook that is told.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Notification", extend("required" = ["url"]))]
pub(super) struct NotificationWire {
    /// Where it is sent.
    url: Said<HttpUrl>,
    /// A file with the secret that signs what is sent.
    secret_file: Said<Template>,
    /// Of what; default everything.
    on: Vec<Field<Occasion>>,
}

impl NotificationWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>, number: usize) -> Option<Notification> {
        let url = reader.needed(&format!("notification[{number}]"), "url", self.url);
        let secret_file = reader.take(self.secret_file);
        let on = reader.each(self.on);
        Some(Notification { url: url?, secret_file, on })
    }
}
