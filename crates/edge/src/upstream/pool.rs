//! Connections that wait for the next request, per address and thread.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use rustix::net::RecvFlags;
use tokio::net::TcpStream;

/// Connections that are kept per address and thread.
const MOST_IDLE: usize = 512;
/// A request that must not be sent twice only goes over a connection that was used so lately: a server that closes idle
/// connections sooner than this does not exist in practice.
const FRESH_MS: u64 = 1_000;
/// An instance that refused is avoided for so long where there are others.
const AVOID_MS: u64 = 1_000;

/// An address, and the connections to it.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    idle: RefCell<Vec<Idle>>,
    refused_at: Cell<Option<u64>>,
}

/// A connection that is not in use.
#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    since_ms: u64,
}

/// Every address that the present routes name.
#[derive(Debug, Default)]
pub(crate) struct Upstreams(RefCell<FxHashMap<SocketAddr, Rc<Upstream>>>);

impl Upstreams {
    /// The upstream of an address, with the connections that it has already.
    pub(crate) fn of(&self, address: SocketAddr) -> Rc<Upstream> {
        let new = || Rc::new(Upstream { address, idle: RefCell::default(), refused_at: Cell::new(None) });
        Rc::clone(self.0.borrow_mut().entry(address).or_insert_with(new))
    }

    /// Closes connections that were not used for too long, and forgets addresses that no route names.
    pub(crate) fn sweep(&self, now_ms: u64, most_idle: Duration) {
        let oldest = now_ms.saturating_sub(most_idle.as_millis() as u64);
        self.0.borrow_mut().retain(|_, upstream| {
            upstream.idle.borrow_mut().retain(|idle| idle.since_ms >= oldest);
            Rc::strong_count(upstream) > 1 || !upstream.idle.borrow().is_empty()
        });
    }
}

impl Upstream {
    /// A connection that can be used; `careful` where the request must not be sent twice.
    pub(crate) fn check_out(&self, now_ms: u64, careful: bool) -> Option<TcpStream> {
        loop {
            let idle = self.idle.borrow_mut().pop()?;
            if careful && (idle.since_ms + FRESH_MS < now_ms || !is_silent(&idle.stream)) {
                continue;
            }
            // Whatever is there to read, end or bytes, nobody asked for. Without an event this costs no system call.
            let nothing = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
            if idle.stream.try_read(&mut [0]).is_err_and(|error| nothing(&error)) {
                return Some(idle.stream);
            }
        }
    }

    /// Keeps a connection whose last answer is complete.
    pub(crate) fn give_back(&self, stream: TcpStream, now_ms: u64) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MOST_IDLE {
            idle.push(Idle { stream, since_ms: now_ms });
        }
    }

    /// After one connection turned out to be dead, its older neighbours are not tried one by one.
    pub(crate) fn forget_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    pub(crate) fn refused(&self, now_ms: u64) {
        self.refused_at.set(Some(now_ms));
    }

    pub(crate) fn is_avoided(&self, now_ms: u64) -> bool {
        self.refused_at.get().is_some_and(|at| now_ms < at + AVOID_MS)
    }
}

/// Asks the kernel itself whether the connection still stands with nothing to read.
fn is_silent(stream: &TcpStream) -> bool {
    let mut byte = [0_u8; 1];
    let peeked = rustix::net::recv(stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
    matches!(peeked, Err(rustix::io::Errno::AGAIN))
}
