//! The certificate in use: what every handshake asks, and what is swapped whole.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};

use crate::certificate::{Certificate, Facts, TlsError};
use crate::metrics::TlsMetrics;

/// The certificate that handshakes get. None until there is one (before the first ACME order is done).
#[derive(Debug, Clone, Default)]
pub struct Current(Arc<RwLock<Option<Certificate>>>);

impl Current {
    /// Takes `certificate` into use for every handshake from now on. Open connections go on with theirs.
    pub fn replace(&self, certificate: Certificate, metrics: &TlsMetrics) {
        metrics.not_after.set(certificate.facts.not_after.0 as f64 / 1e6);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
    }

    /// What the present one says about itself.
    pub fn facts(&self) -> Option<Facts> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|certificate| certificate.facts.clone())
    }

    /// TLS 1.3 and nothing older, HTTP/2 and HTTP/1.1, sessions resumed by ticket, no early data (it can be replayed).
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|certificate| Arc::clone(&certificate.key))
    }
}
