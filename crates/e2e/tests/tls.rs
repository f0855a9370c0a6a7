//! TLS: its version, redirect and HSTS, rotation under load, certificates by ACME from a real ACME server.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::ClientConfig;
use signalbox_e2e::client::Client;
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::environment::program;
use signalbox_e2e::installation::{DESTINATION, Installation};
use signalbox_e2e::process::wait_for;
use signalbox_e2e::server::Server;
use signalbox_e2e::tls::{self, Authority, NAME};

struct Rig {
    installation: Installation,
    server: Server,
    authority: Authority,
    config: Arc<ClientConfig>,
    folder: tempfile::TempDir,
}

impl Rig {
    fn start(settings: &str) -> Result<Self> {
        let (installation, authority, folder) = (Installation::sqlite()?, Authority::new()?, tempfile::tempdir()?);
        authority.issue_into(folder.path())?;
        let config = folder.path().join("signalbox.toml");
        fs::write(&config, format!("[tls]\nlisten = \"127.0.0.1:0\"\n{settings}"))?;
        let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0", "--limits", "off"]);
        command.arg("--config").arg(&config);
        // The variables of the field's deployment guides.
        command.env("SSL_CERT_PATH", folder.path().join("cert.pem")).env("SSL_KEY_PATH", folder.path().join("key.pem"));
        let server = Server::start(&mut command)?;
        let config = authority.client_config(&["http/1.1"])?;
        Ok(Self { installation, server, authority, config, folder })
    }

    fn address(&self) -> Result<std::net::SocketAddr> {
        self.server.tls_address.context("it serves no TLS")
    }

    fn client(&self) -> Result<Client> {
        tls::client(self.address()?, &self.config, NAME)
    }

    /// What `openssl s_client` says with these arguments.
    fn s_client(&self, arguments: &[&str]) -> Result<String> {
        let mut openssl = Command::new(program("openssl", "openssl")?);
        openssl.args(["s_client", "-connect", &self.address()?.to_string(), "-servername", NAME]).args(arguments);
        let output = openssl.stdin(std::process::Stdio::null()).output()?;
        Ok([output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat())
    }
}

#[test]
fn everything_is_served_over_tls_1_3_and_nothing_older() -> Result<()> {
    let rig = Rig::start("")?;
    let pixel = rig.installation.mint_opens(1)?.remove(0).path;
    let click = rig.installation.mint_clicks(1)?.remove(0).path;
    let mut client = rig.client()?;
    let answer = client.get(&pixel)?;
    ensure!(answer.status == 200 && answer.body.len() == 43 && answer.event_id().is_some(), "{answer:?}");
    let answer = client.get(&click)?;
    ensure!(answer.header("location") == Some(DESTINATION) && answer.event_id().is_some(), "{answer:?}");
    ensure!(client.get("/health")?.status == 200, "/health");
    ensure!(rig.installation.count()? == 2, "{} events", rig.installation.count()?);

    let said = rig.s_client(&["-tls1_3", "-alpn", "h2,http/1.1"])?;
    ensure!(said.contains("TLSv1.3") && said.contains("ALPN protocol: h2"), "{said}");
    for older in ["-tls1_2", "-tls1_1", "-tls1"] {
        let said = rig.s_client(&[older, "-cipher", "ALL:@SECLEVEL=0"])?;
        ensure!(said.contains("protocol version") || said.contains("alert") || said.contains("no protocols"), "{said}");
        ensure!(!said.contains("BEGIN CERTIFICATE"), "{older}: {said}");
    }
    Ok(())
}

#[test]
fn plain_requests_go_to_https_and_links_do_not() -> Result<()> {
    let rig = Rig::start("")?;
    let pixel = rig.installation.mint_opens(1)?.remove(0).path;
    let click = rig.installation.mint_clicks(1)?.remove(0).path;
    let port = rig.address()?.port();
    for path in ["/", "/sign-in?x=1", "/api/v1/overview", "/no/such/page"] {
        let answer = rig.server.get(path)?;
        let place = format!("https://{NAME}:{port}{path}");
        ensure!(answer.status == 308 && answer.header("location") == Some(place.as_str()), "{answer:?}");
        ensure!(answer.header("strict-transport-security").is_none(), "HSTS over plain HTTP: {answer:?}");
    }
    let answer = rig.server.client()?.request("POST", "/api/v1/events", &[], b"{}")?;
    ensure!(answer.status == 308, "{answer:?}");
    // Nobody but a declared proxy says what is secure.
    let answer = rig.server.client()?.request("GET", "/", &[("X-Forwarded-Proto", "https")], b"")?;
    ensure!(answer.status == 308, "{answer:?}");
    ensure!(rig.server.get(&pixel)?.event_id().is_some(), "a plain pixel");
    ensure!(rig.server.get(&click)?.status == 302, "a plain click");
    ensure!(rig.server.get("/health")?.status == 200, "plain /health");
    let answer = rig.client()?.get("/sign-in")?;
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(answer.header("strict-transport-security") == Some("max-age=31536000"), "{answer:?}");

    let rig = Rig::start("redirect = false\nhsts = \"0s\"")?;
    ensure!(rig.server.get("/sign-in")?.status == 200, "the redirect is off");
    ensure!(rig.client()?.get("/sign-in")?.header("strict-transport-security").is_none(), "HSTS is off");

    let rig = Rig::start("port = 443\n[server]\ntrusted_proxies = [\"127.0.0.0/8\"]")?;
    let ask = |proto| {
        rig.server
            .client()?
            .request("GET", "/sign-in", &[("X-Forwarded-Proto", proto)], b"")
            .map_err(anyhow::Error::from)
    };
    ensure!(ask("https")?.status == 200, "a proxy that did TLS");
    ensure!(
        ask("https, http")?.header("location") == Some(&format!("https://{NAME}/sign-in")),
        "the nearest proxy counts"
    );
    let twice = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")];
    let answer = rig.server.client()?.request("GET", "/sign-in", &twice, b"")?;
    ensure!(answer.header("location").is_some(), "of two lines the nearest proxy's counts: {answer:?}");
    Ok(())
}

/// The serial number of the certificate that a new connection gets.
fn serial(rig: &Rig, config: &Arc<ClientConfig>) -> Result<Vec<u8>> {
    let stream = tls::connect(rig.address()?, config, NAME)?;
    Ok(stream.conn.peer_certificates().and_then(|chain| chain.first()).context("no certificate")?.to_vec())
}

#[test]
fn certificates_rotate_under_load_and_broken_ones_change_nothing() -> Result<()> {
    let rig = Rig::start("")?;
    let stop = AtomicBool::new(false);
    let rounds = 5;
    let done = std::thread::scope(|scope| -> Result<usize> {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (rig, stop) = (&rig, &stop);
                scope.spawn(move || -> Result<usize> {
                    let mut done = 0;
                    let mut kept = rig.client()?;
                    while !stop.load(Ordering::SeqCst) {
                        // Half of them on a new connection each, half on one that outlives every rotation.
                        let answer = if number % 2 == 0 { rig.client()?.get("/health")? } else { kept.get("/health")? };
                        ensure!(answer.status == 200, "{answer:?}");
                        done += 1;
                    }
                    Ok(done)
                })
            })
            .collect();
        let rotated = (|| -> Result<()> {
            for _ in 0..rounds {
                let before = serial(&rig, &rig.config)?;
                rig.authority.issue_into(rig.folder.path())?;
                wait_for(Duration::from_secs(10), "the new certificate", || {
                    ensure!(serial(&rig, &rig.config)? != before, "the old one");
                    Ok(())
                })?;
            }
            let good = serial(&rig, &rig.config)?;
            let (expired, key) = rig.authority.issue(&[NAME], 2021)?;
            let (chain, _) = rig.authority.issue(&[NAME], 2120)?;
            for (number, (chain, key)) in
                [("garbage", "garbage"), (&chain, &key), (&expired, &key), ("", "")].into_iter().enumerate()
            {
                fs::write(rig.folder.path().join("key.pem"), key)?;
                fs::write(rig.folder.path().join("cert.pem"), chain)?;
                wait_for(Duration::from_secs(10), "the word about the broken certificate", || {
                    let told = rig.server.log().matches("the old certificate goes on").count();
                    ensure!(told > number, "told {told} times");
                    Ok(())
                })?;
                ensure!(serial(&rig, &rig.config)? == good, "a broken certificate was taken over");
            }
            fs::remove_file(rig.folder.path().join("cert.pem"))?;
            std::thread::sleep(Duration::from_millis(1500));
            ensure!(serial(&rig, &rig.config)? == good, "a missing certificate was taken over");
            rig.authority.issue_into(rig.folder.path())?;
            wait_for(Duration::from_secs(10), "the mended certificate", || {
                ensure!(serial(&rig, &rig.config)? != good, "the old one");
                Ok(())
            })
        })();
        stop.store(true, Ordering::SeqCst);
        let done = clients.into_iter().map(|client| client.join().expect("no panic")).sum::<Result<usize>>();
        rotated.and(done)
    })?;
    ensure!(done > 100, "only {done} requests while rotating");
    eprintln!("{done} requests, none failed");
    Ok(())
}

#[test]
fn a_certificate_that_cannot_work_is_told_at_start() -> Result<()> {
    let (installation, authority, folder) = (Installation::sqlite()?, Authority::new()?, tempfile::tempdir()?);
    authority.issue_into(folder.path())?;
    let (other, _) = authority.issue(&[NAME], 2120)?;
    fs::write(folder.path().join("other.pem"), other)?;
    let said = |certificate: &str, key: &str| -> Result<String> {
        let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("SSL_CERT_PATH", certificate).env("SSL_KEY_PATH", key).env("SIGNALBOX_TLS_LISTEN", "127.0.0.1:0");
        let output = command.output()?;
        ensure!(!output.status.success(), "it started with {certificate} and {key}");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    ensure!(said(&certificate, "")?.contains("set both"), "only one of the two");
    ensure!(said(&path("absent.pem"), &key)?.contains("absent.pem"), "an absent file");
    ensure!(said(&path("other.pem"), &key)?.contains("does not belong"), "another's key");
    ensure!(said(&key, &key)?.contains("no certificate"), "no certificate");
    Ok(())
}

#[test]
fn postgres_is_reached_over_tls_as_the_url_says() -> Result<()> {
    let (authority, other, folder) = (Authority::new()?, Authority::new()?, tempfile::tempdir()?);
    let (ours, theirs) = (folder.path().join("ours.pem"), folder.path().join("theirs.pem"));
    fs::write(&ours, authority.root())?;
    fs::write(&theirs, other.root())?;
    let (ours, theirs) = (ours.display(), theirs.display());
    let mut cluster = Cluster::create()?;
    let (chain, key) = authority.issue(&["localhost"], 2120)?;
    cluster.require_tls(&chain, &key)?;
    let by_name = cluster.url().replace("127.0.0.1", "localhost");
    let by_address = cluster.url();
    // One data directory: a database without the keyring that belongs to it is refused.
    let installation = Installation::sqlite()?;
    let migrate = |url: &str, query: &str| -> Result<std::result::Result<(), String>> {
        let output = installation.command(&["migrate"]).env("DATABASE_URL", format!("{url}?{query}")).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(if output.status.success() { Ok(()) } else { Err(said) })
    };
    for (url, query) in [
        (&by_address, "sslmode=prefer".to_owned()),
        (&by_address, "sslmode=require".to_owned()),
        (&by_address, format!("sslmode=verify-ca&sslrootcert={ours}")),
        (&by_name, format!("sslmode=verify-full&sslrootcert={ours}")),
    ] {
        ensure!(migrate(url, &query)?.is_ok(), "{query}: {:?}", migrate(url, &query)?);
    }
    for (url, query) in [
        (&by_address, "sslmode=disable".to_owned()),
        (&by_address, format!("sslmode=verify-full&sslrootcert={ours}")),
        (&by_name, format!("sslmode=verify-full&sslrootcert={theirs}")),
        (&by_address, format!("sslmode=require&sslrootcert={theirs}")),
        (&by_name, "sslmode=verify-full".to_owned()),
        (&by_name, "sslmode=verify-full&sslrootcert=/no/such/file".to_owned()),
    ] {
        ensure!(migrate(url, &query)?.is_err(), "{url}?{query} was accepted");
    }
    Ok(())
}
