//! Problem details (RFC 9457): the one shape in which the API tells what went wrong.

use schemars::JsonSchema;
use serde::Serialize;

/// What went wrong, for people and programs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Problem {
    /// A stable code, for example `bad-request`; on the wire `type` is `/problems/<code>`.
    #[serde(rename = "type", serialize_with = "as_reference")]
    #[schemars(with = "String", description = "A stable name, `/problems/…`.", regex(pattern = "^/problems/[a-z-]+$"))]
    pub code: &'static str,
    /// What kind of problem it is, in words.
    pub title: &'static str,
    /// The HTTP status.
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
    /// What happened here and what to do about it. Never internals.
    pub detail: String,
    /// One entry per bad item of a batch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ItemProblem>,
    /// Seconds after which to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// What is wrong with one item of a batch.
#[derive(Debug, Clone, Serialize, JsonSchema, PartialEq, Eq)]
pub struct ItemProblem {
    /// Position in the batch, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub detail: String,
}

fn as_reference<S: serde::Serializer>(code: &&'static str, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&format_args!("/problems/{code}"))
}

impl Problem {
    /// A problem with neither items nor a time to try again.
    pub fn new(status: u16, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { code, title, status, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }
}
