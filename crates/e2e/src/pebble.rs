//! A real ACME server, `pebble`, with a DNS server that leads every name to this machine.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

use crate::environment::{self, free_port};
use crate::process::wait_for;
use crate::tls::{self, Authority};

pub struct Pebble {
    children: Vec<Child>,
    authority: Authority,
    folder: TempDir,
    port: u16,
    management: u16,
}

impl Pebble {
    /// One that looks for http-01 challenges at port `http` of this machine.
    pub fn start(http: u16) -> Result<Self> {
        let (authority, folder) = (Authority::new()?, tempfile::tempdir()?);
        let (chain, key) = authority.issue(&["localhost", "127.0.0.1"], 2120)?;
        let path = |name: &str| folder.path().join(name);
        fs::write(path("cert.pem"), chain)?;
        fs::write(path("key.pem"), key)?;
        fs::write(path("root.pem"), authority.root())?;
        let [port, management, dns, control] = [free_port()?, free_port()?, free_port()?, free_port()?];
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("cert.pem"), "privateKey": path("key.pem"),
            "httpPort": http, "tlsPort": 1, "ocspResponderURL": "", "externalAccountBindingRequired": false,
        }});
        fs::write(path("pebble.json"), config.to_string())?;
        let mut names = Command::new(environment::program("pebble-challtestsrv", "pebble")?);
        names.args(["-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""]);
        names.args(["-dns01", &format!("127.0.0.1:{dns}"), "-management", &format!("127.0.0.1:{control}")]);
        let mut server = Command::new(environment::program("pebble", "pebble")?);
        server.arg("-config").arg(path("pebble.json")).args(["-dnsserver", &format!("127.0.0.1:{dns}")]);
        // It would wait before it looks, and refuse some good nonces on purpose: the second is worth keeping.
        server.env("PEBBLE_VA_NOSLEEP", "1");
        let mut pebble = Self { children: Vec::new(), authority, folder, port, management };
        for command in [&mut names, &mut server] {
            let said = fs::File::options().create(true).append(true).open(pebble.folder.path().join("log"))?;
            command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
            pebble.children.push(command.spawn().context("cannot start pebble")?);
        }
        wait_for(Duration::from_secs(10), "pebble", || pebble.root().map(drop)).with_context(|| pebble.log())?;
        Ok(pebble)
    }

    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// The root of its own HTTPS, for `acme.ca`.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// The root of what it issues.
    pub fn root(&self) -> Result<CertificateDer<'static>> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.management));
        let mut client = tls::client(address, &self.authority.client_config(&["http/1.1"])?, "localhost")?;
        let answer = client.get("/roots/0")?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(CertificateDer::from_pem_slice(&answer.body)?)
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
