//! A service to be supervised, with the faults that services have. Every path answers with the version as JSON; some do more.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, ExitCode, Stdio, exit};
use std::time::Duration;

#[derive(Clone, Default)]
struct Faults {
    port: u16,
    version: String,
    status: String,
    /// MiB that it takes more, every 20 ms.
    leak: usize,
}

fn main() -> ExitCode {
    let mut faults = Faults { version: "1.0.0".into(), status: "200 OK".into(), ..Faults::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value");
        match word.as_str() {
            "--port" => faults.port = value().parse().expect("a port"),
            "--version" => faults.version = value(),
            "--unhealthy" => faults.status = "503 Not Yet".into(),
            "--leak" => faults.leak = value().parse().expect("a number"),
            // Ends at once, with words.
            "--crash" => {
                eprintln!("cannot open the shop");
                return ExitCode::from(value().parse::<u8>().expect("a code"));
            }
            // Ends at once unless the file is there, which the first try makes.
            "--crash-unless" => {
                let file = value();
                if std::fs::metadata(&file).is_err() {
                    std::fs::write(&file, "").expect("a file");
                    return ExitCode::from(9);
                }
            }
            "--chatter" => {
                let lines = value().parse::<u32>().expect("a number");
                for number in 0..lines {
                    println!("chatter {number} {}", "x".repeat(200));
                }
            }
            other => panic!("{other}?"),
        }
    }
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, faults.port)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("port {}: {error}", faults.port);
            return ExitCode::from(98);
        }
    };
    println!("listening on {}", faults.port);
    let leak = faults.leak;
    std::thread::spawn(move || {
        let mut kept: Vec<Vec<u8>> = Vec::new();
        while leak > 0 {
            kept.push(vec![1; leak << 20]);
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    for stream in listener.incoming().map_while(std::io::Result::ok) {
        let faults = faults.clone();
        std::thread::spawn(move || answer(stream, &faults));
    }
    ExitCode::SUCCESS
}

fn answer(mut stream: TcpStream, faults: &Faults) {
    let Ok(clone) = stream.try_clone() else { return };
    let mut lines = BufReader::new(clone).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    while lines.next().is_some_and(|line| !line.is_empty()) {}
    let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let said = match path {
        "/die" => exit(query.parse().unwrap_or(1)),
        "/environment" => std::env::vars_os().map(|(name, value)| format!("{name:?}={value:?}\n")).collect(),
        "/limits" => std::fs::read_to_string("/proc/self/limits").unwrap_or_default(),
        "/interfaces" => std::fs::read_to_string("/proc/net/dev").unwrap_or_default(),
        "/tcp" => tcp(query),
        "/udp" => udp(query),
        "/run" => run(query),
        // A worker that outlives its parent and leads a session of its own.
        "/worker" => worker(),
        _ => String::new(),
    };
    let body = format!("{{\"version\": {:?}, \"pid\": {}, \"said\": {said:?}}}", faults.version, std::process::id());
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}", faults.status);
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
fn run(query: &str) -> String {
    let mut words = query.split(['+', ' ']);
    let program = words.next().unwrap_or_default();
    match Command::new(program).args(words).stdin(Stdio::null()).output() {
        Ok(output) => format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => error.to_string(),
    }
}
