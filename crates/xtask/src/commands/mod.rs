//! One file per command.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod guard;
pub(crate) mod load;
pub(crate) mod test;
