//! Checkpoints to syslog: RFC 5424 over a Unix socket or UDP (RFC 5426).

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::str::FromStr;

use signalbox_crypto::checkpoint::Checkpoint;

/// Facility 13 (log audit), severity 5 (notice).
const PRIORITY: u8 = 13 * 8 + 5;
const PORT: u16 = 514;

/// Where syslog listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Syslog {
    Socket(PathBuf),
    Udp { host: String, port: u16 },
}

/// The text names no place of syslog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place of syslog; write a socket such as /dev/log, or udp://host:514")]
pub struct BadSyslog(String);

impl FromStr for Syslog {
    type Err = BadSyslog;

    fn from_str(text: &str) -> Result<Self, BadSyslog> {
        let bad = || BadSyslog(text.to_owned());
        if text.starts_with('/') {
            return Ok(Syslog::Socket(text.into()));
        }
        let place = text.strip_prefix("udp://").ok_or_else(bad)?.trim_end_matches('/');
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| bad())?),
            _ => (place, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['/', '@', ' ']) || port == 0 {
            return Err(bad());
        }
        Ok(Syslog::Udp { host: host.to_owned(), port })
    }
}

impl Syslog {
    /// Sends one message. Over UDP nobody says whether it arrived.
    pub fn send(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let message = message(&host_name(), std::process::id(), checkpoint)?;
        match self {
            Syslog::Socket(path) => {
                let socket = UnixDatagram::unbound()?;
                // A full queue is an error to try again after, not something to wait for.
                socket.set_nonblocking(true)?;
                socket.send_to(message.as_bytes(), path).map(drop)
            }
            Syslog::Udp { host, port } => {
                let address = (host.as_str(), *port).to_socket_addrs()?.next();
                let address = address.ok_or_else(|| io::Error::other(format!("{host} has no address")))?;
                let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let local: SocketAddr = local.parse().expect("a valid address");
                UdpSocket::bind(local)?.send_to(message.as_bytes(), address).map(drop)
            }
        }
    }
}

fn message(host: &str, process: u32, checkpoint: &Checkpoint) -> io::Result<String> {
    let json = serde_json::to_string(checkpoint)?;
    Ok(format!("<{PRIORITY}>1 {} {host} signalbox {process} checkpoint - {json}", checkpoint.at))
}

/// The name of this machine, in the characters that the header may have.
fn host_name() -> String {
    let name = rustix::system::uname();
    let name: String = name.nodename().to_string_lossy().chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".into() } else { name }
}

#[cfg(test)]
mod tests {
    use signalbox_core::time::Micros;
    use signalbox_crypto::checkpoint::AuditKey;

    use super::*;

    fn udp(host: &str, port: u16) -> Result<Syslog, BadSyslog> {
        Ok(Syslog::Udp { host: host.into(), port })
    }

    #[test]
    fn places_are_read() {
        assert_eq!("/dev/log".parse(), Ok(Syslog::Socket("/dev/log".into())));
        assert_eq!("udp://logs.example.org:1514".parse(), udp("logs.example.org", 1514));
        assert_eq!("udp://logs.example.org".parse(), udp("logs.example.org", 514));
        assert_eq!("udp://[2001:db8::1]:514".parse(), udp("2001:db8::1", 514));
        assert_eq!("udp://[2001:db8::1]".parse(), udp("2001:db8::1", 514));
        for wrong in ["", "logs:514", "tcp://logs:514", "udp://", "udp://:514", "udp://logs:0", "udp://logs:many"] {
            assert!(wrong.parse::<Syslog>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_message_has_the_form_of_rfc_5424_and_arrives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (unix, ip) = (UnixDatagram::bind(&path).unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let signed = AuditKey::create(Micros(0)).unwrap().sign(9, [1; 32], Micros(1_780_000_000_000_000));
        Syslog::Socket(path).send(&signed).unwrap();
        Syslog::Udp { host: "127.0.0.1".into(), port: ip.local_addr().unwrap().port() }.send(&signed).unwrap();
        let mut bytes = [0; 4096];
        let length = unix.recv(&mut bytes).unwrap();
        let one = String::from_utf8(bytes[..length].to_vec()).unwrap();
        let length = ip.recv(&mut bytes).unwrap();
        assert_eq!(one.as_bytes(), &bytes[..length]);
        let fields: Vec<_> = one.splitn(8, ' ').collect();
        assert_eq!(fields[0], "<109>1");
        assert_eq!(fields[1].parse::<Micros>().unwrap(), signed.at);
        assert_eq!((fields[3], fields[5], fields[6]), ("signalbox", "checkpoint", "-"));
        assert_eq!(serde_json::from_str::<Checkpoint>(fields[7]).unwrap(), signed);
        assert!(Syslog::Socket(folder.path().join("nobody")).send(&signed).is_err());
    }
}
