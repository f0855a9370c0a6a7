//! The pages of releases, below `/ops`, and how people come to them.

mod acts;
mod door;
mod dora;
mod fields;
mod journal;
mod live;
mod metric;
mod phases;
mod readiness;
mod release;
mod releases;
mod shown;
mod sign_in;
mod weights;

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
pub use door::{Door, Rings};
use signalbox_http::asset;
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::page::Frame;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::route::{Access, Routes, Row};

use crate::control::Controller;

/// What handlers know.
#[derive(Clone)]
pub(super) struct House {
    pub controller: Arc<Controller>,
    pub door: Arc<Door>,
}

/// Every page, and who may open each.
pub fn router(controller: Arc<Controller>, door: &Arc<Door>) -> (Router, Vec<Row>) {
    let house = House { controller, door: Arc::clone(door) };
    let reads = Access::Page(Permission::ReleasesRead);
    let writes = Access::Page(Permission::ReleasesWrite);
    let approves = Access::Page(Permission::ReleasesApprove);
    let with = |handler: axum::routing::MethodRouter<House>| handler.with_state(house.clone());
    let start = || async { Redirect::to("/ops/releases") };
    let clock = Arc::clone(&house.controller.tools().clock);
    let routes = Routes::new(Arc::clone(door) as _, clock)
        .through(door.entrance())
        .add(Method::GET, "/ops/assets/{name}", Access::Public, get(asset::serve))
        .add(Method::GET, "/ops/sign-in", Access::Public, with(get(sign_in::show)))
        .add(Method::POST, "/ops/sign-in", Access::Public, with(post(sign_in::submit)))
        .add(Method::POST, "/ops/sign-out", Access::Public, with(post(sign_in::sign_out)))
        .add(Method::GET, "/ops", reads, get(start))
        .add(Method::GET, "/ops/releases", reads, with(get(releases::page)))
        .add(Method::POST, "/ops/lock", writes, with(post(acts::lock)))
        .add(Method::POST, "/ops/unlock", writes, with(post(acts::unlock)))
        .add(Method::POST, "/ops/rollback", writes, with(post(acts::go_back)))
        .add(Method::GET, "/ops/releases/{id}", reads, with(get(release::page)))
        .add(Method::GET, "/ops/releases/{id}/live", reads, with(get(live::stream)))
        .add(Method::GET, "/ops/releases/{id}/readiness", reads, with(get(readiness::page)))
        .add(Method::GET, "/ops/releases/{id}/report", reads, with(get(readiness::report)))
        .add(Method::POST, "/ops/releases/{id}/pause", writes, with(post(acts::pause)))
        .add(Method::POST, "/ops/releases/{id}/resume", writes, with(post(acts::resume)))
        .add(Method::POST, "/ops/releases/{id}/rollback", writes, with(post(acts::roll_back)))
        .add(Method::POST, "/ops/releases/{id}/retry", writes, with(post(acts::retry)))
        .add(Method::POST, "/ops/releases/{id}/tick", writes, with(post(acts::tick)))
        .add(Method::POST, "/ops/releases/{id}/promote", approves, with(post(acts::promote)))
        .add(Method::POST, "/ops/releases/{id}/sign", approves, with(post(acts::sign)));
    let (router, table) = routes.finish();
    (router.layer(from_fn_with_state(Arc::clone(door), door::renew)), table)
}

/// What every page of releases shares.
fn frame(title: impl Into<String>, caller: Option<&Caller>) -> Frame {
    let mut frame = Frame::new(title, "releases", caller);
    // Whoever came with the controller's token may be where no other page is.
    frame.is_whole = caller.is_some_and(|caller| caller.user().is_some());
    frame.home = if frame.is_whole { "/" } else { "/ops/releases" };
    frame.assets = "/ops/assets";
    frame.sign_out = if frame.is_whole { "/sign-out" } else { "/ops/sign-out" };
    frame
}

fn render(page: &impl askama::Template) -> Reply<Response> {
    Ok(Html(text(page)?).into_response())
}

fn text(page: &impl askama::Template) -> Reply<String> {
    page.render().map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(status, "internal", "Something went wrong here", "It was logged.")
    })
}
