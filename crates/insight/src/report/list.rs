//! The list of campaigns in an order of the reader's choice, and what a search finds.

use rustc_hash::FxHashMap;
use serde::Serialize;
use signalbox_core::id::{CampaignId, ContactId, PrincipalId};
use signalbox_core::time::Micros;
use signalbox_events::kind::{Class, Kind};
use signalbox_store::{Column, Conn, Row, StoreError, Value};

use super::campaigns::{Campaign, CampaignRow};
use super::model::{Range, Totals};
use super::totals::kind_and_class;

/// What campaigns are put in order by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignOrder {
    Newest,
    Name,
    /// By the count of one kind and class in the range, most first.
    Count(Kind, Class),
}

/// Where a page of the list ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CampaignPlace {
    pub id: i64,
    /// The count by which the list is in order; without meaning for other orders.
    pub count: i64,
}

/// A contact by the key that outside systems know it by.
#[derive(Debug, Clone, Serialize)]
pub struct ContactName {
    pub id: ContactId,
    pub principal: PrincipalId,
    pub key: String,
    pub created_at: Micros,
}

/// Campaigns whose name contains `words`, in `order`, after `after`, with their figures in the range.
pub fn campaign_list(
    conn: &mut Conn<'_>,
    range: &Range,
    order: CampaignOrder,
    words: &str,
    after: Option<CampaignPlace>,
    limit: i64,
) -> Result<Vec<CampaignRow>, StoreError> {
    let scope = conn.scope().condition("c.principal_id");
    let mut params: Vec<Value<'_>> = Vec::new();
    let (total, counts) = match order {
        CampaignOrder::Count(kind, class) => {
            params.extend([kind.code(), class.code()].map(Value::from));
            let counted = range.parts().into_iter().map(|(span, part)| {
                params.extend([part.from.0, part.to.0].map(Value::from));
                format!(
                    "SELECT c.principal_id, c.campaign_id, c.total FROM {} AS c WHERE c.kind = $1 AND c.class = $2 AND c.hour >= ${} AND c.hour < ${}",
                    span.counter(),
                    params.len() - 1,
                    params.len()
                )
            });
            let counted: Vec<_> = counted.collect();
            let counts = format!(
                "LEFT JOIN (SELECT p.principal_id, p.campaign_id, CAST(SUM(p.total) AS BIGINT) AS total FROM ({}) AS p GROUP BY 1, 2) AS s
                 ON s.principal_id = c.principal_id AND s.campaign_id = c.id",
                counted.join(" UNION ALL ")
            );
            ("COALESCE(s.total, 0)", counts)
        }
        _ => ("0", String::new()),
    };
    let mut conditions = vec![scope];
    let pattern = pattern(words);
    if !words.is_empty() {
        params.push(pattern.as_str().into());
        conditions.push(format!("LOWER(c.key) LIKE ${} ESCAPE '!'", params.len()));
    }
    let mut beyond = "1 = 1".to_owned();
    if let Some(after) = after {
        params.push(after.id.into());
        let id = params.len();
        beyond = match order {
            CampaignOrder::Newest => format!("r.id < ${id}"),
            CampaignOrder::Name => format!("r.key > (SELECT c.key FROM campaign AS c WHERE c.id = ${id})"),
            CampaignOrder::Count(..) => {
                params.push(after.count.into());
                let count = params.len();
                format!("(r.total < ${count} OR (r.total = ${count} AND r.id < ${id}))")
            }
        };
    }
    params.push(limit.into());
    let sql = format!(
        "SELECT r.id, r.principal_id, r.key, r.created_at FROM (
           SELECT c.id, c.principal_id, c.key, c.created_at, {total} AS total FROM campaign AS c {counts} WHERE {}) AS r
         WHERE {beyond} ORDER BY {} LIMIT ${}",
        conditions.join(" AND "),
        match order {
            CampaignOrder::Newest => "r.id DESC",
            CampaignOrder::Name => "r.key, r.id",
            CampaignOrder::Count(..) => "r.total DESC, r.id DESC",
        },
        params.len()
    );
    let mut rows = conn.query(&sql, &params, |row| {
        Ok(CampaignRow { campaign: campaign(row)?, totals: Totals::default(), last_hour: None })
    })?;
    add_figures(conn, range, &mut rows)?;
    Ok(rows)
}

/// A campaign from its columns id, principal_id, key, created_at.
pub(super) fn campaign(row: &Row<'_>) -> Result<Campaign, StoreError> {
    Ok(Campaign {
        id: CampaignId(row.int(0)?),
        principal: PrincipalId(row.int(1)?),
        name: row.text(2)?,
        created_at: Micros(row.int(3)?),
    })
}

/// Adds what happened in the range to each of `rows`.
pub(super) fn add_figures(conn: &mut Conn<'_>, range: &Range, rows: &mut [CampaignRow]) -> Result<(), StoreError> {
    let places: FxHashMap<i64, usize> =
        rows.iter().enumerate().map(|(place, row)| (row.campaign.id.0, place)).collect();
    let ints = |each: &dyn Fn(&CampaignRow) -> i64| Column::Ints(rows.iter().map(each).collect());
    let keys = |range: &Range| {
        [
            ints(&|row| row.campaign.principal.0),
            ints(&|row| row.campaign.id.0),
            ints(&|_| range.from.0),
            ints(&|_| range.to.0),
        ]
    };
    let (whole, parts) = (keys(range), range.parts().into_iter().map(|(span, part)| (span, keys(&part))));
    let parts: Vec<_> = parts.collect();
    for (span, keys) in &parts {
        let sql = format!(
            "SELECT c.campaign_id, c.kind, c.class, CAST(SUM(c.total) AS BIGINT), CAST(SUM(c.uniques) AS BIGINT)
             FROM {{keys}} CROSS JOIN {} AS c WHERE c.principal_id = k.k0 AND c.campaign_id = k.k1 AND c.hour >= k.k2 AND c.hour < k.k3
             GROUP BY 1, 2, 3",
            span.counter()
        );
        conn.lookup(&sql, keys, &mut |found| {
            let (kind, class) = kind_and_class(found, 1, 2)?;
            rows[places[&found.int(0)?]].totals.add(kind, class, found.int(3)?, found.int(4)?);
            Ok(())
        })?;
    }
    let sql = "SELECT k.k1, (SELECT MAX(c.hour) FROM counter AS c
        WHERE c.principal_id = k.k0 AND c.campaign_id = k.k1 AND c.hour >= k.k2 AND c.hour < k.k3) FROM {keys}";
    conn.lookup(sql, &whole, &mut |found| {
        rows[places[&found.int(0)?]].last_hour = found.opt_int(1)?.map(Micros);
        Ok(())
    })
}

/// Contacts whose key contains `words`, newest first.
pub fn contact_list(
    conn: &mut Conn<'_>,
    words: &str,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<ContactName>, StoreError> {
    let sql = format!(
        "SELECT c.id, c.principal_id, c.key, c.created_at FROM contact AS c
         WHERE {} AND c.id < $1 AND LOWER(c.key) LIKE $2 ESCAPE '!' ORDER BY c.id DESC LIMIT $3",
        conn.scope().condition("c.principal_id")
    );
    let pattern = pattern(words);
    conn.query(&sql, &[before.unwrap_or(i64::MAX).into(), pattern.as_str().into(), limit.into()], contact_name)
}

/// The contact `id`, if it is in the scope.
pub fn contact(conn: &mut Conn<'_>, id: ContactId) -> Result<Option<ContactName>, StoreError> {
    let sql = format!(
        "SELECT c.id, c.principal_id, c.key, c.created_at FROM contact AS c WHERE c.id = $1 AND {}",
        conn.scope().condition("c.principal_id")
    );
    conn.first(&sql, &[id.0.into()], contact_name)
}

fn contact_name(row: &Row<'_>) -> Result<ContactName, StoreError> {
    Ok(ContactName {
        id: ContactId(row.int(0)?),
        principal: PrincipalId(row.int(1)?),
        key: row.text(2)?,
        created_at: Micros(row.int(3)?),
    })
}

/// What LIKE finds: `words` anywhere, in small letters, its own signs taken literally.
fn pattern(words: &str) -> String {
    let mut pattern = String::from("%");
    for letter in words.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_is_taken_literally() {
        assert_eq!(pattern("50%_Off!"), "%50!%!_off!!%");
    }
}
