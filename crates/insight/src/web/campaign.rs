//! `GET /campaigns/{id}`, `GET /campaigns/{id}/{table}.csv`: the report of one campaign.

use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use signalbox_core::id::CampaignId;
use signalbox_events::kind::Kind;
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::csv;
use signalbox_http::page::{Frame, address};
use signalbox_http::reply::{Refusal, Reply};

use super::chart::{Counted, over_time};
use super::context::{Chart, ContactRow, LinkRow, RangeLink, ShareRow, Tile};
use super::figures::{Chosen, choose, moment, number, percent};
use super::overview::{headline, tile};
use super::render;
use crate::api::{Insight, find_report};
use crate::report::{ByClass, Contact, Report, Share, Totals};

/// Contacts on the page; the download has all that the report knows.
const MOST_CONTACTS: usize = 15;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    range: Option<String>,
}

#[derive(Debug, Clone, Template)]
#[template(path = "campaign.html")]
struct CampaignPage {
    frame: Frame,
    name: String,
    /// Prefixed id, `cmp_…`.
    id: String,
    range_label: String,
    ranges: Vec<RangeLink>,
    /// The word of the range in addresses.
    range: String,
    tiles: Vec<Tile>,
    opens: Chart,
    clicks: Chart,
    links: Vec<LinkRow>,
    clients: Vec<ShareRow>,
    devices: Vec<ShareRow>,
    /// Human, privacy proxy and machine, each with its mark.
    classes: Vec<ShareRow>,
    contacts: Vec<ContactRow>,
    /// The events of the campaign, for those who may see them.
    events: Option<String>,
    json: String,
}

async fn find(insight: &Insight, caller: &Caller, id: &str, chosen: &Chosen) -> Reply<(Report, Totals)> {
    let id: CampaignId = id.parse().map_err(|_| Refusal::not_found())?;
    let report = find_report(&insight.store, caller, id, chosen.range, chosen.bucket).await?;
    let report = report.ok_or_else(Refusal::not_found)?;
    let earlier = find_report(&insight.store, caller, id, chosen.before, chosen.bucket).await?;
    Ok((report, earlier.map(|report| report.totals).unwrap_or_default()))
}

pub(super) async fn page(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let chosen = choose(asked.range.as_deref(), insight.clock.now());
    let (report, earlier) = find(&insight, &caller, &id, &chosen).await?;
    let totals = &report.totals;
    let mut tiles = headline(totals, &earlier);
    tiles.extend(delivery(totals));
    let id = report.campaign.id.to_string();
    let sees_events = caller.may(Permission::EventsRead);
    let (from, to) = (report.range.from.to_string(), report.range.to.to_string());
    render(&CampaignPage {
        frame: Frame::new(report.campaign.name.clone(), "campaigns", Some(&caller)),
        name: report.campaign.name.clone(),
        range_label: chosen.label,
        range: asked.range.unwrap_or_default(),
        ranges: chosen.links,
        tiles,
        opens: over_time(Counted::Opens, &report.series, chosen.bucket),
        clicks: over_time(Counted::Clicks, &report.series, chosen.bucket),
        links: report
            .links
            .iter()
            .map(|link| LinkRow {
                url: link.url.clone(),
                clicks_human: number(link.clicks.human.total),
                clicks_proxy: number(link.clicks.privacy_proxy.total),
                clicks_machine: number(link.clicks.machine.total),
                unique: number(link.clicks.human.unique),
            })
            .collect(),
        clients: shares(&report.clients),
        devices: shares(&report.devices),
        classes: classes(totals),
        contacts: report.contacts.iter().take(MOST_CONTACTS).map(|one| contact(one, sees_events)).collect(),
        events: sees_events.then(|| address("/events", &[("campaign", &id)])),
        json: address(&format!("/api/v1/campaigns/{id}/report"), &[("from", &from), ("to", &to)]),
        id,
    })
}

/// What the mailer reported, and how many people clicked of those who got the mail.
fn delivery(totals: &Totals) -> [Tile; 2] {
    let (sent, delivered) = (totals.of(Kind::Sent).total, totals.of(Kind::Delivered).total);
    let of_sent = percent(delivered, sent).map(|part| format!("{part} of {} sent", number(sent)));
    let clicked = totals.clicks.human.unique;
    let (through, base) = match percent(clicked, delivered) {
        Some(part) => (part, format!("{} of {} delivered", number(clicked), number(delivered))),
        None => ("No base".to_owned(), "the mailer reported no delivery".to_owned()),
    };
    [
        tile(
            "delivered",
            "Delivered",
            number(delivered),
            of_sent.unwrap_or_else(|| "the mailer reported no sending".into()),
        ),
        tile("click_through", "Click-through", through, base),
    ]
}

fn classes(totals: &Totals) -> Vec<ShareRow> {
    let all = |hits: fn(&ByClass) -> i64| hits(&totals.opens) + hits(&totals.clicks);
    let classes = [
        ("Human", all(|hits| hits.human.total), "human"),
        ("Privacy proxy", all(|hits| hits.privacy_proxy.total), "proxy"),
        ("Machine", all(|hits| hits.machine.total), "machine"),
    ];
    let whole: i64 = classes.iter().map(|(_, value, _)| value).sum();
    if whole == 0 {
        return Vec::new();
    }
    classes.iter().map(|(label, value, mark)| share((*label).into(), *value, whole, Some(mark))).collect()
}

fn contact(contact: &Contact, has_timeline: bool) -> ContactRow {
    ContactRow {
        href: has_timeline.then(|| format!("/contacts/{}", contact.id)),
        name: contact.key.clone().unwrap_or_else(|| contact.id.to_string()),
        opens: number(contact.opens),
        clicks: number(contact.clicks),
        first_seen: moment(contact.first_at),
        last_seen: moment(contact.last_at),
    }
}

fn share(label: String, value: i64, whole: i64, mark: Option<&'static str>) -> ShareRow {
    let width = u32::try_from(value * 100 / whole.max(1)).unwrap_or(0);
    ShareRow { label, value: number(value), percent_label: percent(value, whole).unwrap_or_default(), width, mark }
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

pub(super) fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

pub(super) async fn csv(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Path((id, name)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let chosen = choose(asked.range.as_deref(), insight.clock.now());
    let (report, _) = find(&insight, &caller, &id, &chosen).await?;
    let rows = match name.as_str() {
        "time.csv" => over_hours(&report),
        "links.csv" => links(&report),
        "clients.csv" => parts("client", &report.clients),
        "devices.csv" => parts("device", &report.devices),
        "contacts.csv" => contacts(&report),
        _ => return Err(Refusal::not_found()),
    };
    Ok(csv::download(&format!("{}-{}", report.campaign.id, name.trim_end_matches(".csv")), &rows))
}

fn head(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn by_class(hits: &ByClass) -> [String; 4] {
    [hits.human.total, hits.human.unique, hits.privacy_proxy.total, hits.machine.total].map(|count| count.to_string())
}

fn over_hours(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![head(&[
        "start",
        "opens_human",
        "opens_human_unique",
        "opens_privacy_proxy",
        "opens_machine",
        "clicks_human",
        "clicks_human_unique",
        "clicks_privacy_proxy",
        "clicks_machine",
    ])];
    rows.extend(report.series.iter().map(|moment| {
        let hits = by_class(&moment.totals.opens).into_iter().chain(by_class(&moment.totals.clicks));
        [moment.start.to_string()].into_iter().chain(hits).collect()
    }));
    rows
}

fn links(report: &Report) -> Vec<Vec<String>> {
    let mut rows =
        vec![head(&["url", "clicks_human", "clicks_human_unique", "clicks_privacy_proxy", "clicks_machine"])];
    rows.extend(report.links.iter().map(|link| [link.url.clone()].into_iter().chain(by_class(&link.clicks)).collect()));
    rows
}

fn parts(word: &str, shares: &[Share]) -> Vec<Vec<String>> {
    let mut rows = vec![head(&[word, "human", "privacy_proxy", "machine"])];
    rows.extend(shares.iter().map(|share| {
        let counts = [share.human, share.privacy_proxy, share.machine].map(|count| count.to_string());
        [share.name.clone()].into_iter().chain(counts).collect()
    }));
    rows
}

fn contacts(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![head(&["id", "contact", "opens", "clicks", "first_at", "last_at"])];
    rows.extend(report.contacts.iter().map(|contact| {
        vec![
            contact.id.to_string(),
            contact.key.clone().unwrap_or_default(),
            contact.opens.to_string(),
            contact.clicks.to_string(),
            contact.first_at.to_string(),
            contact.last_at.to_string(),
        ]
    }));
    rows
}
