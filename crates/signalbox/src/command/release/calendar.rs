use clap::Args;
use serde_json::json;
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_core::time::DAY;
use signalbox_release::model::calendar::ical;
use signalbox_release::model::exit::Exit;

use super::source::Source;
use crate::output::{Output, line, print};

#[derive(Debug, Args)]
pub struct CalendarArgs {
    #[command(flatten)]
    source: Source,
    /// How many days ahead.
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=400))]
    days: i64,
}

impl CalendarArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let manifest = self.source.read()?.map_err(|faults| anyhow::anyhow!("{faults}"))?;
        let now = SystemClock.now();
        let service = manifest.service.name.as_str();
        if self.source.output == Output::Json {
            let spans = manifest.calendar.open_spans(now, now.plus(self.days * DAY));
            let value =
                json!({"now": manifest.calendar.decide(now), "open": spans, "freezes": manifest.calendar.freezes});
            print(Output::Json, &value, |_| String::new())?;
        } else {
            let entries = manifest.calendar.entries(service, now, now.plus(self.days * DAY));
            line(ical(&format!("Releases of {service}"), &entries, now).trim_end())?;
        }
        Ok(Exit::Done)
    }
}
