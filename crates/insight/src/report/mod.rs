//! Reports: what the counters and events say, within a scope.

mod campaigns;
mod events;
mod list;
mod model;
mod totals;

pub use campaigns::{Campaign, CampaignRow, Contact, Link, Report, Share, campaign, campaign_rows, contacts, report};
pub use events::{EventRow, Filter, VerdictView, event, events, events_after, read_events};
pub use list::{CampaignOrder, CampaignPlace, ContactName, campaign_list, contact, contact_list};
pub use model::{Bucket, ByClass, Conversion, Counted, Moment, Range, Totals};
pub use totals::{Overview, overview, projected_seq, totals};
