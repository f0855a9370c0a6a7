//! Asking instances for content, as the manifest's probes say.

use std::net::SocketAddr;
use std::time::Duration;

use crate::ask;
use crate::model::manifest::Probe;

const PATIENCE: Duration = Duration::from_secs(5);

/// Asks one instance; the error says what is wrong with the answer.
pub(super) async fn one(probe: &Probe, address: SocketAddr) -> Result<(), String> {
    let answer = ask::get(&format!("http://{address}{}", probe.path), PATIENCE).await?;
    probe.judge(answer.status, &answer.text())
}

/// Asks every instance every probe; the error is the first thing that is wrong.
pub(super) async fn all(probes: &[Probe], addresses: &[SocketAddr]) -> Result<usize, String> {
    for address in addresses {
        for probe in probes {
            one(probe, *address).await.map_err(|why| format!("{address}: {why}"))?;
        }
    }
    Ok(probes.len() * addresses.len())
}
