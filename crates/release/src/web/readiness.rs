//! `GET /ops/releases/{id}/readiness`: the matrix, and what to do about each miss; `GET …/report`: the documents.

use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use signalbox_http::caller::Caller;
use signalbox_http::page::Frame;
use signalbox_http::reply::Reply;

use super::shown::{self, Badge, Moment, badge, moment};
use super::{House, frame, render};
use crate::control::{Refused, decided_at, judged};
use crate::executor::{Kind, words};
use crate::model::document::{self, Kind as Document};
use crate::model::plan::lint;
use crate::model::readiness::{Checked, Decision, Judgement, Report, Row};

#[derive(Template)]
#[template(path = "ops_readiness.html")]
struct ReadinessPage {
    frame: Frame,
    id: String,
    service: String,
    course: String,
    /// Why there is no matrix.
    missing: String,
    found: Option<Found>,
    documents: Vec<(&'static str, &'static str)>,
}

struct Found {
    decision: Badge,
    score: f64,
    threshold: u64,
    confidence: f64,
    risk: &'static str,
    at: Moment,
    obstacles: Vec<(String, String)>,
    rows: Vec<RowShown>,
}

struct RowShown {
    component: &'static str,
    weight: u64,
    score: String,
    checks: Vec<CheckShown>,
}

struct CheckShown {
    id: &'static str,
    what: &'static str,
    must: bool,
    state: Badge,
    said: String,
    run: String,
    evidence: String,
    at: Option<Moment>,
}

const DOCUMENTS: [(&str, &str); 4] = [
    ("readiness", "Readiness"),
    ("plan", "Deployment plan"),
    ("authorization", "Authorization"),
    ("summary", "Summary"),
];

pub(super) async fn page(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Reply<Response> {
    let controller = &house.controller;
    let status = controller.status(&id).await?;
    let kept = controller.one(&id)?;
    let manifest = kept.manifest().map_err(Refused::error)?;
    let lints = lint(kept.journal.plan(), &manifest, kept.journal.records()[0].at);
    let found = match kept.request.kind {
        Kind::Rollback => None,
        Kind::Deploy => judged(&kept, &manifest, &lints, decided_at(&kept))?,
    };
    let missing = match kept.request.kind {
        Kind::Rollback => "A way back waits for no readiness: it is always allowed.".to_owned(),
        Kind::Deploy => {
            let last = kept.journal.records().last().map(|last| words::of(&last.event, kept.journal.plan()));
            format!("Its readiness has not been judged yet. Last: {}", last.unwrap_or_default())
        }
    };
    render(&ReadinessPage {
        frame: frame(format!("Readiness of {} {}", status.service, status.to), Some(&caller)),
        id: kept.id.clone(),
        service: status.service.to_string(),
        course: shown::course(&status),
        missing,
        documents: if found.is_some() { DOCUMENTS.into() } else { Vec::new() },
        found: found.map(|(report, decision)| shown(&report, &decision)),
    })
}

fn shown(report: &Report, decision: &Decision) -> Found {
    let obstacle = |one: &crate::model::readiness::Obstacle| (one.said.clone(), one.run.clone().unwrap_or_default());
    Found {
        decision: if decision.go { badge("ok", "go") } else { badge("warn", "no-go") },
        score: report.score,
        threshold: report.threshold,
        confidence: report.confidence,
        risk: decision.risk.word(),
        at: moment(report.subject.at),
        obstacles: decision.obstacles.iter().map(obstacle).collect(),
        rows: report.rows.iter().map(row).collect(),
    }
}

fn row(row: &Row) -> RowShown {
    RowShown {
        component: row.component.title(),
        weight: row.weight,
        score: row.score.map_or_else(|| "–".into(), |score| format!("{score:.0}")),
        checks: row.checks.iter().map(check).collect(),
    }
}

fn check(check: &Checked) -> CheckShown {
    let state = match check.judgement {
        Judgement::Pass => badge("ok", "pass"),
        Judgement::Fail => badge("warn", "fail"),
        Judgement::NoEvidence => badge("proxy", "no evidence"),
        Judgement::NotApplicable => badge("none", "does not apply"),
    };
    let source = check.source.as_ref();
    let evidence = source.map(|source| match (source.command.is_empty(), source.reference.is_empty()) {
        (false, false) => format!("{} · {}", source.command, source.reference),
        (false, true) => source.command.clone(),
        (true, _) => source.reference.clone(),
    });
    CheckShown {
        id: check.id,
        what: check.what,
        must: check.must,
        state,
        said: check.said.clone(),
        run: check.run.filter(|_| !check.passes()).map(str::to_owned).unwrap_or_default(),
        evidence: evidence.unwrap_or_default(),
        at: source.map(|source| moment(source.at)),
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    kind: Document,
}

/// A document as a page that prints well.
pub(super) async fn report(
    State(house): State<House>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    let made = house.controller.report(&id, wanted.kind)?;
    let text = document::html(&made);
    // It is one file with its own style: that style and nothing else is let in.
    let style =
        text.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).map_or("", |(style, _)| style);
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (header::CONTENT_SECURITY_POLICY, policy)];
    Ok((headers, text).into_response())
}
