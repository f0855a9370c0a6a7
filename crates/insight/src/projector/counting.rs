//! Counters: what one batch adds to them, summed first, written once.

use rustc_hash::FxHashMap;
use signalbox_core::time::{DAY, Micros};
use signalbox_store::{Column, Conn, Insert, StoreError, Type};

use super::versions::VersionCounts;

/// The time that one row of a counter is for. Every count is in the row of its hour and in that of its day (UTC), so that
/// a long range is read by days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Hour,
    Day,
}

impl Span {
    /// The table of counters.
    pub const fn counter(self) -> &'static str {
        match self {
            Span::Hour => "counter",
            Span::Day => "counter_day",
        }
    }

    /// The table of counters by client.
    pub const fn client_counter(self) -> &'static str {
        match self {
            Span::Hour => "client_counter",
            Span::Day => "client_counter_day",
        }
    }
}

/// One row of `counter`. `link` is 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey {
    pub principal: i64,
    pub campaign: i64,
    pub hour: i64,
    pub link: i64,
    pub kind: i64,
    pub class: i64,
}

/// One row of `client_counter`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey {
    pub principal: i64,
    pub campaign: i64,
    pub hour: i64,
    pub kind: i64,
    pub class: i64,
    pub client: std::borrow::Cow<'static, str>,
    pub device: std::borrow::Cow<'static, str>,
}

/// One row of `conversion_counter`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversionKey {
    pub principal: i64,
    pub campaign: i64,
    pub hour: i64,
    pub currency: String,
}

/// Two sums that go together.
pub type Sums = (i64, i64);

/// Sums on their way into the counters.
#[derive(Debug, Default)]
pub struct Counts {
    /// Total and uniques.
    pub counters: FxHashMap<CounterKey, Sums>,
    pub clients: FxHashMap<ClientKey, i64>,
    /// Total and value in millionths.
    pub conversions: FxHashMap<ConversionKey, Sums>,
    pub versions: VersionCounts,
}

/// The columns of a table of counters.
pub const COUNTER: &[(&str, Type)] = &[
    ("principal_id", Type::Int),
    ("campaign_id", Type::Int),
    ("hour", Type::Int),
    ("link_id", Type::Int),
    ("kind", Type::Int),
    ("class", Type::Int),
    ("total", Type::Int),
    ("uniques", Type::Int),
];
/// The columns of a table of counters by client.
pub const CLIENT: &[(&str, Type)] = &[
    ("principal_id", Type::Int),
    ("campaign_id", Type::Int),
    ("hour", Type::Int),
    ("kind", Type::Int),
    ("class", Type::Int),
    ("client", Type::Text),
    ("device", Type::Text),
    ("total", Type::Int),
];

fn counter(span: Span) -> Insert {
    Insert {
        table: span.counter(),
        columns: COUNTER,
        conflict: match span {
            Span::Hour => {
                "ON CONFLICT (principal_id, campaign_id, hour, link_id, kind, class)
                DO UPDATE SET total = counter.total + excluded.total, uniques = counter.uniques + excluded.uniques"
            }
            Span::Day => {
                "ON CONFLICT (principal_id, campaign_id, hour, link_id, kind, class)
                DO UPDATE SET total = counter_day.total + excluded.total, uniques = counter_day.uniques + excluded.uniques"
            }
        },
        returning: "",
    }
}

fn client(span: Span) -> Insert {
    Insert {
        table: span.client_counter(),
        columns: CLIENT,
        conflict: match span {
            Span::Hour => {
                "ON CONFLICT (principal_id, campaign_id, hour, kind, class, client, device)
                DO UPDATE SET total = client_counter.total + excluded.total"
            }
            Span::Day => {
                "ON CONFLICT (principal_id, campaign_id, hour, kind, class, client, device)
                DO UPDATE SET total = client_counter_day.total + excluded.total"
            }
        },
        returning: "",
    }
}

const CONVERSION: Insert = Insert {
    table: "conversion_counter",
    columns: &[
        ("principal_id", Type::Int),
        ("campaign_id", Type::Int),
        ("hour", Type::Int),
        ("currency", Type::Text),
        ("total", Type::Int),
        ("value_micros", Type::Int),
    ],
    conflict: "ON CONFLICT (principal_id, campaign_id, hour, currency)
        DO UPDATE SET total = conversion_counter.total + excluded.total, value_micros = CASE
            WHEN excluded.value_micros > 0 AND conversion_counter.value_micros > 9000000000000000000 - excluded.value_micros THEN 9000000000000000000
            WHEN excluded.value_micros < 0 AND conversion_counter.value_micros < -9000000000000000000 - excluded.value_micros THEN -9000000000000000000
            ELSE conversion_counter.value_micros + excluded.value_micros END",
    returning: "",
};

fn ints<R>(rows: &[R], each: impl Fn(&R) -> i64) -> Column<'static> {
    Column::Ints(rows.iter().map(each).collect())
}

impl Counts {
    /// Adds to a counter.
    pub fn add(&mut self, key: CounterKey, total: i64, uniques: i64) {
        let sums = self.counters.entry(key).or_default();
        sums.0 += total;
        sums.1 += uniques;
    }

    /// Adds a conversion. Sums stop at ±9 × 10¹⁸ millionths instead of wrapping.
    pub fn add_conversion(&mut self, key: ConversionKey, total: i64, value_micros: i64) {
        let sums = self.conversions.entry(key).or_default();
        sums.0 += total;
        sums.1 = sums.1.saturating_add(value_micros).clamp(-9_000_000_000_000_000_000, 9_000_000_000_000_000_000);
    }

    /// Adds to a client's counter.
    pub fn add_client(&mut self, key: ClientKey, total: i64) {
        *self.clients.entry(key).or_default() += total;
    }

    /// The same sums by day. Conversions and versions have none.
    pub fn by_day(&self) -> Self {
        let day = |hour: i64| Micros(hour).floor(DAY).0;
        let mut days = Self::default();
        for (key, sums) in &self.counters {
            days.add(CounterKey { hour: day(key.hour), ..*key }, sums.0, sums.1);
        }
        for (key, total) in &self.clients {
            days.add_client(ClientKey { hour: day(key.hour), ..key.clone() }, *total);
        }
        days
    }

    /// Writes all sums.
    pub fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreError> {
        self.write_span(conn, Span::Hour)?;
        self.by_day().write_span(conn, Span::Day)?;
        self.versions.write(conn)?;
        self.write_conversions(conn)
    }

    fn write_span(&self, conn: &mut Conn<'_>, span: Span) -> Result<(), StoreError> {
        let mut rows: Vec<_> = self.counters.iter().filter(|(_, sums)| **sums != (0, 0)).collect();
        rows.sort_unstable_by_key(|(key, _)| **key);
        conn.insert(
            &counter(span),
            &[
                ints(&rows, |row| row.0.principal),
                ints(&rows, |row| row.0.campaign),
                ints(&rows, |row| row.0.hour),
                ints(&rows, |row| row.0.link),
                ints(&rows, |row| row.0.kind),
                ints(&rows, |row| row.0.class),
                ints(&rows, |row| row.1.0),
                ints(&rows, |row| row.1.1),
            ],
            &mut |_| Ok(()),
        )?;
        let mut rows: Vec<_> = self.clients.iter().filter(|(_, total)| **total != 0).collect();
        rows.sort_unstable();
        conn.insert(
            &client(span),
            &[
                ints(&rows, |row| row.0.principal),
                ints(&rows, |row| row.0.campaign),
                ints(&rows, |row| row.0.hour),
                ints(&rows, |row| row.0.kind),
                ints(&rows, |row| row.0.class),
                Column::Texts(rows.iter().map(|row| row.0.client.as_ref()).collect()),
                Column::Texts(rows.iter().map(|row| row.0.device.as_ref()).collect()),
                ints(&rows, |row| *row.1),
            ],
            &mut |_| Ok(()),
        )
        .map(|_| ())
    }

    fn write_conversions(&self, conn: &mut Conn<'_>) -> Result<(), StoreError> {
        let mut rows: Vec<_> = self.conversions.iter().collect();
        rows.sort_unstable();
        conn.insert(
            &CONVERSION,
            &[
                ints(&rows, |row| row.0.principal),
                ints(&rows, |row| row.0.campaign),
                ints(&rows, |row| row.0.hour),
                Column::Texts(rows.iter().map(|row| row.0.currency.as_str()).collect()),
                ints(&rows, |row| row.1.0),
                ints(&rows, |row| row.1.1),
            ],
            &mut |_| Ok(()),
        )
        .map(|_| ())
    }
}
