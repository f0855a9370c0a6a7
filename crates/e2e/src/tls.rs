//! An authority of the test's own, its certificates, and clients that trust it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::Client;

const LIMIT: Duration = Duration::from_secs(15);
/// The name on every certificate.
pub const NAME: &str = "t.example.org";

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2120, 1, 1);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its root certificate as PEM.
    pub fn root(&self) -> String {
        self.0.as_ref().pem()
    }

    /// Chain and key for these names, from the year 2020 until `last_year`, with a serial number of its own.
    pub fn issue(&self, names: &[&str], last_year: i32) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name = DistinguishedName::new();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        Ok((params.signed_by(&key, &self.0)?.pem(), key.serialize_pem()))
    }

    /// Issues for [`NAME`] and puts `cert.pem` and `key.pem` into `folder`.
    pub fn issue_into(&self, folder: &Path) -> Result<()> {
        let (chain, key) = self.issue(&[NAME, "127.0.0.1"], 2120)?;
        fs::write(folder.join("key.pem"), key)?;
        fs::write(folder.join("cert.pem"), chain)?;
        Ok(())
    }

    /// A client that trusts this authority alone.
    pub fn client_config(&self, protocols: &[&str]) -> Result<Arc<ClientConfig>> {
        config(self.0.as_ref().der().clone(), protocols)
    }
}

/// A client that trusts `root` alone.
pub fn config(root: CertificateDer<'static>, protocols: &[&str]) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(root)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// A connection whose handshake is done.
pub fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &str,
) -> Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut socket = TcpStream::connect_timeout(&address, Duration::from_secs(5)).context("connect")?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.set_write_timeout(Some(LIMIT))?;
    let mut connection = ClientConnection::new(Arc::clone(config), ServerName::try_from(name.to_owned())?)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).context("handshake")?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// An HTTP/1.1 client over TLS.
pub fn client(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Result<Client> {
    let stream = connect(address, config, name)?;
    let socket = stream.sock.try_clone()?;
    Ok(Client::over(stream, socket)?)
}
