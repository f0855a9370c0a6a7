//! Checkpoints that leave the machine.

mod file;
mod make;
mod running;
mod syslog;

pub use file::{Line, append_line, last_in, read_lines};
pub use make::{MakeError, make};
pub use running::{Checkpointer, Policy, Sinks};
pub use syslog::{BadSyslog, Syslog};
