//! The task that keeps a certificate: orders the first one, and a new one in time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use signalbox_core::clock::Clock;
use signalbox_core::time::Micros;

use super::challenge::Challenges;
use super::folder::{Folder, State};
use super::order::order;
use super::plan::next_order;
use crate::certificate::{Facts, TlsError};
use crate::current::Current;
use crate::metrics::TlsMetrics;

/// How often it is asked whether an order is due.
const PERIOD: Duration = Duration::from_secs(1);

/// What to order, and where.
#[derive(Debug, Clone)]
pub struct AcmeSettings {
    pub domains: Vec<String>,
    /// A mail address, or empty.
    pub contact: String,
    pub directory: String,
    /// Roots to trust beside the system's, for a private ACME server.
    pub ca: Option<PathBuf>,
}

/// Keeps a certificate by ACME.
pub struct Acme {
    pub settings: AcmeSettings,
    pub folder: Folder,
    pub challenges: Challenges,
    pub current: Current,
    pub clock: Arc<dyn Clock>,
    pub metrics: TlsMetrics,
}

impl AcmeSettings {
    /// Whether a certificate is the one that would be ordered.
    pub fn fits(&self, facts: &Facts, state: &State) -> bool {
        facts.covers(&self.domains) && state.issued_by == self.directory
    }
}

impl Acme {
    /// Takes the certificate that is in the folder, even one for other names: any is better than none.
    pub fn start(&self) -> Result<(), TlsError> {
        if let Some(kept) = self.folder.certificate()? {
            self.current.replace(kept, &self.metrics);
        }
        Ok(())
    }

    /// Orders whenever it is due, for ever.
    pub async fn run(self) {
        let mut chance = chance();
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let state = self.folder.state();
            let present = self.current.facts();
            let fits = present.as_ref().is_some_and(|facts| self.settings.fits(facts, &state));
            if self.clock.now() >= next_order(present.as_ref(), fits, &state, chance) {
                self.attempt(state).await;
                chance = self::chance();
            }
        }
    }

    async fn attempt(&self, before: State) {
        tracing::info!(
            acme.directory = self.settings.directory,
            acme.domains = self.settings.domains.join(" "),
            "ordering a certificate"
        );
        let done = order(&self.settings, &self.folder, &self.challenges).await;
        let tried_at = self.clock.now().0;
        let state = match done {
            Ok(certificate) => {
                tracing::info!(tls.not_after = %certificate.facts.not_after, "a new certificate is in use");
                self.current.replace(certificate, &self.metrics);
                self.metrics.orders.inc();
                State { issued_by: self.settings.directory.clone(), failures: 0, tried_at, error: String::new() }
            }
            Err(error) => {
                self.metrics.failed_orders.inc();
                let failures = before.failures.saturating_add(1);
                let state = State { failures, tried_at, error: error.to_string(), ..before };
                let next = next_order(self.current.facts().as_ref(), false, &state, 0.5);
                tracing::error!(%error, acme.failures = failures, acme.next = %Micros(next.0), "no new certificate");
                state
            }
        };
        if let Err(error) = self.folder.put_state(&state) {
            tracing::error!(%error, "how ordering went could not be noted");
            // Without the note the next attempt would come at once.
            tokio::time::sleep(Duration::from_secs(300)).await;
        }
    }
}

/// From 0 to 1; a random source that fails is no reason to stop.
fn chance() -> f64 {
    let mut bytes = [0; 2];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX),
        Err(_) => 0.5,
    }
}
