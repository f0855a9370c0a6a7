//! An installation, and providers of npm's oidc-provider beside it.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use signalbox_e2e::client::{Answer, Client};
use signalbox_e2e::environment::{free_port, node_modules, program};
use signalbox_e2e::installation::Installation;
use signalbox_e2e::process::wait_for;
use signalbox_e2e::server::Server;

use crate::person::Person;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc/provider.mjs");
const SECRET: &str = "a secret: with = % and spaces";
const SESSION: &str = "__Host-signalbox";

/// What a provider is to be like.
#[derive(Clone, Copy)]
pub struct Manner {
    pub algorithm: &'static str,
    pub proof: &'static str,
    pub claims_in_userinfo: bool,
}

pub const USUAL: Manner = Manner { algorithm: "RS256", proof: "client_secret_basic", claims_in_userinfo: false };

/// A running provider.
pub struct Provider {
    child: Child,
    pub issuer: String,
}

impl Provider {
    /// Node.js 20 hangs in about one of thirty starts, while it makes keys (a deadlock of its own): then it is started
    /// again.
    fn start(id: &str, signalbox: SocketAddr, manner: Manner) -> Result<Self> {
        let mut last = None;
        for _ in 0..5 {
            match Self::start_once(id, signalbox, manner) {
                Ok(provider) => return Ok(provider),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("it was not started")?)
    }

    fn start_once(id: &str, signalbox: SocketAddr, manner: Manner) -> Result<Self> {
        let package = node_modules()?.join("oidc-provider");
        if !package.is_dir() {
            bail!("{} does not exist: run `cargo xtask test`, which installs the npm packages", package.display());
        }
        let mut command = Command::new(program("node", "nodejs")?);
        let (printed, said) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
        command.arg(SCRIPT).stdin(Stdio::null()).stdout(printed.reopen()?).stderr(said.reopen()?);
        command.env("OIDC_PROVIDER", package).env("CLIENT_SECRET", SECRET);
        command.env("REDIRECT_URI", format!("http://{signalbox}/sign-in/oidc/{id}/callback"));
        command.env("ALG", manner.algorithm).env("PROOF", manner.proof);
        command.env("CLAIMS_IN_USERINFO", if manner.claims_in_userinfo { "1" } else { "0" });
        let mut provider = Self { child: command.spawn().context("cannot start node")?, issuer: String::new() };
        let ended = wait_for(Duration::from_secs(20), "the provider's first line", || {
            let text = std::fs::read_to_string(printed.path())?;
            let ended = provider.child.try_wait()?;
            let line = text.split_once('\n').map(|(line, _)| line.to_owned());
            ensure!(line.is_some() || ended.is_some(), "no line yet");
            Ok(line)
        });
        let said = || std::fs::read_to_string(said.path()).unwrap_or_default();
        provider.issuer = ended.and_then(|line| line.context("it ended")).with_context(said)?;
        ensure!(provider.issuer.starts_with("http://"), "the provider said {:?}", provider.issuer);
        Ok(provider)
    }

    fn control(&self, change: &Value) -> Result<()> {
        let address = self.issuer.strip_prefix("http://").context("an issuer without http")?.parse()?;
        let answer = Client::connect(address)?.request("POST", "/test-control", &[], change.to_string().as_bytes())?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    }

    /// What the proxy does from now on; nothing for an empty word.
    pub fn tamper(&self, mode: &str) -> Result<()> {
        self.control(&json!({ "mode": mode }))
    }

    /// Who has an account there.
    pub fn accounts(&self, accounts: &Value) -> Result<()> {
        self.control(&json!({ "accounts": accounts }))
    }

    /// Hands the id token of the last sign-in at `other` out as this one's.
    pub fn keep_token_of(&self, other: &Provider) -> Result<()> {
        let address = other.issuer.strip_prefix("http://").context("an issuer without http")?.parse()?;
        let answer = Client::connect(address)?.request("POST", "/test-control", &[], b"{}")?;
        let kept: Value = serde_json::from_slice(&answer.body)?;
        ensure!(kept["kept"].is_string(), "the other provider has signed nobody in");
        self.control(&json!({ "kept": kept["kept"], "mode": "kept" }))
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that a test needs.
pub struct Rig {
    pub server: Server,
    pub installation: Installation,
    pub providers: Vec<Provider>,
}

impl Rig {
    /// One provider called `corp`.
    pub fn start(manner: Manner, more: &str) -> Result<Self> {
        Self::with(&["corp"], manner, more)
    }

    /// Several providers; `more` are further settings of each.
    pub fn with(ids: &[&str], manner: Manner, more: &str) -> Result<Self> {
        Self::on(Installation::sqlite()?, ids, manner, more)
    }

    /// On an installation that somebody else has made.
    pub fn on(installation: Installation, ids: &[&str], manner: Manner, more: &str) -> Result<Self> {
        std::fs::create_dir_all(&installation.data)?;
        // A provider must know the address to which it sends people before the server runs.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut settings = format!("[server]\npublic_url = \"http://{address}\"\n");
        let mut providers = Vec::new();
        for id in ids {
            let provider = Provider::start(id, address, manner)?;
            let secret = installation.data.join(format!("{id}.secret"));
            std::fs::write(&secret, format!("{SECRET}\n"))?;
            settings.push_str(&format!(
                "[[access.oidc]]\nid = \"{id}\"\nname = \"The {id}\"\nissuer = \"{}\"\nclient_id = \"signalbox\"\n\
                 client_secret_file = {:?}\nscopes = [\"openid\", \"email\", \"profile\", \"groups\"]\n{more}\n",
                provider.issuer,
                secret.display().to_string(),
            ));
            providers.push(provider);
        }
        std::fs::write(installation.data.join("signalbox.toml"), settings)?;
        let listen = address.to_string();
        let server = Server::start(&mut installation.command(&["serve", "--listen", &listen, "--limits", "off"]))?;
        Ok(Self { server, installation, providers })
    }

    pub fn provider(&self) -> &Provider {
        &self.providers[0]
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    /// Makes a user without a password: an invitation.
    pub fn invite(&self, email: &str, role: &str) -> Result<()> {
        self.installation.run(&["user", "create", "--email", email, "--role", role])?;
        Ok(())
    }

    /// The address with which the provider `id` sends `person` back, after they signed in there.
    pub fn callback(&self, person: &mut Person, id: &str, login: &str) -> Result<String> {
        let callback = self.url(&format!("/sign-in/oidc/{id}/callback"));
        person.walk(&self.url(&format!("/sign-in/oidc/{id}")), login, &callback)
    }

    /// Signs in at `corp` as `login`, and gives the last answer.
    pub fn sign_in(&self, person: &mut Person, login: &str) -> Result<Answer> {
        let callback = self.callback(person, "corp", login)?;
        person.get(&callback)
    }

    pub fn is_signed_in(&self, person: &Person) -> Result<bool> {
        let Some(secret) = person.cookie(&self.server.address.to_string(), SESSION) else { return Ok(false) };
        let cookie = format!("{SESSION}={secret}");
        let answer = self.server.client()?.request("GET", "/profile/passkeys", &[("Cookie", &cookie)], b"")?;
        Ok(answer.status == 200)
    }

    /// E-mail addresses and methods of all living sessions.
    pub fn sessions(&self) -> Result<Vec<(String, String)>> {
        let printed: Value = serde_json::from_str(&self.installation.run(&["session", "list", "--output", "json"])?)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = printed.as_array().context("no list")?;
        Ok(list.iter().map(|one| (text(&one["email"]), text(&one["method"]))).collect())
    }

    /// The user with this address as JSON, or null.
    pub fn user(&self, email: &str) -> Result<Value> {
        let printed: Value = serde_json::from_str(&self.installation.run(&["user", "list", "--output", "json"])?)?;
        let found = printed.as_array().context("no list")?.iter().find(|user| user["email"] == email).cloned();
        Ok(found.unwrap_or(Value::Null))
    }

    /// What the audit log says of refused sign-ins, newest first.
    pub fn refusals(&self) -> Result<Vec<String>> {
        let words = ["api-token", "create", "--name", "audit", "--scope", "audit:read"];
        let token = self.installation.run(&words)?.lines().last().unwrap_or_default().trim().to_owned();
        let authorization = format!("Bearer {token}");
        let path = "/api/v1/audit?limit=200";
        let answer = self.server.client()?.request("GET", path, &[("Authorization", &authorization)], b"")?;
        ensure!(answer.status == 200, "{answer:?}");
        let page: Value = serde_json::from_slice(&answer.body)?;
        let entries = page["items"].as_array().with_context(|| format!("no items: {page}"))?;
        let refused = entries.iter().filter(|entry| entry["action"] == "sign_in.refused");
        Ok(refused.map(|entry| entry["after"]["reason"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// The answer to a sign-in that did not work, and nobody is signed in.
    pub fn assert_refused(&self, person: &Person, answer: &Answer, why: &str) -> Result<()> {
        ensure!(answer.status == 403, "{why}: {answer:?}");
        ensure!(answer.text().contains("Not signed in"), "{why}: {answer:?}");
        ensure!(!self.is_signed_in(person)?, "{why}: somebody is signed in");
        ensure!(self.sessions()?.is_empty(), "{why}: there is a session");
        Ok(())
    }
}
