//! Campaigns: the list, and the report of one.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::Serialize;
use signalbox_core::id::{CampaignId, ContactId, LinkId, PrincipalId};
use signalbox_core::time::Micros;
use signalbox_events::kind::{Class, Kind};
use signalbox_store::{Column, Conn, StoreError};

use super::list;
use super::model::{Bucket, ByClass, Conversion, Counted, Moment, Range, Totals};
use super::totals::{Which, conversions, kind_and_class, projected_seq, series};
use crate::stretch;

/// How many of a campaign's latest hits are looked at for its active contacts.
const LATEST_HITS: i64 = 500;
const MOST_CONTACTS: usize = 50;

/// A campaign.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Campaign {
    pub id: CampaignId,
    pub principal: PrincipalId,
    pub name: String,
    pub created_at: Micros,
}

/// A campaign in the list, with its figures in the range.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CampaignRow {
    #[serde(flatten)]
    pub campaign: Campaign,
    pub totals: Totals,
    pub last_hour: Option<Micros>,
}

/// A destination's clicks.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Link {
    pub id: LinkId,
    pub url: String,
    pub clicks: ByClass,
}

/// A client's or a device's part.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Share {
    pub name: String,
    pub human: i64,
    pub privacy_proxy: i64,
    pub machine: i64,
}

/// `GET /api/v1/campaigns/{id}/report`
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    pub campaign: Campaign,
    pub range: Range,
    pub bucket: Bucket,
    pub totals: Totals,
    pub conversions: Vec<Conversion>,
    pub series: Vec<Moment>,
    pub links: Vec<Link>,
    pub clients: Vec<Share>,
    pub devices: Vec<Share>,
    pub contacts: Vec<Contact>,
    /// Events up to this seq are in the figures.
    pub seq: i64,
}

/// A contact who was active in a campaign lately; people and privacy proxies only.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Contact {
    pub id: ContactId,
    /// The key by which outside systems know the contact, if there is one.
    pub key: Option<String>,
    pub opens: i64,
    pub clicks: i64,
    pub first_at: Micros,
    pub last_at: Micros,
}

/// The campaign `id`, if it is in the scope.
pub fn campaign(conn: &mut Conn<'_>, id: CampaignId) -> Result<Option<Campaign>, StoreError> {
    let sql = format!(
        "SELECT c.id, c.principal_id, c.key, c.created_at FROM campaign AS c WHERE c.id = $1 AND {}",
        conn.scope().condition("c.principal_id")
    );
    conn.first(&sql, &[id.0.into()], list::campaign)
}

/// Campaigns, newest first, before the one called `before`, with their figures in the range.
pub fn campaign_rows(
    conn: &mut Conn<'_>,
    range: &Range,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<CampaignRow>, StoreError> {
    let sql = format!(
        "SELECT c.id, c.principal_id, c.key, c.created_at FROM campaign AS c WHERE {} AND c.id < $1 ORDER BY c.id DESC LIMIT $2",
        conn.scope().condition("c.principal_id")
    );
    let mut rows = conn.query(&sql, &[before.unwrap_or(i64::MAX).into(), limit.into()], |row| {
        Ok(CampaignRow { campaign: list::campaign(row)?, totals: Totals::default(), last_hour: None })
    })?;
    list::add_figures(conn, range, &mut rows)?;
    Ok(rows)
}

/// The report of one campaign.
pub fn report(conn: &mut Conn<'_>, campaign: Campaign, range: Range, bucket: Bucket) -> Result<Report, StoreError> {
    let which = Which::campaign(conn, campaign.principal.0, campaign.id.0, &range);
    let (totals, series) = series(conn, &which, bucket)?;
    let conversions = conversions(conn, &which)?;
    let links = links(conn, &which)?;
    let (clients, devices) = clients(conn, &which)?;
    let contacts = contacts(conn, &campaign)?;
    let seq = projected_seq(conn)?;
    Ok(Report { campaign, range, bucket, totals, conversions, series, links, clients, devices, contacts, seq })
}

fn links(conn: &mut Conn<'_>, which: &Which<'_>) -> Result<Vec<Link>, StoreError> {
    let mut links: BTreeMap<i64, (String, Totals)> = BTreeMap::new();
    for (span, range) in which.range.parts() {
        let sql = format!(
            "SELECT s.link_id, l.key, s.kind, s.class, s.total, s.uniques FROM (
               SELECT c.link_id, c.kind, c.class, CAST(SUM(c.total) AS BIGINT) AS total, CAST(SUM(c.uniques) AS BIGINT) AS uniques
               FROM {} AS c WHERE {} AND c.hour >= $1 AND c.hour < $2 AND c.link_id <> 0 AND c.kind = {} GROUP BY 1, 2, 3) AS s
             LEFT JOIN link AS l ON l.id = s.link_id AND l.principal_id = $3",
            span.counter(),
            which.condition,
            Kind::Clicked.code()
        );
        conn.each(&sql, &which.params_in(&range), &mut |row| {
            let id = row.int(0)?;
            let url = row.opt_text(1)?.unwrap_or_else(|| LinkId(id).to_string());
            let (kind, class) = kind_and_class(row, 2, 3)?;
            links.entry(id).or_insert_with(|| (url, Totals::default())).1.add(kind, class, row.int(4)?, row.int(5)?);
            Ok(())
        })?;
    }
    let mut links: Vec<_> = links
        .into_iter()
        .map(|(id, (url, totals))| Link { id: LinkId(id), url, clicks: totals.clicks })
        .filter(|link| link.clicks.all() > 0)
        .collect();
    links.sort_by_key(|link| (-link.clicks.human.total, -link.clicks.all(), link.id));
    Ok(links)
}

fn clients(conn: &mut Conn<'_>, which: &Which<'_>) -> Result<(Vec<Share>, Vec<Share>), StoreError> {
    let mut shares: [BTreeMap<String, Share>; 2] = Default::default();
    for (span, range) in which.range.parts() {
        let sql = format!(
            "SELECT c.client, c.device, c.class, CAST(SUM(c.total) AS BIGINT) FROM {} AS c
             WHERE {} AND c.hour >= $1 AND c.hour < $2 GROUP BY 1, 2, 3",
            span.client_counter(),
            which.condition
        );
        conn.each(&sql, &which.params_in(&range), &mut |row| {
            let (class, total) = (row.int(2)?, row.int(3)?);
            for (column, shares) in shares.iter_mut().enumerate() {
                let name = row.text(column)?;
                let empty = Share { name: name.clone(), human: 0, privacy_proxy: 0, machine: 0 };
                let share = shares.entry(name).or_insert(empty);
                match Class::from_code(class) {
                    Some(Class::Human) => share.human += total,
                    Some(Class::PrivacyProxy) => share.privacy_proxy += total,
                    Some(Class::Machine) => share.machine += total,
                    _ => (),
                }
            }
            Ok(())
        })?;
    }
    let [clients, devices] = shares.map(|shares| {
        let mut shares: Vec<_> =
            shares.into_values().filter(|share| share.human + share.privacy_proxy + share.machine > 0).collect();
        shares.sort_by_key(|share| (-(share.human + share.privacy_proxy), -share.machine));
        shares
    });
    Ok((clients, devices))
}

/// The contacts behind the campaign's latest hits, most recent first.
pub fn contacts(conn: &mut Conn<'_>, campaign: &Campaign) -> Result<Vec<Contact>, StoreError> {
    if !conn.scope().contains(campaign.principal.0) {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT e.recipient_id FROM event AS e WHERE e.principal_id = $1 AND e.campaign_id = $2 AND e.recipient_id <> 0
         AND e.class IN ({}, {}) ORDER BY e.seq DESC LIMIT {LATEST_HITS}",
        Class::Human.code(),
        Class::PrivacyProxy.code()
    );
    let recent = conn.query(&sql, &[campaign.principal.0.into(), campaign.id.0.into()], |row| row.int(0))?;
    let mut order: Vec<i64> = Vec::new();
    for recipient in recent {
        if order.len() < MOST_CONTACTS && !order.contains(&recipient) {
            order.push(recipient);
        }
    }
    let last = stretch::last_event(conn)?;
    let spread = stretch::spread(order.iter().map(|_| stretch::between(1, last)));
    let repeat = |value: i64| Column::Ints(vec![value; spread.len()]);
    let keys = [
        repeat(campaign.principal.0),
        Column::Ints(spread.iter().map(|(_, place)| order[*place]).collect()),
        repeat(campaign.id.0),
        Column::Ints(spread.iter().map(|(stretch, _)| *stretch).collect()),
    ];
    let mut found: FxHashMap<i64, Contact> = FxHashMap::default();
    let sql = format!(
        "SELECT e.recipient_id, e.kind, CAST(COUNT(*) AS BIGINT), MIN(e.occurred_at), MAX(e.occurred_at), MAX(c.key)
         FROM {{keys}} CROSS JOIN event AS e LEFT JOIN contact AS c ON c.id = e.recipient_id AND c.principal_id = e.principal_id
         WHERE {} = k.k3 AND e.recipient_id = k.k1 AND e.recipient_id <> 0 AND e.principal_id = k.k0 AND +e.campaign_id = k.k2
         AND e.class IN ({}, {}) GROUP BY 1, 2",
        stretch::OF_EVENT,
        Class::Human.code(),
        Class::PrivacyProxy.code()
    );
    conn.lookup(&sql, &keys, &mut |row| {
        let (id, kind, count) = (row.int(0)?, row.int(1)?, row.int(2)?);
        let (first_at, last_at) = (Micros(row.int(3)?), Micros(row.int(4)?));
        let key = row.opt_text(5)?;
        let contact =
            found.entry(id).or_insert(Contact { id: ContactId(id), key, opens: 0, clicks: 0, first_at, last_at });
        contact.first_at = contact.first_at.min(first_at);
        contact.last_at = contact.last_at.max(last_at);
        if kind == Kind::Opened.code() {
            contact.opens += count
        } else {
            contact.clicks += count
        }
        Ok(())
    })?;
    Ok(order.iter().filter_map(|id| found.remove(id)).collect())
}

impl Share {
    /// All classes together.
    pub fn all(&self) -> i64 {
        self.human + self.privacy_proxy + self.machine
    }
}

impl Link {
    /// Clicks and first clicks by people.
    pub fn human(&self) -> Counted {
        self.clicks.human
    }
}
