//! What the tests and benches need from outside this workspace: found, or installed on Debian as root.

pub(crate) mod debian;
pub(crate) mod node;
pub(crate) mod python;
pub(crate) mod tools;
