//! Simulated roll-outs: signalbox's judge beside the rules of its peers, on the same streams.

mod figures;
mod kayenta;
mod ours;
mod peers;
mod print;
mod random;
mod roll_out;
mod scenario;
mod simulate;
mod stream;

pub(crate) use figures::run;
pub(crate) use print::print;
