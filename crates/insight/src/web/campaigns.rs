//! `GET /campaigns`, `GET /campaigns.csv`

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::response::Response;
use serde::Deserialize;
use signalbox_core::id::{CampaignId, encode};
use signalbox_core::page::read_cursor;
use signalbox_events::kind::{Class, Kind};
use signalbox_http::caller::Caller;
use signalbox_http::csv;
use signalbox_http::page::{Frame, address};
use signalbox_http::reply::{Refusal, Reply};

use super::context::{CampaignRow, RangeLink};
use super::figures::{RANGES, choose, moment, number};
use super::render;
use crate::api::Insight;
use crate::report::{self, CampaignOrder, CampaignPlace, Range};

/// Campaigns on one page.
const PER_PAGE: i64 = 50;
const PER_DOWNLOAD_PAGE: i64 = 500;

/// The columns that the list can be put in order by: the word in the address, the label, the order.
const ORDERS: [(&str, &str, CampaignOrder); 7] = [
    ("newest", "Newest", CampaignOrder::Newest),
    ("name", "Campaign", CampaignOrder::Name),
    ("sent", "Sent", CampaignOrder::Count(Kind::Sent, Class::Unjudged)),
    ("delivered", "Delivered", CampaignOrder::Count(Kind::Delivered, Class::Unjudged)),
    ("opens", "Human", CampaignOrder::Count(Kind::Opened, Class::Human)),
    ("machine", "Machine", CampaignOrder::Count(Kind::Opened, Class::Machine)),
    ("clicks", "Human", CampaignOrder::Count(Kind::Clicked, Class::Human)),
];

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    range: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    cursor: String,
    #[serde(default)]
    count: String,
}

#[derive(Debug, Clone, Template)]
#[template(path = "campaigns.html")]
struct CampaignsPage {
    frame: Frame,
    range_label: String,
    ranges: Vec<RangeLink>,
    range: String,
    sort: String,
    words: String,
    orders: Vec<OrderLink>,
    rows: Vec<CampaignRow>,
    first: String,
    next: String,
    csv: String,
}

/// A column's heading: where it leads, and whether the list is in its order.
#[derive(Debug, Clone)]
struct OrderLink {
    label: &'static str,
    href: String,
    /// The value of aria-sort, or nothing.
    sorted: &'static str,
}

impl Asked {
    fn order(&self) -> (&'static str, CampaignOrder) {
        let (word, _, order) = ORDERS.iter().find(|(word, ..)| *word == self.sort).unwrap_or(&ORDERS[0]);
        (word, *order)
    }

    fn after(&self) -> Reply<Option<CampaignPlace>> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let wrong = || Refusal::bad_request("This address does not lead to a page of the list; go back to its start.");
        let id = read_cursor(&self.cursor).map_err(|_| wrong())?;
        let count = if self.count.is_empty() { 0 } else { self.count.parse().map_err(|_| wrong())? };
        Ok(Some(CampaignPlace { id, count }))
    }

    fn address(&self, path: &str, sort: &str, more: &[(&str, &str)]) -> String {
        let mut parameters = vec![("range", self.range.as_str()), ("q", self.q.as_str()), ("sort", sort)];
        parameters.extend_from_slice(more);
        address(path, &parameters)
    }
}

async fn fetch(
    insight: &Insight,
    caller: &Caller,
    range: Range,
    asked: &Asked,
    after: Option<CampaignPlace>,
    limit: i64,
) -> Reply<Vec<report::CampaignRow>> {
    let ((_, order), words) = (asked.order(), asked.q.trim().to_owned());
    let found = insight
        .store
        .read(caller.scope.clone(), move |conn| report::campaign_list(conn, &range, order, &words, after, limit));
    Ok(found.await?)
}

fn count(row: &report::CampaignRow, order: CampaignOrder) -> i64 {
    match order {
        CampaignOrder::Count(Kind::Opened, Class::Human) => row.totals.opens.human.total,
        CampaignOrder::Count(Kind::Opened, _) => row.totals.opens.machine.total,
        CampaignOrder::Count(Kind::Clicked, _) => row.totals.clicks.human.total,
        CampaignOrder::Count(kind, _) => row.totals.of(kind).total,
        _ => 0,
    }
}

pub(super) async fn page(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let chosen =
        choose(Some(asked.range.as_str()).filter(|word| !word.is_empty()).or(Some("30d")), insight.clock.now());
    let (sort, order) = asked.order();
    let after = asked.after()?;
    let mut rows = fetch(&insight, &caller, chosen.range, &asked, after, PER_PAGE + 1).await?;
    let more = rows.len() as i64 > PER_PAGE;
    rows.truncate(PER_PAGE as usize);
    let next = rows.last().filter(|_| more).map(|last| {
        let (cursor, count) = (encode("cur", last.campaign.id.0), count(last, order).to_string());
        asked.address("/campaigns", sort, &[("cursor", &cursor), ("count", &count)])
    });
    let orders = ORDERS.iter().map(|(word, label, _)| OrderLink {
        label,
        href: asked.address("/campaigns", word, &[]),
        sorted: match *word {
            word if word != sort => "",
            "name" => "ascending",
            _ => "descending",
        },
    });
    let ranges = RANGES.iter().zip(&chosen.links).map(|((word, ..), link)| RangeLink {
        href: address("/campaigns", &[("range", word), ("q", &asked.q), ("sort", &asked.sort)]),
        ..link.clone()
    });
    render(&CampaignsPage {
        frame: Frame::new("Campaigns", "campaigns", Some(&caller)),
        range_label: chosen.label,
        ranges: ranges.collect(),
        range: asked.range.clone(),
        sort: asked.sort.clone(),
        words: asked.q.clone(),
        orders: orders.collect(),
        rows: rows.iter().map(row).collect(),
        first: if asked.cursor.is_empty() { String::new() } else { asked.address("/campaigns", sort, &[]) },
        next: next.unwrap_or_default(),
        csv: asked.address("/campaigns.csv", sort, &[]),
    })
}

/// A campaign as tables show it.
pub(super) fn row(row: &report::CampaignRow) -> CampaignRow {
    let totals = &row.totals;
    CampaignRow {
        href: format!("/campaigns/{}", row.campaign.id),
        name: row.campaign.name.clone(),
        sent: number(totals.of(Kind::Sent).total),
        delivered: number(totals.of(Kind::Delivered).total),
        opens_human: number(totals.opens.human.total),
        opens_proxy: number(totals.opens.privacy_proxy.total),
        opens_machine: number(totals.opens.machine.total),
        clicks_human: number(totals.clicks.human.total),
        unique_opens: number(totals.opens.human.unique),
        unique_clicks: number(totals.clicks.human.unique),
        last_event: row.last_hour.map(moment),
    }
}

pub(super) async fn csv(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let chosen =
        choose(Some(asked.range.as_str()).filter(|word| !word.is_empty()).or(Some("30d")), insight.clock.now());
    let (_, order) = asked.order();
    const HEAD: [&str; 16] = [
        "id",
        "name",
        "created_at",
        "from",
        "to",
        "sent",
        "delivered",
        "opens_human",
        "opens_human_unique",
        "opens_privacy_proxy",
        "opens_machine",
        "clicks_human",
        "clicks_human_unique",
        "clicks_privacy_proxy",
        "clicks_machine",
        "last_hour",
    ];
    let range = chosen.range;
    csv::stream("campaigns", &HEAD, move |after: Option<CampaignPlace>| {
        let (insight, caller, asked) = (insight.clone(), caller.clone(), asked.clone());
        async move {
            let rows = fetch(&insight, &caller, range, &asked, after, PER_DOWNLOAD_PAGE).await?;
            let last = rows.last().filter(|_| rows.len() as i64 == PER_DOWNLOAD_PAGE);
            let next = last.map(|last| CampaignPlace { id: last.campaign.id.0, count: count(last, order) });
            Ok((rows.iter().map(|row| cells(row, &range)).collect(), next))
        }
    })
    .await
}

fn cells(row: &report::CampaignRow, range: &Range) -> Vec<String> {
    let totals = &row.totals;
    let id: CampaignId = row.campaign.id;
    let mut cells = vec![
        id.to_string(),
        row.campaign.name.clone(),
        row.campaign.created_at.to_string(),
        range.from.to_string(),
        range.to.to_string(),
    ];
    let (opens, clicks) = (&totals.opens, &totals.clicks);
    let figures = [
        totals.of(Kind::Sent).total,
        totals.of(Kind::Delivered).total,
        opens.human.total,
        opens.human.unique,
        opens.privacy_proxy.total,
        opens.machine.total,
        clicks.human.total,
        clicks.human.unique,
        clicks.privacy_proxy.total,
        clicks.machine.total,
    ];
    cells.extend(figures.map(|figure| figure.to_string()));
    cells.push(row.last_hour.map(|hour| hour.to_string()).unwrap_or_default());
    cells
}
