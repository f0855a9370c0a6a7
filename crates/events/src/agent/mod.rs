//! What a user agent string and a network address say about who opened or clicked.
//! Reads words only: no clock, no I/O, no knowledge of the event; the verdict is made elsewhere.

mod client;
mod networks;
mod products;
mod read;
mod shape;
mod signals;
mod table;

pub use networks::{NETWORKS, Network, NetworkKind, network_of};
pub use read::{Agent, AgentKind, is_bare_webkit, is_gmail_prefetch, read_agent};
