//! The life of an hour's block.
//!
//! ```text
//! in-progress ──close──▶ processing ──done──▶ completed
//!                         ▲      │
//!                       close  break
//!                         │      ▼
//!                          failed
//! ```
//!
//! # Invariants
//! - A block closes after its hour has ended and the last proofs had time to arrive.
//! - A completed block never changes. A failed one is closed again: an hour is paid late, but never skipped, and once.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{FullMinute, Hour, Timestamp};

use crate::block::BlockRules;

/// Where an hour's block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Stage {
    /// Its hour runs, or has just ended.
    InProgress,
    /// It is being computed.
    Processing {
        /// Since when.
        since: Timestamp,
    },
    /// It is paid.
    Completed {
        /// Since when.
        at: Timestamp,
    },
    /// It could not be computed or paid.
    Failed {
        /// Since when.
        at: Timestamp,
    },
}

/// What happens to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its computation begins.
    Close,
    /// It was computed and paid.
    Done,
    /// Its computation or payment broke.
    Break,
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The hour runs, or the last proofs may still arrive.
    #[error("the block closes at {}, not before", FullMinute(*closes_at))]
    TooEarly {
        /// When it closes.
        closes_at: Timestamp,
    },
    /// The event has no place in the stage.
    #[error("a block that is {stage} has no `{event:?}`")]
    OutOfPlace {
        /// The stage's name.
        stage: &'static str,
        /// The event.
        event: Event,
    },
}

/// When the block of an hour closes.
pub fn closes_at(rules: &BlockRules, hour: Hour) -> Timestamp {
    hour.end().after(Duration::from_secs(u64::from(rules.close_delay_secs)))
}

impl Stage {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Stage::InProgress => "in-progress",
            Stage::Processing { .. } => "processing",
            Stage::Completed { .. } => "completed",
            Stage::Failed { .. } => "failed",
        }
    }

    /// The stage after `event` of a block that closes at `closes_at`. Nothing else changes a stage.
    pub fn on(&self, event: Event, closes_at: Timestamp, now: Timestamp) -> Result<Self, Refused> {
        use {Event as E, Stage as S};
        let next = match (self, event) {
            (S::InProgress, E::Close) if now < closes_at => {
                return Err(Refused::TooEarly { closes_at });
            }
            (S::InProgress | S::Failed { .. }, E::Close) => S::Processing { since: now },
            (S::Processing { .. }, E::Done) => S::Completed { at: now },
            (S::Processing { .. }, E::Break) => S::Failed { at: now },
            (S::InProgress | S::Failed { .. }, E::Done | E::Break)
            | (S::Processing { .. }, E::Close)
            | (S::Completed { .. }, E::Close | E::Done | E::Break) => {
                return Err(Refused::OutOfPlace { stage: self.name(), event });
            }
        };
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stage after events, each told `seconds` after the hour of 2025-03-05T10 began.
    fn check(events: &str, expected: &str) {
        let hour: Hour = "2025-03-05T10".parse().unwrap();
        let closes_at = closes_at(&BlockRules::default(), hour);
        let mut stage = Stage::InProgress;
        for told in events.split_whitespace() {
            let (event, seconds) = told.split_once('@').unwrap();
            let event = match event {
                "close" => Event::Close,
                "done" => Event::Done,
                _ => Event::Break,
            };
            let now = hour.start().after(Duration::from_secs(seconds.parse().unwrap()));
            match stage.on(event, closes_at, now) {
                Ok(next) => stage = next,
                Err(refused) => {
                    let why = match refused {
                        Refused::TooEarly { .. } => "too early",
                        Refused::OutOfPlace { stage, .. } => stage,
                    };
                    assert_eq!(format!("refused: {why}"), expected, "{events}");
                    return;
                }
            }
        }
        assert_eq!(stage.name(), expected, "{events}");
    }

    #[test]
    fn life_of_a_block() {
        check("", "in-progress");
        check("close@3634", "refused: too early");
        check("close@3635", "processing");
        check("close@3638 done@3639", "completed");
        check("close@3638 break@3639", "failed");
        check("close@3638 break@3639 close@9000 done@9001", "completed");
        check("close@3638 close@3639", "refused: processing");
        check("close@3638 done@3639 close@3640", "refused: completed");
        check("close@3638 done@3639 break@3640", "refused: completed");
        check("done@3640", "refused: in-progress");
        check("close@3638 break@3639 done@3640", "refused: failed");
    }
}
