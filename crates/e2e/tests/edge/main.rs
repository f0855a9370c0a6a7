//! `signalbox edge` from outside: what passes to a backend that records every byte, what does not, and what is counted.

mod backends;
mod forwarding;
mod http2;
mod limits;
mod routes;
mod smuggling;
mod streams;
mod upgrade;
