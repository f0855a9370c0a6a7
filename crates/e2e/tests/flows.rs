//! Everything that people do to get in and to look after themselves and others, in a real browser with the keyboard
//! alone, while axe-core looks at each step, in light and wide, in dark and narrow.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::browser::run_script;
use signalbox_e2e::environment::free_port;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::server::Server;

/// The server under a name, which passkeys need, with a provider that does not answer.
fn start(installation: &Installation) -> Result<(Server, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let url = format!("http://localhost:{}", address.port());
    let settings = format!(
        "[server]\npublic_url = \"{url}\"\n[[access.oidc]]\nid = \"corp\"\nname = \"Corporate\"\n\
         issuer = \"http://127.0.0.1:9/\"\nclient_id = \"signalbox\"\n"
    );
    std::fs::create_dir_all(&installation.data)?;
    std::fs::write(installation.data.join("signalbox.toml"), settings)?;
    let listen = address.to_string();
    let server = Server::start(&mut installation.command(&["serve", "--listen", &listen, "--limits", "off"]))?;
    Ok((server, url))
}

#[test]
fn everything_people_do_works_by_keyboard_alone() -> Result<()> {
    let installation = Installation::sqlite()?;
    let (server, url) = start(&installation)?;
    let printed =
        (0..5).find_map(|_| server.next_line(Duration::from_secs(30)).filter(|line| line.contains("/set-up?k=")));
    let printed = printed.context("no link was printed")?;
    let link = printed.trim().strip_prefix(&url).with_context(|| printed.clone())?.to_owned();
    let seen = run_script("flows.mjs", &[("SERVER", &url), ("LINK", &link)])?;

    for what in ["violations", "sideways", "complaints", "unseen"] {
        ensure!(seen[what] == json!([]), "{what}: {:#}", seen[what]);
    }
    ensure!(seen["looked"].as_array().is_some_and(|steps| steps.len() >= 45), "{}", seen["looked"]);
    let is = |name: &str, wanted: Value| {
        ensure!(seen[name] == wanted, "{name} is {}, not {wanted}", seen[name]);
        Ok(())
    };
    is("changed", json!("Grace Hopper · viewer · invited"))?;
    is("disabled", json!("Grace Hopper · viewer · disabled"))?;
    // A dialog takes the focus and gives it back.
    is("inside", json!(true))?;
    is("returned", json!("Disable"))?;
    is("guest", json!("grace@example.org"))?;
    is("guestEnded", json!("/sign-in"))?;
    is("codes", json!(10))?;
    is("recorded", json!(200))?;
    is("refused", json!(401))?;
    is("actions", json!(["token.created", "token.revoked"]))?;
    is("events", json!(1))?;
    is("users", json!(1))?;
    is("signedOut", json!("/sign-in"))?;
    server.terminate()
}
