//! A PostgreSQL cluster of the test's own, to be killed or to lose power.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{environment, process};

pub struct Cluster {
    server: Option<Child>,
    programs: PathBuf,
    /// User and group `postgres`; PostgreSQL refuses to run as root.
    owner: Option<(u32, u32)>,
    data: PathBuf,
    port: u16,
    settings: Vec<String>,
    /// Socket and log.
    folder: TempDir,
}

impl Cluster {
    /// A running cluster in a folder of its own.
    pub fn create() -> Result<Self> {
        Self::create_with(&[])
    }

    /// With these settings, each as `name=value`.
    pub fn create_with(settings: &[&str]) -> Result<Self> {
        Self::initialise(None, settings)
    }

    /// A running cluster with its data below `place`, and further settings (`fsync=off`).
    pub fn create_at(place: &Path, settings: &[&str]) -> Result<Self> {
        Self::initialise(Some(place), settings)
    }

    fn initialise(place: Option<&Path>, settings: &[&str]) -> Result<Self> {
        let programs = environment::postgres_programs()?;
        let folder = environment::scratch("postgres")?;
        let data = place.unwrap_or(folder.path()).join("pg");
        let port = environment::free_port()?;
        let owner = if rustix::process::geteuid().is_root() { Some(postgres_user()?) } else { None };
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut cluster = Self { server: None, programs, owner, data, port, settings, folder };
        cluster.give(cluster.folder.path())?;
        fs::create_dir(&cluster.data)?;
        fs::set_permissions(&cluster.data, fs::Permissions::from_mode(0o700))?;
        cluster.give(&cluster.data)?;
        let mut initdb = cluster.program("initdb");
        // Passwords would prove nothing here: the socket lies in a folder of ours, the port on the loopback address.
        initdb.args(["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"]);
        process::output(initdb.args(["--no-sync", "--no-instructions", "--pgdata"]).arg(&cluster.data))?;
        cluster.start()?;
        cluster.execute("CREATE ROLE signalbox LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB")?;
        cluster.execute("CREATE DATABASE signalbox OWNER signalbox")?;
        Ok(cluster)
    }

    fn give(&self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        chown(path, Some(user), Some(group)).with_context(|| format!("cannot give {} away", path.display()))
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// The database of the role that is no superuser.
    pub fn url(&self) -> String {
        format!("postgres://signalbox@127.0.0.1:{}/signalbox", self.port)
    }

    /// A further, empty database of the same role.
    pub fn database(&self, name: &str) -> Result<String> {
        self.execute(&format!("CREATE DATABASE {name} OWNER signalbox"))?;
        Ok(format!("postgres://signalbox@127.0.0.1:{}/{name}", self.port))
    }

    /// Switches TLS on, with this certificate and key, and takes encrypted connections alone over the network.
    pub fn require_tls(&mut self, certificate: &str, key: &str) -> Result<()> {
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.data.join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            self.give(&path)?;
        }
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
        fs::write(self.data.join("pg_hba.conf"), rules)?;
        self.settings.push("ssl=on".to_owned());
        self.kill()?;
        self.start()
    }

    /// Starts the server and waits until it takes connections, recovery included.
    pub fn start(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = self.program("postgres");
        command.arg("-D").arg(&self.data).args(["-p", &self.port.to_string()]);
        let sockets = format!("unix_socket_directories={}", self.folder.path().display());
        for setting in
            ["listen_addresses=127.0.0.1", &sockets].into_iter().chain(self.settings.iter().map(String::as_str))
        {
            command.args(["-c", setting]);
        }
        self.server = Some(command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot start postgres")?);
        let ready = process::wait_for(Duration::from_secs(30), "PostgreSQL", || self.execute("SELECT 1"));
        ready.with_context(|| format!("it said:\n{}", self.log()))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Runs a statement as superuser.
    pub fn execute(&self, sql: &str) -> Result<()> {
        let mut psql = self.program("psql");
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--set",
            "ON_ERROR_STOP=1",
            "--username",
            "postgres",
            "--dbname",
            "postgres",
        ]);
        psql.arg("--host").arg(self.folder.path()).args(["--port", &self.port.to_string(), "--command", sql]);
        process::output(&mut psql).map(drop)
    }

    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        let postmaster = self.server.iter().map(Child::id);
        postmaster.flat_map(|pid| std::iter::once(pid).chain(process::children(pid))).collect()
    }

    /// `kill -9` for the postmaster and everything that it has started.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { bail!("PostgreSQL does not run") };
        // Stopped first, so that it starts nothing in between.
        process::signal(server.id(), Signal::STOP);
        let children = process::children(server.id());
        children.iter().for_each(|pid| process::signal(*pid, Signal::KILL));
        server.kill()?;
        server.wait()?;
        process::wait_for(Duration::from_secs(10), "the end of PostgreSQL's processes", || {
            match children.iter().find(|pid| process::lives(**pid)) {
                Some(pid) => bail!("process {pid} still runs"),
                None => Ok(()),
            }
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.server.is_some()
            && let Err(error) = self.kill()
        {
            eprintln!("warning: {error:#}");
        }
    }
}

fn postgres_user() -> Result<(u32, u32)> {
    let id = |kind: &str| -> Result<u32> {
        Ok(process::output(Command::new("id").args([kind, "postgres"]))?.trim().parse()?)
    };
    Ok((id("-u").context("there is no user `postgres` (Debian: postgresql-15)")?, id("-g")?))
}
