//! A service to release: `service PORT VERSION FAULTS`. What is wrong with a version stands in the file FAULTS/VERSION:
//! `crash-at-start`, `never-healthy`, `wrong-version`, `errors 2`, `slow 600`, `wrong-body`, `crash-after 100`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

struct Service {
    version: String,
    fault: String,
    figure: u64,
    served: AtomicU64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, port, version, faults] = arguments.as_slice() else {
        eprintln!("service PORT VERSION FAULTS");
        return ExitCode::from(2);
    };
    let told = std::fs::read_to_string(Path::new(faults).join(version)).unwrap_or_default();
    let (fault, figure) = told.trim().split_once(' ').unwrap_or((told.trim(), "0"));
    if fault == "crash-at-start" {
        eprintln!("this version cannot find its configuration");
        return ExitCode::from(3);
    }
    let service = Arc::new(Service {
        version: version.clone(),
        fault: fault.to_owned(),
        figure: figure.parse().unwrap_or(0),
        served: AtomicU64::new(0),
    });
    let Ok(listener) = TcpListener::bind(format!("127.0.0.1:{port}")) else { return ExitCode::from(4) };
    println!("version {version} listens on {port}");
    for stream in listener.incoming().map_while(Result::ok) {
        let service = Arc::clone(&service);
        std::thread::spawn(move || service.serve(stream));
    }
    ExitCode::SUCCESS
}

impl Service {
    fn serve(&self, stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut out = stream.try_clone().ok()?;
        let mut lines = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let path = line.split(' ').nth(1)?.to_owned();
            let closes = loop {
                let mut field = String::new();
                lines.read_line(&mut field).ok()?;
                if field.trim().is_empty() {
                    break false;
                }
                if field.to_ascii_lowercase().trim() == "connection: close" {
                    // The rest of the head is read all the same.
                    while !field.trim().is_empty() {
                        field.clear();
                        lines.read_line(&mut field).ok()?;
                    }
                    break true;
                }
            };
            let (status, body) = self.answer(&path);
            let head = format!(
                "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            );
            out.write_all(format!("{head}x-version: {}\r\n\r\n{body}", self.version).as_bytes()).ok()?;
            if closes {
                return None;
            }
        }
    }

    fn answer(&self, path: &str) -> (u16, String) {
        let version = &self.version;
        if path == "/health" {
            let told = if self.fault == "wrong-version" { "0.0.0" } else { version };
            let status = if self.fault == "never-healthy" { 503 } else { 200 };
            return (status, format!("{{\"version\": \"{told}\"}}"));
        }
        let number = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        match self.fault.as_str() {
            "errors" if number * self.figure % 100 < self.figure => return (500, "{}".into()),
            "slow" => std::thread::sleep(Duration::from_millis(self.figure)),
            "wrong-body" => return (200, "{\"cart\": null}".into()),
            "crash-after" if number > self.figure => {
                eprintln!("out of luck after {number} requests");
                std::process::exit(5);
            }
            _ => (),
        }
        (200, "{\"cart\": [], \"currency\": \"EUR\"}".into())
    }
}
