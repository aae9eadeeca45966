//! The life of a slash: one table.
//!
//! ```text
//!  open ──appealed──► appealed ──upheld──► upheld: burned
//!   │ │time up            │overturned, time up
//!   │ ▼                   ▼
//!   │ expired: burned   overturned: given back
//!   └─overturned──────────▲
//! ```
//! Silence decides for whoever waits for the other: a slash nobody appeals is burned, an appeal nobody decides is
//! granted.

use serde::{Deserialize, Serialize};
use units::Timestamp;

/// Where a slash stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SlashStage {
    /// The coins are locked, and the accused may appeal.
    Open {
        /// Until when.
        until: Timestamp,
    },
    /// The accused appealed, and the coins stay locked.
    Appealed {
        /// Until when it must be decided.
        until: Timestamp,
    },
    /// The appeal was lost, and the coins are burned.
    Upheld {
        /// When.
        at: Timestamp,
    },
    /// The coins are back where they were taken.
    Overturned {
        /// When.
        at: Timestamp,
    },
    /// Nobody appealed, and the coins are burned.
    Expired {
        /// When.
        at: Timestamp,
    },
}

/// What can happen to a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlashEvent {
    /// The accused appeals.
    Appealed {
        /// Until when the appeal must be decided.
        decide_by: Timestamp,
    },
    /// It is decided that it was right.
    Upheld,
    /// It is decided that it was wrong.
    Overturned,
    /// The stage's time is over.
    TimeUp,
}

/// An event that does not apply to where the slash stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the slash is {state}")]
pub struct SlashStands {
    /// Where it stands, as [`SlashStage::text`].
    pub state: &'static str,
}

impl SlashStage {
    /// The stage after `event`, or why the event does not apply. Nothing else moves a slash.
    pub fn on(self, event: SlashEvent, now: Timestamp) -> Result<Self, SlashStands> {
        use {SlashEvent as E, SlashStage as S};
        let next = match (self, event) {
            (S::Open { until }, E::Appealed { decide_by }) if now < until => {
                S::Appealed { until: decide_by }
            }
            (S::Open { until }, E::TimeUp) if now >= until => S::Expired { at: now },
            (S::Open { .. } | S::Appealed { .. }, E::Overturned) => S::Overturned { at: now },
            (S::Appealed { until }, E::TimeUp) if now >= until => S::Overturned { at: now },
            (S::Appealed { .. }, E::Upheld) => S::Upheld { at: now },
            // Spelled out, so that a new stage or event does not compile until it has a row.
            (
                S::Open { .. }
                | S::Appealed { .. }
                | S::Upheld { .. }
                | S::Overturned { .. }
                | S::Expired { .. },
                E::Appealed { .. } | E::Upheld | E::Overturned | E::TimeUp,
            ) => return Err(SlashStands { state: self.text() }),
        };
        Ok(next)
    }

    /// When its time is over, if it has one: while the coins are locked.
    pub const fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Open { until } | Self::Appealed { until } => Some(*until),
            Self::Upheld { .. } | Self::Overturned { .. } | Self::Expired { .. } => None,
        }
    }

    /// Whether the coins are locked.
    pub const fn holds_coins(&self) -> bool {
        self.due_at().is_some()
    }

    /// Whether the coins are burned: the offence stands.
    pub const fn is_burned(&self) -> bool {
        match self {
            Self::Upheld { .. } | Self::Expired { .. } => true,
            Self::Open { .. } | Self::Appealed { .. } | Self::Overturned { .. } => false,
        }
    }

    /// How it is written.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Appealed { .. } => "appealed",
            Self::Upheld { .. } => "upheld",
            Self::Overturned { .. } => "overturned",
            Self::Expired { .. } => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells an open slash these events, each on the day named before it, and names where it stands.
    fn check(events: &str, expected: &str) {
        let day = |day: u64| Timestamp::from_millis(day * 86_400_000);
        let (mut refused, mut today) = ("", 0);
        let mut stage = SlashStage::Open { until: day(30) };
        for word in events.split_whitespace() {
            let event = match word {
                "appealed" => SlashEvent::Appealed { decide_by: day(today + 30) },
                "upheld" => SlashEvent::Upheld,
                "overturned" => SlashEvent::Overturned,
                "time-up" => SlashEvent::TimeUp,
                number => {
                    today = number.parse().expect("an event or a day");
                    continue;
                }
            };
            match stage.on(event, day(today)) {
                Ok(next) => stage = next,
                Err(_) => refused = "refused: ",
            }
        }
        assert_eq!(format!("{refused}{}", stage.text()), expected, "{events}");
        assert!(!(stage.holds_coins() && stage.is_burned()), "{events}");
    }

    #[test]
    fn the_life_of_a_slash() {
        check("", "open");
        check("30 time-up", "expired");
        check("29 appealed", "appealed");
        check("29 appealed 40 upheld", "upheld");
        check("29 appealed 40 overturned", "overturned");
        check("29 appealed 59 time-up", "overturned");
        check("1 overturned", "overturned");
    }

    #[test]
    fn nothing_happens_out_of_turn() {
        check("29 time-up", "refused: open");
        check("30 appealed", "refused: open");
        check("1 upheld", "refused: open");
        check("1 appealed appealed", "refused: appealed");
        check("1 appealed 30 time-up", "refused: appealed");
        check("30 time-up 31 appealed", "refused: expired");
        check("30 time-up 31 overturned", "refused: expired");
        check("1 appealed 2 upheld 3 overturned", "refused: upheld");
        check("1 overturned 2 upheld", "refused: overturned");
    }
}
