//! `GET /api/openapi.json`, `GET /api/docs`

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::document::document;
use super::operation::{Operation, Tag};
use super::page::page;
use crate::reply::{Refusal, Reply};
use crate::route::{Access, Routes};

/// Where the document is.
pub const DOCUMENT_PATH: &str = "/api/openapi.json";
/// Where it can be read.
pub const DOCS_PATH: &str = "/api/docs";

const TAG: Tag = Tag { name: "Description", about: "What the API is, for programs." };

/// Both forms, made once.
struct Made {
    document: Bytes,
    page: Option<Bytes>,
}

type Shared = Arc<OnceLock<Made>>;

/// Adds the routes that describe all routes added so far: call it last.
pub fn routes(routes: Routes) -> Routes {
    let made = Shared::default();
    let operation = Operation::new(TAG, "getDescription", "This document")
        .about("OpenAPI 3.1. To read: [/api/docs](/api/docs).")
        .answers_json::<Map<String, Value>>("The document.", json!({"openapi": "3.1.0"}));
    let routes = routes
        .add(Method::GET, DOCUMENT_PATH, Access::Public, get(show_document).with_state(Arc::clone(&made)))
        .add(Method::GET, DOCS_PATH, Access::Public, get(show_page).with_state(Arc::clone(&made)))
        .describe(Method::GET, DOCUMENT_PATH, operation);
    let document = document(routes.table(), routes.described());
    for (key, words) in [("x-undescribed", "lacks a description"), ("x-routeless", "is described and not there")] {
        for route in document[key].as_array().into_iter().flatten() {
            tracing::error!(%route, "a route of the API {words}");
        }
    }
    let page = page(&document).inspect_err(|error| tracing::error!(%error, "a page could not be rendered"));
    let text = format!("{document:#}\n");
    made.get_or_init(|| Made { document: text.into(), page: page.ok().map(Bytes::from) });
    routes
}

async fn show_document(State(made): State<Shared>) -> Reply<Response> {
    let made = made.get().ok_or_else(Refusal::not_found)?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    Ok((headers, made.document.clone()).into_response())
}

async fn show_page(State(made): State<Shared>) -> Reply<Response> {
    let page = made.get().and_then(|made| made.page.clone()).ok_or_else(Refusal::not_found)?;
    Ok(([(header::CACHE_CONTROL, "public, max-age=300")], Html(page)).into_response())
}
