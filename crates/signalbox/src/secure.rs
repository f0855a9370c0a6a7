//! The wiring of TLS: where the certificate comes from, the listener, and what the shell knows about it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context as _;
use prometheus::Registry;
use signalbox_core::clock::Clock;
use signalbox_http::Transport;
use signalbox_http::connection::{Arrival, Connections};
use signalbox_tls::TlsMetrics;
use signalbox_tls::accept::Acceptor;
use signalbox_tls::acme::{Acme, AcmeSettings, Challenges, Folder};
use signalbox_tls::current::Current;
use signalbox_tls::watch::Files;

use crate::server::bind;
use crate::settings::{CertificateSource, Settings};

/// TLS, bound and with its certificate where there is one already.
pub struct Secure {
    pub challenges: Option<Challenges>,
    address: SocketAddr,
    listener: TcpListener,
    current: Current,
    source: Source,
    handshakes: usize,
    metrics: TlsMetrics,
}

enum Source {
    Files(Files),
    Acme(Box<Acme>),
}

/// The files that the settings name.
pub fn files(settings: &Settings) -> Files {
    Files { certificate: settings.tls.certificate.clone(), key: settings.tls.key.clone() }
}

/// What to order by ACME.
pub fn acme_settings(settings: &Settings) -> AcmeSettings {
    let ca = &settings.acme.ca;
    AcmeSettings {
        domains: settings.acme.domains.clone(),
        contact: settings.acme.contact.clone(),
        directory: settings.acme.directory.clone(),
        ca: (!ca.as_os_str().is_empty()).then(|| ca.clone()),
    }
}

impl Secure {
    /// Sets TLS up where the settings ask for it. A certificate file that cannot be used is an error at start.
    pub fn start(settings: &Settings, clock: &Arc<dyn Clock>, registry: &Registry) -> anyhow::Result<Option<Self>> {
        let Some(source) = settings.certificate_source() else { return Ok(None) };
        let metrics = TlsMetrics::new(registry)?;
        let current = Current::default();
        let (source, challenges) = match source {
            CertificateSource::Files => {
                let files = files(settings);
                let certificate = files.load().context("the certificate cannot be used")?;
                if certificate.facts.not_after <= clock.now() {
                    tracing::error!(tls.not_after = %certificate.facts.not_after, "the certificate has expired: renew it");
                }
                current.replace(certificate, &metrics);
                (Source::Files(files), None)
            }
            CertificateSource::Acme => {
                let acme = Acme {
                    settings: acme_settings(settings),
                    folder: Folder::below(&settings.server.data),
                    challenges: Challenges::default(),
                    current: current.clone(),
                    clock: Arc::clone(clock),
                    metrics: metrics.clone(),
                };
                acme.start().context("the certificate in the data directory cannot be used")?;
                let challenges = acme.challenges.clone();
                (Source::Acme(Box::new(acme)), Some(challenges))
            }
        };
        let listener = bind(settings.tls.listen).context("the port of TLS; change it with tls.listen")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Some(Self { challenges, address, listener, current, source, handshakes: settings.tls.handshakes, metrics }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the shell does about plain requests, once there is a certificate.
    pub fn transport(&self, settings: &Settings) -> Transport {
        let port = if settings.tls.port == 0 { self.address.port() } else { settings.tls.port };
        let current = self.current.clone();
        let ready = move || current.facts().is_some().then_some(port);
        let plain = ["/o/", "/c/", "/.well-known/acme-challenge/", settings.server.health_path.as_str()];
        Transport {
            https: if settings.tls.redirect { Some(Arc::new(ready)) } else { None },
            hsts_seconds: settings.tls.hsts.0.as_secs(),
            plain: plain.map(str::to_owned).to_vec(),
        }
    }

    /// Accepts, and keeps the certificate. Ends with the runtime, or when the task is aborted.
    pub async fn run(self, connections: Arc<Connections>, clock: Arc<dyn Clock>, router: axum::Router) {
        let listener = match tokio::net::TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the TLS listener cannot be used"),
        };
        let config = match self.current.server_config() {
            Ok(config) => config,
            Err(error) => return tracing::error!(%error, "there is no TLS"),
        };
        let metrics = self.metrics.clone();
        let keeping = async move {
            match self.source {
                Source::Files(files) => files.watch(self.current, clock, metrics).await,
                Source::Acme(acme) => acme.run().await,
            }
        };
        let acceptor = Acceptor { config, handshakes: self.handshakes, metrics: self.metrics };
        let serve = move |accepted: signalbox_tls::accept::Accepted| {
            let arrival = Arrival { peer: accepted.peer, encrypted: true, http2: accepted.http2 };
            match connections.enter(accepted.peer.ip()) {
                Some(seat) => connections.serve(seat, accepted.stream, arrival, Vec::new(), router.clone()),
                None => tracing::debug!(client.address = %accepted.peer.ip(), "too many connections; one was closed"),
            }
        };
        tokio::join!(acceptor.run(listener, serve), keeping);
    }
}
