//! `signalbox demo`

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use signalbox_access::email::Email;
use signalbox_access::links::{self, Purpose};
use signalbox_access::reach::Reach;
use signalbox_access::role::Role;
use signalbox_access::users::{self, Authority, NewUser};
use signalbox_core::setting::listen_address;
use signalbox_store::Faults;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::command::events::project_all;
use crate::demo::{FIRST, Plant, Receipt, Stage, TourReceipt, play, play_beside, tour};
use crate::installation::{Installation, Schema};
use crate::output::{Output, line};
use crate::server::{self, Part, Server};
use crate::settings::{self, Overrides, Settings};

#[derive(Debug, Args)]
pub struct Demo {
    /// Address and port (default: 127.0.0.1:8080, or a free port where that is taken).
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// How many recipients the campaign has.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    recipients: u32,
    /// Only the campaign: no edge, no versions, a few seconds instead of a minute.
    #[arg(long)]
    without_releases: bool,
    /// Exit after the receipt instead of keeping the pages up.
    #[arg(long)]
    no_hold: bool,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Requests a second while versions are released.
const RATE: f64 = 1_500.0;

impl Demo {
    pub fn run(self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir().context("no temporary folder could be made")?;
        let data = folder.path().join("data");
        // Nothing from the surroundings: no file, no variables but the default settings.
        let overrides = Overrides { data: Some(data.clone()), no_file: true, ..Overrides::default() };
        let mut settings = Settings::load(&overrides, &settings::demo_environment())?;
        settings.server.trusted_proxies = vec!["127.0.0.0/8".parse()?, "::1/128".parse()?];
        // Whoever has the address of the demo looks at everything and changes nothing.
        settings.access.read_only = true;
        let open = Installation::open(settings, Schema::Migrate, Faults::default(), true)?;
        let sign_in = sign_in(&open)?;
        let interrupted = interrupted()?;
        let started = Instant::now();
        let stage = Stage::set(&open, self.recipients)?;
        let set = started.elapsed();
        self.say(&format!(
            "signalbox {} · everything on this machine, in a folder that goes away afterwards",
            env!("CARGO_PKG_VERSION")
        ))?;
        let place = if self.without_releases {
            let listener = match self.listen {
                Some(address) => server::bind(address)?,
                None => {
                    server::bind(([127, 0, 0, 1], 8080).into()).or_else(|_| server::bind(([127, 0, 0, 1], 0).into()))?
                }
            };
            Place::Alone(Box::new(Server::start(open, listener, Part::default())?))
        } else {
            let mut plant = Plant::start(folder.path(), &data, self.listen)?;
            plant.write_manifest(None)?;
            let ended = plant.deploy(FIRST, |_, _| Ok(()))?;
            ensure!(ended["state"] == "promoted", "{FIRST} was not promoted: {ended}");
            Place::Behind(plant, Arc::new(open))
        };
        let address = place.address();
        self.say(&format!("  pages      http://{address}{}", *sign_in))?;
        if let Place::Behind(..) = place {
            self.say(&format!("  edge       http://{address}, version {FIRST} behind it"))?;
        }
        self.say("  store      SQLite (WAL, every event on disk before it is answered)\n")?;
        self.say(&format!(
            "▸ campaign \"{}\"  {} recipients  sent and delivered  {:.1} s",
            stage.name,
            stage.recipients,
            set.as_secs_f64()
        ))?;
        let told = self.tell(place, &stage, &interrupted);
        folder.close().context("the temporary folder could not be removed")?;
        told
    }

    fn say(&self, words: &str) -> anyhow::Result<()> {
        if self.output == Output::Text { line(words) } else { Ok(()) }
    }

    /// Mail clients, releases, and pages that stay up.
    fn tell(&self, mut place: Place, stage: &Stage, interrupted: &AtomicBool) -> anyhow::Result<()> {
        let installation = Arc::clone(place.installation());
        let address = place.address();
        let started = Instant::now();
        let bar = Bar::new("▸ their mail clients", self.output == Output::Text);
        let mut played = play(address, &stage.cues, interrupted, |done| bar.at(done, stage.cues.len()))?;
        let took = started.elapsed();
        bar.clear();
        if interrupted.load(Ordering::Relaxed) {
            return place.stop();
        }
        project_all(&installation)?;
        let receipt = Receipt::write(&installation.store, stage, &played, took)?;
        let share = |class: &str| {
            let judged: usize = receipt.verdicts.values().filter_map(|row| row.get(class)).sum();
            judged as f64 * 100.0 / receipt.hits.sent.max(1) as f64
        };
        self.say(&format!(
            "▸ their mail clients  {} opens and clicks  (human {:.0} %, privacy proxy {:.0} %, machine {:.0} %)  {:.1} s",
            receipt.hits.sent,
            share("human"),
            share("privacy_proxy"),
            share("machine"),
            took.as_secs_f64()
        ))?;
        let mut releases = None;
        if let Place::Behind(plant, _) = &mut place {
            let shown = self.output == Output::Text;
            self.say(&format!("▸ they go on reading: about {RATE:.0} requests a second\n"))?;
            let (told, more) = play_beside(address, &stage.cues, RATE, || tour(plant, shown))?;
            played.extend(more);
            project_all(&installation)?;
            releases = Some(TourReceipt::write(&installation, plant, told, &played)?);
        }
        match self.output {
            Output::Text => {
                self.say("")?;
                if let Some(releases) = &releases {
                    line(&releases.text())?;
                }
                line(&receipt.text())?;
            }
            Output::Json => {
                let both = serde_json::json!({"mail": receipt, "releases": releases});
                line(&serde_json::to_string_pretty(&both)?)?;
            }
        }
        if !self.no_hold {
            self.say("Pages stay up, and a few recipients go on reading; Ctrl-C ends it.")?;
            let busy: Vec<_> = stage.cues.iter().filter(|cues| !cues.is_empty()).collect();
            for cues in busy.iter().cycle() {
                play(address, std::slice::from_ref(*cues), interrupted, |_| ())?;
                for _ in 0..10 {
                    std::thread::sleep(Duration::from_millis(50));
                    if interrupted.load(Ordering::Relaxed) {
                        break;
                    }
                }
                if interrupted.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        let lost = receipt.hits.lost + (receipt.seeded.written - receipt.seeded.stored);
        drop(installation);
        place.stop()?;
        if lost > 0 {
            bail!("{lost} events that were acknowledged or written are not stored");
        }
        if releases.is_some_and(|releases| !releases.is_whole()) {
            bail!("requests failed or events were lost while versions were released: see the receipt");
        }
        Ok(())
    }
}

/// Where the demo runs.
enum Place {
    /// In this process.
    Alone(Box<Server>),
    /// In processes of their own, behind an edge.
    Behind(Plant, Arc<Installation>),
}

impl Place {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Alone(server) => server.address(),
            Self::Behind(plant, _) => plant.address,
        }
    }

    fn installation(&self) -> &Arc<Installation> {
        match self {
            Self::Alone(server) => server.installation(),
            Self::Behind(_, open) => open,
        }
    }

    fn stop(self) -> anyhow::Result<()> {
        match self {
            Self::Alone(server) => server.stop(),
            Self::Behind(plant, _) => plant.stop()?,
        }
        Ok(())
    }
}

/// A link that signs the demo's owner in.
fn sign_in(open: &Installation) -> anyhow::Result<Zeroizing<String>> {
    let act = open.act("demo");
    let owner = NewUser {
        email: Email::parse("demo@example.org")?,
        name: "Demo".into(),
        role: Role::Owner,
        reach: Reach::All,
        password: None,
    };
    Ok(open.change(|conn| match users::create(conn, &act, &Authority::root(), &owner)? {
        Ok(user) => links::create(conn, Purpose::SignIn, Some(user.id), act.now),
        Err(error) => Ok(Err(error)),
    })?)
}

/// A flag that SIGTERM and SIGINT raise.
fn interrupted() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
        });
        raised.store(true, Ordering::SeqCst);
    })?;
    Ok(flag)
}

/// A progress bar on standard error, for people who watch.
struct Bar {
    label: &'static str,
    shown: bool,
}

impl Bar {
    fn new(label: &'static str, wanted: bool) -> Self {
        use std::io::IsTerminal as _;
        Self { label, shown: wanted && std::io::stderr().is_terminal() }
    }

    fn at(&self, done: usize, all: usize) {
        if self.shown {
            let filled = done * 26 / all.max(1);
            eprint!(
                "\r\x1b[2K{}  {}{}  {done} of {all} recipients",
                self.label,
                "█".repeat(filled),
                "░".repeat(26 - filled)
            );
        }
    }

    fn clear(&self) {
        if self.shown {
            eprint!("\r\x1b[2K");
        }
    }
}
