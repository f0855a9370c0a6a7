//! What must hold before every commit: one file per check.

pub(crate) mod arrows;
pub(crate) mod dependencies;
pub(crate) mod files;
pub(crate) mod formatting;
pub(crate) mod licences;
pub(crate) mod links;
pub(crate) mod lints;
pub(crate) mod machine_paths;
pub(crate) mod outcome;
pub(crate) mod silenced;
pub(crate) mod sizes;
pub(crate) mod source;
pub(crate) mod spdx;
