//! The pages: overview, campaigns and their reports, events and their verdicts, contacts, search.

mod campaign;
mod campaigns;
mod chart;
mod contact;
mod context;
mod event;
mod events;
mod figures;
mod overview;
mod search;

use axum::http::Method;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use signalbox_http::caller::Permission;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::route::{Access, Routes};

use crate::api::Insight;

/// Adds the pages' routes.
pub fn routes(routes: Routes, insight: &Insight) -> Routes {
    let reports = Access::Page(Permission::ReportsRead);
    let single = Access::Page(Permission::EventsRead);
    let state = || insight.clone();
    routes
        .add(Method::GET, "/", reports, get(overview::page).with_state(state()))
        .add(Method::GET, "/campaigns", reports, get(campaigns::page).with_state(state()))
        .add(Method::GET, "/campaigns.csv", reports, get(campaigns::csv).with_state(state()))
        .add(Method::GET, "/campaigns/{id}", reports, get(campaign::page).with_state(state()))
        .add(Method::GET, "/campaigns/{id}/{table}", reports, get(campaign::csv).with_state(state()))
        .add(Method::GET, "/events", single, get(events::page).with_state(state()))
        .add(Method::GET, "/events.csv", single, get(events::csv).with_state(state()))
        .add(Method::GET, "/events/{seq}", single, get(event::page).with_state(state()))
        .add(Method::GET, "/contacts/{id}", single, get(contact::page).with_state(state()))
        .add(Method::GET, "/search", reports, get(search::page).with_state(state()))
}

fn render(page: &impl askama::Template) -> Reply<Response> {
    match page.render() {
        Ok(text) => Ok(Html(text).into_response()),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            Err(Refusal::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong here",
                "It was logged.",
            ))
        }
    }
}
