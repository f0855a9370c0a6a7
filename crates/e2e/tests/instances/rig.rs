use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use signalbox_core::clock::SystemClock;
use signalbox_core::setting::Period;
use signalbox_e2e::client::Client;
use signalbox_e2e::{environment, process};
use signalbox_release::driver::process::{ProcessDriver, ShimProgram};
use signalbox_release::driver::{Driver as _, Exit, Health, Instance, InstanceId, Launch, State};
use signalbox_release::model::manifest::{Manifest, Sandbox, Service};
use signalbox_release::model::value::Version;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// However busy the machine is.
pub const LONG: Duration = Duration::from_secs(120);

/// A folder with instances in it. They end with the value.
pub struct House {
    pub runtime: Runtime,
    pub driver: ProcessDriver,
    pub folder: TempDir,
    ports: u16,
}

impl House {
    pub fn new() -> Result<Self> {
        Self::with_program(environment::binary()?)
    }

    /// With another program between the driver and the shim.
    pub fn with_program(program: PathBuf) -> Result<Self> {
        static USED: AtomicU32 = AtomicU32::new(0);
        let folder = environment::scratch("instances")?;
        // Blocks of ten below those that the system hands out; tests that run at the same time have different ones.
        let block = std::process::id() + 37 * USED.fetch_add(1, Ordering::Relaxed);
        let ports = 30_000 + u16::try_from(block % 270)? * 10;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let driver = driver(&folder.path().join("place"), program)?;
        Ok(Self { runtime, driver, folder, ports })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Control after it died: nothing of the old driver is left.
    pub fn come_back(&mut self) -> Result<()> {
        self.driver = driver(&self.path().join("place"), environment::binary()?)?;
        self.runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(())
    }

    pub fn first_port(&self) -> u16 {
        self.ports
    }

    /// The test service with these arguments, `more` behind `[service]`.
    pub fn service(&self, arguments: &[&str], more: &str) -> Result<Service> {
        let mut words = vec![env!("CARGO_BIN_EXE_signalbox-e2e-service"), "--port", "{port}", "--version", "{version}"];
        words.extend(arguments);
        self.service_of(&words, more)
    }

    pub fn service_of(&self, command: &[&str], more: &str) -> Result<Service> {
        let (first, last) = (self.ports, self.ports + 9);
        let text = format!(
            "[service]\nname = \"shop\"\nrun = {command:?}\ninstances = 1\nports = \"{first}-{last}\"\nstop = \"60s\"\n\
             health = {{ path = \"/healthz\", interval = \"100ms\", timeout = \"30s\", version = \"$.version\", startup = \"90s\" }}\n\
             restart = {{ first = \"10ms\", most = \"100ms\", give_up = 3 }}\n{more}"
        );
        // A later word replaces an earlier one.
        Ok(Manifest::parse("release.toml", &replaced(&text)).map_err(|faults| anyhow::anyhow!("{faults}"))?.service)
    }

    pub fn launch(&self, service: &Service) -> Result<Launch> {
        let data = self.path().join("data");
        std::fs::create_dir_all(&data)?;
        Ok(Launch::production(service, &version("1.0.0")?, self.path().to_owned(), data))
    }

    pub fn start(&self, service: &Service) -> Result<Instance> {
        self.start_as(&self.launch(service)?)
    }

    pub fn start_as(&self, launch: &Launch) -> Result<Instance> {
        Ok(self.runtime.block_on(self.driver.start(launch))?)
    }

    pub fn start_sandboxed(&self, service: &Service) -> Result<Instance> {
        let launch = self.launch(service)?;
        let (base, data) = (launch.base.clone(), launch.data.clone());
        self.start_as(&Launch::staging(service, &launch.version, Sandbox::NoNetwork, base, data))
    }

    pub fn list(&self) -> Result<Vec<Instance>> {
        Ok(self.runtime.block_on(self.driver.list())?)
    }

    pub fn instance(&self, id: &InstanceId) -> Result<Instance> {
        self.list()?.into_iter().find(|instance| instance.id == *id).with_context(|| format!("{id} is not listed"))
    }

    pub fn health(&self, id: &InstanceId) -> Result<Health> {
        Ok(self.runtime.block_on(self.driver.health(id))?)
    }

    pub fn stop(&self, id: &InstanceId, grace: Duration) -> Result<Option<Exit>> {
        Ok(self.runtime.block_on(self.driver.stop(id, Period(grace)))?)
    }

    pub fn logs(&self, id: &InstanceId) -> Result<String> {
        self.runtime.block_on(self.driver.logs(id, usize::MAX))?.context("no logs")
    }

    pub fn clean_up(&self) -> Result<Vec<InstanceId>> {
        Ok(self.runtime.block_on(self.driver.clean_up())?)
    }

    pub fn until(&self, id: &InstanceId, what: &str, right: impl Fn(&Instance) -> bool) -> Result<Instance> {
        process::wait_for(LONG, what, || {
            let instance = self.instance(id)?;
            if right(&instance) { Ok(instance) } else { bail!("{instance:?}; {}", self.logs(id)?) }
        })
    }

    pub fn until_state(&self, id: &InstanceId, state: State) -> Result<Instance> {
        self.until(id, &format!("not {state}"), |instance| instance.state == state)
    }

    /// Who the shim and the service are, as the file tells.
    pub fn pids(&self, id: &InstanceId) -> Result<(u32, u32)> {
        let status = std::fs::read(self.instance_folder(id).join("status.json"))?;
        let status: Value = serde_json::from_slice(&status)?;
        let pid = |who: &str| status[who]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        Ok((pid("shim").context("no shim")?, pid("process").context("no process")?))
    }

    pub fn instance_folder(&self, id: &InstanceId) -> PathBuf {
        self.path().join("place/instances").join(id.as_str())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for instance in self.list().unwrap_or_default() {
            let _ = self.stop(&instance.id, Duration::ZERO);
        }
    }
}

fn driver(root: &Path, program: PathBuf) -> Result<ProcessDriver> {
    let service = "shop".parse().map_err(anyhow::Error::msg)?;
    Ok(ProcessDriver::open(root, service, ShimProgram(program.into()), Arc::new(SystemClock))?)
}

/// Of two lines that set the same key the later one.
fn replaced(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let key = |line: &str| line.split_once(" = ").map(|(key, _)| key.trim().to_owned());
    let kept = lines.iter().enumerate().filter(|(place, line)| {
        key(line).is_none_or(|own| !lines[place + 1..].iter().any(|later| key(later).as_ref() == Some(&own)))
    });
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

pub fn version(text: &str) -> Result<Version> {
    text.parse().map_err(anyhow::Error::msg)
}

/// What the service says there.
pub fn ask(address: SocketAddr, path: &str) -> Result<String> {
    let answer = Client::connect(address)?.get(path)?;
    let answer: Value = serde_json::from_str(&answer.text()).with_context(|| answer.text().to_string())?;
    Ok(answer["said"].as_str().context("it says nothing")?.to_owned())
}

/// Waits until nobody listens there any more.
pub fn until_closed(address: SocketAddr) -> Result<()> {
    process::wait_for(LONG, "somebody listens", || {
        ensure!(TcpStream::connect(address).is_err(), "{address} is open");
        Ok(())
    })
}
