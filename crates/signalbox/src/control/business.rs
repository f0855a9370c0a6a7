//! What engage itself knows of its versions, for the judge of a release. Threads of their own read the main store and ask
//! instances: whoever leads never waits for either.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_events::kind::{Class, Kind};
use signalbox_insight::projector::VersionKey;
use signalbox_insight::synthetic;
use signalbox_release::executor::{Announcement, Business, Count};
use signalbox_release::model::manifest::Business as Metric;
use signalbox_store::{Faults, LogReader, Store, VersionShare};

use super::synthetic::{Asked, Asker};
use crate::installation::{is_new, open_store};
use crate::settings::Settings;

const TICK: Duration = Duration::from_millis(250);
/// After the store could not be read it is left alone for so long.
const AGAIN: Duration = Duration::from_secs(2);
/// What was announced is said again so often: somebody may have put an older store in its place.
const REPEAT: Duration = Duration::from_secs(30);
/// Nobody announces any more: nothing is asked.
const QUIET: Duration = Duration::from_secs(5);
/// Counts that are older than this say nothing.
const STALE: Duration = Duration::from_secs(10);

type Counts = BTreeMap<String, (u64, u64)>;

/// The store of engage as the judge sees it.
pub struct EngageBusiness {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    announced: Option<(Instant, Announcement)>,
    /// Hits that nobody has looked for in the store yet.
    asked: Vec<Asked>,
    /// Trials and events by version.
    counts: BTreeMap<&'static str, Counts>,
    counted: Instant,
    /// Why the last look brought nothing.
    failed: String,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EngageBusiness {
    /// Starts what looks; nothing is opened before something is announced.
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        let shared = Arc::new(Mutex::new(Shared {
            announced: None,
            asked: Vec::new(),
            counts: BTreeMap::new(),
            counted: Instant::now(),
            failed: "it was not read yet".into(),
        }));
        let data = settings.server.data.clone();
        let looking = Arc::clone(&shared);
        std::thread::Builder::new().name("business".into()).spawn(move || Looking::new(settings, looking).run())?;
        let asking = Arc::clone(&shared);
        std::thread::Builder::new().name("synthetic".into()).spawn(move || {
            let mut asker = Asker::new(data);
            loop {
                std::thread::sleep(TICK);
                let instances = fresh(&asking).map(|seen| seen.instances).unwrap_or_default();
                for (version, address) in instances {
                    let asked = asker.ask(&version, address);
                    lock(&asking).asked.extend(asked);
                }
            }
        })?;
        Ok(Self { shared })
    }
}

/// What was announced a moment ago.
fn fresh(shared: &Mutex<Shared>) -> Option<Announcement> {
    let shared = lock(shared);
    shared.announced.as_ref().filter(|(at, _)| at.elapsed() < QUIET).map(|(_, seen)| seen.clone())
}

fn word(metric: Metric) -> &'static str {
    match metric {
        Metric::TrackingAccuracy => "tracking accuracy",
        Metric::Delivery => "delivery",
        Metric::ClickThrough => "click-through",
        Metric::Recording => "recording",
    }
}

impl Business for EngageBusiness {
    fn announce(&self, seen: Announcement) {
        lock(&self.shared).announced = Some((Instant::now(), seen));
    }

    fn counts(&self, metric: Metric) -> Result<Vec<Count>, String> {
        let shared = lock(&self.shared);
        if shared.counted.elapsed() > STALE {
            return Err(format!("the store of the service: {}", shared.failed));
        }
        let counts = shared.counts.get(word(metric)).into_iter().flatten();
        let count = |(version, (trials, events)): (&String, &(u64, u64))| Count {
            version: version.clone(),
            trials: *trials,
            events: *events,
        };
        Ok(counts.map(count).collect())
    }
}

/// A moment of the data plane: what it had counted when the log was so long is projected as soon as the cursor is there.
struct Mark {
    recorded: Counts,
    seq: i64,
}

struct Looking {
    settings: Settings,
    shared: Arc<Mutex<Shared>>,
    open: Option<(Store, LogReader)>,
    told: Option<(Instant, Announcement)>,
    /// Of each generation of the data plane, by version.
    generations: BTreeMap<(u64, String), u64>,
    /// Summed over generations; the second number is not used.
    recorded: Counts,
    mark: Option<Mark>,
    synthetic: Counts,
    /// Synthetic hits, and how long the log was when they had been answered.
    waiting: Vec<(Asked, i64)>,
}

impl Looking {
    fn new(settings: Settings, shared: Arc<Mutex<Shared>>) -> Self {
        Self {
            settings,
            shared,
            open: None,
            told: None,
            generations: BTreeMap::new(),
            recorded: Counts::new(),
            mark: None,
            synthetic: Counts::new(),
            waiting: Vec::new(),
        }
    }

    fn run(mut self) {
        loop {
            std::thread::sleep(TICK);
            let Some(seen) = fresh(&self.shared) else { continue };
            if let Err(error) = self.look(&seen) {
                // A store that was put back is another file.
                self.open = None;
                let said = format!("{error:#}");
                let mut shared = lock(&self.shared);
                if shared.failed != said {
                    tracing::warn!("business metrics: {said}");
                }
                shared.failed = said;
                drop(shared);
                std::thread::sleep(AGAIN);
            }
        }
    }

    fn open(&mut self) -> anyhow::Result<Store> {
        if let Some((store, _)) = &self.open {
            return Ok(store.clone());
        }
        if is_new(&self.settings) {
            bail!("there is no installation in {}", self.settings.server.data.display());
        }
        let store = open_store(&self.settings, Faults::default())?;
        let reader = store.log().reader()?;
        self.open = Some((store.clone(), reader));
        Ok(store)
    }

    fn look(&mut self, seen: &Announcement) -> anyhow::Result<()> {
        let store = self.open()?;
        self.tell(&store, seen)?;
        self.add(seen);
        let (_, reader) = self.open.as_ref().context("it was opened")?;
        // Read after everything that is to be found behind it was answered.
        let asked = std::mem::take(&mut lock(&self.shared).asked);
        let last = reader.last_seq()?;
        self.waiting.extend(asked.into_iter().map(|asked| (asked, last)));
        let mark = self.mark.get_or_insert_with(|| Mark { recorded: self.recorded.clone(), seq: last });
        let (cursor, rows) = synthetic::version_counts(&store)?;
        if cursor < mark.seq {
            lock(&self.shared).failed = format!("{} events wait to be projected", last - cursor);
            return Ok(());
        }
        let recorded = std::mem::take(&mut mark.recorded);
        self.mark = None;
        self.settle(&store, cursor)?;
        let mut counts = by_metric(&rows);
        let stored = counts.remove(word(Metric::Recording)).unwrap_or_default();
        let recording = recorded.into_iter().map(|(version, (trials, _))| {
            let events = stored.get(&version).map_or(0, |count| count.1);
            (version, (trials, events))
        });
        counts.insert(word(Metric::Recording), recording.collect());
        counts.insert(word(Metric::TrackingAccuracy), self.synthetic.clone());
        let mut shared = lock(&self.shared);
        shared.counts = counts;
        shared.counted = Instant::now();
        shared.failed = "it is slow".into();
        Ok(())
    }

    /// Writes down which versions there are, where that changed.
    fn tell(&mut self, store: &Store, seen: &Announcement) -> anyhow::Result<()> {
        let known = |(at, told): &(Instant, Announcement)| {
            told.shares == seen.shares && told.epoch == seen.epoch && at.elapsed() < REPEAT
        };
        if self.told.as_ref().is_some_and(known) {
            return Ok(());
        }
        let shares = seen.shares.iter().map(|share| VersionShare {
            version: share.version.clone(),
            weight: share.weight,
            promoted: share.promoted,
        });
        store.announce(&shares.collect::<Vec<_>>(), seen.epoch, SystemClock.now())?;
        self.told = Some((Instant::now(), seen.clone()));
        Ok(())
    }

    /// Adds what the data plane counted since the last look.
    fn add(&mut self, seen: &Announcement) {
        // What was counted before the first look belongs to nobody.
        let is_first = self.generations.is_empty();
        for (generation, version, count) in &seen.recorded {
            let before = self.generations.insert((*generation, version.clone()), *count);
            let before = before.unwrap_or(if is_first { *count } else { 0 });
            self.recorded.entry(version.clone()).or_default().0 += count.saturating_sub(before);
        }
    }

    /// Looks for the synthetic hits that must be there by now: each once, of the right kind and version.
    fn settle(&mut self, store: &Store, cursor: i64) -> anyhow::Result<()> {
        let due: Vec<Asked> = self.waiting.extract_if(.., |(_, seq)| *seq <= cursor).map(|(asked, _)| asked).collect();
        let messages: Vec<i64> = due.iter().map(|asked| asked.message).collect();
        let stored = synthetic::stored(store, &messages)?;
        for asked in due {
            let of_it = stored.iter().filter(|one| one.message == asked.message);
            let kinds: Vec<_> = of_it.map(|one| (one.kind, one.version.as_str())).collect();
            let right = asked.answered_well && kinds == [(asked.kind.code(), asked.version.as_str())];
            if !right {
                tracing::debug!(version = asked.version, kind = %asked.kind, "a synthetic hit was answered and is not stored as it was");
            }
            let count = self.synthetic.entry(asked.version).or_default();
            *count = (count.0 + 1, count.1 + u64::from(right));
        }
        Ok(())
    }
}

/// Opens and clicks of people, and what became of mails, by the version that rendered them, or else the one that served;
/// hits by the version that served.
fn by_metric(rows: &[(VersionKey, i64)]) -> BTreeMap<&'static str, Counts> {
    let mut counts: BTreeMap<&'static str, Counts> = BTreeMap::new();
    for (key, total) in rows {
        let total = u64::try_from(*total).unwrap_or(0);
        let rendered = if key.rendered.is_empty() { &key.served } else { &key.rendered };
        let mut add = |metric: Metric, version: &str, trials: u64, events: u64| {
            let count = counts.entry(word(metric)).or_default().entry(version.to_owned()).or_default();
            *count = (count.0 + trials, count.1 + events);
        };
        let human = key.class == Class::Human.code();
        match Kind::from_code(key.kind) {
            Some(Kind::Opened) if human => add(Metric::ClickThrough, rendered, total, 0),
            Some(Kind::Clicked) if human => add(Metric::ClickThrough, rendered, 0, total),
            Some(Kind::Delivered) => add(Metric::Delivery, rendered, total, total),
            Some(Kind::Bounced) => add(Metric::Delivery, rendered, total, 0),
            _ => (),
        }
        if key.hit == 1 {
            add(Metric::Recording, &key.served, 0, total);
        }
    }
    counts
}
