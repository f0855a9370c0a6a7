//! The controller: it leads, keeps what is promoted running, begins releases and answers people.

mod api;
mod api_verbs;
mod checklist;
mod controller;
mod deploy;
mod drivers;
mod keeper;
mod lead;
mod live;
mod notify;
mod person;
mod refusal;
mod reports;
mod shelf;
mod token;

pub use api::{Asker, router};
pub use checklist::{AskChecklist, Checklist};
pub(crate) use controller::written;
pub use controller::{Controller, Frozen, Settings};
pub use deploy::{Deploy, Made};
pub use drivers::{LateDriver, Maker};
pub use lead::{Lead, LeadError};
pub use live::Overview;
pub(crate) use person::began_by;
pub use refusal::Refused;
pub use reports::Format;
pub(crate) use reports::{decided_at, judged};
pub use shelf::{Kept, Shelf};
pub use token::token;
