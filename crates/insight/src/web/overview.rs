//! `GET /`: all campaigns in a range, and what happens now.

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::response::Response;
use serde::Deserialize;
use signalbox_events::kind::{Class, Kind};
use signalbox_http::caller::Caller;
use signalbox_http::page::Frame;
use signalbox_http::reply::Reply;

use super::chart::{Counted, over_time};
use super::context::{CampaignRow, Chart, RangeLink, Tile};
use super::figures::{choose, number, trend};
use super::{campaigns, render};
use crate::api::Insight;
use crate::report::{self, ByClass, CampaignOrder, Totals};

/// Campaigns on the overview: those with the most opens by people.
const MOST_CAMPAIGNS: i64 = 10;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    range: Option<String>,
}

#[derive(Debug, Clone, Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    /// The range in words, such as `2 to 9 May 2026, UTC`.
    range_label: String,
    ranges: Vec<RangeLink>,
    /// Six fill every width evenly.
    tiles: Vec<Tile>,
    chart: Chart,
    campaigns: Vec<CampaignRow>,
    /// The event stream; the keys of its `totals` are ids of tiles, counted over the same range.
    live_url: String,
}

pub(super) fn tile(id: &str, label: &str, value: String, note: String) -> Tile {
    Tile { id: id.into(), label: label.into(), value, note, trend: None, mark: None }
}

/// The four headline numbers that overview and report share.
pub(super) fn headline(now: &Totals, before: &Totals) -> Vec<Tile> {
    let machine = |totals: &Totals| totals.opens.machine.total + totals.clicks.machine.total;
    let people = |id: &str, label: &str, hits: fn(&Totals) -> &ByClass| {
        let (now, before) = (hits(now).human, hits(before).human);
        let note = format!("{} unique", number(now.unique));
        let tile = tile(id, label, number(now.total), note);
        Tile { trend: trend(now.total, before.total), mark: Some("human"), ..tile }
    };
    let proxy = (now.opens.privacy_proxy.total, before.opens.privacy_proxy.total);
    vec![
        people("opens_human", "Opens by people", |totals| &totals.opens),
        people("clicks_human", "Clicks by people", |totals| &totals.clicks),
        Tile {
            trend: trend(proxy.0, proxy.1),
            mark: Some("proxy"),
            ..tile("opens_proxy", "Privacy proxy opens", number(proxy.0), "Apple, Gmail, Yahoo".into())
        },
        Tile {
            trend: trend(machine(now), machine(before)),
            mark: Some("machine"),
            ..tile("machine", "Machine hits", number(machine(now)), "scanners, bots, bursts".into())
        },
    ]
}

pub(super) async fn page(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let chosen = choose(asked.range.as_deref(), insight.clock.now());
    let (range, before, bucket) = (chosen.range, chosen.before, chosen.bucket);
    let (overview, earlier, rows) = insight
        .store
        .read(caller.scope.clone(), move |conn| {
            let overview = report::overview(conn, range, bucket)?;
            let earlier = report::totals(conn, &before)?;
            let order = CampaignOrder::Count(Kind::Opened, Class::Human);
            Ok((overview, earlier, report::campaign_list(conn, &range, order, "", None, MOST_CAMPAIGNS)?))
        })
        .await?;
    let unrecorded = (insight.unrecorded)();
    let mut tiles = headline(&overview.totals, &earlier);
    tiles.push(tile("events", "Events recorded", number(overview.totals.all()), "on disk before the answer".into()));
    let (note, mark) =
        if unrecorded == 0 { ("every hit was recorded", "ok") } else { ("since the start: see health", "warn") };
    let unrecorded = number(i64::try_from(unrecorded).unwrap_or(i64::MAX));
    tiles.push(Tile { mark: Some(mark), ..tile("unrecorded", "Unrecorded", unrecorded, note.into()) });
    render(&OverviewPage {
        frame: Frame::new("Overview", "overview", Some(&caller)),
        range_label: chosen.label,
        ranges: chosen.links,
        tiles,
        chart: over_time(Counted::Both, &overview.series, bucket),
        campaigns: rows.iter().map(campaigns::row).collect(),
        live_url: format!("/api/v1/live?from={}", chosen.range.from),
    })
}
