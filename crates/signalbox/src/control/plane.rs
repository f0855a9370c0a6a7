//! The edge as the data plane of releases.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use signalbox_canary::window::Errors;
use signalbox_edge::admin::wire::{ArmCounted, Drain, Stats};
use signalbox_edge::admin::{AdminError, Client};
use signalbox_edge::histogram::lower_bound;
use signalbox_edge::routes::{Arm, PathRule, Routes, Sticky, StickyKey, Timeouts};
use signalbox_release::executor::{ArmCount, Counts, DataPlane, Later, PlaneError, RouteArm, RouteTable};

/// The arm of the controller. No version is called so: theirs begin with a letter or a digit.
const OWN: &str = "_control";
/// What is the controller's.
const PATHS: [&str; 2] = ["/ops", "/api/v1/releases"];
/// How long the edge may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The cookie by which a visitor stays with a version.
const COOKIE: &str = "signalbox-arm";

/// An edge, by its admin socket.
pub struct EdgePlane {
    client: Client,
    /// Where the controller answers: the edge leads its paths there.
    own: OnceLock<SocketAddr>,
}

impl EdgePlane {
    pub fn new(socket: &Path) -> Self {
        Self { client: Client::new(socket).with_patience(PATIENCE), own: OnceLock::new() }
    }

    /// From now on routes have paths that lead there.
    pub fn lead_paths_to(&self, own: SocketAddr) {
        self.own.get_or_init(|| own);
    }

    /// The paths of the controller and the arm behind them: no version, and no share of anything.
    fn own_paths(&self) -> (Option<Arm>, Vec<PathRule>) {
        let Some(address) = self.own.get() else { return (None, Vec::new()) };
        let arm = Arm {
            name: OWN.into(),
            version: OWN.into(),
            upstreams: vec![format!("http://{address}")],
            weight: 0,
            // A plan may run commands.
            timeouts: Timeouts { response_ms: 600_000, ..Timeouts::default() },
        };
        (Some(arm), PATHS.map(|prefix| PathRule { prefix: prefix.into(), arm: OWN.into() }).into())
    }
}

impl DataPlane for EdgePlane {
    fn routes(&self) -> Later<'_, RouteTable> {
        Box::pin(async move {
            let routes = self.client.routes().await.map_err(told)?;
            // Hundredths of a percent, whatever the weights were written in.
            let mut routes = routes;
            routes.arms.retain(|arm| arm.name != OWN);
            let all: u64 = routes.arms.iter().map(|arm| u64::from(arm.weight)).sum();
            let points = |weight: u32| u32::try_from(u64::from(weight) * 10_000 / all.max(1)).unwrap_or(10_000);
            let arms = routes.arms.into_iter().map(|arm| RouteArm {
                weight: points(arm.weight),
                version: arm.version,
                upstreams: arm.upstreams,
            });
            Ok(RouteTable {
                epoch: routes.epoch,
                arms: arms.collect(),
                sticky: routes.sticky.map(|sticky| sticky.salt),
            })
        })
    }

    fn put(&self, table: RouteTable) -> Later<'_, ()> {
        Box::pin(async move {
            let arms = table.arms.into_iter().map(|arm| Arm {
                name: arm.version.clone(),
                version: arm.version,
                upstreams: arm.upstreams,
                weight: arm.weight,
                timeouts: Timeouts::default(),
            });
            let sticky = table.sticky.map(|salt| Sticky { by: StickyKey::Cookie, name: COOKIE.into(), salt });
            let (own, paths) = self.own_paths();
            let routes = Routes { epoch: table.epoch, arms: arms.chain(own).collect(), paths, sticky, mirror: None };
            let applied = self.client.put_routes(&routes).await.map_err(told)?;
            if !applied.stored {
                tracing::warn!(routes.epoch = applied.epoch, "routes are in force and not on disk: {}", applied.note);
            }
            Ok(())
        })
    }

    fn counts(&self) -> Later<'_, Counts> {
        Box::pin(async move {
            let stats = self.client.stats().await.map_err(told)?;
            let epoch = stats.epoch;
            let mut arms = Vec::new();
            add(&mut arms, stats);
            Ok(Counts { epoch, arms })
        })
    }

    fn drain(&self, arm: String, within_ms: u64) -> Later<'_, ()> {
        Box::pin(async move { self.client.drain(&Drain { arm, within_ms }).await.map(drop).map_err(told) })
    }
}

fn told(error: AdminError) -> PlaneError {
    match error {
        AdminError::Superseded(said) => PlaneError::Superseded(said),
        AdminError::Refused { .. } => PlaneError::Refused(error.to_string()),
        AdminError::Unreachable { .. } | AdminError::Late(_) | AdminError::Unreadable(_) => {
            PlaneError::Away(error.to_string())
        }
    }
}

/// This generation and those that still drain.
fn add(arms: &mut Vec<ArmCount>, stats: Stats) {
    arms.extend(stats.arms.into_iter().filter(|arm| arm.name != OWN).map(|arm| count(stats.generation, arm)));
    stats.predecessors.into_iter().for_each(|stats| add(arms, stats));
}

fn count(generation: u64, arm: ArmCounted) -> ArmCount {
    let counts = arm.counts;
    let by_edge = counts.answered_by_edge;
    let errors = Errors {
        server: counts.answered.s5xx,
        connection: by_edge.bad_gateway + by_edge.unavailable + counts.broken,
        timeout: by_edge.gateway_timeout,
        client: counts.answered.s4xx + by_edge.other,
    };
    let ended = counts.answered.sum()
        + by_edge.bad_gateway
        + by_edge.unavailable
        + by_edge.gateway_timeout
        + by_edge.other
        + counts.broken;
    let middle = |bucket: u32| {
        let (low, high) = (lower_bound(bucket as usize), lower_bound(bucket as usize + 1));
        low + (high - low) / 2
    };
    ArmCount {
        generation,
        version: arm.version,
        accepted: counts.accepted,
        new_sessions: counts.new_sessions,
        open: counts.open,
        aborted: counts.aborted,
        ended,
        errors,
        latency: counts.latency.buckets.into_iter().map(|(bucket, count)| (middle(bucket), count)).collect(),
    }
}
