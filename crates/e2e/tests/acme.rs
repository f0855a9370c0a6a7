//! Certificates by ACME, from pebble: a real ACME server that refuses some nonces and looks at real challenges.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::ClientConfig;
use signalbox_e2e::environment::free_port;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::pebble::Pebble;
use signalbox_e2e::process::{output, wait_for};
use signalbox_e2e::server::Server;
use signalbox_e2e::tls::{self, NAME};

const LIMIT: Duration = Duration::from_secs(60);

fn command(installation: &Installation, pebble: &Pebble, http: u16) -> Command {
    let mut command = installation.command(&["serve", "--limits", "off", "--listen", &format!("127.0.0.1:{http}")]);
    configure(&mut command, pebble);
    command
}

fn configure(command: &mut Command, pebble: &Pebble) {
    command.env("SIGNALBOX_TLS_LISTEN", "127.0.0.1:0").env("SIGNALBOX_ACME_DOMAINS", format!("{NAME},www.{NAME}"));
    command.env("SIGNALBOX_ACME_DIRECTORY", pebble.directory()).env("SIGNALBOX_ACME_CA", pebble.ca());
    command.env("SIGNALBOX_ACME_CONTACT", "ops@example.org");
}

fn doctor(installation: &Installation, pebble: &Pebble) -> Result<String> {
    let mut command = installation.command(&["doctor"]);
    configure(&mut command, pebble);
    let said = command.output()?;
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// The certificate that a client which trusts pebble's root gets, for each name.
fn certificate(server: &Server, config: &Arc<ClientConfig>) -> Result<Vec<u8>> {
    let address = server.tls_address.context("it serves no TLS")?;
    tls::connect(address, config, &format!("www.{NAME}"))?;
    let stream = tls::connect(address, config, NAME)?;
    Ok(stream.conn.peer_certificates().and_then(|chain| chain.first()).context("no certificate")?.to_vec())
}

#[test]
fn a_certificate_is_got_kept_and_renewed() -> Result<()> {
    let http = free_port()?;
    let pebble = Pebble::start(http)?;
    let config = tls::config(pebble.root()?, &["http/1.1"])?;
    let installation = Installation::sqlite()?;
    let server = Server::start(&mut command(&installation, &pebble, http))?;
    let get = |server: &Server| {
        wait_for(LIMIT, "a certificate", || certificate(server, &config))
            .with_context(|| format!("{}\n{}", server.log(), pebble.log()))
    };
    let first = get(&server)?;
    ensure!(server.get("/sign-in")?.status == 308, "no redirect though there is a certificate");
    for name in ["account.json", "certificate.pem", "state.json"] {
        let meta = fs::metadata(installation.data.join("acme").join(name)).context(name)?;
        ensure!(meta.permissions().mode() & 0o777 == 0o600, "{name}: {:o}", meta.permissions().mode());
    }
    let said = doctor(&installation, &pebble)?;
    ensure!(said.contains("✓ certificate") && said.contains(NAME), "{said}");
    server.terminate()?;

    // Nothing is ordered again at a restart.
    let server = Server::start(&mut command(&installation, &pebble, http))?;
    ensure!(get(&server)? == first, "another certificate after a restart");
    std::thread::sleep(Duration::from_secs(3));
    ensure!(certificate(&server, &config)? == first, "another certificate after a restart");
    server.terminate()?;

    // Four of the five years that pebble gives have passed.
    let mut later = command(&installation, &pebble, http);
    later.env("LD_PRELOAD", faketime()?).env("FAKETIME", "+1500d").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let server = Server::start(&mut later)?;
    wait_for(LIMIT, "a renewed certificate", || {
        ensure!(certificate(&server, &config)? != first, "the old one");
        Ok(())
    })
    .with_context(|| format!("{}\n{}", server.log(), pebble.log()))?;
    Ok(())
}

fn faketime() -> Result<String> {
    let found = output(Command::new("find").args(["/usr/lib", "-name", "libfaketime.so.1"]))?;
    Ok(found.lines().next().context("libfaketime is not installed (Debian: libfaketime)")?.to_owned())
}

#[test]
fn what_keeps_a_certificate_from_coming_is_told() -> Result<()> {
    // Pebble looks where nobody listens.
    let (http, elsewhere) = (free_port()?, free_port()?);
    let pebble = Pebble::start(elsewhere)?;
    let installation = Installation::sqlite()?;
    let server = Server::start(&mut command(&installation, &pebble, http))?;
    wait_for(LIMIT, "the word about the challenge", || {
        let log = server.log();
        ensure!(log.contains("could not be proven") && log.contains("port 80"), "{log}");
        Ok(())
    })
    .with_context(|| pebble.log())?;
    ensure!(server.log().matches("ordering a certificate").count() == 1, "it does not wait before it tries again");
    ensure!(server.get("/sign-in")?.status == 200, "a redirect to where there is no certificate");
    let said = doctor(&installation, &pebble)?;
    ensure!(said.contains("✗ certificate") && said.contains("could not be proven"), "{said}");
    server.terminate()?;

    // An authority that nobody trusts.
    let installation = Installation::sqlite()?;
    let mut distrusting = command(&installation, &pebble, http);
    distrusting.env("SIGNALBOX_ACME_CA", "");
    let server = Server::start(&mut distrusting)?;
    wait_for(LIMIT, "the word about the authority", || {
        ensure!(server.log().contains("acme.ca"), "{}", server.log());
        Ok(())
    })?;
    Ok(())
}
