//! Settings as people write them, with errors that say what to write.

pub mod share;
pub mod then;
pub mod worse;
