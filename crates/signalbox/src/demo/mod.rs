//! The demo: a campaign to a thousand recipients, their mail clients played for real over HTTP, releases under that traffic,
//! and receipts.

mod people;
mod plant;
mod play;
mod receipt;
mod stage;
mod story;
mod tour;

pub use plant::Plant;
pub use play::{play, play_beside};
pub use receipt::Receipt;
pub use stage::Stage;
pub use tour::{FIRST, TourReceipt, tour};
