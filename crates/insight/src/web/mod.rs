//! The pages: sign-in, overview, a campaign's report.

mod chart;
mod context;
mod figures;
mod pages;
mod sign_in;

use axum::http::Method;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use signalbox_http::caller::Permission;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::route::{Access, Routes, SIGN_IN};

use crate::api::Insight;

/// Adds the pages' routes.
pub fn routes(routes: Routes, insight: &Insight) -> Routes {
    let page = Access::Page(Permission::ReportsRead);
    routes
        .add(Method::GET, "/", page, get(pages::overview).with_state(insight.clone()))
        .add(Method::GET, "/campaigns/{id}", page, get(pages::campaign).with_state(insight.clone()))
        .add(Method::GET, SIGN_IN, Access::Public, get(sign_in::show).with_state(insight.clone()))
        .add(Method::POST, SIGN_IN, Access::Public, post(sign_in::submit).with_state(insight.clone()))
        .add(Method::POST, "/sign-out", Access::Public, post(sign_in::sign_out))
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
