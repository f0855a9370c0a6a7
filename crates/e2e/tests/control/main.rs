//! Releases from outside: `signalbox control` over a real edge and real processes.

mod bad;
mod checklist;
mod conflicts;
mod crashes;
mod engage;
mod good;
mod many;
mod migrations;
mod quick_start;
mod refusals;
mod reports;
mod tour;

use signalbox_e2e::control::Manifest;

/// The service that is released.
const SERVICE: &str = env!("CARGO_BIN_EXE_signalbox-e2e-service");

/// Two steps, judged by errors; quick, and long enough to be judged.
fn quick() -> Manifest {
    Manifest {
        canary: "steps = [20, 50, 100]\nhold = \"2s\"\nmin_requests = 30\nbake = \"2s\"\n\
                 insufficient = \"hold 60s, then roll back\"\n\
                 [[canary.metric]]\nname = \"errors\"\nworse = \"+1 points\"\n"
            .into(),
        more: String::new(),
    }
}

/// With staging and a probe of content.
const STAGED: &str =
    "[staging]\nsandbox = \"none\"\n[[staging.probe]]\npath = \"/cart\"\njson = { \"$.currency\" = \"EUR\" }\n";
