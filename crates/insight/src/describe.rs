//! What the API's operations say about themselves, beside [`crate::api`] and [`crate::live`].

use axum::http::Method;
use serde_json::{Value, json};
use signalbox_core::id::{CampaignId, ContactId};
use signalbox_core::page::Page;
use signalbox_http::openapi::{Answer, Operation, Tag, shape};
use signalbox_http::route::Routes;

use crate::api::{CampaignsQuery, EventsQuery, ReportQuery, TimelineQuery};
use crate::live::{LiveEvent, LiveQuery, LiveTotals};
use crate::report::{CampaignRow, EventRow, Overview, Report};

const EVENTS: Tag = Tag { name: "Events", about: "What happened to messages: recorded, and read back one by one." };
const REPORTS: Tag =
    Tag { name: "Reports", about: "What happened, counted. People, privacy proxies and machines stand side by side." };

/// Adds the descriptions.
pub(crate) fn describe(routes: Routes) -> Routes {
    let page = "A page, newest first by seq.";
    routes
        .describe(
            Method::GET,
            "/api/v1/events",
            Operation::new(EVENTS, "listEvents", "Stored events, newest first")
                .query::<EventsQuery>()
                .answers_json::<Page<EventRow>>(page, page_of_events())
                .leads_to("timeline", "getContactTimeline", "id", "$response.body#/items/0/recipient"),
        )
        .describe(
            Method::GET,
            "/api/v1/contacts/{id}/timeline",
            Operation::new(EVENTS, "getContactTimeline", "The events of one contact, newest first")
                .path::<ContactId>("id", "The contact.")
                .query::<TimelineQuery>()
                .answers_json::<Page<EventRow>>(page, page_of_events()),
        )
        .describe(
            Method::GET,
            "/api/v1/overview",
            Operation::new(REPORTS, "getOverview", "Figures over everything that the caller reaches")
                .query::<ReportQuery>()
                .answers_json::<Overview>("The figures.", overview()),
        )
        .describe(
            Method::GET,
            "/api/v1/campaigns",
            Operation::new(REPORTS, "listCampaigns", "Campaigns with their figures, newest first")
                .query::<CampaignsQuery>()
                .answers_json::<Page<CampaignRow>>("A page, newest first.", campaigns())
                .leads_to("report", "getCampaignReport", "id", "$response.body#/items/0/id"),
        )
        .describe(
            Method::GET,
            "/api/v1/campaigns/{id}/report",
            Operation::new(REPORTS, "getCampaignReport", "The report of one campaign")
                .about(
                    "`contacts` are the at most 50 contacts behind the campaign's latest 500 opens and clicks by people and \
                     privacy proxies, whatever the range.",
                )
                .path::<CampaignId>("id", "The campaign.")
                .query::<ReportQuery>()
                .answers_json::<Report>("The report.", report()),
        )
        .describe(Method::GET, "/api/v1/live", live())
}

fn live() -> Operation {
    let mut stream = Answer::text(200, "text/event-stream", "A stream that does not end by itself.");
    stream.messages = vec![("event", shape::<LiveEvent<'_>>()), ("totals", shape::<LiveTotals>())];
    Operation::new(REPORTS, "watch", "What happens now, as server-sent events")
        .about(
            "`event` tells one event; of a flood only the newest 50 per poll. `totals` comes at most every 500 ms. \
             A comment every 15 seconds keeps the connection alive. A browser that comes back gets at most 500 events that it missed.",
        )
        .query::<LiveQuery>()
        .header::<u64>("Last-Event-ID", "The seq of the last event that was seen; a browser sends it by itself.")
        .answers(stream)
}

fn page_of_events() -> Value {
    json!({
        "items": [{
            "seq": 2, "id": "evt_06xnysvpc0000", "principal": "pri_06xnypve40000", "kind": "clicked",
            "campaign": "cmp_06xnypxr40401", "campaign_name": "spring", "message": "msg_06xnysvjg0401",
            "recipient": "con_06xnysvh40401", "recipient_key": "anna@example.org",
            "link": "lnk_06xnypxt40401", "url": "https://example.org/spring",
            "occurred_at": "2026-11-20T18:07:52.755311Z", "received_at": "2026-11-20T18:07:52.755311Z",
            "ip": "192.0.2.7", "user_agent": "Mozilla/5.0 …", "client": "Chrome", "device": "desktop",
            "verdict": {
                "class": "machine", "score": 0.9, "rule_version": 1,
                "reasons": [{"code": "method.head", "words": "the request asked for the head only", "weight": 0.9}],
            },
            "version": "0.1.0",
        }],
        "next": "cur_0000000000002",
    })
}

fn totals() -> Value {
    let counted = |total: i64, unique: i64| json!({"total": total, "unique": unique});
    json!({
        "events": {"delivered": counted(1, 1)},
        "opens": {"human": counted(2, 1), "privacy_proxy": counted(0, 0), "machine": counted(0, 0)},
        "clicks": {"human": counted(1, 1), "privacy_proxy": counted(0, 0), "machine": counted(1, 1)},
    })
}

fn overview() -> Value {
    let mut bucket = totals();
    bucket["start"] = json!("2026-11-20T00:00:00.000000Z");
    json!({
        "range": {"from": "2026-11-20T00:00:00.000000Z", "to": "2026-11-21T00:00:00.000000Z"},
        "bucket": "day", "totals": totals(), "series": [bucket], "seq": 5,
        "conversions": [{"currency": "EUR", "total": 1, "value": "12.5"}],
    })
}

fn campaign() -> Value {
    json!({
        "id": "cmp_06xnypxr40401", "principal": "pri_06xnypve40000", "name": "spring",
        "created_at": "2026-11-20T18:00:00.000000Z",
    })
}

fn campaigns() -> Value {
    let mut row = campaign();
    row["totals"] = totals();
    row["last_hour"] = json!("2026-11-20T18:00:00.000000Z");
    json!({"items": [row], "next": null})
}

fn report() -> Value {
    let mut report = overview();
    report["campaign"] = campaign();
    report["links"] = json!([
        {"id": "lnk_06xnypxt40401", "url": "https://example.org/spring", "clicks": totals()["clicks"]},
    ]);
    let share = |name: &str| json!({"name": name, "human": 3, "privacy_proxy": 0, "machine": 1});
    report["clients"] = json!([share("Chrome")]);
    report["devices"] = json!([share("desktop")]);
    report["contacts"] = json!([{
        "id": "con_06xnysvh40401", "key": "anna@example.org", "opens": 2, "clicks": 1,
        "first_at": "2026-11-20T18:07:52.755311Z", "last_at": "2026-11-20T18:09:01.000000Z",
    }]);
    report
}
