//! Pages of the process itself: its settings, and what it is made of.

mod about;
mod settings;

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use signalbox_http::caller::Permission;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::route::{Access, Routes};

use crate::shown::Shown;

/// What these pages tell.
#[derive(Clone)]
pub struct Process {
    pub settings: Arc<Vec<Shown>>,
    /// The engine of the store, in a word.
    pub engine: &'static str,
}

/// Adds the pages' routes.
pub fn routes(routes: Routes, process: &Process) -> Routes {
    routes
        .add(
            Method::GET,
            "/settings",
            Access::Page(Permission::SettingsRead),
            get(settings::page).with_state(process.clone()),
        )
        .add(Method::GET, "/about", Access::SignedInPage, get(about::page).with_state(process.clone()))
}

fn render(page: &impl askama::Template) -> Reply<Response> {
    page.render().map(|text| Html(text).into_response()).map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here", "It was logged.")
    })
}
