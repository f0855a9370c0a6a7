//! TLS for the listener: certificates from files or by ACME, taken over without a restart, and the handshakes.
//! Knows nothing of what is served over it.

pub mod accept;
pub mod acme;
pub mod certificate;
pub mod current;
mod metrics;
pub mod watch;

pub use metrics::TlsMetrics;
