//! Measuring against a peer in the same run.

pub(crate) mod audit;
pub(crate) mod canary;
pub(crate) mod catch_up;
pub(crate) mod edge;
pub(crate) mod figures;
pub(crate) mod history;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod pages;
pub(crate) mod print;
pub(crate) mod tracking;
pub(crate) mod verdict;
pub(crate) mod versions;
