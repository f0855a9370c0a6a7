//! The store of a service that is Signalbox itself: saved and restored by this program, migrated by the version that is
//! released. No command of the manifest is needed.

use std::path::Path;

use serde_json::Value;

use super::release::Release;
use super::{act, commands};

/// This program, whatever has been put in its file's place meanwhile.
const OWN: &str = "/proc/self/exe";

/// Whether there is a store yet: its keys are made with it.
pub(super) fn is_there(release: &Release) -> Result<bool, String> {
    Ok(Path::new(&place(release, &release.tools.data)?.data).join("keys/keyring.json").exists())
}

/// Takes a snapshot into `file`.
pub(super) async fn save(release: &Release, file: &Path) -> Result<String, String> {
    let said = own(release, "create", &[&file.display().to_string()], &release.tools.data).await?;
    let manifest = &said["manifest"];
    Ok(format!(
        "{} events, {} more in the intake log, schema {}",
        manifest["tables"]["event"], manifest["log"]["waiting"], manifest["schema"]
    ))
}

/// Restores it for a moment and looks at everything.
pub(super) async fn prove(release: &Release, file: &Path) -> Result<String, String> {
    let said = own(release, "verify", &[&file.display().to_string()], &release.tools.data).await?;
    Ok(proven(&said))
}

/// Restores it into the empty folder of staging, with keys of its own.
pub(super) async fn restore(release: &Release, file: &Path, data: &Path) -> Result<String, String> {
    let said = own(release, "restore", &[&file.display().to_string(), "--new-keys"], data).await?;
    Ok(format!("{}; held, with keys of its own", proven(&said)))
}

fn proven(said: &Value) -> String {
    let lines = said["proven"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.collect::<Vec<_>>().join("; ")
}

/// How long the store took to answer, and what it said.
pub(super) async fn ask(release: &Release) -> Result<String, String> {
    let place = place(release, &release.tools.data)?;
    let mut words = vec!["migrate".to_owned(), "--plan".into()];
    words.extend(place.words());
    commands::program(OWN, "signalbox", &words, &release.request.base, &variables(release, &release.tools.data)).await
}

/// Brings the store in `data` to the schema of the version that is released, by that version's own program.
pub(super) async fn migrate(release: &Release, data: &Path) -> Result<String, String> {
    let service = &release.manifest.service;
    let filled = release.words(&service.run, service.ports.first, data);
    let program = filled.first().ok_or("the command is empty")?.clone();
    let mut words = vec![program, "migrate".to_owned()];
    words.extend(place(release, data)?.words());
    let fetched = act::fetch(release, &release.manifest, &release.request.version).await?;
    let folder = fetched.map_or_else(|| release.request.base.clone(), |fetched| fetched.folder);
    commands::run(&words, &folder, &variables(release, data)).await
}

async fn own(release: &Release, verb: &str, words: &[&str], data: &Path) -> Result<Value, String> {
    let mut all = vec!["snapshot".to_owned(), verb.to_owned()];
    all.extend(words.iter().map(|word| (*word).to_owned()));
    all.extend(place(release, data)?.words());
    all.extend(["--output".to_owned(), "json".to_owned()]);
    let folder = &release.request.base;
    let said = commands::whole(OWN, "signalbox", &all, folder, &variables(release, data)).await?;
    serde_json::from_str(&said).map_err(|error| format!("signalbox snapshot {verb} said what cannot be read: {error}"))
}

/// The variables that instances of the service have.
fn variables<'r>(release: &'r Release, data: &Path) -> Vec<(&'r str, String)> {
    let service = &release.manifest.service;
    let place = release.placeholders(service.ports.first, data);
    service.env.iter().map(|(name, value)| (name.as_str(), value.fill(&place))).collect()
}

/// Where an instance would have its store.
struct Place {
    data: String,
    config: Option<String>,
}

impl Place {
    fn words(&self) -> Vec<String> {
        let config = self.config.iter().flat_map(|config| ["--config".to_owned(), config.clone()]);
        ["--data".to_owned(), self.data.clone()].into_iter().chain(config).collect()
    }
}

/// What the command of the service says of it. Whoever is not told another folder would work on production's.
fn place(release: &Release, data: &Path) -> Result<Place, String> {
    let service = &release.manifest.service;
    let words = release.words(&service.run, service.ports.first, data);
    let said = option(&words, "--data").ok_or("a service of kind engage has --data {data} in service.run")?;
    if !Path::new(&said).starts_with(data) {
        return Err(format!("service.run has --data {said}, which stays the same in staging; write --data {{data}}"));
    }
    Ok(Place { data: said, config: option(&words, "--config") })
}

fn option(words: &[String], name: &str) -> Option<String> {
    let glued = format!("{name}=");
    words.iter().enumerate().find_map(|(number, word)| match word.strip_prefix(&glued) {
        Some(value) => Some(value.to_owned()),
        None if word == name => words.get(number + 1).cloned(),
        None => None,
    })
}
