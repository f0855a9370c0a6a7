//! A service behind the edge: an HTTP/1.1 server that keeps every byte it was sent, so that a test can say what passed.
//! It is gullible on purpose: whatever follows a request on its connection is the next request.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;

use crate::wire::{self, Seen, next_request};

/// A running backend. It ends with the value.
pub struct Backend {
    pub address: SocketAddr,
    inner: Arc<Inner>,
    accepting: Option<std::thread::JoinHandle<()>>,
}

struct Inner {
    name: String,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicU64,
    /// New connections get nothing.
    hangs: AtomicBool,
    /// A connection ends without a word after so many milliseconds without a request; 0: never.
    idle_ms: AtomicU64,
    stopped: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Backend {
    /// Answers with its name. What it does else depends on the path: see `respond`.
    pub fn start(name: &str) -> Result<Self> {
        Self::start_on(name, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub fn start_on(name: &str, address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            seen: Mutex::default(),
            connections: AtomicU64::new(0),
            hangs: AtomicBool::new(false),
            idle_ms: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let serving = Arc::clone(&inner);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::io::Result::ok) {
                if serving.stopped.load(Ordering::SeqCst) {
                    return;
                }
                serving.connections.fetch_add(1, Ordering::SeqCst);
                if let Ok(clone) = stream.try_clone() {
                    serving.open.lock().unwrap_or_else(PoisonError::into_inner).push(clone);
                }
                let inner = Arc::clone(&serving);
                std::thread::spawn(move || inner.serve(stream));
            }
        });
        Ok(Self { address, inner, accepting: Some(accepting) })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that arrived so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn forget(&self) {
        self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn connections(&self) -> u64 {
        self.inner.connections.load(Ordering::SeqCst)
    }

    /// From now on it accepts and says nothing.
    pub fn hang(&self, hangs: bool) {
        self.inner.hangs.store(hangs, Ordering::SeqCst);
    }

    /// Closes connections that are idle for so long, as many servers do.
    pub fn close_idle_after(&self, idle: Duration) {
        self.inner.idle_ms.store(idle.as_millis() as u64, Ordering::SeqCst);
    }

    /// Closes every connection, as a server that is killed.
    pub fn cut(&self) {
        for stream in self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It may have ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.inner.stopped.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that accepts, which then ends and closes the port.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        let _ = self.accepting.take().map(std::thread::JoinHandle::join);
    }
}

impl Inner {
    fn serve(&self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        let _ = stream.set_nodelay(true);
        loop {
            let idle = self.idle_ms.load(Ordering::SeqCst);
            let _ = stream.set_read_timeout((idle > 0).then(|| Duration::from_millis(idle)));
            let Some(seen) = next_request(&mut stream, &mut buffer) else {
                // Dropping alone would leave the clone for `cut` open.
                let _ = stream.shutdown(Shutdown::Both);
                return;
            };
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
            while self.hangs.load(Ordering::SeqCst) && !self.stopped.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let method = seen.line().split(' ').next().unwrap_or_default();
            let (path, query) = seen.target();
            if self.respond(&mut stream, method, path, query, &seen, &mut buffer).is_none() {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    /// None ends the connection.
    fn respond(
        &self,
        stream: &mut TcpStream,
        method: &str,
        path: &str,
        query: &str,
        seen: &Seen,
        buffer: &mut Vec<u8>,
    ) -> Option<()> {
        let name = &self.name;
        let mut say = |text: &[u8]| stream.write_all(text).ok();
        let plain = |body: &str| {
            let shown = if method == "HEAD" { "" } else { body };
            format!("HTTP/1.1 200 OK\r\nx-arm: {name}\r\ncontent-length: {}\r\n\r\n{shown}", body.len())
        };
        match path {
            "/slow" => {
                std::thread::sleep(Duration::from_millis(query.parse().unwrap_or(500)));
                say(plain(name).as_bytes())
            }
            "/status" => {
                say(format!("HTTP/1.1 {query} Asked\r\nx-arm: {name}\r\ncontent-length: 0\r\n\r\n").as_bytes())
            }
            "/length" => say(plain(&seen.body.len().to_string()).as_bytes()),
            "/large" => {
                let body = "x".repeat(query.parse().unwrap_or(1 << 20));
                say(plain(&body).as_bytes())
            }
            "/chunked" => {
                say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")?;
                say(b"6;ext=1\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n")
            }
            "/until-close" => {
                say(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")?;
                None
            }
            "/early" => {
                say(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")?;
                say(plain(name).as_bytes())
            }
            "/hop" => {
                say(b"HTTP/1.1 200 OK\r\nconnection: x-secret, keep-alive\r\nx-secret: 1\r\nkeep-alive: timeout=5\r\n\
                  proxy-authenticate: x\r\nx-kept: 1\r\ncontent-length: 0\r\n\r\n")
            }
            "/bad-head" => {
                say(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello")?;
                None
            }
            "/reset" => {
                say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this")?;
                None
            }
            "/reset-chunked" => {
                say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")?;
                None
            }
            "/drop" => None,
            "/stall" => {
                say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this")?;
                let _ = stream.read(&mut [0; 64]);
                None
            }
            "/socket" => wire::echo_frames(stream, buffer),
            "/events" => wire::send_events(stream),
            _ => say(plain(name).as_bytes()),
        }
    }
}
