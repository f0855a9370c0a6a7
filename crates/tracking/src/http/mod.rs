//! Tracking's routes in the web shell.

mod describe;
mod events;
mod hits;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use axum::routing::get;
use signalbox_http::caller::Permission;
use signalbox_http::room::Room;
use signalbox_http::route::{Access, Routes};
use signalbox_store::Store;
use tokio::sync::Semaphore;

use crate::counters::Counters;
use crate::hit::Gate;
use crate::intake::Intake;

/// A large batch over a slow line may take this long.
const BATCH_TIME: Duration = Duration::from_secs(120);

/// What the handlers share.
#[derive(Clone)]
pub struct Tracking {
    pub gate: Gate,
    pub intake: Intake,
    pub counters: Arc<Counters>,
    pub store: Store,
    /// The principal of events that name none, for callers who reach all.
    pub default_principal: i64,
    /// How long a hit waits for its commit.
    pub patience: Duration,
    pub batch_events: usize,
    pub batch_bytes: usize,
    /// Room for the bodies that are being read; see [`body_room`].
    pub bodies: Arc<Semaphore>,
}

/// Room for as many bodies as may be in memory at once.
pub fn body_room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(events::UNITS))
}

/// Adds tracking's routes.
pub fn routes(routes: Routes, tracking: &Tracking) -> Routes {
    let routes = routes
        .add(Method::GET, "/o/", Access::Public, get(hits::hit).with_state(tracking.clone()))
        .add(Method::GET, "/c/", Access::Public, get(hits::hit).with_state(tracking.clone()))
        .add(Method::GET, "/o/{*token}", Access::Public, get(hits::hit).with_state(tracking.clone()))
        .add(Method::GET, "/c/{*token}", Access::Public, get(hits::hit).with_state(tracking.clone()))
        .add(
            Method::POST,
            "/api/v1/events",
            Access::Api(Permission::EventsWrite),
            Room { body_bytes: tracking.batch_bytes as u64, time: BATCH_TIME }
                .give(axum::routing::post(events::record).with_state(tracking.clone())),
        )
        .add(Method::GET, "/api/v1/schemas/events", Access::Public, get(schema::list))
        .add(Method::GET, "/api/v1/schemas/events/{kind}", Access::Public, get(schema::one));
    describe::describe(routes)
}
