//! Passkeys in a real browser with Chromium's virtual authenticator: registered, used, renamed, removed; and whatever is
//! replayed, changed or made elsewhere is refused.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::browser::run_script;
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::environment::free_port;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::server::Server;

const EMAIL: &str = "anna@example.org";
const PASSWORD: &str = "correct horse battery staple 9";

/// A user with a password, and the server under a name: passkeys are never bound to a bare address.
fn start(installation: &Installation, more: &str) -> Result<(Server, String)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("password");
    std::fs::write(&file, PASSWORD)?;
    let mut create = installation.command(&["user", "create", "--email", EMAIL, "--owner", "--password-stdin"]);
    let output = create.stdin(std::fs::File::open(&file)?).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::create_dir_all(&installation.data)?;
    std::fs::write(installation.data.join("signalbox.toml"), more)?;
    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let server = Server::start(&mut installation.command(&["serve", "--listen", &listen, "--limits", "off"]))?;
    Ok((server, format!("http://localhost:{port}")))
}

fn whole_life(installation: &Installation) -> Result<()> {
    let (server, url) = start(installation, "")?;
    let seen = run_script("passkeys.mjs", &[("SERVER", &url), ("EMAIL", EMAIL), ("PASSWORD", PASSWORD)])?;
    ensure!(seen["registered"]["resident"] == true && seen["registered"]["rpId"] == "localhost", "{seen}");
    let handle = seen["registered"]["handle"].as_str().context("no handle")?;
    ensure!(!handle.is_empty() && !handle.contains("anna"), "the handle tells nothing of the person: {seen}");
    ensure!(seen["again"].is_string() && seen["withoutPassword"].is_string(), "{seen}");
    let fine = json!({ "status": 200, "session": true });
    ensure!(seen["accepted"]["wanted"] == "/profile/passkeys" && seen["accepted"]["used"] == true, "{seen}");
    ensure!(seen["accepted"]["outside"] == fine && seen["accepted"]["once"] == fine, "{seen}");
    let refused = seen["refused"].as_object().context("nothing was tried")?;
    ensure!(refused.len() == 15, "{} attempts: {seen}", refused.len());
    for (attempt, answer) in refused {
        ensure!(*answer == json!({ "status": 403, "session": false }), "{attempt}: {answer}");
    }
    ensure!(seen["counted"].as_i64().is_some_and(|count| count > 1), "the virtual authenticator counts: {seen}");
    ensure!(seen["asksForCode"] == 0 && seen["passwordAlone"] == "/sign-in", "a password alone is not enough: {seen}");
    ensure!(seen["allowed"] == 1, "after the password the browser is told which passkey: {seen}");
    ensure!(seen["unverified"].is_string() && seen["complaints"] == json!([]), "{seen}");
    let sessions: Value = serde_json::from_str(&installation.run(&["session", "list", "--output", "json"])?)?;
    let methods: Vec<_> = sessions.as_array().context("no list")?.iter().map(|one| &one["method"]).collect();
    ensure!(methods.contains(&&json!("passkey")), "{sessions}");
    let proved = sessions.as_array().context("no list")?.iter().filter(|one| one["method"] == "passkey");
    for one in proved {
        ensure!(one["second_factor"] == true, "a passkey is two factors: {one}");
    }
    server.terminate()
}

#[test]
fn a_passkey_on_sqlite() -> Result<()> {
    whole_life(&Installation::sqlite()?)
}

#[test]
fn a_passkey_on_postgres() -> Result<()> {
    let cluster = Cluster::create()?;
    whole_life(&Installation::sqlite()?.on_postgres(cluster.url())?)
}

#[test]
fn without_a_name_there_are_no_passkeys() -> Result<()> {
    let installation = Installation::sqlite()?;
    let (server, _) = start(&installation, "[server]\npublic_url = \"http://192.0.2.7\"\n")?;
    let answer = server.client()?.request("POST", "/sign-in/passkey/options", &[], b"")?;
    ensure!(answer.status == 409 && answer.text().contains("server.public_url"), "{answer:?}");
    ensure!(!server.get("/sign-in")?.text().contains("passkey"), "the page does not offer what does not work");
    server.terminate()
}
