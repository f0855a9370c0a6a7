//! A service to be released and supervised, with the faults that services have:
//! `signalbox-e2e-service --port PORT [--version VERSION] [--fault WORDS] [--faults FOLDER]`.

mod errand;
mod fault;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fault::Fault;
use signalbox_e2e::wire;

struct Service {
    version: String,
    fault: Fault,
    /// Requests for content so far.
    served: AtomicU64,
}

fn main() -> ExitCode {
    let (mut port, mut version, mut fault) = (0_u16, "1.0.0".to_owned(), Fault::None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().expect("a value");
        match word.as_str() {
            "--port" => port = value.parse().expect("a port"),
            "--version" => version = value,
            "--fault" => fault = value.parse().expect("a fault"),
            // What is wrong with a version stands in a file that is called like it.
            "--faults" => {
                let told = std::fs::read_to_string(Path::new(&value).join(&version)).unwrap_or_default();
                fault = told.parse().expect("a fault");
            }
            other => panic!("{other}?"),
        }
    }
    if let Some(ended) = fault.at_start() {
        return ended;
    }
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("port {port}: {error}");
            return ExitCode::from(98);
        }
    };
    println!("version {version} listens on {port}");
    fault.go_on();
    let service = Arc::new(Service { version, fault, served: AtomicU64::new(0) });
    for stream in listener.incoming().map_while(Result::ok) {
        let service = Arc::clone(&service);
        std::thread::spawn(move || service.serve(stream));
    }
    ExitCode::SUCCESS
}

impl Service {
    /// Answers until the client leaves or asks for the end.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut buffer = Vec::new();
        loop {
            let request = wire::next_request(&mut stream, &mut buffer)?;
            let (path, query) = request.target();
            match path {
                "/socket" => return wire::echo_frames(&mut stream, &mut buffer),
                "/events" => return wire::send_events(&mut stream),
                _ => (),
            }
            let (status, body) = self.answer(path, query, request.body.len());
            let version = &self.version;
            let head = format!(
                "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-version: {version}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
            if request.fields("connection").iter().any(|value| value.eq_ignore_ascii_case("close")) {
                return None;
            }
        }
    }

    fn answer(&self, path: &str, query: &str, received: usize) -> (u16, String) {
        let version = match self.fault {
            Fault::WrongVersion => "0.0.0",
            _ => &self.version,
        };
        let mut content = "\"cart\": [], \"currency\": \"EUR\"";
        if path == "/database" {
            let away = matches!(self.fault, Fault::NoDatabase(most) if self.served.load(Ordering::Relaxed) > most);
            return (if away { 503 } else { 200 }, "{}".into());
        }
        if path.starts_with("/health") {
            let away = matches!(self.fault, Fault::DatabaseAway(most) if self.served.load(Ordering::Relaxed) > most);
            if away || self.fault == Fault::NeverHealthy {
                return (503, "{}".into());
            }
        } else if path == "/die" {
            exit(query.parse().unwrap_or(1));
        } else {
            let number = self.served.fetch_add(1, Ordering::Relaxed) + 1;
            match self.fault {
                Fault::Errors(percent) if number * percent % 100 < percent => return (500, "{}".into()),
                Fault::Slow(millis) => std::thread::sleep(Duration::from_millis(millis)),
                Fault::WrongBody => content = "\"cart\": null",
                Fault::CrashAfter(most) if number > most => {
                    eprintln!("out of luck after {most} requests");
                    exit(5);
                }
                _ => (),
            }
        }
        let (pid, said) = (std::process::id(), errand::run(path, query));
        (
            200,
            format!(
                "{{\"version\": {version:?}, \"pid\": {pid}, {content}, \"received\": {received}, \"said\": {said:?}}}"
            ),
        )
    }
}
