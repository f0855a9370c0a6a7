//! The rules of releases, from outside of the crate: manifests, plans, readiness, documents, and what becomes of a release
//! whose controller dies at any record.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it must be")]

mod crashes;
mod documents;
mod given;
mod journal_file;
mod manifests;
mod migrations;
mod planning;
mod readiness;
mod releases;
mod world;
