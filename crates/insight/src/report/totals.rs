//! Totals over everything in a scope.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use signalbox_core::time::Micros;
use signalbox_events::kind::{Class, Kind};
use signalbox_store::{Conn, Row, StoreError, Value};

use super::model::{Bucket, Conversion, Moment, Range, Totals, decimal};
use crate::projector::Span;

/// `GET /api/v1/overview`
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Overview {
    pub range: Range,
    pub bucket: Bucket,
    pub totals: Totals,
    pub conversions: Vec<Conversion>,
    pub series: Vec<Moment>,
    /// Events up to this seq are in the figures.
    pub seq: i64,
}

/// Which counters are meant: a condition on `c`, and its parameters after `$1` (from) and `$2` (to).
pub(super) struct Which<'w> {
    pub(super) condition: String,
    pub(super) campaign: Option<(i64, i64)>,
    pub(super) range: &'w Range,
}

impl<'w> Which<'w> {
    pub(super) fn scope(conn: &Conn<'_>, range: &'w Range) -> Self {
        Self { condition: conn.scope().condition("c.principal_id"), campaign: None, range }
    }

    pub(super) fn campaign(conn: &Conn<'_>, principal: i64, campaign: i64, range: &'w Range) -> Self {
        // Whoever comes with a campaign of somebody else finds nothing, also where no database enforces it.
        let within = if conn.scope().contains(principal) { "" } else { "1 = 0 AND " };
        Self {
            condition: format!("{within}c.principal_id = $3 AND c.campaign_id = $4"),
            campaign: Some((principal, campaign)),
            range,
        }
    }

    pub(super) fn params(&self) -> Vec<Value<'static>> {
        self.params_in(self.range)
    }

    /// With another range.
    pub(super) fn params_in(&self, range: &Range) -> Vec<Value<'static>> {
        let mut params: Vec<Value<'static>> = vec![range.from.0.into(), range.to.0.into()];
        if let Some((principal, campaign)) = self.campaign {
            params.push(principal.into());
            params.push(campaign.into());
        }
        params
    }
}

pub(super) fn kind_and_class(row: &Row<'_>, kind: usize, class: usize) -> Result<(Kind, Class), StoreError> {
    let kind = Kind::from_code(row.int(kind)?).ok_or(StoreError::Shape { column: kind })?;
    let class = Class::from_code(row.int(class)?).ok_or(StoreError::Shape { column: class })?;
    Ok((kind, class))
}

/// The buckets of `which`, empty ones included, and their sum.
pub(super) fn series(
    conn: &mut Conn<'_>,
    which: &Which<'_>,
    bucket: Bucket,
) -> Result<(Totals, Vec<Moment>), StoreError> {
    let (step, offset) = (bucket.micros(), bucket.offset());
    let first = bucket.start(which.range.from);
    let count = (which.range.to.0 - first.0 + step - 1) / step;
    let mut moments: Vec<Moment> =
        (0..count).map(|index| Moment { start: first.plus(index * step), totals: Totals::default() }).collect();
    let mut totals = Totals::default();
    let parts = match bucket {
        Bucket::Hour => vec![(Span::Hour, *which.range)],
        Bucket::Day | Bucket::Week => which.range.parts(),
    };
    for (span, range) in parts {
        let sql = format!(
            "SELECT (c.hour + {offset}) / {step} AS part, c.kind, c.class, CAST(SUM(c.total) AS BIGINT), CAST(SUM(c.uniques) AS BIGINT)
             FROM {} AS c WHERE {} AND c.hour >= $1 AND c.hour < $2 GROUP BY 1, 2, 3",
            span.counter(),
            which.condition
        );
        conn.each(&sql, &which.params_in(&range), &mut |row| {
            let start = Micros(row.int(0)? * step - offset);
            let (kind, class) = kind_and_class(row, 1, 2)?;
            let (total, unique) = (row.int(3)?, row.int(4)?);
            totals.add(kind, class, total, unique);
            if let Some(moment) =
                usize::try_from((start.0 - first.0) / step).ok().and_then(|index| moments.get_mut(index))
            {
                moment.totals.add(kind, class, total, unique);
            }
            Ok(())
        })?;
    }
    Ok((totals, moments))
}

pub(super) fn conversions(conn: &mut Conn<'_>, which: &Which<'_>) -> Result<Vec<Conversion>, StoreError> {
    let sql = format!(
        "SELECT c.currency, c.total, c.value_micros FROM conversion_counter AS c WHERE {} AND c.hour >= $1 AND c.hour < $2",
        which.condition
    );
    // Summed here: a sum in SQL may leave the range of its type.
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    conn.each(&sql, &which.params(), &mut |row| {
        let sum = sums.entry(row.text(0)?).or_default();
        *sum = (sum.0 + row.int(1)?, sum.1.saturating_add(row.int(2)?));
        Ok(())
    })?;
    let conversion = |(currency, (total, micros))| Conversion { currency, total, value: decimal(micros) };
    Ok(sums.into_iter().map(conversion).collect())
}

/// The totals of the scope in a range.
pub fn totals(conn: &mut Conn<'_>, range: &Range) -> Result<Totals, StoreError> {
    let which = Which::scope(conn, range);
    let mut totals = Totals::default();
    for (span, range) in range.parts() {
        let sql = format!(
            "SELECT c.kind, c.class, CAST(SUM(c.total) AS BIGINT), CAST(SUM(c.uniques) AS BIGINT) FROM {} AS c
             WHERE {} AND c.hour >= $1 AND c.hour < $2 GROUP BY 1, 2",
            span.counter(),
            which.condition
        );
        conn.each(&sql, &which.params_in(&range), &mut |row| {
            let (kind, class) = kind_and_class(row, 0, 1)?;
            totals.add(kind, class, row.int(2)?, row.int(3)?);
            Ok(())
        })?;
    }
    Ok(totals)
}

/// Everything in the scope.
pub fn overview(conn: &mut Conn<'_>, range: Range, bucket: Bucket) -> Result<Overview, StoreError> {
    let which = Which::scope(conn, &range);
    let (totals, series) = series(conn, &which, bucket)?;
    let conversions = conversions(conn, &which)?;
    let seq = projected_seq(conn)?;
    Ok(Overview { range, bucket, totals, conversions, series, seq })
}

/// The seq up to which events are in the figures.
pub fn projected_seq(conn: &mut Conn<'_>) -> Result<i64, StoreError> {
    Ok(conn.first("SELECT seq FROM projection WHERE name = 'events'", &[], |row| row.int(0))?.unwrap_or_default())
}
