//! An edge, a controller and a manifest in one folder, and people who ask the controller.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::edge::EdgeHouse;
use crate::server::Server;
use crate::{environment, process};

/// Everything of a release has this long: the machine may be busy.
const LIMIT: Duration = Duration::from_secs(300);

/// For the checks that must pass and that nothing here can look at.
const EVIDENCE: &str = r#"[readiness.commands]
"configuration.settings"  = ["true"]
"build.tests"             = ["true"]
"dependencies.advisories" = ["true"]
"security.findings"       = ["true"]
"security.secrets"        = ["true"]"#;

/// A folder with everything in it.
pub struct ControlHouse {
    pub edge: EdgeHouse,
    pub server: Server,
    binary: PathBuf,
    folder: PathBuf,
    ports: (u16, u16),
    service: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// What a manifest says beside the service.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// Within `[canary]`.
    pub canary: String,
    /// Whole sections.
    pub more: String,
}

impl ControlHouse {
    /// With an edge that runs; `service` is the program that is released.
    pub fn new(service: &str) -> Result<Self> {
        let edge = EdgeHouse::new()?;
        let server = edge.start(&[])?;
        let folder = edge.data.parent().context("a folder")?.to_owned();
        std::fs::create_dir(folder.join("faults"))?;
        let first = environment::free_port()?;
        let service = PathBuf::from(service);
        Ok(Self { edge, server, binary: environment::binary()?, folder, ports: (first, first + 11), service })
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--data").arg(&self.edge.data).current_dir(&self.folder).env_remove("DATABASE_URL");
        command
    }

    /// Starts a controller and waits until it leads.
    pub fn control(&self, more: &[&str]) -> Result<Server> {
        Server::start(self.command(&["control", "--listen", "127.0.0.1:0"]).args(more))
    }

    /// Starts a controller that dies at a record of the journal (`before:7`, `torn:7`, `after:7`), does something, and waits:
    /// true when it died there, false when the release ended without it.
    pub fn control_that_dies(&self, point: &str, then: impl FnOnce() -> Result<()>) -> Result<bool> {
        let said = tempfile::tempfile()?;
        let mut command = self.command(&["control", "--listen", "127.0.0.1:0", "--allow-faults", "--fail-at", point]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone()?);
        let mut child = Ending(command.spawn()?);
        let mut then = Some(then);
        process::wait_for(LIMIT, &format!("the controller has not died at {point}"), || {
            if let Some(status) = child.0.try_wait()? {
                ensure!(status.signal() == Some(9), "{point}: it ended by itself: {status}");
                return Ok(true);
            }
            let newest = self.newest()?;
            if let Some(then) = then.take() {
                then()?;
                bail!("it begins");
            }
            let ended = ["promoted", "rolled_back", "needs_hands"].map(Value::from).contains(&newest["state"]);
            if ended { Ok(false) } else { bail!("{newest}") }
        })
    }

    /// Writes `release.toml`.
    pub fn write(&self, manifest: &Manifest) -> Result<()> {
        let faults = self.folder.join("faults");
        let (program, faults) = (self.service.display(), faults.display());
        let text = format!(
            r#"profile = "fast"

[service]
name      = "shop"
run       = ["sh", "-c", "test -e {faults}/stubborn-{{version}} && trap '' TERM; exec {program} --port {{port}} --version {{version}} --faults {faults}"]
instances = 1
ports     = "{}-{}"
drain     = "5s"
stop      = "2s"
restart   = {{ first = "100ms", most = "200ms", give_up = 2 }}
health    = {{ path = "/health", interval = "200ms", version = "$.version", startup = "10s", database = "/database" }}

[canary]
{}

[readiness]
threshold = 40

{EVIDENCE}

{}
"#,
            self.ports.0, self.ports.1, manifest.canary, manifest.more
        );
        Ok(std::fs::write(self.folder.join("release.toml"), text)?)
    }

    /// Writes `release.toml` as it is given; `{ports}`, `{binary}` and `{evidence}` in it are filled in.
    pub fn write_text(&self, text: &str) -> Result<()> {
        let ports = format!("{}-{}", self.ports.0, self.ports.1);
        let binary = self.binary.display().to_string();
        let text = text.replace("{ports}", &ports).replace("{evidence}", EVIDENCE).replace("{binary}", &binary);
        Ok(std::fs::write(self.folder.join("release.toml"), text)?)
    }

    /// Changes words of `release.toml`.
    pub fn rewrite(&self, from: &str, to: &str) -> Result<()> {
        let path = self.folder.join("release.toml");
        let text = std::fs::read_to_string(&path)?.replace("  = ", " = ").replace("  = ", " = ");
        ensure!(text.contains(from), "{from} is not in {text}");
        Ok(std::fs::write(path, text.replace(from, to))?)
    }

    /// Where the manifest and its commands are.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// From now on that version has that fault.
    pub fn fault(&self, version: &str, fault: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.join("faults").join(version), fault)?)
    }

    /// Runs a command to its end.
    pub fn run(&self, words: &[&str]) -> Result<Ended> {
        let output = self.command(words).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code().context("ended by a signal")?;
        Ok(Ended { code, out: text(output.stdout), err: text(output.stderr) })
    }

    /// Deploys and watches to the end.
    pub fn deploy(&self, version: &str) -> Result<Ended> {
        self.run(&["deploy", version, "--watch", "--timeout", "300s"])
    }

    /// Deploys what must be promoted.
    pub fn promote(&self, version: &str) -> Result<Ended> {
        let ended = self.deploy(version)?;
        ensure!(ended.code == 0, "{version} was not promoted: {ended:?}");
        Ok(ended)
    }

    /// Deploys what must be promoted, under requests of which none may fail.
    pub fn promote_under_load(&self, version: &str) -> Result<Ended> {
        let askers = Askers::start(self.server.address, 4);
        let ended = self.promote(version);
        let asked = askers.stop()?;
        ensure!(asked.failed.is_empty(), "{asked:?}");
        ended
    }

    /// What `release history --output json` tells of the newest release.
    pub fn newest(&self) -> Result<Value> {
        let ended = self.run(&["release", "history", "--output", "json"])?;
        ensure!(ended.code == 0, "{ended:?}");
        let told: Value = serde_json::from_str(&ended.out)?;
        Ok(told["releases"][0].clone())
    }

    /// The service at a glance.
    pub fn overview(&self) -> Result<Value> {
        let ended = self.run(&["status", "--output", "json"])?;
        serde_json::from_str(&ended.out).with_context(|| format!("{ended:?}"))
    }

    /// Waits until no release runs, and says how the newest one stands.
    pub fn settled(&self) -> Result<Value> {
        process::wait_for(LIMIT, "the release has not ended", || {
            let newest = self.newest()?;
            let state = newest["state"].as_str().unwrap_or_default();
            if ["promoted", "rolled_back", "needs_hands"].contains(&state) { Ok(newest) } else { bail!("{newest}") }
        })
    }

    /// Everything goes to that version, and nothing else runs.
    pub fn only(&self, version: &str) -> Result<()> {
        process::wait_for(LIMIT, "one version alone", || {
            let overview = self.overview()?;
            let versions = overview["versions"].as_array().context("no versions")?;
            let one = versions.first().context("nothing runs")?;
            ensure!(versions.len() == 1 && one["version"] == version && one["weight"] == 100, "{overview}");
            ensure!(overview["stable"] == version, "{overview}");
            Ok(())
        })
    }

    /// The journal of the newest release.
    pub fn journal(&self) -> Result<Vec<Value>> {
        let ended = self.run(&["release", "journal"])?;
        ended.out.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

/// Instances outlive whoever started them, and not the test.
impl Drop for ControlHouse {
    fn drop(&mut self) {
        let folders = std::fs::read_dir(self.edge.data.join("instances")).into_iter().flatten().flatten();
        for folder in folders.map(|entry| entry.path()) {
            let status = std::fs::read(folder.join("status.json")).unwrap_or_default();
            let status: Value = serde_json::from_slice(&status).unwrap_or_default();
            let pid = status["shim"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
            let Some(pid) = pid else { continue };
            // The number may be somebody else's by now.
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command).contains(&*folder.to_string_lossy()) {
                process::signal(pid, Signal::KILL);
            }
        }
    }
}

/// Killed when nobody waits for it any more.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It has ended already, mostly.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Clients that ask the edge all the time.
pub struct Askers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Asked>>,
}

/// What became of their requests.
#[derive(Debug, Default)]
pub struct Asked {
    pub answered: u64,
    /// Everything but a whole answer with status 200.
    pub failed: Vec<String>,
}

impl Askers {
    /// So many clients, each with a connection that it keeps, a request every few milliseconds.
    pub fn start(address: SocketAddr, clients: usize) -> Self {
        Self::start_at(address, clients, "/cart")
    }

    /// The same for another path.
    pub fn start_at(address: SocketAddr, clients: usize, path: &'static str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let ask = |_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut asked = Asked::default();
                let mut client = None;
                while !stop.load(Ordering::Relaxed) {
                    one(address, path, &mut client, &mut asked);
                    std::thread::sleep(Duration::from_millis(4));
                }
                asked
            })
        };
        let threads = (0..clients).map(ask).collect();
        Self { stop, threads }
    }

    /// Stops them and says what they saw.
    pub fn stop(self) -> Result<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Asked::default();
        for thread in self.threads {
            let one = thread.join().ok().context("a client panicked")?;
            all.answered += one.answered;
            all.failed.extend(one.failed);
        }
        Ok(all)
    }
}

fn one(address: SocketAddr, path: &str, client: &mut Option<Client>, asked: &mut Asked) {
    if client.is_none() {
        match Client::connect(address) {
            Ok(fresh) => *client = Some(fresh),
            Err(error) => return asked.failed.push(format!("no connection: {error}")),
        }
    }
    let Some(open) = client else { return };
    match open.get(path) {
        Ok(answer) if answer.status == 200 => asked.answered += 1,
        Ok(answer) => asked.failed.push(format!("{answer:?}")),
        Err(broken) => {
            asked.failed.push(broken.to_string());
            *client = None;
        }
    }
}
