//! What the operator lays down for a reward program.

use rewards::season::SeasonPlan;
use serde::{Deserialize, Serialize};
use units::SeasonId;

/// A reward program with a beginning and an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeasonRecord {
    /// Its id.
    pub season: SeasonId,
    /// What it goes by.
    pub plan: SeasonPlan,
}
