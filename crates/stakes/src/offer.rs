//! An owner's offer of a share of a device's rewards for a part of its stake: one table, and what it is called.
//!
//! ```text
//!  open ──accepted──► active ──left──► leaving ──wait over──► cooling ──withdrawn──► withdrawn
//!    │retracted          └──── owner unstaked ─────┴───────────▲  │
//!    ▼                                                            ▼ all of it burned
//!  closed ◄───────────────────────────────────────────────────────┘
//! ```

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, Hour, Timestamp, WorkerId};

/// An offer and what became of it. Its terms never change; to change them, retract it and make another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The device.
    pub worker: WorkerId,
    /// Who offers: the owner of the device.
    pub owner: AccountId,
    /// The part of the device's need that is asked for, in ten-thousandths.
    pub portion_bp: u16,
    /// The coins that is, by the need when the offer was made.
    pub amount: Coins,
    /// The co-staker's share of the device's block rewards, in ten-thousandths.
    pub share_bp: u16,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who took it.
    pub claim: Option<Claim>,
    /// Where it stands.
    pub state: OfferState,
}

/// Who took an offer, and for which time rewards are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The co-staker.
    pub account: AccountId,
    /// From when the co-staker earns.
    pub since: Timestamp,
    /// Until when the co-staker earned, once it is over.
    pub until: Option<Timestamp>,
}

impl Claim {
    /// Whether the co-staker's coins stood for all of an hour, which is what earns a share of its rewards.
    pub fn earns(&self, hour: Hour) -> bool {
        self.since <= hour.start() && self.until.is_none_or(|until| until >= hour.end())
    }
}

/// Where an offer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum OfferState {
    /// Nobody took it yet.
    Open,
    /// The co-staker's coins count and earn.
    Active,
    /// The co-staker leaves: the coins still count, and earn the co-staker nothing.
    Leaving {
        /// Until when they count.
        until: Timestamp,
        /// When they can be withdrawn.
        withdrawable_at: Timestamp,
    },
    /// The co-staker's coins cool down.
    Cooling {
        /// When they can be withdrawn.
        withdrawable_at: Timestamp,
    },
    /// The co-staker has them back.
    Withdrawn {
        /// Since when.
        at: Timestamp,
    },
    /// Retracted, or nothing is left of the co-staker's coins.
    Closed {
        /// Since when.
        at: Timestamp,
    },
}

/// What can happen to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfferEvent {
    /// Somebody takes it.
    Accepted,
    /// The owner takes it back.
    Retracted,
    /// The co-staker leaves.
    Left {
        /// Until when the coins count.
        until: Timestamp,
        /// When they can be withdrawn.
        withdrawable_at: Timestamp,
    },
    /// The wait is over.
    WaitOver,
    /// The owner unstaked, and the co-staker with it.
    OwnerUnstaked {
        /// When the coins can be withdrawn.
        withdrawable_at: Timestamp,
    },
    /// The last of the co-staker's coins were paid out.
    PaidOut,
    /// The last of the co-staker's coins were burned.
    Burned,
}

/// An event that does not apply to where the offer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the offer is {state}")]
pub struct OfferStands {
    /// Where it stands, as [`OfferState::text`].
    pub state: &'static str,
}

impl OfferState {
    /// The state after `event`, or why the event does not apply. Nothing else moves an offer.
    pub(crate) fn on(self, event: OfferEvent, now: Timestamp) -> Result<Self, OfferStands> {
        use {OfferEvent as E, OfferState as S};
        let next = match (self, event) {
            (S::Open, E::Accepted) => S::Active,
            (S::Open, E::Retracted) => S::Closed { at: now },
            (S::Active, E::Left { until, withdrawable_at }) => {
                S::Leaving { until, withdrawable_at }
            }
            (S::Active | S::Leaving { .. }, E::OwnerUnstaked { withdrawable_at }) => {
                S::Cooling { withdrawable_at }
            }
            (S::Leaving { until, withdrawable_at }, E::WaitOver) if now >= until => {
                S::Cooling { withdrawable_at }
            }
            (S::Cooling { withdrawable_at }, E::PaidOut) if now >= withdrawable_at => {
                S::Withdrawn { at: now }
            }
            (S::Active | S::Leaving { .. } | S::Cooling { .. }, E::Burned) => S::Closed { at: now },
            // Spelled out, so that a new state or event does not compile until it has a row.
            (
                S::Open
                | S::Active
                | S::Leaving { .. }
                | S::Cooling { .. }
                | S::Withdrawn { .. }
                | S::Closed { .. },
                E::Accepted
                | E::Retracted
                | E::Left { .. }
                | E::WaitOver
                | E::OwnerUnstaked { .. }
                | E::PaidOut
                | E::Burned,
            ) => return Err(OfferStands { state: self.text() }),
        };
        Ok(next)
    }

    /// Whether the co-staker's coins count for the device at `now`. A wait that is over ends the counting by itself.
    pub fn counts(&self, now: Timestamp) -> bool {
        match self {
            Self::Active => true,
            Self::Leaving { until, .. } => now < *until,
            Self::Open | Self::Cooling { .. } | Self::Withdrawn { .. } | Self::Closed { .. } => {
                false
            }
        }
    }

    /// Whether the offer is one of those its taker may only have a few of.
    pub const fn is_claimed(&self) -> bool {
        match self {
            Self::Active | Self::Leaving { .. } => true,
            Self::Open | Self::Cooling { .. } | Self::Withdrawn { .. } | Self::Closed { .. } => {
                false
            }
        }
    }

    /// Whether nothing can happen to it any more.
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Withdrawn { .. } | Self::Closed { .. } => true,
            Self::Open | Self::Active | Self::Leaving { .. } | Self::Cooling { .. } => false,
        }
    }

    /// When its time is over, if time alone moves it.
    pub const fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Leaving { until, .. } => Some(*until),
            Self::Open
            | Self::Active
            | Self::Cooling { .. }
            | Self::Withdrawn { .. }
            | Self::Closed { .. } => None,
        }
    }

    /// How it is written.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Active => "active",
            Self::Leaving { .. } => "leaving",
            Self::Cooling { .. } => "cooling",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Closed { .. } => "closed",
        }
    }

    /// What the marketplace calls it, for a device whose stake suffices or does not; for one whose co-staker leaves,
    /// whether it will suffice without.
    pub const fn status(&self, sufficient: bool) -> OfferStatus {
        match (self, sufficient) {
            (Self::Open, true) => OfferStatus::SufficientWaiting,
            (Self::Open, false) => OfferStatus::InsufficientWaiting,
            (Self::Active, true) => OfferStatus::SufficientActive,
            (Self::Active, false) => OfferStatus::InsufficientActive,
            (Self::Leaving { .. }, true) => OfferStatus::UnstakedCovered,
            (Self::Leaving { .. }, false) => OfferStatus::UnstakedUncovered,
            (Self::Cooling { .. }, true | false) => OfferStatus::InCooldown,
            (Self::Withdrawn { .. }, true | false) => OfferStatus::Withdrawn,
            (Self::Closed { .. }, true | false) => OfferStatus::Closed,
        }
    }
}

/// What the marketplace calls an offer's state.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OfferStatus {
    /// The owner's stake suffices, nobody took the offer yet.
    SufficientWaiting,
    /// The owner's stake does not suffice, nobody took the offer yet.
    InsufficientWaiting,
    /// Taken, and the stake suffices.
    SufficientActive,
    /// Taken, and the stake does not suffice: the need grew, or a slash locked a part.
    InsufficientActive,
    /// The co-staker leaves, and the owner's stake suffices without.
    UnstakedCovered,
    /// The co-staker leaves, and the owner must cover the part before the wait ends.
    UnstakedUncovered,
    /// The co-staker's coins cool down.
    InCooldown,
    /// The co-staker has the coins back.
    Withdrawn,
    /// Over.
    Closed,
}

impl OfferStatus {
    /// The words that a person reads.
    pub const fn text(self) -> &'static str {
        match self {
            Self::SufficientWaiting => "Sufficient Stake (Waiting for Co-Staker)",
            Self::InsufficientWaiting => "Insufficient Stake (Waiting for Co-Staker)",
            Self::SufficientActive => "Sufficient Stake (Active Co-Staking)",
            Self::InsufficientActive => "Insufficient Stake (Active Co-Staking)",
            Self::UnstakedCovered | Self::UnstakedUncovered => {
                "Co-Staker Unstaked (In Wait Period)"
            }
            Self::InCooldown => "In Cooldown",
            Self::Withdrawn => "Co-Staker Withdrawn",
            Self::Closed => "Offer Closed",
        }
    }

    /// Whether the owner must act for the device to go on earning: shown in red.
    pub const fn is_alarm(self) -> bool {
        match self {
            Self::InsufficientWaiting | Self::InsufficientActive | Self::UnstakedUncovered => true,
            Self::SufficientWaiting
            | Self::SufficientActive
            | Self::UnstakedCovered
            | Self::InCooldown
            | Self::Withdrawn
            | Self::Closed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000)
    }

    /// Tells an open offer these events, a day apart unless a number says on which day, and names where it stands.
    fn check(events: &str, expected: &str) {
        let (mut state, mut refused, mut today) = (OfferState::Open, "", 0);
        for word in events.split_whitespace() {
            let event = match word {
                "accepted" => OfferEvent::Accepted,
                "retracted" => OfferEvent::Retracted,
                "left" => {
                    OfferEvent::Left { until: day(today + 7), withdrawable_at: day(today + 21) }
                }
                "wait-over" => OfferEvent::WaitOver,
                "owner-unstaked" => OfferEvent::OwnerUnstaked { withdrawable_at: day(today + 14) },
                "paid-out" => OfferEvent::PaidOut,
                "burned" => OfferEvent::Burned,
                number => {
                    today = number.parse().expect("an event or a day");
                    continue;
                }
            };
            match state.on(event, day(today)) {
                Ok(next) => state = next,
                Err(_) => refused = "refused: ",
            }
        }
        assert_eq!(format!("{refused}{}", state.text()), expected, "{events}");
    }

    #[test]
    fn the_life_of_an_offer() {
        check("", "open");
        check("retracted", "closed");
        check("accepted", "active");
        check("accepted left", "leaving");
        check("accepted left 7 wait-over", "cooling");
        check("accepted left 7 wait-over 21 paid-out", "withdrawn");
        check("accepted owner-unstaked", "cooling");
        check("accepted left owner-unstaked 14 paid-out", "withdrawn");
        check("accepted burned", "closed");
    }

    #[test]
    fn nothing_happens_out_of_turn() {
        check("left", "refused: open");
        check("accepted accepted", "refused: active");
        check("accepted retracted", "refused: active");
        check("retracted accepted", "refused: closed");
        check("accepted left 6 wait-over", "refused: leaving");
        check("accepted left left", "refused: leaving");
        check("accepted left 7 wait-over 20 paid-out", "refused: cooling");
        check("accepted paid-out", "refused: active");
        check("accepted left 7 wait-over 21 paid-out burned", "refused: withdrawn");
    }

    #[test]
    fn every_state_has_the_name_people_know() {
        let leaving = OfferState::Leaving { until: day(7), withdrawable_at: day(21) };
        let rows = [
            (OfferState::Open, true, "Sufficient Stake (Waiting for Co-Staker)", false),
            (OfferState::Open, false, "Insufficient Stake (Waiting for Co-Staker)", true),
            (OfferState::Active, true, "Sufficient Stake (Active Co-Staking)", false),
            (OfferState::Active, false, "Insufficient Stake (Active Co-Staking)", true),
            (leaving, true, "Co-Staker Unstaked (In Wait Period)", false),
            (leaving, false, "Co-Staker Unstaked (In Wait Period)", true),
            (OfferState::Cooling { withdrawable_at: day(21) }, true, "In Cooldown", false),
            (OfferState::Withdrawn { at: day(21) }, false, "Co-Staker Withdrawn", false),
            (OfferState::Closed { at: day(1) }, false, "Offer Closed", false),
        ];
        for (state, sufficient, text, alarm) in rows {
            let status = state.status(sufficient);
            assert_eq!((status.text(), status.is_alarm()), (text, alarm), "{state:?}");
        }
    }
}
