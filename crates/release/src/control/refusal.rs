//! Why something that was asked is not done, as commands and HTTP tell it.

use axum::http::StatusCode;
use signalbox_core::problem::ItemProblem;
use signalbox_http::reply::Refusal;

use crate::model::exit::Exit;

/// Not done, and what a command ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub exit: Exit,
    pub said: String,
    /// Line by line, where there are several.
    pub faults: Vec<String>,
    /// There is no such thing.
    pub missing: bool,
}

impl Refused {
    /// It makes no sense in this state.
    pub fn new(exit: Exit, said: impl Into<String>) -> Self {
        Self { exit, said: said.into(), faults: Vec::new(), missing: false }
    }

    /// Something failed here.
    pub fn error(said: impl std::fmt::Display) -> Self {
        Self::new(Exit::Error, said.to_string())
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self { missing: true, ..Self::new(Exit::Error, format!("there is no {what}")) }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let (status, code, title) = match refused.exit {
            Exit::Locked => (StatusCode::CONFLICT, "locked", "Locked"),
            Exit::Refused => (StatusCode::CONFLICT, "refused", "Not possible now"),
            Exit::PlanDrifted => (StatusCode::CONFLICT, "plan-drifted", "The plan is not the one that was shown"),
            Exit::NoGo => (StatusCode::CONFLICT, "no-go", "Not ready"),
            Exit::WindowClosed => (StatusCode::CONFLICT, "window-closed", "The window is closed"),
            _ if refused.missing => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            _ if refused.faults.is_empty() => (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", "It cannot be done"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "bad-manifest", "The manifest is not right"),
        };
        let mut told = Self::new(status, code, title, refused.said);
        let faults = refused.faults.into_iter().enumerate();
        told.0.errors = faults.map(|(index, detail)| ItemProblem { index, detail }).collect();
        told
    }
}
