//! What tests ask the service to do from where it is: to look around, and to try to get out.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What came of it; nothing where the path names no errand.
pub fn run(path: &str, query: &str) -> String {
    match path {
        "/environment" => environment(),
        "/limits" => std::fs::read_to_string("/proc/self/limits").unwrap_or_default(),
        "/interfaces" => std::fs::read_to_string("/proc/net/dev").unwrap_or_default(),
        "/tcp" => tcp(query),
        "/udp" => udp(query),
        "/run" => program(query),
        // A worker that outlives its parent and leads a session of its own.
        "/worker" => worker(),
        _ => String::new(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the test asks what environment it was given")]
fn environment() -> String {
    std::env::vars_os().map(|(name, value)| format!("{name:?}={value:?}\n")).collect()
}

fn tcp(address: &str) -> String {
    let Ok(address) = address.parse::<SocketAddr>() else { return "no address".into() };
    match TcpStream::connect_timeout(&address, Duration::from_secs(3)) {
        Ok(mut stream) => {
            let mut said = String::new();
            let _ = stream.set_read_timeout(Some(Duration::from_secs(3)));
            let _ = stream.read_to_string(&mut said);
            format!("reached {said}")
        }
        Err(error) => format!("not reached: {error}"),
    }
}

fn udp(address: &str) -> String {
    let sent = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| socket.send_to(b"out", address));
    sent.map_or_else(|error| format!("not sent: {error}"), |_| "sent".into())
}

/// It keeps the service's output open.
fn worker() -> String {
    let started = Command::new("setsid").args(["--fork", "sleep", "3600"]).stdin(Stdio::null()).status();
    started.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// Words that are separated by + or a space.
fn program(query: &str) -> String {
    let mut words = query.split(['+', ' ']);
    let program = words.next().unwrap_or_default();
    match Command::new(program).args(words).stdin(Stdio::null()).output() {
        Ok(output) => format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => error.to_string(),
    }
}
