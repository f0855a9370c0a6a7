//! Carrying a plan out: what is written and what is seen say what comes next, and that is done. It never decides: `model`
//! does.

mod act;
mod backup;
mod checklist;
mod commands;
mod criteria;
mod fault;
mod journal_file;
mod judging;
mod load;
mod observe;
mod plane;
mod probe;
mod prometheus;
mod readiness;
mod release;
mod router;
mod run;
mod sight;
mod staging;
mod status;
mod watch;
mod windows;
pub mod words;

pub use backup::{applied, set_for};
pub(crate) use checklist::{tick, ticked};
pub use criteria::criteria;
pub use fault::{FailPoint, Side};
pub use journal_file::{FILE, JournalError, JournalFile};
pub(crate) use judging::last_said;
pub use observe::refusals;
pub(crate) use observe::{share, signed};
pub use plane::{ArmCount, Counts, DataPlane, Later, PlaneError, RouteArm, RouteTable};
pub(crate) use readiness::Found;
pub use readiness::look as look_at_readiness;
pub use release::{Kind, Known, Release, Request, Tools};
pub use router::{CHANGES, Router};
pub use run::{Ask, Ended, Handle, run};
pub(crate) use status::metrics;
pub use status::{MetricEvidence, MetricStatus, Status, VersionStatus};
