use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::artifact::recheck;
use super::place::ANSWER_WITHIN;
use super::{ProcessDriver, ports};
use crate::driver::{DriverError, Instance, InstanceId, Launch};
use crate::model::manifest::Sandbox;
use crate::model::value::Placeholders;
use crate::shim::{Folder, LogLimits, Namespaces, PATH, Request, Spec, ask, possible};

/// Of what each instance writes is kept at most four times this.
const LOG: LogLimits = LogLimits { file_bytes: 8 << 20, files: 4 };
/// A shim that does not answer by then is none; the machine may be busy.
const SHIM_WITHIN: Duration = Duration::from_secs(60);

pub(super) async fn start(driver: &ProcessDriver, launch: &Launch) -> Result<Instance, DriverError> {
    let sandbox = match launch.sandbox {
        Sandbox::None => None,
        Sandbox::NoNetwork => Some(possible().await.map_err(|why| DriverError::NoSandbox { why })?),
    };
    // The shim and the service run elsewhere.
    let whole = |path: &Path| std::path::absolute(path).map_err(DriverError::file(path));
    let owned = Launch { base: whole(&launch.base)?, data: whole(&launch.data)?, ..launch.clone() };
    let (folder, spec, child) = driver.blocking(move |driver| prepare(driver, &owned, sandbox)).await?;
    match answers(&folder, child).await {
        Ok(instance) => Ok(instance.unwrap_or_else(|| spec.instance(None))),
        Err(said) => Err(DriverError::NotStarted { id: spec.id, said }),
    }
}

/// Everything up to the shim's process, while no other driver adds or removes instances.
fn prepare(
    driver: &ProcessDriver,
    launch: &Launch,
    sandbox: Option<Namespaces>,
) -> Result<(Folder, Spec, Child), DriverError> {
    if let Some(artifact) = &launch.artifact {
        recheck(artifact)?;
    }
    let _lock = driver.lock()?;
    let port = ports::free(driver, launch.service.ports)?;
    let id = new_id(launch)?;
    let spec = spec(driver, launch, id, port, sandbox);
    let path = driver.instances().join(spec.id.as_str());
    let wrong = DriverError::file(&path);
    let made = (|| {
        let folder = Folder::make(path.clone())?;
        let lock = folder.lock()?.ok_or_else(|| std::io::Error::other("somebody has its lock"))?;
        folder.write_spec(&spec)?;
        let child = spawn(driver, &folder, lock)?;
        Ok((folder, child))
    })();
    let (folder, child) = made.map_err(wrong)?;
    Ok((folder, spec, child))
}

fn spec(driver: &ProcessDriver, launch: &Launch, id: InstanceId, port: u16, sandbox: Option<Namespaces>) -> Spec {
    let service = &launch.service;
    let data = launch.data.to_string_lossy().into_owned();
    let with = Placeholders { port, version: launch.version.clone(), data };
    let own = Spec::own_env(&id, &launch.version, launch.role, sandbox.is_some());
    let mut env = BTreeMap::from([
        ("PATH".to_owned(), PATH.to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("HOME".to_owned(), with.data.clone()),
        ("PORT".to_owned(), port.to_string()),
    ]);
    env.extend(service.env.iter().map(|(name, value)| (name.clone(), value.fill(&with))));
    env.extend(launch.env.clone());
    // Whatever is said before: by these it is found.
    env.extend(own);
    Spec {
        id,
        service: service.name.clone(),
        version: launch.version.clone(),
        role: launch.role,
        artifact: launch.artifact.as_ref().map(|artifact| artifact.sha256),
        made_at: driver.clock.now(),
        command: service.run.fill(&with),
        folder: launch.artifact.as_ref().map_or(&launch.base, |artifact| &artifact.folder).clone(),
        env,
        port,
        sandbox,
        memory_bytes: service.limits.memory.map(|size| size.0),
        files: service.limits.files.map(|count| count.get()),
        restart: service.restart,
        stop: service.stop,
        health: service.health.clone(),
        log: LOG,
    }
}

/// Starts the shim. The lock goes with it as its standard input, so that it is held from now until the shim ends, and no
/// pipe leads back here: it does not mind when this process dies.
fn spawn(driver: &ProcessDriver, folder: &Folder, lock: File) -> std::io::Result<Child> {
    let said = folder.shim_log()?;
    let mut command = std::process::Command::new(&driver.program.0);
    command.arg0("signalbox").args(["shim", "run"]).arg(folder.path());
    command.env_clear().env("PATH", PATH).current_dir("/");
    command.stdin(Stdio::from(lock)).stdout(Stdio::null()).stderr(Stdio::from(said));
    Command::from(command).spawn()
}

/// Waits until the shim answers; why it does not, where it ended.
async fn answers(folder: &Folder, mut child: Child) -> Result<Option<Instance>, String> {
    let deadline = Instant::now() + SHIM_WITHIN;
    loop {
        if let Ok(crate::shim::Reply::Status(status)) = ask(folder, &Request::Status, ANSWER_WITHIN).await {
            let spec = folder.spec().map_err(|error| error.to_string())?;
            return Ok(Some(spec.instance(Some(&status))));
        }
        if let Ok(Some(ended)) = child.try_wait() {
            // One that gave up at once has told how it went.
            if matches!(folder.status(), Ok(Some(_))) {
                return Ok(None);
            }
            let said = std::fs::read_to_string(folder.path().join("shim.log")).unwrap_or_default();
            return Err(format!("its shim ended ({ended}): {}", said.trim()));
        }
        if Instant::now() >= deadline {
            return Err(format!("its shim did not answer within {SHIM_WITHIN:?}"));
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Never used before: 40 random bits behind service and version.
fn new_id(launch: &Launch) -> Result<InstanceId, DriverError> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let random = getrandom::u64().map_err(|error| std::io::Error::other(error.to_string()));
    let random = random.map_err(DriverError::file(Path::new("the system's random numbers")))?;
    let letters = (0..8).map(|place| char::from(LETTERS[(random >> (5 * place)) as usize % 32]));
    let text = format!("{}-{}-{}", launch.service.name, launch.version, letters.collect::<String>());
    let said = |said: String| DriverError::file(Path::new(&text))(std::io::Error::other(said));
    text.parse().map_err(said)
}
