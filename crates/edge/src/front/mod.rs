//! The side of the clients: accepting, TLS, and which protocol a connection speaks.

mod accept;
mod converse;
mod http1;
mod http2;
mod http2_body;
mod mirror;
mod prepare;
mod relay;
mod rewound;
mod tunnel;

pub(crate) use accept::{accept, serve};
