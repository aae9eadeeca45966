//! The life of a proposal: one table.

use serde::{Deserialize, Serialize};
use units::Timestamp;

/// Where a proposal stands. A variant holds only what is true in that stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Made; voting has not begun.
    Pending {
        /// When it does.
        until: Timestamp,
    },
    /// Ballots are taken.
    Voting {
        /// The first moment at which none is.
        until: Timestamp,
    },
    /// Voted through; whoever disagrees has time to leave or to veto.
    Queued {
        /// From when it may be executed.
        from: Timestamp,
        /// The first moment at which it may no longer be.
        until: Timestamp,
    },
    /// Voted through, with nothing to execute.
    Succeeded {
        /// When voting ended.
        at: Timestamp,
    },
    /// Carried out.
    Executed {
        /// When it was.
        at: Timestamp,
    },
    /// It could not be carried out.
    Failed {
        /// When that was tried.
        at: Timestamp,
        /// Why not, as the caller reported.
        why: String,
    },
    /// Not voted through.
    Defeated {
        /// When voting ended.
        at: Timestamp,
        /// What was missing.
        why: Defeat,
    },
    /// Voted through, but not carried out in time.
    Expired {
        /// When that time ended.
        at: Timestamp,
    },
    /// Taken back.
    Cancelled {
        /// When it was.
        at: Timestamp,
        /// Why.
        why: Cancellation,
    },
    /// Holders stopped it whatever the tally says.
    Vetoed {
        /// When enough of them had objected.
        at: Timestamp,
    },
}

/// What a proposal lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Defeat {
    /// Too little power took part.
    NoQuorum,
    /// Too small a part of yes and no was yes.
    Outvoted,
}

/// Why a proposal was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cancellation {
    /// The proposer wanted it.
    ByProposer,
    /// The proposer no longer has the power that proposing takes.
    PowerLost,
}

/// What can happen to a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Voting begins.
    Opened {
        /// When it ends.
        until: Timestamp,
    },
    /// Voted through, with nothing to execute.
    Adopted,
    /// Voted through, to be executed.
    Queued {
        /// From when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// Not voted through.
    Defeated(Defeat),
    /// Carried out.
    Executed,
    /// Tried in vain.
    Failed {
        /// Why.
        why: String,
    },
    /// The time for execution is over.
    Expired,
    /// Taken back.
    Cancelled(Cancellation),
    /// Enough holders object.
    Vetoed,
}

/// An event that does not apply to where the proposal stands, or not at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proposal is {stage}, where this does not apply")]
pub struct StageRefusal {
    /// Where it stands, as [`Stage::text`].
    pub stage: &'static str,
}

impl Stage {
    /// The stage after `event`, or why the event does not apply. Nothing else moves a proposal.
    pub fn on(&self, event: Event, now: Timestamp) -> Result<Self, StageRefusal> {
        use {Event as E, Stage as S};
        let next = match (self, event) {
            (S::Pending { until }, E::Opened { until: end }) if now >= *until => {
                S::Voting { until: end }
            }
            (S::Pending { .. }, E::Cancelled(why)) => S::Cancelled { at: now, why },
            (S::Voting { until }, E::Cancelled(why)) if now < *until => {
                S::Cancelled { at: now, why }
            }
            (S::Voting { until }, E::Vetoed) if now < *until => S::Vetoed { at: now },
            (S::Voting { until }, E::Adopted) if now >= *until => S::Succeeded { at: now },
            (S::Voting { until }, E::Queued { from, until: end }) if now >= *until => {
                S::Queued { from, until: end }
            }
            (S::Voting { until }, E::Defeated(why)) if now >= *until => {
                S::Defeated { at: now, why }
            }
            (S::Queued { until, .. }, E::Vetoed) if now < *until => S::Vetoed { at: now },
            (S::Queued { from, until }, E::Executed) if *from <= now && now < *until => {
                S::Executed { at: now }
            }
            (S::Queued { from, until }, E::Failed { why }) if *from <= now && now < *until => {
                S::Failed { at: now, why }
            }
            (S::Queued { until, .. }, E::Expired) if now >= *until => S::Expired { at: now },
            // Spelled out, so that a new stage or event does not compile until it has a row.
            (
                S::Pending { .. }
                | S::Voting { .. }
                | S::Queued { .. }
                | S::Succeeded { .. }
                | S::Executed { .. }
                | S::Failed { .. }
                | S::Defeated { .. }
                | S::Expired { .. }
                | S::Cancelled { .. }
                | S::Vetoed { .. },
                E::Opened { .. }
                | E::Adopted
                | E::Queued { .. }
                | E::Defeated(_)
                | E::Executed
                | E::Failed { .. }
                | E::Expired
                | E::Cancelled(_)
                | E::Vetoed,
            ) => return Err(StageRefusal { stage: self.text() }),
        };
        Ok(next)
    }

    /// When time moves it on, if time does.
    pub const fn ends_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { until } | Self::Voting { until } | Self::Queued { until, .. } => {
                Some(*until)
            }
            Self::Succeeded { .. }
            | Self::Executed { .. }
            | Self::Failed { .. }
            | Self::Defeated { .. }
            | Self::Expired { .. }
            | Self::Cancelled { .. }
            | Self::Vetoed { .. } => None,
        }
    }

    /// From when it may be executed, if it may.
    pub const fn executes_from(&self) -> Option<Timestamp> {
        match self {
            Self::Queued { from, .. } => Some(*from),
            Self::Pending { .. }
            | Self::Voting { .. }
            | Self::Succeeded { .. }
            | Self::Executed { .. }
            | Self::Failed { .. }
            | Self::Defeated { .. }
            | Self::Expired { .. }
            | Self::Cancelled { .. }
            | Self::Vetoed { .. } => None,
        }
    }

    /// Whether anything can still happen to it.
    pub const fn is_open(&self) -> bool {
        self.ends_at().is_some()
    }

    /// How it is written.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Voting { .. } => "voting",
            Self::Queued { .. } => "queued",
            Self::Succeeded { .. } => "succeeded",
            Self::Executed { .. } => "executed",
            Self::Failed { .. } => "failed",
            Self::Defeated { .. } => "defeated",
            Self::Expired { .. } => "expired",
            Self::Cancelled { .. } => "cancelled",
            Self::Vetoed { .. } => "vetoed",
        }
    }
}
