//! When a release may begin: windows, freezes, and the calendar of both. A rollback is always allowed.

mod decide;
mod freeze;
mod ical;
mod window;
mod zone;

pub use decide::{Calendar, Decision, Span};
pub use freeze::{Day, Freeze};
pub use ical::{Entry, ical};
pub use window::Window;
pub use zone::Zone;
