//! What the line of orders that wait goes by.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use units::ProjectId;

/// Projects that have a weight of their own: a page that people still read.
const WEIGHTS_MAX: usize = 1_000;
/// The largest weight: with more, the others would as good as never have a turn.
const WEIGHT_MAX: u32 = 1_000;
/// The longest patience, in hours: nobody waits longer than that.
const PATIENCE_HOURS_MAX: u32 = 30 * 24;

/// How orders that wait take turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueRules {
    /// How long an order waits until it goes before all that have not waited as long, whoever ordered it, in hours.
    /// Until then projects take turns by what they have.
    pub patience_hours: u32,
    /// How much projects should have beside others: twice the weight, twice the share. Those not named have 1.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub weights: BTreeMap<ProjectId, NonZeroU32>,
}

impl Default for QueueRules {
    fn default() -> Self {
        Self { patience_hours: 6, weights: BTreeMap::new() }
    }
}

/// Why rules of the line make no sense. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueueFault {
    /// Nobody could ever be overdue.
    #[error("`patience_hours` is at most {PATIENCE_HOURS_MAX}")]
    Patience,
    /// More than anybody reads.
    #[error("`weights` names at most {WEIGHTS_MAX} projects")]
    Weights,
    /// A project would have everything.
    #[error("the weight of {0} is from 1 to {WEIGHT_MAX}")]
    Weight(ProjectId),
}

impl QueueRules {
    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> Result<(), QueueFault> {
        if self.patience_hours > PATIENCE_HOURS_MAX {
            return Err(QueueFault::Patience);
        }
        if self.weights.len() > WEIGHTS_MAX {
            return Err(QueueFault::Weights);
        }
        let too_much = self.weights.iter().find(|(_, weight)| weight.get() > WEIGHT_MAX);
        too_much.map_or(Ok(()), |(project, _)| Err(QueueFault::Weight(*project)))
    }

    /// The weight of a project.
    pub fn weight(&self, project: ProjectId) -> NonZeroU32 {
        self.weights.get(&project).copied().unwrap_or(NonZeroU32::MIN)
    }
}
