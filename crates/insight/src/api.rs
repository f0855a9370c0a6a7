//! `GET /api/v1/overview`, `/campaigns`, `/campaigns/{id}/report`, `/events`, `/contacts/{id}/timeline`

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use serde::Deserialize;
use signalbox_core::clock::Clock;
use signalbox_core::id::{CampaignId, ContactId, MessageId};
use signalbox_core::page::{MOST, Page, USUAL, read_cursor};
use signalbox_core::time::{DAY, Micros};
use signalbox_http::caller::{Authenticator, Caller, Permission};
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::route::{Access, Routes};
use signalbox_store::{Store, StoreError};

use crate::live::Live;
use crate::report::{self, Bucket, CampaignRow, EventRow, Filter, Overview, Range, Report};

/// What the handlers share.
#[derive(Clone)]
pub struct Insight {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub live: Live,
    pub authenticator: Arc<dyn Authenticator>,
    /// Hits that this process answered without recording them.
    pub unrecorded: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Whether a token in the address of the sign-in page signs in: for the demo, whose address nobody else sees.
    pub sign_in_by_link: bool,
}

/// Adds the API's routes.
pub fn routes(routes: Routes, insight: &Insight) -> Routes {
    let reports = Access::Api(Permission::ReportsRead);
    let events = Access::Api(Permission::EventsRead);
    routes
        .add(Method::GET, "/api/v1/overview", reports, get(overview).with_state(insight.clone()))
        .add(Method::GET, "/api/v1/campaigns", reports, get(campaigns).with_state(insight.clone()))
        .add(Method::GET, "/api/v1/campaigns/{id}/report", reports, get(campaign_report).with_state(insight.clone()))
        .add(Method::GET, "/api/v1/events", events, get(list_events).with_state(insight.clone()))
        .add(Method::GET, "/api/v1/contacts/{id}/timeline", events, get(timeline).with_state(insight.clone()))
        .add(Method::GET, "/api/v1/live", reports, get(crate::live::stream).with_state(insight.clone()))
}

/// The parameters of every list and report; each route reads the ones that it knows.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    from: Option<String>,
    to: Option<String>,
    bucket: Option<String>,
    campaign: Option<String>,
    recipient: Option<String>,
    message: Option<String>,
    kind: Option<String>,
    class: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

fn read<T: FromStr>(field: &str, text: Option<&str>) -> Reply<Option<T>>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| text.parse().map_err(|error| Refusal::bad_request(format!("{field}: {error}")))).transpose()
}

impl Asked {
    fn range(&self, now: Micros) -> Reply<Range> {
        let to = read::<Micros>("to", self.to.as_deref())?.unwrap_or(now.hour().plus(signalbox_core::time::HOUR));
        let from = read::<Micros>("from", self.from.as_deref())?.unwrap_or(to.plus(-30 * DAY));
        Range::new(from, to).map_err(Refusal::bad_request)
    }

    fn bucket(&self, range: &Range) -> Reply<Bucket> {
        let bucket = read("bucket", self.bucket.as_deref())?.unwrap_or(range.usual_bucket());
        range.check(bucket).map_err(Refusal::bad_request)?;
        Ok(bucket)
    }

    fn limit(&self) -> Reply<i64> {
        match read::<i64>("limit", self.limit.as_deref())? {
            None => Ok(USUAL),
            Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
            Some(_) => Err(Refusal::bad_request(format!("limit: from 1 to {MOST}"))),
        }
    }

    fn cursor(&self) -> Reply<Option<i64>> {
        self.cursor
            .as_deref()
            .map(|text| read_cursor(text).map_err(|_| Refusal::bad_request("cursor: not one that this API gave")))
            .transpose()
    }

    fn filter(&self) -> Reply<Filter> {
        Ok(Filter {
            campaign: read::<CampaignId>("campaign", self.campaign.as_deref())?.map(|id| id.0),
            recipient: read::<ContactId>("recipient", self.recipient.as_deref())?.map(|id| id.0),
            message: read::<MessageId>("message", self.message.as_deref())?.map(|id| id.0),
            kind: read("kind", self.kind.as_deref())?,
            class: read("class", self.class.as_deref())?,
            from: read("from", self.from.as_deref())?,
            to: read("to", self.to.as_deref())?,
        })
    }
}

/// Query parameters, with a problem that says what is wrong with them.
fn asked(query: Result<Query<Asked>, axum::extract::rejection::QueryRejection>) -> Reply<Asked> {
    query.map(|Query(asked)| asked).map_err(|error| Refusal::bad_request(error.body_text()))
}

type Ask = Result<Query<Asked>, axum::extract::rejection::QueryRejection>;

async fn overview(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    query: Ask,
) -> Reply<Json<Overview>> {
    let asked = asked(query)?;
    let range = asked.range(insight.clock.now())?;
    let bucket = asked.bucket(&range)?;
    Ok(Json(insight.store.read(caller.scope, move |conn| report::overview(conn, range, bucket)).await?))
}

async fn campaigns(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    query: Ask,
) -> Reply<Json<Page<CampaignRow>>> {
    let asked = asked(query)?;
    let (range, before, limit) = (asked.range(insight.clock.now())?, asked.cursor()?, asked.limit()?);
    let rows =
        insight.store.read(caller.scope, move |conn| report::campaign_rows(conn, &range, before, limit + 1)).await?;
    Ok(Json(Page::cut(rows, limit, |row| row.campaign.id.0)))
}

async fn campaign_report(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    query: Ask,
) -> Reply<Json<Report>> {
    let asked = asked(query)?;
    let range = asked.range(insight.clock.now())?;
    let bucket = asked.bucket(&range)?;
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
    query: Ask,
) -> Reply<Json<Page<EventRow>>> {
    let asked = asked(query)?;
    page_of_events(&insight, caller, asked.filter()?, &asked).await
}

async fn timeline(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    query: Ask,
) -> Reply<Json<Page<EventRow>>> {
    let asked = asked(query)?;
    let id: ContactId = id.parse().map_err(|_| Refusal::not_found())?;
    page_of_events(&insight, caller, Filter { recipient: Some(id.0), ..asked.filter()? }, &asked).await
}

async fn page_of_events(
    insight: &Insight,
    caller: Caller,
    filter: Filter,
    asked: &Asked,
) -> Reply<Json<Page<EventRow>>> {
    let (before, limit) = (asked.cursor()?, asked.limit()?);
    let rows = insight.store.read(caller.scope, move |conn| report::events(conn, &filter, before, limit + 1)).await?;
    Ok(Json(Page::cut(rows, limit, |row| row.seq)))
}
