use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use super::ProcessDriver;
use crate::driver::DriverError;
use crate::model::manifest::Ports;

/// A port of the block that no instance was given and on which nobody listens. Called under the driver's lock.
pub(super) fn free(driver: &ProcessDriver, ports: Ports) -> Result<u16, DriverError> {
    let taken = given(driver)?;
    let mut all = (ports.first..=ports.last).filter(|port| !taken.contains(port));
    all.find(|port| is_free(*port)).ok_or(DriverError::NoPort { ports })
}

/// The ports of all instances that run, or are about to, of other services too.
fn given(driver: &ProcessDriver) -> Result<HashSet<u16>, DriverError> {
    let mut taken = HashSet::new();
    for folder in driver.folders()? {
        let path = folder.path();
        if folder.is_supervised().map_err(DriverError::file(path))? {
            taken.insert(folder.spec().map_err(DriverError::file(path))?.port);
        }
    }
    Ok(taken)
}

/// Whether a service could listen there, on all addresses or on loopback alone.
fn is_free(port: u16) -> bool {
    let others = [TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)), TcpListener::bind((Ipv4Addr::LOCALHOST, port))];
    let taken = |tried: &std::io::Result<TcpListener>| {
        tried.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    };
    // The second try fails because of the first one where that succeeded.
    if taken(&others[0]) {
        return false;
    }
    drop(others);
    // A machine without IPv6 fails otherwise.
    !taken(&TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))
}
