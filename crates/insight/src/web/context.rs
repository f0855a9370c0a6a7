//! What several pages show, as they write it. Nothing here reads the store or computes.
//!
//! Numbers arrive formatted as they are read (`12,412`; the live script writes the same form). A `mark` is the
//! class of the small shape beside a word: `human`, `proxy`, `machine`, `ok` or `warn`.

/// One choice of the time range.
#[derive(Debug, Clone)]
pub(crate) struct RangeLink {
    pub(crate) label: String,
    pub(crate) href: String,
    pub(crate) current: bool,
}

/// One headline number.
#[derive(Debug, Clone)]
pub(crate) struct Tile {
    /// The key of this number in the live `totals` message, such as `opens_human`.
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) value: String,
    /// What the number means, in a few words.
    pub(crate) note: String,
    /// Change against the range before, with its sign and short (`+12 %`).
    pub(crate) trend: Option<String>,
    pub(crate) mark: Option<&'static str>,
}

/// An instant: machine-readable for the browser, which shows it in the reader's zone, and readable without script.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// RFC 3339 in UTC.
    pub(crate) iso: String,
    /// Such as `9 May, 14:03 UTC`.
    pub(crate) label: String,
}

/// A campaign in the overview's table.
#[derive(Debug, Clone)]
pub(crate) struct CampaignRow {
    pub(crate) href: String,
    pub(crate) name: String,
    pub(crate) sent: String,
    pub(crate) delivered: String,
    pub(crate) opens_human: String,
    pub(crate) opens_proxy: String,
    pub(crate) opens_machine: String,
    pub(crate) clicks_human: String,
    pub(crate) unique_opens: String,
    pub(crate) unique_clicks: String,
    pub(crate) last_event: Option<Moment>,
}

/// A destination and who followed it.
#[derive(Debug, Clone)]
pub(crate) struct LinkRow {
    pub(crate) url: String,
    pub(crate) clicks_human: String,
    pub(crate) clicks_proxy: String,
    pub(crate) clicks_machine: String,
    pub(crate) unique: String,
}

/// A part of a whole, with a bar behind it.
#[derive(Debug, Clone)]
pub(crate) struct ShareRow {
    pub(crate) label: String,
    pub(crate) value: String,
    pub(crate) percent_label: String,
    /// Length of the bar, 0..=100.
    pub(crate) width: u32,
    pub(crate) mark: Option<&'static str>,
}

/// A recipient and their own acts.
#[derive(Debug, Clone)]
pub(crate) struct ContactRow {
    /// Where the contact's timeline is, for those who may see single events.
    pub(crate) href: Option<String>,
    pub(crate) name: String,
    pub(crate) opens: String,
    pub(crate) clicks: String,
    pub(crate) first_seen: Moment,
    pub(crate) last_seen: Moment,
}

/// Stacked bars over time, in a coordinate space of `width` × `height` that the page stretches to fit: x grows to
/// the right, y grows down, the base line is y = `height`. Without bars the page says that nothing was recorded.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// Unique on the page; prefixes the ids inside.
    pub(crate) id: String,
    pub(crate) title: String,
    /// What one bar stands for, such as `per hour`. Labels are in UTC until the script turns hours to the reader's zone.
    pub(crate) unit: &'static str,
    pub(crate) is_hourly: bool,
    /// Whether the labels below are times of day.
    pub(crate) has_times: bool,
    /// What a reader who cannot see the chart should know: range, total, peak.
    pub(crate) description: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Three to six, evenly apart by 1, 2 or 5 × 10ⁿ, zero included.
    pub(crate) y_ticks: Vec<YTick>,
    /// At most eight short labels, evenly apart, each at the middle of its bar; every second one hides on a phone.
    pub(crate) x_ticks: Vec<XTick>,
    /// One per bucket, empty buckets included, without gaps: the page draws them.
    pub(crate) bars: Vec<Bar>,
    pub(crate) legend: Vec<Legend>,
    pub(crate) table: Vec<ChartRow>,
}

/// A grid line.
#[derive(Debug, Clone)]
pub(crate) struct YTick {
    pub(crate) y: f32,
    pub(crate) label: String,
}

/// A label under the base line.
#[derive(Debug, Clone)]
pub(crate) struct XTick {
    /// RFC 3339.
    pub(crate) at: String,
    pub(crate) x: f32,
    pub(crate) label: String,
}

/// One bucket of time.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    /// RFC 3339.
    pub(crate) at: String,
    /// Left edge.
    pub(crate) x: f32,
    pub(crate) width: f32,
    /// From the base line up; leave out what is zero.
    pub(crate) segments: Vec<Segment>,
    /// Lines for the tooltip: the time, then `Human 12`, `Privacy proxy 3`, `Machine 4`, in this order.
    pub(crate) hover: String,
}

/// The part of a bar that belongs to one class.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Upper edge.
    pub(crate) y: f32,
    pub(crate) height: f32,
    /// `human`, `proxy` or `machine`.
    pub(crate) class_name: &'static str,
}

/// What a colour and shape stand for.
#[derive(Debug, Clone)]
pub(crate) struct Legend {
    pub(crate) class_name: &'static str,
    pub(crate) label: String,
    pub(crate) total: String,
}

/// A bar as a row of the table behind the chart.
#[derive(Debug, Clone)]
pub(crate) struct ChartRow {
    /// RFC 3339.
    pub(crate) at: String,
    pub(crate) time: String,
    pub(crate) human: String,
    pub(crate) proxy: String,
    pub(crate) machine: String,
}

/// An event in a list.
#[derive(Debug, Clone)]
pub(crate) struct EventLine {
    pub(crate) href: String,
    pub(crate) kind: String,
    /// Mark and words of its class, for events that are judged.
    pub(crate) verdict: Option<(&'static str, &'static str)>,
    /// Address and name.
    pub(crate) campaign: Option<(String, String)>,
    /// Address and name.
    pub(crate) contact: Option<(String, String)>,
    /// The destination of a click.
    pub(crate) detail: String,
    pub(crate) client: String,
    pub(crate) at: Moment,
}

/// One option of a filter.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) chosen: bool,
}

/// A place to go to.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) href: String,
    pub(crate) label: String,
}
