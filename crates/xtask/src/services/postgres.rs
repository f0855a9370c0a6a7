//! A throwaway PostgreSQL cluster: durable as in production, on a free port, with a role that is no superuser.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::folder::Folder;
use super::port;
use super::service::Service;
use crate::guard::Guard;
use crate::process;

/// A field is dropped before those below it: the server ends before its folder goes.
pub(crate) struct Postgres {
    _service: Service,
    folder: Folder,
    programs: PathBuf,
    port: u16,
    passwords: Passwords,
}

struct Passwords {
    superuser: String,
    role: String,
}

/// The user that the server runs as: itself, or `postgres` when we are root, which PostgreSQL refuses to run as.
#[derive(Clone, Copy)]
struct RunAs(Option<(u32, u32)>);

impl Postgres {
    /// `programs` is the folder of `initdb`, `postgres` and `psql`.
    pub(crate) fn start(guard: &Arc<Guard>, programs: &Path) -> Result<Self> {
        let run_as = RunAs::find()?;
        let folder = Folder::create(guard, "postgres")?;
        let passwords = Passwords { superuser: random_password()?, role: random_password()? };
        initialise(&folder, programs, run_as, &passwords.superuser)?;
        let (service, port) = start_server(guard, &folder, programs, run_as)?;
        let cluster = Self { _service: service, folder, programs: programs.to_owned(), port, passwords };
        cluster.execute(&format!(
            "CREATE ROLE signalbox LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB PASSWORD '{}'",
            cluster.passwords.role
        ))?;
        Ok(cluster)
    }

    /// Runs a statement as superuser.
    pub(crate) fn execute(&self, sql: &str) -> Result<()> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--username", "postgres"])
            .arg("--host")
            .arg(self.folder.path())
            .args(["--port", &self.port.to_string(), "--dbname", "postgres", "--file", "-"])
            .env("PGPASSWORD", &self.passwords.superuser)
            // By stdin, not as an argument: it may hold a password, and arguments are there for all to read.
            .stdin(Stdio::piped());
        let mut child = psql.spawn().context("cannot start psql")?;
        child.stdin.take().context("psql has no stdin")?.write_all(sql.as_bytes())?;
        let status = child.wait()?;
        if !status.success() {
            bail!("psql failed ({status})");
        }
        Ok(())
    }

    /// As the role `signalbox`, which may create databases and bypasses nothing.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://signalbox:{}@127.0.0.1:{}/{database}", self.passwords.role, self.port)
    }

    pub(crate) fn superuser_url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.passwords.superuser, self.port)
    }
}

fn initialise(folder: &Folder, programs: &Path, run_as: RunAs, password: &str) -> Result<()> {
    let data = folder.path().join("data");
    let password_file = folder.path().join("password");
    fs::create_dir(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    fs::write(&password_file, "")?;
    fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600))?;
    fs::write(&password_file, password)?;
    for path in [folder.path(), &data, &password_file] {
        run_as.give(path)?;
    }
    let mut initdb = Command::new(programs.join("initdb"));
    run_as.apply(&mut initdb);
    initdb
        .current_dir("/")
        .args(["--username", "postgres", "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"])
        // Only initdb itself does not wait for the disk; the server does.
        .args(["--no-sync", "--no-instructions"])
        .arg("--pwfile")
        .arg(&password_file)
        .arg("--pgdata")
        .arg(&data);
    process::output(&mut initdb)?;
    fs::remove_file(&password_file)?;
    Ok(())
}

/// Tries again when another program took the port in between.
fn start_server(guard: &Arc<Guard>, folder: &Folder, programs: &Path, run_as: RunAs) -> Result<(Service, u16)> {
    let mut attempts = 3;
    loop {
        attempts -= 1;
        let port = port::free()?;
        let mut command = Command::new(programs.join("postgres"));
        run_as.apply(&mut command);
        command.current_dir("/").arg("-D").arg(folder.path().join("data"));
        let sockets = format!("unix_socket_directories={}", folder.path().display());
        for setting in ["listen_addresses=127.0.0.1", "fsync=on", "max_connections=200", &sockets] {
            command.args(["-c", setting]);
        }
        command.args(["-p", &port.to_string()]);
        let log = folder.path().join("log");
        // SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
        let mut service = Service::start(guard, "PostgreSQL", &mut command, Signal::INT, Some(&log))?;
        let ready = || {
            let mut probe = Command::new(programs.join("pg_isready"));
            probe.args(["--quiet", "--host", "127.0.0.1", "--port", &port.to_string()]);
            process::run(&mut probe)
        };
        match service.wait_until(Duration::from_secs(30), ready) {
            Ok(()) => return Ok((service, port)),
            Err(error) if attempts == 0 => return Err(error),
            Err(error) => eprintln!("warning: {error:#}; another port is tried"),
        }
    }
}

impl RunAs {
    fn find() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let id = |kind: &str| -> Result<u32> {
            Ok(process::output(Command::new("id").args([kind, "postgres"]))?.trim().parse()?)
        };
        let user = id("-u").context("PostgreSQL does not run as root, and there is no user `postgres`")?;
        Ok(Self(Some((user, id("-g")?))))
    }

    /// std drops our supplementary groups with the user id.
    fn apply(self, command: &mut Command) {
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
    }

    fn give(self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.0 else { return Ok(()) };
        chown(path, Some(user), Some(group)).with_context(|| format!("cannot give {} away", path.display()))
    }
}

/// 128 bits in hexadecimal: nothing in it needs quoting in SQL or in a URL.
fn random_password() -> Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).context("/dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
