//! One installation: a data directory, perhaps a PostgreSQL database, and the commands on them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::server::Server;
use crate::{environment, process};

/// Where every minted click leads.
pub const DESTINATION: &str = "https://example.org/spring?from=mail&n=1";

pub struct Installation {
    binary: PathBuf,
    pub data: PathBuf,
    database_url: Option<String>,
    _folder: Option<TempDir>,
}

/// A minted link: its path, and the message that its events belong to (one per link).
#[derive(Debug, Clone)]
pub struct Link {
    pub path: String,
    pub message: String,
}

/// A stored event, as `events export` tells it.
#[derive(Debug, Clone)]
pub struct Stored {
    pub id: String,
    pub kind: String,
    /// Empty when it has none.
    pub message: String,
}

impl Installation {
    /// On SQLite, in a folder of its own.
    pub fn sqlite() -> Result<Self> {
        let folder = environment::scratch("data")?;
        let mut installation = Self::at(folder.path().join("data"))?;
        installation._folder = Some(folder);
        Ok(installation)
    }

    /// On SQLite, in a folder that somebody else looks after.
    pub fn at(data: PathBuf) -> Result<Self> {
        Ok(Self { binary: environment::binary()?, data, database_url: None, _folder: None })
    }

    /// The same with the empty PostgreSQL database of `url`.
    pub fn on_postgres(mut self, url: String) -> Result<Self> {
        self.database_url = Some(url);
        self.run(&["migrate"])?;
        Ok(self)
    }

    /// Where one will be, by something else than a server: in this folder, and in the database of `url` if there is one.
    pub fn to_be(data: PathBuf, url: Option<String>) -> Result<Self> {
        Ok(Self { binary: environment::binary()?, data, database_url: url, _folder: None })
    }

    /// A command on this installation.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--data").arg(&self.data).current_dir(self.data.parent().unwrap_or(Path::new("/")));
        match &self.database_url {
            Some(url) => command.env("DATABASE_URL", url),
            None => command.env_remove("DATABASE_URL"),
        };
        command
    }

    /// Runs a command to its end and returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        process::output(&mut self.command(arguments))
    }

    /// As [`Installation::run`], with these variables.
    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<String> {
        process::output(self.command(arguments).envs(variables.iter().copied()))
    }

    /// Starts the server without limits per source, as every test of load needs it.
    pub fn serve(&self) -> Result<Server> {
        self.serve_with(&["--limits", "off"])
    }

    /// Starts the server with these arguments.
    pub fn serve_with(&self, arguments: &[&str]) -> Result<Server> {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        Server::start(command.args(arguments))
    }

    /// One instance behind an edge, of that version.
    pub fn engage(&self, version: &str, arguments: &[&str]) -> Result<Server> {
        let mut command = self.command(&["engage", "--listen", "127.0.0.1:0"]);
        command.env("SIGNALBOX_INSTANCE_VERSION", version).env("SIGNALBOX_LIMITS_ENABLED", "false");
        Server::start(command.args(arguments))
    }

    pub fn mint_opens(&self, count: usize) -> Result<Vec<Link>> {
        self.mint(&["--kind", "open"], count)
    }

    /// Clicks that lead to [`DESTINATION`].
    pub fn mint_clicks(&self, count: usize) -> Result<Vec<Link>> {
        self.mint(&["--kind", "click", "--url", DESTINATION], count)
    }

    fn mint(&self, kind: &[&str], count: usize) -> Result<Vec<Link>> {
        let count_text = count.to_string();
        let mut arguments = vec!["link", "mint", "--campaign", "e2e", "--count", &count_text, "--output", "json"];
        arguments.extend(kind);
        let printed = self.run(&arguments)?;
        let links: Vec<_> = printed.lines().map(parse_link).collect::<Result<_>>()?;
        if links.len() != count {
            bail!("`link mint` printed {} links instead of {count}", links.len());
        }
        Ok(links)
    }

    /// An API token that may do everything.
    pub fn token(&self) -> Result<String> {
        let scopes = "events:write,events:read,reports:read,metrics:read";
        let printed = self.run(&["api-token", "create", "--name", "e2e", "--scope", scopes])?;
        let token = printed.lines().last().map(str::trim).filter(|token| !token.is_empty());
        Ok(token.context("`api-token create` printed no token")?.to_owned())
    }

    /// Every stored event.
    pub fn export(&self) -> Result<Vec<Stored>> {
        let mut command = self.command(&["events", "export", "--format", "jsonl"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let events = lines.map(|line| parse_stored(&line?)).collect::<Result<_>>();
        let status = child.wait()?;
        if !status.success() {
            bail!("`events export` failed ({status})");
        }
        events
    }

    /// The number of stored events.
    pub fn count(&self) -> Result<usize> {
        let printed = self.run(&["events", "count"])?;
        let number = printed.split_whitespace().last().unwrap_or_default();
        number.parse().with_context(|| format!("`events count` printed {printed:?}"))
    }
}

fn parse_link(line: &str) -> Result<Link> {
    let value: Value = serde_json::from_str(line).with_context(|| format!("`link mint` printed {line:?}"))?;
    let text = |name: &str| value[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {line}"));
    Ok(Link { path: text("path")?, message: text("message")? })
}

fn parse_stored(line: &str) -> Result<Stored> {
    let value: Value = serde_json::from_str(line).with_context(|| format!("`events export` printed {line:?}"))?;
    let text = |name: &str| value[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {line}"));
    Ok(Stored {
        id: text("id")?,
        kind: text("kind")?,
        message: value["message"].as_str().unwrap_or_default().to_owned(),
    })
}
