//! The plan: eight phases, every step with its undo beside it, how long it takes, and where no return is. Pure; the same
//! inputs always make the same plan and the same hash.

mod action;
mod diff;
mod lint;
mod live;
mod make;
mod phase;
mod production;
mod render;
mod step;
mod traffic;

pub use action::{Action, SuiteKind, Undo};
pub use diff::{Change, Diff, Sign, diff};
pub use lint::{Lint, LintCode, Severity, lint};
pub use live::{Live, LiveVersion, Role};
pub use make::{Inputs, Refusal, plan};
pub use phase::Phase;
pub use render::text;
pub use step::{PhasePlan, Plan, Step, StepId};
pub use traffic::{Decides, FALSE_ALARMS, StepTraffic, Traffic, TrafficReport};
