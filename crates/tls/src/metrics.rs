//! What TLS tells Prometheus.

use prometheus::{Gauge, IntCounter, IntCounterVec, Opts, Registry};

/// Counters of handshakes and of what happened to the certificate.
#[derive(Debug, Clone)]
pub struct TlsMetrics {
    pub not_after: Gauge,
    pub handshakes: IntCounter,
    pub failed_handshakes: IntCounter,
    pub reloads: IntCounter,
    pub failed_reloads: IntCounter,
    pub orders: IntCounter,
    pub failed_orders: IntCounter,
}

impl TlsMetrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let by_result = |name: &str, help: &str| -> prometheus::Result<(IntCounter, IntCounter)> {
            let family = IntCounterVec::new(Opts::new(name, help), &["result"])?;
            registry.register(Box::new(family.clone()))?;
            Ok((family.with_label_values(&["done"]), family.with_label_values(&["failed"])))
        };
        let not_after = Gauge::new(
            "signalbox_tls_certificate_expiry_seconds",
            "When the certificate in use ends, seconds since the epoch; 0 while there is none.",
        )?;
        registry.register(Box::new(not_after.clone()))?;
        let (handshakes, failed_handshakes) = by_result("signalbox_tls_handshakes_total", "TLS handshakes.")?;
        let (reloads, failed_reloads) =
            by_result("signalbox_tls_reloads_total", "Changes of the certificate files: taken over, or refused.")?;
        let (orders, failed_orders) = by_result("signalbox_acme_orders_total", "Certificates ordered by ACME.")?;
        Ok(Self { not_after, handshakes, failed_handshakes, reloads, failed_reloads, orders, failed_orders })
    }
}
