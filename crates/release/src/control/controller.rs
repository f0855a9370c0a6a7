//! What the controller knows, and how it begins and goes on with releases.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::drivers::LateDriver;
use super::lead::Lead;
use super::refusal::Refused;
use super::shelf::{Kept, Shelf, before, manifest_of, stable};
use crate::disk;
use crate::executor::{Ask, Ended, Handle, JournalFile, Kind, Release, Status, Tools, run};
use crate::model::exit::Exit;
use crate::model::machine::{Outcome, Progress, State as ReleaseState, Verb};
use crate::model::manifest::Manifest;
use crate::model::plan::Phase;
use crate::model::value::Name;

/// Requests that wait for an answer of a running release.
const ASKS: usize = 16;

/// What a controller is given.
#[derive(Clone)]
pub struct Settings {
    /// With `driver` as their driver.
    pub tools: Tools,
    pub driver: Arc<LateDriver>,
    /// Where releases lie.
    pub services: PathBuf,
}

/// The controller that leads.
pub struct Controller {
    pub(super) lead: Lead,
    pub(super) tools: Tools,
    pub(super) driver: Arc<LateDriver>,
    pub(super) state: Mutex<State>,
    /// Held while a release begins.
    pub(super) beginning: Mutex<()>,
    shelf: Shelf,
    services: PathBuf,
    /// Why it cannot go on.
    fatal: watch::Sender<Option<String>>,
    /// Raised by every change that somebody may wait for.
    pub(super) changes: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct State {
    pub active: Option<Active>,
    pub frozen: Option<Frozen>,
    /// Accepted and failed requests of all versions, once a second.
    pub rates: VecDeque<(Micros, (u64, u64))>,
}

pub(super) struct Active {
    pub id: String,
    pub handle: Handle,
}

/// Somebody locked the service: nothing is released.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Frozen {
    pub by: String,
    pub reason: String,
    pub at: Micros,
}

impl Controller {
    /// Takes up what is written: a release that had not ended goes on.
    pub async fn start(lead: Lead, settings: Settings) -> io::Result<Arc<Self>> {
        let shelf = Shelf::new(settings.services.clone());
        let frozen = disk::load_json(&lead.folder().join("frozen.json"))?;
        let this = Arc::new(Self {
            lead,
            tools: settings.tools,
            driver: settings.driver,
            state: Mutex::new(State { frozen, ..State::default() }),
            beginning: Mutex::new(()),
            shelf,
            services: settings.services,
            fatal: watch::Sender::new(None),
            changes: watch::Sender::new(0),
        });
        this.shelf.sweep()?;
        let all = this.shelf.all()?;
        if let Some(kept) = all.last() {
            this.driver.settle(&kept.journal.plan().service).map_err(io::Error::other)?;
        }
        if let Some(open) = all.iter().find(|kept| kept.ended().is_none()) {
            tracing::info!(release.id = %open.id, "a release goes on");
            let release = this.release(open, &all).map_err(io::Error::other)?;
            let journal = JournalFile::open(&open.folder, this.lead.epoch(), this.tools.fail);
            let journal = journal.map_err(|error| io::Error::other(error.to_string()))?;
            this.carry_out(release, journal).await;
        }
        tokio::spawn(super::keeper::keep(Arc::clone(&this)));
        tokio::spawn(super::notify::notify(Arc::clone(&this)));
        Ok(this)
    }

    /// Comes back when the controller cannot go on, and says why.
    pub async fn failed(&self) -> String {
        let mut fatal = self.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "it ended".to_owned(),
        }
    }

    pub(super) fn services(&self) -> &PathBuf {
        &self.services
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Every release, the oldest first.
    pub fn all(&self) -> Result<Vec<Kept>, Refused> {
        self.shelf.all().map_err(Refused::error)
    }

    /// One of them: by its id, by a version (its newest release), or `current` for the one that runs or ran last.
    pub fn one(&self, id: &str) -> Result<Kept, Refused> {
        let mut all = self.all()?;
        if id == "current" {
            return all.pop().ok_or_else(|| Refused::not_found("release yet"));
        }
        let by_id = all.iter().position(|kept| kept.id == id);
        let of_version =
            || all.iter().rposition(|kept| kept.request.kind == Kind::Deploy && kept.request.version.as_str() == id);
        let found = by_id.or_else(of_version).ok_or_else(|| Refused::not_found(&format!("release {id}")))?;
        Ok(all.swap_remove(found))
    }

    /// How one of them stands.
    pub async fn status(&self, id: &str) -> Result<Status, Refused> {
        let kept = self.one(id)?;
        let state = self.state.lock().await;
        if let Some(active) = state.active.as_ref().filter(|active| active.id == kept.id) {
            return Ok(active.handle.status.borrow().clone());
        }
        Ok(written(&kept))
    }

    /// Puts a kept release together with what is needed to carry it out.
    pub(super) fn release(&self, kept: &Kept, all: &[Kept]) -> Result<Release, String> {
        let manifest = kept.manifest()?;
        let from = kept.journal.plan().from.clone();
        let origin = from.and_then(|from| {
            let brought = all.iter().rev().filter(|other| other.id != kept.id);
            brought
                .into_iter()
                .find(|other| other.request.version == from && matches!(other.ended(), Some((Outcome::Promoted, ..))))
        });
        let before = match origin {
            Some(origin) => Some(Arc::new((origin.request.clone(), origin.manifest()?))),
            None => None,
        };
        Ok(Release {
            id: kept.id.clone(),
            folder: kept.folder.clone(),
            request: kept.request.clone(),
            manifest,
            tools: self.tools.clone(),
            before,
        })
    }

    /// Begins to carry a release out; it goes on by itself.
    pub(super) async fn carry_out(self: &Arc<Self>, release: Release, journal: JournalFile) {
        let (asks, asked) = mpsc::channel(ASKS);
        let id = release.id.clone();
        let first = Status::bare(&id, &release.request, journal.journal(), running());
        let (sender, status) = watch::channel(first);
        self.state.lock().await.active =
            Some(Active { id: id.clone(), handle: Handle { asks, status: status.clone() } });
        self.changed();
        let this = Arc::clone(self);
        let mut watched = status;
        tokio::spawn(async move {
            let followed = async {
                while watched.changed().await.is_ok() {
                    this.changed();
                }
            };
            let ended = tokio::select! {
                biased;
                ended = run(release, journal, asked, sender) => ended,
                () = followed => Ended::Broken("nobody carries the release out any more".into()),
            };
            this.state.lock().await.active = None;
            this.changed();
            match ended {
                Ended::Outcome(outcome) => tracing::info!(release.id = %id, ?outcome, "a release has ended"),
                Ended::Superseded(said) | Ended::Broken(said) => {
                    tracing::error!(release.id = %id, "{said}");
                    this.fatal.send_replace(Some(said));
                }
            }
        });
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Asks something of the release that runs.
    pub async fn verb(&self, id: &str, verb: Verb, by: String) -> Result<Status, Refused> {
        let (reply, told) = oneshot::channel();
        self.ask(id, Ask::Verb { verb, by, reply }, told).await
    }

    /// Signs the plan of the release that runs.
    pub async fn sign(&self, id: &str, role: Name, who: String) -> Result<Status, Refused> {
        let (reply, told) = oneshot::channel();
        self.ask(id, Ask::Sign { role, who, reply }, told).await
    }

    async fn ask(&self, id: &str, ask: Ask, told: oneshot::Receiver<Result<(), String>>) -> Result<Status, Refused> {
        let kept = self.one(id)?;
        let asks = {
            let state = self.state.lock().await;
            state.active.as_ref().filter(|active| active.id == kept.id).map(|active| active.handle.asks.clone())
        };
        let ended = || {
            let said = kept
                .ended()
                .map_or_else(|| "it does not run".to_owned(), |(_, at, said)| format!("it ended at {at}: {said}"));
            Refused::new(Exit::Refused, format!("{}: {said}", kept.id))
        };
        let asks = asks.ok_or_else(ended)?;
        asks.send(ask).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?.map_err(|said| Refused::new(Exit::Refused, said))?;
        self.status(&kept.id).await
    }

    /// The release that runs: one whose end is written does not.
    pub async fn running(&self) -> Option<String> {
        self.let_it_end().await;
        self.state.lock().await.active.as_ref().map(|active| active.id.clone())
    }

    pub(super) fn now(&self) -> Micros {
        self.tools.clock.now()
    }

    /// Locks the service against releases, or opens it again.
    pub async fn freeze(&self, frozen: Option<Frozen>) -> Result<(), Refused> {
        let path = self.lead.folder().join("frozen.json");
        let mut state = self.state.lock().await;
        match &frozen {
            Some(frozen) => disk::store_json(&path, frozen).map_err(Refused::error)?,
            None => match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Refused::error(error)),
                _ => (),
            },
        }
        state.frozen = frozen;
        Ok(())
    }

    /// What was promoted last, with its manifest.
    pub(super) fn promoted(&self) -> Option<(Kept, Manifest)> {
        let all = self.shelf.all().ok()?;
        let kept = stable(&all)?.clone();
        let manifest = manifest_of(&kept.request).ok()?;
        Some((kept, manifest))
    }

    /// What was promoted before that.
    pub(super) fn promoted_before(all: &[Kept]) -> Option<&Kept> {
        before(all, &stable(all)?.request.version)
    }
}

/// Before the first look.
fn running() -> ReleaseState {
    let step = crate::model::plan::StepId { phase: 1, step: 1 };
    ReleaseState::Running { phase: Phase::Validation, step, doing: "it begins".into() }
}

/// A release that does not run, from its journal alone.
pub(crate) fn written(kept: &Kept) -> Status {
    let progress = Progress::of(&kept.journal);
    let at = kept.journal.records().last().map_or(kept.request.at, |last| last.at);
    let nothing = crate::model::machine::Observation {
        now: at,
        versions: std::collections::BTreeMap::new(),
        applied: std::collections::BTreeSet::new(),
        staging: false,
        copy: false,
        tripped: Vec::new(),
        judged: None,
        gate: crate::model::machine::Gate::Open,
    };
    Status::bare(&kept.id, &kept.request, &kept.journal, ReleaseState::of(&progress, &nothing))
}
