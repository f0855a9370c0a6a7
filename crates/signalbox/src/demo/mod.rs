//! The demo: a campaign to a thousand recipients, their mail clients played for real over HTTP, and a receipt.

mod people;
mod play;
mod receipt;
mod stage;

pub use play::play;
pub use receipt::Receipt;
pub use stage::Stage;
