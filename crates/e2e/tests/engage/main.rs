//! Several instances of engage on one store, and releases of engage.

mod instances;
mod releases;
mod schema;
