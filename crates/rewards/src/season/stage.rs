//! The life of a season: one table.

use serde::{Deserialize, Serialize};
use units::Timestamp;

/// Where a season stands. A variant holds only what is true in that stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Announced.
    Planned {
        /// When it begins.
        until: Timestamp,
    },
    /// Activity counts; after the season's last hour only what happened in it.
    Running {
        /// The first moment at which none does.
        until: Timestamp,
    },
    /// Every point is counted; the prizes are to be paid.
    Ended {
        /// When it ended.
        at: Timestamp,
    },
    /// Over.
    Paid {
        /// When its prizes were.
        at: Timestamp,
    },
}

/// What can happen to a season.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It begins.
    Began {
        /// Until when activity counts.
        until: Timestamp,
    },
    /// No more activity counts.
    Ended,
    /// Its prizes are paid.
    Paid,
}

/// An event that does not apply to where the season stands, or not at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the season is {stage}, where this does not apply")]
pub struct StageRefusal {
    /// Where it stands, as [`Stage::text`].
    pub stage: &'static str,
}

impl Stage {
    /// The stage after `event`, or why the event does not apply. Nothing else moves a season.
    pub fn on(self, event: Event, now: Timestamp) -> Result<Self, StageRefusal> {
        use {Event as E, Stage as S};
        let next = match (self, event) {
            (S::Planned { until }, E::Began { until: end }) if now >= until => {
                S::Running { until: end }
            }
            (S::Running { until }, E::Ended) if now >= until => S::Ended { at: now },
            (S::Ended { .. }, E::Paid) => S::Paid { at: now },
            // Spelled out, so that a new stage or event does not compile until it has a row.
            (
                S::Planned { .. } | S::Running { .. } | S::Ended { .. } | S::Paid { .. },
                E::Began { .. } | E::Ended | E::Paid,
            ) => return Err(StageRefusal { stage: self.text() }),
        };
        Ok(next)
    }

    /// When time moves it on, if time does.
    pub const fn ends_at(self) -> Option<Timestamp> {
        match self {
            Self::Planned { until } | Self::Running { until } => Some(until),
            Self::Ended { .. } | Self::Paid { .. } => None,
        }
    }

    /// Whether activity counts.
    pub fn is_running(self, now: Timestamp) -> bool {
        match self {
            Self::Running { until } => now < until,
            Self::Planned { .. } | Self::Ended { .. } | Self::Paid { .. } => false,
        }
    }

    /// Whether its prizes are still set aside.
    pub const fn owes_prizes(self) -> bool {
        self.paid_at().is_none()
    }

    /// When its prizes were paid, if they were.
    pub const fn paid_at(self) -> Option<Timestamp> {
        match self {
            Self::Paid { at } => Some(at),
            Self::Planned { .. } | Self::Running { .. } | Self::Ended { .. } => None,
        }
    }

    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Planned { .. } => "planned",
            Self::Running { .. } => "running",
            Self::Ended { .. } => "ended",
            Self::Paid { .. } => "paid",
        }
    }
}
