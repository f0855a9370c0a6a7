//! A running `signalbox edge`, and its admin socket.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::Server;
use crate::{environment, process};

/// A data directory with an edge in it, or with several generations of it.
pub struct EdgeHouse {
    binary: PathBuf,
    pub data: PathBuf,
    _folder: TempDir,
}

impl EdgeHouse {
    pub fn new() -> Result<Self> {
        let folder = environment::scratch("edge")?;
        Ok(Self { binary: environment::binary()?, data: folder.path().join("data"), _folder: folder })
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        let place = self.data.parent().unwrap_or(Path::new("/"));
        command.arg("edge").args(arguments).arg("--data").arg(&self.data).current_dir(place);
        command.env_remove("DATABASE_URL");
        command
    }

    /// On a free port, without routes unless `arguments` name upstreams.
    pub fn start(&self, arguments: &[&str]) -> Result<Server> {
        Server::start(self.command(&["--listen", "127.0.0.1:0"]).args(arguments))
    }

    pub fn start_on(&self, address: SocketAddr, arguments: &[&str]) -> Result<Server> {
        Server::start(self.command(&["--listen", &address.to_string()]).args(arguments))
    }

    /// The next generation, which takes the sockets of the present one.
    pub fn upgrade(&self) -> Result<Server> {
        Server::start(&mut self.command(&["--upgrade"]))
    }

    pub fn socket(&self) -> PathBuf {
        self.data.join("edge/edge.sock")
    }

    /// A call of the admin interface: status and answer.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let mut stream = UnixStream::connect(self.socket()).context("the admin socket")?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").context("no answer of the admin interface")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        Ok((status, serde_json::from_str(body).with_context(|| format!("not JSON: {body}"))?))
    }

    /// A call that must succeed.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.call(method, path, body)?;
        ensure!(status == 200, "{method} {path}: {status} {answer}");
        Ok(answer)
    }

    /// Routes with arms of (name, upstream, weight); the version is the name.
    pub fn route(&self, epoch: u64, arms: &[(&str, &str, u32)]) -> Result<Value> {
        self.ask("PUT", "/routes", &routes(epoch, arms))
    }

    /// The counts of an arm in `/stats`, this generation's alone.
    pub fn arm(&self, name: &str) -> Result<Value> {
        let stats = self.ask("GET", "/stats", &Value::Null)?;
        arm(&stats, name).with_context(|| format!("no arm {name} in {stats}"))
    }

    /// The receipt, which must balance.
    pub fn receipt(&self) -> Result<Value> {
        let receipt = self.ask("GET", "/receipt", &Value::Null)?;
        ensure!(receipt["balances"] == json!(true), "{receipt}");
        for arm in receipt["arms"].as_array().context("no arms")? {
            let number = |name: &str| arm[name].as_u64().unwrap_or(0);
            let group = |name: &str| -> u64 {
                arm[name].as_object().map_or(0, |group| group.values().filter_map(Value::as_u64).sum())
            };
            let ended = group("answered") + group("answered_by_edge") + number("broken") + number("aborted");
            ensure!(number("accepted") == ended + number("open"), "{arm}");
        }
        Ok(receipt)
    }

    /// Waits until nothing is open on an arm.
    pub fn wait_until_closed(&self, name: &str) -> Result<()> {
        process::wait_for(Duration::from_secs(20), "the arm is still open", || {
            let arm = self.arm(name)?;
            if arm["open"] == json!(0) { Ok(()) } else { bail!("{arm}") }
        })
    }
}

pub fn routes(epoch: u64, arms: &[(&str, &str, u32)]) -> Value {
    let arms = arms.iter().map(
        |(name, upstream, weight)| json!({"name": name, "version": name, "upstreams": [upstream], "weight": weight}),
    );
    json!({"epoch": epoch, "arms": arms.collect::<Vec<_>>()})
}

/// An arm of `/stats` or `/receipt`.
pub fn arm(stats: &Value, name: &str) -> Option<Value> {
    stats["arms"].as_array()?.iter().find(|arm| arm["name"] == name).cloned()
}
