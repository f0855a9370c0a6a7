//! `GET /ops/releases`: the service now, every release so far, and the figures of DORA.

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::page::{Frame, Toast};
use signalbox_http::reply::Reply;

use super::dora::{Bar, Figure, Past, bars, figures};
use super::release::{InstanceShown, instance};
use super::shown::{self, Badge, Moment, lasting, moment};
use super::{House, frame, render};
use crate::control::{Overview, Refused, written};
use crate::driver::State as InstanceState;
use crate::executor::{Kind, Status};
use crate::model::machine::Outcome;

/// The newest are shown, older ones by the command.
const MOST: usize = 100;
const DAYS: [i64; 3] = [7, 30, 90];
/// The inner height of the chart.
const HIGH: f64 = 80.0;

#[derive(Template)]
#[template(path = "ops_releases.html")]
struct ReleasesPage {
    frame: Frame,
    service: String,
    stable: String,
    requests: String,
    locked: Option<(String, String, Moment)>,
    /// The release that runs.
    running: Option<Running>,
    versions: Vec<VersionNow>,
    instances: Vec<InstanceShown>,
    rows: Vec<Row>,
    more: usize,
    figures: Vec<Figure>,
    bars: Vec<BarShown>,
    /// Counts of releases, for whoever does not see the chart.
    told: String,
    ranges: Vec<(i64, bool)>,
    may_write: bool,
    /// Where one could go back to.
    before: String,
    epoch: u64,
}

struct Running {
    id: String,
    course: String,
    state: Badge,
    why: String,
}

struct VersionNow {
    version: String,
    role: &'static str,
    weight: String,
    ready: String,
}

struct Row {
    id: String,
    course: String,
    state: Badge,
    why: String,
    by: String,
    begun: Moment,
    took: String,
}

struct BarShown {
    x: String,
    wide: String,
    good: (String, String),
    bad: (String, String),
    counts: (usize, usize),
    day: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    days: i64,
    done: String,
}

pub(super) async fn page(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let done = match asked.done.as_str() {
        "lock" => "Locked: no release begins; the way back stays open",
        "unlock" => "Open for releases again",
        _ => "",
    };
    let toast = (!done.is_empty()).then(|| Toast { mark: "ok", text: done.to_owned() });
    show(&house, &caller, asked.days, toast).await
}

/// The answer to a form of this page.
pub(super) async fn told(house: &House, caller: &Caller, done: &str, went: Result<(), Refused>) -> Reply<Response> {
    match went {
        Ok(()) => Ok(axum::response::Redirect::to(&format!("/ops/releases?done={done}")).into_response()),
        Err(refused) => {
            let toast = Toast { mark: "warn", text: refused.said };
            Ok((StatusCode::CONFLICT, show(house, caller, 0, Some(toast)).await?).into_response())
        }
    }
}

async fn show(house: &House, caller: &Caller, days: i64, toast: Option<Toast>) -> Reply<Response> {
    let controller = &house.controller;
    let all = controller.all()?;
    let overview = controller.overview().await?;
    let now = overview.at;
    let days = if DAYS.contains(&days) { days } else { 30 };
    let statuses: Vec<Status> = all.iter().map(written).collect();
    let pasts: Vec<Past> = all.iter().zip(&statuses).filter_map(|(kept, status)| Past::of(kept, status)).collect();
    let rows: Vec<Row> = statuses.iter().rev().take(MOST).map(|status| row(status, &overview)).collect();
    let bars = bars(&pasts, days, now);
    let sum = |of: fn(&Bar) -> usize| bars.iter().map(of).sum::<usize>();
    let mut frame = frame("Releases", Some(caller));
    frame.toast = toast;
    let before = controller.before_present(&all).map(ToString::to_string).unwrap_or_default();
    render(&ReleasesPage {
        frame,
        service: overview.service.as_ref().map(ToString::to_string).unwrap_or_default(),
        stable: overview.stable.as_ref().map(ToString::to_string).unwrap_or_default(),
        requests: overview.requests_per_second.map(|rate| format!("{rate:.1}")).unwrap_or_default(),
        locked: overview.locked.as_ref().map(|lock| (lock.by.clone(), lock.reason.clone(), moment(lock.at))),
        running: overview.release.as_ref().map(|status| Running {
            id: status.id.clone(),
            course: shown::course(status),
            state: shown::state(&status.state),
            why: shown::why(status),
        }),
        versions: versions(&overview),
        instances: overview.instances.iter().filter(|one| one.state != InstanceState::Stopped).map(instance).collect(),
        more: statuses.len().saturating_sub(MOST),
        rows,
        figures: figures(&pasts, days, now),
        told: format!(
            "{} releases were promoted and {} rolled back in the last {days} days.",
            sum(|bar| bar.good),
            sum(|bar| bar.bad)
        ),
        bars: drawn(&bars),
        ranges: DAYS.map(|one| (one, one == days)).into(),
        may_write: caller.may(Permission::ReleasesWrite),
        before: if overview.release.is_none() { before } else { String::new() },
        epoch: overview.epoch,
    })
}

fn versions(overview: &Overview) -> Vec<VersionNow> {
    let one = |live: &crate::model::plan::LiveVersion| VersionNow {
        version: live.version.to_string(),
        role: if overview.stable.as_ref() == Some(&live.version) { "promoted" } else { "new" },
        weight: live.weight.to_string(),
        ready: format!("{} of {}", live.ready, live.instances),
    };
    overview.versions.iter().map(one).collect()
}

fn row(written: &Status, overview: &Overview) -> Row {
    // What runs is known better than from what is written.
    let status = overview.release.as_ref().filter(|live| live.id == written.id).unwrap_or(written);
    Row {
        id: status.id.clone(),
        course: shown::course(status),
        state: shown::state(&status.state),
        why: shown::why(status),
        by: status.by.clone(),
        begun: moment(status.begun),
        took: lasting(status.at.0 - status.begun.0),
    }
}

fn drawn(bars: &[Bar]) -> Vec<BarShown> {
    let most = bars.iter().map(|bar| bar.good + bar.bad).max().unwrap_or(0).max(1) as f64;
    let slot = 600.0 / bars.len().max(1) as f64;
    let high = |count: usize| count as f64 / most * HIGH;
    let one = |(place, bar): (usize, &Bar)| {
        let (good, bad) = (high(bar.good), high(bar.bad));
        BarShown {
            x: format!("{:.1}", place as f64 * slot + slot * 0.15),
            wide: format!("{:.1}", slot * 0.7),
            good: (format!("{:.1}", HIGH - good), format!("{good:.1}")),
            bad: (format!("{:.1}", HIGH - good - bad), format!("{bad:.1}")),
            counts: (bar.good, bar.bad),
            day: moment(bar.from).label.split(',').next().unwrap_or_default().to_owned(),
        }
    };
    bars.iter().enumerate().map(one).collect()
}

impl crate::control::Controller {
    /// The version to which one would go back.
    fn before_present<'a>(&self, all: &'a [crate::control::Kept]) -> Option<&'a crate::model::value::Version> {
        let promoted = |kept: &&crate::control::Kept| matches!(kept.ended(), Some((Outcome::Promoted, ..)));
        let present = &all.iter().rev().find(promoted)?.request.version;
        let came = all.iter().rposition(|kept| {
            promoted(&kept) && kept.request.version == *present && kept.request.kind == Kind::Deploy
        })?;
        let earlier = all[..came].iter().rev().filter(promoted).find(|kept| kept.request.version != *present);
        earlier.map(|kept| &kept.request.version)
    }
}
