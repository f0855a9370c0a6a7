use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use signalbox_core::setting::Period;
use signalbox_core::setting_file::{Document, Faults, Reader};

use super::approvals::ApprovalsWire;
use super::canary::CanaryWire;
use super::checklist::ChecklistWire;
use super::migrations::MigrationsWire;
use super::notification::NotificationWire;
use super::readiness::ReadinessWire;
use super::risk::RiskWire;
use super::rollback::RollbackWire;
use super::service::ServiceWire;
use super::staging::StagingWire;
use super::windows::WindowsWire;
use super::{
    Approvals, Canary, ChecklistItem, Hold, Migrations, Notification, Profile, ReadinessRules, Risk, Said, Service,
    ServiceKind, Staging, Triggers,
};
use crate::model::calendar::Calendar;
use crate::model::value::{Digest, Percent, digest_of};

/// A documented manifest, as `signalbox release init` writes it.
pub const EXAMPLE: &str = include_str!("../../../release.toml");

/// What a service is, and how a version of it goes to production.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    pub profile: Profile,
    pub service: Service,
    pub canary: Canary,
    pub rollback: Triggers,
    pub migrations: Option<Migrations>,
    pub approvals: Approvals,
    pub calendar: Calendar,
    pub staging: Option<Staging>,
    pub readiness: ReadinessRules,
    pub notifications: Vec<Notification>,
    pub checklist: Vec<ChecklistItem>,
    pub risks: Vec<Risk>,
}

/// What a service is, and how a version of it goes to production.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Manifest", extend("required" = ["service"]))]
struct Wire {
    /// fast (< 5 min), standard (up to 35 min) or careful; fills in what is not said. Default standard.
    profile: Said<Profile>,
    service: Option<ServiceWire>,
    canary: CanaryWire,
    rollback: RollbackWire,
    migrations: Option<MigrationsWire>,
    approvals: ApprovalsWire,
    windows: WindowsWire,
    staging: Option<StagingWire>,
    readiness: ReadinessWire,
    /// Webhooks that are told.
    notification: Vec<NotificationWire>,
    /// What is to be done before and after.
    checklist: Vec<ChecklistWire>,
    /// What may go wrong.
    risk: Vec<RiskWire>,
}

impl Manifest {
    /// Reads `text`, which errors call `file`; or tells everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        let document = Document::parse(file, text)?;
        let misfits = document.misfits(&schema());
        let wire: Wire = match document.read() {
            Ok(wire) => wire,
            // A section that is something else hides what is in it.
            Err(_) if !misfits.is_empty() => return Err(document.faults(misfits)),
            Err(faults) => return Err(faults),
        };
        let mut reader = Reader::new(&document, misfits);
        let manifest = wire.read(&mut reader);
        reader.finish()?;
        manifest.ok_or_else(|| document.faults(Vec::new()))
    }

    /// Makes it one for the way back: in one move, without staging and signatures, whatever the window says, and without
    /// touching the database.
    pub fn go_back(&mut self) {
        let hold = Period::from_secs(1);
        self.canary.steps = vec![Hold { weight: Percent::ALL, hold }];
        self.canary.bake = Period::default();
        (self.staging, self.migrations) = (None, None);
        self.service.kind = ServiceKind::Service;
        self.approvals.roles.clear();
        self.calendar = Calendar::default();
        self.checklist.clear();
        self.risks.clear();
    }

    /// Whether there is a database to look after.
    pub fn has_database(&self) -> bool {
        self.migrations.is_some() || self.keeps_own_store()
    }

    /// Whether it is Signalbox itself, which saves, restores and migrates its store without commands of the manifest.
    pub fn keeps_own_store(&self) -> bool {
        self.service.kind == ServiceKind::Engage && self.migrations.is_none()
    }

    /// The digest of what it says, whatever its spelling.
    pub fn digest(&self) -> Digest {
        digest_of(self)
    }
}

impl Wire {
    fn read(self, reader: &mut Reader<'_, '_>) -> Option<Manifest> {
        let profile = reader.take(self.profile).unwrap_or_default();
        if self.service.is_none() {
            reader.missing("service", "is missing; it says what is released and how it runs");
        }
        let service = self.service.and_then(|service| service.read(reader));
        let kind = service.as_ref().map_or(ServiceKind::Service, |service| service.kind);
        let canary = self.canary.read(reader, profile, kind);
        let rollback = self.rollback.read(reader);
        let migrations = self.migrations.and_then(|migrations| migrations.read(reader));
        let approvals = self.approvals.read(reader, profile);
        let calendar = self.windows.read(reader);
        let staging = self.staging.map(|staging| staging.read(reader));
        let readiness = self.readiness.read(reader);
        let numbered = |number: usize| number + 1;
        let notifications = self.notification.into_iter().enumerate();
        let notifications = notifications.filter_map(|(number, one)| one.read(reader, numbered(number))).collect();
        let checklist = self.checklist.into_iter().enumerate();
        let checklist = checklist.filter_map(|(number, one)| one.read(reader, numbered(number))).collect();
        let risks = self.risk.into_iter().enumerate();
        let risks = risks.filter_map(|(number, one)| one.read(reader, numbered(number))).collect();
        Some(Manifest {
            profile,
            service: service?,
            canary,
            rollback,
            migrations,
            approvals,
            calendar,
            staging,
            readiness,
            notifications,
            checklist,
            risks,
        })
    }
}

/// The JSON schema (2020-12) of `release.toml`, for editors. It is also what the parser checks keys against.
pub fn schema() -> Json {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = generator.into_root_schema_for::<Wire>();
    let mut schema = schema.to_value();
    close(&mut schema);
    schema
}

/// TOML knows no null, and a key that is not listed is refused.
fn close(schema: &mut Json) {
    match schema {
        Json::Array(list) => list.iter_mut().for_each(close),
        Json::Object(object) => {
            if let Some(options) = object.get("anyOf").and_then(Json::as_array)
                && let [only] = options.iter().filter(|one| one["type"] != "null").collect::<Vec<_>>()[..]
            {
                let only = only.clone();
                object.remove("anyOf");
                object.extend(only.as_object().cloned().unwrap_or_default());
            }
            if let Some(types) = object.get("type").and_then(Json::as_array)
                && let [only] = types.iter().filter(|one| **one != "null").collect::<Vec<_>>()[..]
            {
                let only = only.clone();
                object.insert("type".into(), only);
            }
            if let Some(options) = object.get_mut("enum").and_then(Json::as_array_mut) {
                options.retain(|option| !option.is_null());
            }
            // Defaults depend on the profile; what is derived here would only say "nothing".
            object.remove("default");
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".into(), Json::Bool(false));
            }
            object.values_mut().for_each(close);
        }
        _ => (),
    }
}
