//! `GET /`, `GET /campaigns/{id}`

use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use signalbox_core::id::CampaignId;
use signalbox_events::kind::Kind;
use signalbox_http::asset;
use signalbox_http::caller::Caller;
use signalbox_http::reply::{Refusal, Reply};

use super::chart::opens_and_clicks;
use super::context::{CampaignPage, CampaignRow, ContactRow, LinkRow, OverviewPage, ShareRow, Tile};
use super::figures::{choose, moment, number, percent, trend};
use super::render;
use crate::api::{Insight, find_report};
use crate::report::{self, ByClass, Share, Totals};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Campaigns on the overview.
const MOST_CAMPAIGNS: i64 = 100;
/// Contacts on a campaign's page.
const MOST_CONTACTS: usize = 15;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    range: Option<String>,
}

fn tile(id: &str, label: &str, value: String, note: String, trend: Option<String>, mark: Option<&'static str>) -> Tile {
    Tile { id: id.into(), label: label.into(), value, note, trend, mark }
}

/// The four headline numbers that overview and report share.
fn headline(now: &Totals, before: &Totals) -> Vec<Tile> {
    let machine = |totals: &Totals| totals.opens.machine.total + totals.clicks.machine.total;
    let people = |hits: fn(&Totals) -> &ByClass| {
        let (now, before) = (hits(now).human, hits(before).human);
        (number(now.total), format!("{} unique", number(now.unique)), trend(now.total, before.total))
    };
    let (opens, clicks) = (people(|totals| &totals.opens), people(|totals| &totals.clicks));
    let proxy = (now.opens.privacy_proxy.total, before.opens.privacy_proxy.total);
    vec![
        tile("opens_human", "Opens by people", opens.0, opens.1, opens.2, Some("human")),
        tile("clicks_human", "Clicks by people", clicks.0, clicks.1, clicks.2, Some("human")),
        tile(
            "opens_proxy",
            "Privacy proxy opens",
            number(proxy.0),
            "Apple, Gmail, Yahoo".into(),
            trend(proxy.0, proxy.1),
            Some("proxy"),
        ),
        tile(
            "machine",
            "Machine hits",
            number(machine(now)),
            "scanners, bots, bursts".into(),
            trend(machine(now), machine(before)),
            Some("machine"),
        ),
    ]
}

pub(super) async fn overview(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let chosen = choose(asked.range.as_deref(), insight.clock.now());
    let (range, before, bucket) = (chosen.range, chosen.before, chosen.bucket);
    let (overview, earlier, campaigns) = insight
        .store
        .read(caller.scope.clone(), move |conn| {
            let overview = report::overview(conn, range, bucket)?;
            let earlier = report::totals(conn, &before)?;
            Ok((overview, earlier, report::campaign_rows(conn, &range, None, MOST_CAMPAIGNS)?))
        })
        .await?;
    let unrecorded = (insight.unrecorded)();
    let mut tiles = headline(&overview.totals, &earlier);
    tiles.push(tile(
        "events",
        "Events recorded",
        number(overview.totals.all()),
        "on disk before the answer".into(),
        None,
        None,
    ));
    let (note, mark) =
        if unrecorded == 0 { ("every hit was recorded", "ok") } else { ("since the start: see health", "warn") };
    tiles.push(tile(
        "unrecorded",
        "Unrecorded",
        number(i64::try_from(unrecorded).unwrap_or(i64::MAX)),
        note.into(),
        None,
        Some(mark),
    ));
    render(&OverviewPage {
        page_title: "Overview".into(),
        signed_in: true,
        principal_name: caller.name,
        version: VERSION.into(),
        asset_version: asset::version().into(),
        active: "overview",
        range_label: chosen.label,
        ranges: chosen.links,
        tiles,
        chart: opens_and_clicks(&overview.series, bucket),
        campaigns: campaigns.iter().map(campaign_row).collect(),
        live_url: format!("/api/v1/live?from={}", chosen.range.from),
    })
}

fn campaign_row(row: &report::CampaignRow) -> CampaignRow {
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

pub(super) async fn campaign(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let chosen = choose(asked.range.as_deref(), insight.clock.now());
    let id: CampaignId = id.parse().map_err(|_| Refusal::not_found())?;
    let report =
        find_report(&insight.store, &caller, id, chosen.range, chosen.bucket).await?.ok_or_else(Refusal::not_found)?;
    let earlier = find_report(&insight.store, &caller, id, chosen.before, chosen.bucket)
        .await?
        .map(|report| report.totals)
        .unwrap_or_default();
    let totals = &report.totals;
    let mut tiles = headline(totals, &earlier);
    let (sent, delivered) = (totals.of(Kind::Sent).total, totals.of(Kind::Delivered).total);
    tiles.push(tile(
        "delivered",
        "Delivered",
        number(delivered),
        format!("{} of {} sent", percent(delivered, sent), number(sent)),
        None,
        None,
    ));
    let through = percent(totals.clicks.human.unique, delivered);
    tiles.push(tile(
        "click_through",
        "Click-through",
        through,
        "unique clicks by people per delivered".into(),
        None,
        None,
    ));
    let all = |hits: fn(&ByClass) -> i64| hits(&totals.opens) + hits(&totals.clicks);
    let classes = [
        ("Human", all(|hits| hits.human.total), "human"),
        ("Privacy proxy", all(|hits| hits.privacy_proxy.total), "proxy"),
        ("Machine", all(|hits| hits.machine.total), "machine"),
    ];
    let whole: i64 = classes.iter().map(|(_, value, _)| value).sum();
    render(&CampaignPage {
        page_title: report.campaign.name.clone(),
        signed_in: true,
        principal_name: caller.name,
        version: VERSION.into(),
        asset_version: asset::version().into(),
        active: "campaigns",
        name: report.campaign.name.clone(),
        id: report.campaign.id.to_string(),
        range_label: chosen.label,
        ranges: chosen.links,
        tiles,
        chart: opens_and_clicks(&report.series, chosen.bucket),
        links: report
            .links
            .iter()
            .map(|link| LinkRow {
                url: link.url.clone(),
                clicks_human: number(link.clicks.human.total),
                clicks_machine: number(link.clicks.machine.total),
                unique: number(link.clicks.human.unique),
            })
            .collect(),
        clients: shares(&report.clients),
        devices: shares(&report.devices),
        classes: if whole == 0 {
            Vec::new()
        } else {
            classes.iter().map(|(label, value, mark)| share((*label).into(), *value, whole, Some(mark))).collect()
        },
        contacts: report
            .contacts
            .iter()
            .take(MOST_CONTACTS)
            .map(|contact| ContactRow {
                name: contact.key.clone().unwrap_or_else(|| contact.id.to_string()),
                opens: number(contact.opens),
                clicks: number(contact.clicks),
                first_seen: moment(contact.first_at),
                last_seen: moment(contact.last_at),
            })
            .collect(),
    })
}

fn share(label: String, value: i64, whole: i64, mark: Option<&'static str>) -> ShareRow {
    let width = u32::try_from(value * 100 / whole.max(1)).unwrap_or(0);
    ShareRow { label, value: number(value), percent_label: percent(value, whole), width, mark }
}

/// People and proxies only: what machines use is no news.
fn shares(all: &[Share]) -> Vec<ShareRow> {
    let seen = |share: &Share| share.human + share.privacy_proxy;
    let whole: i64 = all.iter().map(seen).sum();
    all.iter()
        .filter(|share| seen(share) > 0)
        .take(8)
        .map(|one| share(capitalised(&one.name), seen(one), whole, None))
        .collect()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
