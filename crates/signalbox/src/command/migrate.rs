//! `signalbox migrate`

use clap::Args;
use serde_json::json;
use signalbox_store::Faults;

use super::Common;
use crate::installation::{Installation, MIGRATIONS, Schema, is_new, open_store};
use crate::output::print;

#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    common: Common,
    /// Show what would be run, and run nothing.
    #[arg(long)]
    plan: bool,
}

impl Migrate {
    pub fn run(self) -> anyhow::Result<()> {
        let mut settings = self.common.settings(None, false)?;
        // A plan leaves nothing behind, not even an empty database.
        let scratch = tempfile::tempdir()?;
        if self.plan && is_new(&settings) {
            settings.server.data = scratch.path().to_path_buf();
        }
        if self.plan {
            let plan = open_store(&settings, Faults::default())?.migration_plan(&MIGRATIONS)?;
            let pending: Vec<_> = plan
                .pending
                .iter()
                .map(|(number, name, sql)| json!({"number": number, "name": name, "sql": sql}))
                .collect();
            return print(self.common.output, &json!({"schema": plan.found, "pending": pending}), |_| {
                let steps =
                    plan.pending.iter().map(|(number, name, sql)| format!("-- {number} {name}\n{}\n", sql.trim()));
                let count = plan.pending.len();
                format!("{}schema {}; {count} migrations wait", steps.collect::<String>(), plan.found)
            });
        }
        let open = Installation::open(settings, Schema::Migrate, Faults::default(), false)?;
        let applied = &open.applied;
        let rows: Vec<_> = applied.iter().map(|step| json!({"number": step.number, "name": step.name})).collect();
        print(self.common.output, &json!({"applied": rows}), |_| match applied.as_slice() {
            [] => "the schema is up to date".into(),
            applied => applied.iter().map(|step| format!("applied {} {}\n", step.number, step.name)).collect(),
        })
    }
}
