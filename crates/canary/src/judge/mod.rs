//! Takes in windows, says what they prove.

pub mod comparison;
mod explain;
mod limits;
pub mod stream;

pub use stream::Judge;
