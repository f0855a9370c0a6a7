//! The routing table of `serve`: what every feature adds, and the few routes of the process itself.

use std::sync::Arc;

use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus::Registry;
use serde_json::json;
use signalbox_access::oidc::Oidc;
use signalbox_access::passkeys::Passkeys;
use signalbox_access::sign_in::Access as AccessParts;
use signalbox_core::clock::Clock;
use signalbox_http::asset;
use signalbox_http::caller::{Authenticator, Permission};
use signalbox_http::openapi::{self, Answer, Operation, Tag};
use signalbox_http::route::{Access, Routes, Row};
use signalbox_insight::api::Insight;
use signalbox_telemetry::metrics::{CONTENT_TYPE, Process};
use signalbox_tls::acme::Challenges;
use signalbox_tracking::http::Tracking;

use crate::health::{Health, Report};
use crate::web;

/// What the routes are made of.
pub struct Parts {
    pub authenticator: Arc<dyn Authenticator>,
    pub clock: Arc<dyn Clock>,
    pub access: AccessParts,
    pub oidc: Oidc,
    pub passkeys: Passkeys,
    pub tracking: Tracking,
    pub insight: Insight,
    pub process: web::Process,
    pub health: Health,
    pub registry: Registry,
    pub metrics: Process,
    pub health_path: String,
    pub metrics_path: String,
    /// Where a certificate is got by ACME.
    pub challenges: Option<Challenges>,
}

/// The router and the table of its routes.
pub fn build(parts: Parts) -> (axum::Router, Vec<Row>) {
    let Parts { health, registry, metrics, .. } = parts;
    let mut routes = Routes::new(parts.authenticator, parts.clock)
        .add(Method::GET, "/assets/{name}", Access::Public, get(asset::serve))
        .add(Method::GET, &parts.health_path, Access::Public, get(move || health.clone().answer()))
        .add(
            Method::GET,
            &parts.metrics_path,
            Access::Api(Permission::MetricsRead),
            get(move || std::future::ready(metrics_answer(metrics.write(&registry)))),
        );
    if let Some(challenges) = parts.challenges {
        let answer = get(move |path| challenges.answer(path));
        routes = routes.add(Method::GET, signalbox_tls::acme::PATH, Access::Public, answer);
    }
    routes = signalbox_tracking::http::routes(routes, &parts.tracking);
    routes = signalbox_access::http::routes(routes, &parts.access);
    routes = signalbox_access::oidc::routes(routes, &parts.oidc);
    routes = signalbox_access::passkeys::routes(routes, &parts.passkeys);
    routes = signalbox_insight::api::routes(routes, &parts.insight);
    routes = signalbox_insight::web::routes(routes, &parts.insight)
        .describe(Method::GET, &parts.health_path, health_operation())
        .describe(
            Method::GET,
            &parts.metrics_path,
            Operation::new(PROCESS, "getMetrics", "Metrics for Prometheus").answers(Answer::text(
                200,
                CONTENT_TYPE,
                "Prometheus text format.",
            )),
        );
    openapi::routes(web::routes(routes, &parts.process)).finish()
}

fn metrics_answer(text: prometheus::Result<Vec<u8>>) -> Response {
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

const PROCESS: Tag = Tag { name: "Process", about: "How the process does, for those who run it." };

fn health_operation() -> Operation {
    let example = |status: &str| {
        let names = ["database", "intake", "disk", "clock", "projector"];
        let of = |name: &str| if name == "database" { status } else { "pass" };
        let components: Vec<_> = names.iter().map(|name| json!({"name": name, "status": of(name)})).collect();
        json!({"status": status, "version": env!("CARGO_PKG_VERSION"), "components": components})
    };
    Operation::new(PROCESS, "getHealth", "Whether to send traffic here")
        .about("Each component in one word. The path is the setting `server.health_path`.")
        .answers(Answer::json::<Report>(200, "Every component works, perhaps with a warning.", example("pass")))
        .answers(Answer::json::<Report>(503, "A component fails.", example("fail")))
}
