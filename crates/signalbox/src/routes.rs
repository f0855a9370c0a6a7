//! The routing table of `serve`: what every feature adds, and the few routes of the process itself.

use std::sync::Arc;

use axum::http::Method;
use axum::routing::get;
use prometheus::{Gauge, Registry};
use signalbox_core::clock::Clock;
use signalbox_http::asset;
use signalbox_http::caller::{Authenticator, Permission};
use signalbox_http::route::{Access, Routes, Row};
use signalbox_insight::api::Insight;
use signalbox_tracking::http::Tracking;

use crate::health::Health;
use crate::metrics;

/// What the routes are made of.
pub struct Parts {
    pub authenticator: Arc<dyn Authenticator>,
    pub clock: Arc<dyn Clock>,
    pub tracking: Tracking,
    pub insight: Insight,
    pub health: Health,
    pub registry: Registry,
    pub memory: Gauge,
    pub health_path: String,
    pub metrics_path: String,
}

/// The router and the table of its routes.
pub fn build(parts: Parts) -> (axum::Router, Vec<Row>) {
    let Parts { health, registry, memory, .. } = parts;
    let mut routes = Routes::new(parts.authenticator, parts.clock)
        .add(Method::GET, "/assets/{name}", Access::Public, get(asset::serve))
        .add(Method::GET, &parts.health_path, Access::Public, get(move || health.clone().answer()))
        .add(
            Method::GET,
            &parts.metrics_path,
            Access::Api(Permission::MetricsRead),
            get(move || std::future::ready(metrics::answer(&registry, &memory))),
        );
    routes = signalbox_tracking::http::routes(routes, &parts.tracking);
    routes = signalbox_insight::api::routes(routes, &parts.insight);
    signalbox_insight::web::routes(routes, &parts.insight).finish()
}
