//! Watches the certificate files, and takes over what is good.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use signalbox_core::clock::Clock;

use crate::certificate::{Certificate, TlsError};
use crate::current::Current;
use crate::metrics::TlsMetrics;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// Certificate and key in files that somebody else renews.
#[derive(Debug, Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What tells a changed file: inode, size, and when it was written.
type Mark = Option<(u64, u64, i64, i64)>;

fn mark(path: &Path) -> Mark {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

impl Files {
    fn marks(&self) -> [Mark; 2] {
        [mark(&self.certificate), mark(&self.key)]
    }

    /// Reads them.
    pub fn load(&self) -> Result<Certificate, TlsError> {
        Certificate::load(&self.certificate, &self.key)
    }

    /// Takes over every good change, for ever. A bad one is logged once, and the old certificate goes on.
    pub async fn watch(self, current: Current, clock: Arc<dyn Clock>, metrics: TlsMetrics) {
        let mut seen = self.marks();
        let mut tick = tokio::time::interval(PERIOD);
        // Read at start as well: they may have changed between that reading and this one.
        let mut first = true;
        loop {
            tick.tick().await;
            let now_seen = self.marks();
            if now_seen == seen && !first {
                continue;
            }
            let quiet = std::mem::take(&mut first);
            match self.load().and_then(|new| new.require_current(clock.now())) {
                Ok(new) => {
                    if current.facts().as_ref() != Some(&new.facts) || !quiet {
                        let facts = new.facts.clone();
                        current.replace(new, &metrics);
                        metrics.reloads.inc();
                        tracing::info!(
                            tls.names = facts.names.join(" "),
                            tls.not_after = %facts.not_after,
                            "the certificate files changed and were taken over"
                        );
                    }
                }
                Err(_) if quiet => (),
                Err(error) => {
                    metrics.failed_reloads.inc();
                    tracing::error!(
                        %error,
                        "the certificate files changed and cannot be used; the old certificate goes on"
                    );
                }
            }
            seen = now_seen;
        }
    }
}
