//! `signalbox demo`

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use signalbox_access::email::Email;
use signalbox_access::links::{self, Purpose};
use signalbox_access::reach::Reach;
use signalbox_access::role::Role;
use signalbox_access::users::{self, Authority, NewUser};
use signalbox_core::setting::listen_address;
use signalbox_store::Faults;

use crate::command::events::project_all;
use crate::demo::{Receipt, Stage, play};
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
    /// Exit after the receipt instead of keeping the pages up.
    #[arg(long)]
    no_hold: bool,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Demo {
    pub fn run(self) -> anyhow::Result<()> {
        let text = self.output == Output::Text;
        let say = |words: &str| if text { line(words) } else { Ok(()) };
        let folder = tempfile::tempdir().context("no temporary folder could be made")?;
        let listener = match self.listen {
            Some(address) => server::bind(address)?,
            None => {
                server::bind(([127, 0, 0, 1], 8080).into()).or_else(|_| server::bind(([127, 0, 0, 1], 0).into()))?
            }
        };
        // Nothing from the surroundings: no file, no variables but the default settings.
        let overrides = Overrides { data: Some(folder.path().join("data")), no_file: true, ..Overrides::default() };
        let mut settings = Settings::load(&overrides, &settings::demo_environment())?;
        settings.server.trusted_proxies = vec!["127.0.0.0/8".parse()?, "::1/128".parse()?];
        // Whoever has the address of the demo looks at everything and changes nothing.
        settings.access.read_only = true;
        let open = Installation::open(settings, Schema::Migrate, Faults::default(), true)?;
        let act = open.act("demo");
        let owner = NewUser {
            email: Email::parse("demo@example.org")?,
            name: "Demo".into(),
            role: Role::Owner,
            reach: Reach::All,
            password: None,
        };
        let sign_in = open.change(|conn| match users::create(conn, &act, &Authority::root(), &owner)? {
            Ok(user) => links::create(conn, Purpose::SignIn, Some(user.id), act.now),
            Err(error) => Ok(Err(error)),
        })?;
        let server = Server::start(open, listener, Part::default())?;
        let interrupted = server.interrupted()?;
        let installation = Arc::clone(server.installation());
        let address = server.address();
        say(&format!(
            "signalbox {} · everything on this machine, in a folder that goes away afterwards",
            env!("CARGO_PKG_VERSION")
        ))?;
        say(&format!("  pages      http://{address}{}", *sign_in))?;
        say("  store      SQLite (WAL, every event on disk before it is answered)\n")?;

        let started = Instant::now();
        let stage = Stage::set(&installation, self.recipients)?;
        say(&format!(
            "▸ campaign \"{}\"  {} recipients  sent and delivered  {:.1} s",
            stage.name,
            stage.recipients,
            started.elapsed().as_secs_f64()
        ))?;
        let started = Instant::now();
        let bar = Bar::new("▸ their mail clients", text);
        let played = play(address, &stage.cues, &interrupted, |done| bar.at(done, stage.cues.len()))?;
        let took = started.elapsed();
        bar.clear();
        if interrupted.load(Ordering::Relaxed) {
            drop(installation);
            server.stop();
            return Ok(());
        }
        project_all(&installation)?;
        let receipt = Receipt::write(&installation.store, &stage, &played, took)?;
        let share = |class: &str| {
            let judged: usize = receipt.verdicts.values().filter_map(|row| row.get(class)).sum();
            judged as f64 * 100.0 / receipt.hits.sent.max(1) as f64
        };
        say(&format!(
            "▸ their mail clients  {} opens and clicks  (human {:.0} %, privacy proxy {:.0} %, machine {:.0} %)  {:.1} s\n",
            receipt.hits.sent,
            share("human"),
            share("privacy_proxy"),
            share("machine"),
            took.as_secs_f64()
        ))?;
        match self.output {
            Output::Text => line(&receipt.text())?,
            Output::Json => line(&serde_json::to_string_pretty(&receipt)?)?,
        }
        if !self.no_hold {
            say("Pages stay up, and a few recipients go on reading; Ctrl-C ends it.")?;
            let busy: Vec<_> = stage.cues.iter().filter(|cues| !cues.is_empty()).collect();
            for cues in busy.iter().cycle() {
                play(address, std::slice::from_ref(*cues), &interrupted, |_| ())?;
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
        server.stop();
        folder.close().context("the temporary folder could not be removed")?;
        if lost > 0 {
            bail!("{lost} events that were acknowledged or written are not stored");
        }
        Ok(())
    }
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
