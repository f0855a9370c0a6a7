//! `GET /api/v1/overview`, `/campaigns`, `/campaigns/{id}/report`, `/events`, `/contacts/{id}/timeline`

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use schemars::JsonSchema;
use serde::Deserialize;
use signalbox_core::clock::Clock;
use signalbox_core::id::{CampaignId, ContactId, MessageId};
use signalbox_core::page::{Cursor, Limit, Page};
use signalbox_core::time::{DAY, HOUR, Micros};
use signalbox_events::kind::{Class, Kind};
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::extract::Params;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::route::{Access, Routes};
use signalbox_store::{Store, StoreError};

use crate::describe;
use crate::live::Live;
use crate::report::{self, Bucket, CampaignRow, EventRow, Filter, Overview, Range, Report};

/// What the handlers share.
#[derive(Clone)]
pub struct Insight {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub live: Live,
    /// Hits that this process answered without recording them.
    pub unrecorded: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Adds the API's routes.
pub fn routes(routes: Routes, insight: &Insight) -> Routes {
    let reports = Access::Api(Permission::ReportsRead);
    let events = Access::Api(Permission::EventsRead);
    let routes = routes
        .add(Method::GET, "/api/v1/overview", reports, get(overview).with_state(insight.clone()))
        .add(Method::GET, "/api/v1/campaigns", reports, get(campaigns).with_state(insight.clone()))
        .add(Method::GET, "/api/v1/campaigns/{id}/report", reports, get(campaign_report).with_state(insight.clone()))
        .add(Method::GET, "/api/v1/events", events, get(list_events).with_state(insight.clone()))
        .add(Method::GET, "/api/v1/contacts/{id}/timeline", events, get(timeline).with_state(insight.clone()))
        .add(Method::GET, "/api/v1/live", reports, get(crate::live::stream).with_state(insight.clone()));
    describe::describe(routes)
}

/// What a report covers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportQuery {
    /// From when on; widened to whole hours. Left out: 30 days before `to`.
    from: Option<Micros>,
    /// Until when; widened to whole hours. Left out: the end of the present hour.
    to: Option<Micros>,
    /// How finely the series is cut, into at most 2,000 buckets; weeks begin on Monday. Left out: hours up to 8 days, days up to
    /// 366 days, else weeks.
    bucket: Option<Bucket>,
}

/// Which campaigns, and the range of their figures.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CampaignsQuery {
    /// From when on figures count; widened to whole hours. Left out: 30 days before `to`.
    from: Option<Micros>,
    /// Until when; widened to whole hours. Left out: the end of the present hour.
    to: Option<Micros>,
    /// How many.
    limit: Option<Limit>,
    /// `next` of the page before.
    cursor: Option<Cursor>,
}

/// Which events.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    campaign: Option<CampaignId>,
    recipient: Option<ContactId>,
    message: Option<MessageId>,
    kind: Option<Kind>,
    class: Option<Class>,
    /// Those that happened from then on.
    from: Option<Micros>,
    /// Those that happened before then.
    to: Option<Micros>,
    /// How many.
    limit: Option<Limit>,
    /// `next` of the page before.
    cursor: Option<Cursor>,
}

/// Which events of one contact.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimelineQuery {
    campaign: Option<CampaignId>,
    message: Option<MessageId>,
    kind: Option<Kind>,
    class: Option<Class>,
    /// Those that happened from then on.
    from: Option<Micros>,
    /// Those that happened before then.
    to: Option<Micros>,
    /// How many.
    limit: Option<Limit>,
    /// `next` of the page before.
    cursor: Option<Cursor>,
}

/// Where a page begins, and its length.
struct Place {
    before: Option<i64>,
    limit: i64,
}

impl Place {
    fn new(cursor: Option<Cursor>, limit: Option<Limit>) -> Self {
        Self { before: cursor.map(|cursor| cursor.0), limit: limit.unwrap_or_default().0 }
    }
}

fn range(from: Option<Micros>, to: Option<Micros>, now: Micros) -> Reply<Range> {
    let to = to.unwrap_or(now.hour().plus(HOUR));
    Range::new(from.unwrap_or(to.plus(-30 * DAY)), to).map_err(Refusal::bad_request)
}

impl ReportQuery {
    fn range_and_bucket(&self, now: Micros) -> Reply<(Range, Bucket)> {
        let range = range(self.from, self.to, now)?;
        let bucket = self.bucket.unwrap_or(range.usual_bucket());
        range.check(bucket).map_err(Refusal::bad_request)?;
        Ok((range, bucket))
    }
}

async fn overview(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<ReportQuery>,
) -> Reply<Json<Overview>> {
    let (range, bucket) = query.range_and_bucket(insight.clock.now())?;
    Ok(Json(insight.store.read(caller.scope, move |conn| report::overview(conn, range, bucket)).await?))
}

async fn campaigns(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<CampaignsQuery>,
) -> Reply<Json<Page<CampaignRow>>> {
    let range = range(query.from, query.to, insight.clock.now())?;
    let Place { before, limit } = Place::new(query.cursor, query.limit);
    let rows =
        insight.store.read(caller.scope, move |conn| report::campaign_rows(conn, &range, before, limit + 1)).await?;
    Ok(Json(Page::cut(rows, limit, |row| row.campaign.id.0)))
}

async fn campaign_report(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(query): Params<ReportQuery>,
) -> Reply<Json<Report>> {
    let (range, bucket) = query.range_and_bucket(insight.clock.now())?;
    let id: CampaignId = id.parse().map_err(|_| Refusal::not_found())?;
    Ok(Json(find_report(&insight.store, &caller, id, range, bucket).await?.ok_or_else(Refusal::not_found)?))
}

/// The report of the campaign `id`, if the caller reaches it.
pub(crate) async fn find_report(
    store: &Store,
    caller: &Caller,
    id: CampaignId,
    range: Range,
    bucket: Bucket,
) -> Result<Option<Report>, StoreError> {
    store
        .read(caller.scope.clone(), move |conn| match report::campaign(conn, id)? {
            Some(campaign) => report::report(conn, campaign, range, bucket).map(Some),
            None => Ok(None),
        })
        .await
}

async fn list_events(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<EventsQuery>,
) -> Reply<Json<Page<EventRow>>> {
    let filter = Filter {
        campaign: query.campaign.map(|id| id.0),
        recipient: query.recipient.map(|id| id.0),
        message: query.message.map(|id| id.0),
        kind: query.kind,
        class: query.class,
        from: query.from,
        to: query.to,
    };
    page_of_events(&insight, caller, filter, Place::new(query.cursor, query.limit)).await
}

async fn timeline(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(query): Params<TimelineQuery>,
) -> Reply<Json<Page<EventRow>>> {
    let id: ContactId = id.parse().map_err(|_| Refusal::not_found())?;
    let scope = caller.scope.clone();
    let known = insight.store.read(scope, move |conn| report::contact(conn, id)).await?;
    known.ok_or_else(Refusal::not_found)?;
    let filter = Filter {
        campaign: query.campaign.map(|id| id.0),
        recipient: Some(id.0),
        message: query.message.map(|id| id.0),
        kind: query.kind,
        class: query.class,
        from: query.from,
        to: query.to,
    };
    page_of_events(&insight, caller, filter, Place::new(query.cursor, query.limit)).await
}

async fn page_of_events(
    insight: &Insight,
    caller: Caller,
    filter: Filter,
    place: Place,
) -> Reply<Json<Page<EventRow>>> {
    let Place { before, limit } = place;
    let rows = insight.store.read(caller.scope, move |conn| report::events(conn, &filter, before, limit + 1)).await?;
    Ok(Json(Page::cut(rows, limit, |row| row.seq)))
}
