//! Why a request was refused, as RFC 9457 has it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::market::NoOffer;

/// A refused or failed request: `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Where this kind of problem is explained: `/docs/errors/<code>`.
    pub r#type: String,
    /// The kind of problem: a stable word that programs may branch on.
    pub code: String,
    /// The kind of problem, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong this time.
    pub detail: String,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Which values of the request were wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// Smaller or cheaper orders that could be served, best first; with the code `no-offer`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relaxations: Vec<String>,
    /// What rules machines out, and what would help, in numbers; with the code `no-offer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_offer: Option<Box<NoOffer>>,
    /// Names this answer in the server's log.
    pub request_id: String,
}

/// One wrong value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Which one.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}
