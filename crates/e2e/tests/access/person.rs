//! Somebody with a browser, and installations on both engines.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use signalbox_e2e::client::{Answer, Client};
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::process;
use signalbox_e2e::server::Server;

pub const PASSWORD: &str = "correct horse battery staple";
pub const COOKIE: &str = "__Host-signalbox";

/// What keeps an installation's database alive.
pub struct Place {
    pub installation: Installation,
    pub engine: &'static str,
    _cluster: Option<Cluster>,
}

/// An installation on each engine.
pub fn both() -> Result<Vec<Place>> {
    let cluster = Cluster::create()?;
    let on_postgres = Installation::sqlite()?.on_postgres(cluster.url())?;
    Ok(vec![
        Place { installation: Installation::sqlite()?, engine: "SQLite", _cluster: None },
        Place { installation: on_postgres, engine: "PostgreSQL", _cluster: Some(cluster) },
    ])
}

/// Makes a user who has a password.
pub fn user(installation: &Installation, email: &str, role: &str, more: &[&str]) -> Result<String> {
    let mut arguments =
        vec!["user", "create", "--email", email, "--role", role, "--password-stdin", "--output", "json"];
    arguments.extend(more);
    let mut command = installation.command(&arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no stdin")?.write_all(PASSWORD.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout)?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

/// A browser: it keeps its cookie and says that its requests come from the site itself.
pub struct Person {
    address: std::net::SocketAddr,
    pub cookie: Option<String>,
    /// Sent with every request.
    pub headers: Vec<(String, String)>,
}

impl Person {
    pub fn new(server: &Server) -> Self {
        let headers =
            vec![("sec-fetch-site".into(), "same-origin".into()), ("user-agent".into(), "Firefox/1 Linux".into())];
        Self { address: server.address, cookie: None, headers }
    }

    /// Somebody who has signed in.
    pub fn signed_in(server: &Server, email: &str) -> Result<Self> {
        let mut person = Self::new(server);
        let answer = person.sign_in(email, PASSWORD)?;
        ensure!(answer.status == 303, "{email}: {answer:?}");
        Ok(person)
    }

    pub fn sign_in(&mut self, email: &str, password: &str) -> Result<Answer> {
        self.post("/sign-in", &[("email", email), ("password", password)])
    }

    pub fn get(&mut self, path: &str) -> Result<Answer> {
        self.ask("GET", path, &[], b"")
    }

    /// Sends a form.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let body: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.ask("POST", path, &[("content-type", "application/x-www-form-urlencoded")], body.join("&").as_bytes())
    }

    /// Sends JSON.
    pub fn json(&mut self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        self.ask(method, path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let cookie = self.cookie.as_ref().map(|cookie| format!("{COOKIE}={cookie}"));
        let mut all: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend(cookie.as_deref().map(|cookie| ("cookie", cookie)));
        all.extend(headers);
        let answer = Client::connect(self.address)?.request(method, path, &all, body)?;
        for (_, value) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            // Challenges have cookies of their own.
            let Some(value) = value.split(';').next().and_then(|pair| pair.strip_prefix(COOKIE)?.strip_prefix('='))
            else {
                continue;
            };
            self.cookie = Some(value.to_owned()).filter(|value| !value.is_empty());
        }
        Ok(answer)
    }

    /// The statuses of a page that is asked for until it is no longer what it was.
    pub fn until(&mut self, path: &str, wanted: u16, limit: Duration) -> Result<()> {
        let what = format!("{path} answering {wanted}");
        process::wait_for(limit, &what, || {
            let status = self.get(path)?.status;
            ensure!(status == wanted, "it answers {status}");
            Ok(())
        })
    }
}

pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The JSON of an answer.
pub fn body(answer: &Answer) -> Result<Value> {
    serde_json::from_slice(&answer.body).with_context(|| format!("{answer:?}"))
}

/// What stands between two texts.
pub fn between<'t>(text: &'t str, before: &str, after: &str) -> Result<&'t str> {
    let rest = text.split_once(before).with_context(|| format!("no {before:?} in {text}"))?.1;
    Ok(rest.split_once(after).with_context(|| format!("no {after:?}"))?.0)
}
