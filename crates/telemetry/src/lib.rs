//! What a process tells of itself: log lines and metrics. It never decides what is worth telling, and opens no port.

pub mod logs;
pub mod metrics;
