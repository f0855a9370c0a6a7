//! Reports: what the counters and events say, within a scope.

mod campaigns;
mod events;
mod model;
mod totals;

pub use campaigns::{Campaign, CampaignRow, Contact, Link, Report, Share, campaign, campaign_rows, contacts, report};
pub use events::{EventRow, Filter, VerdictView, events, events_after, read_events};
pub use model::{Bucket, ByClass, Conversion, Counted, Moment, Range, Totals};
pub use totals::{Overview, overview, projected_seq, totals};
