//! The life of a rental: one table.

use units::Timestamp;

use crate::limits::{CLEARING_MAX, DEPLOYING_MAX, PAYMENT_MAX};

/// Where a rental stands. A variant holds only what is true in that stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A price was promised.
    Quoted {
        /// Until when it holds.
        until: Timestamp,
    },
    /// Accepted; machines are kept while the money is missing.
    AwaitingPayment {
        /// Until when they are kept.
        until: Timestamp,
    },
    /// Paid into a hold; the machines are coming up.
    Deploying {
        /// By when they must be up.
        until: Timestamp,
    },
    /// The renter has the machines.
    Running {
        /// Since when.
        since: Timestamp,
        /// Until when they are booked.
        until: Timestamp,
    },
    /// Settled; the machines are being cleared.
    Ending {
        /// Why it ends.
        why: Ending,
        /// When the machines are given back in any case.
        until: Timestamp,
    },
    /// Over.
    Ended {
        /// When it was.
        at: Timestamp,
        /// Why it ended.
        why: Ending,
    },
}

/// Why a rental ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// The booked time is over.
    Completed,
    /// The renter ended it.
    Cancelled,
    /// The supply side could not keep it up.
    Failed,
    /// It was a spot rental, and its machines were wanted back.
    Reclaimed,
    /// It was never paid.
    Unpaid,
    /// The quote was not taken up in time.
    Lapsed,
}

impl Ending {
    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Reclaimed => "reclaimed",
            Self::Unpaid => "unpaid",
            Self::Lapsed => "lapsed",
        }
    }
}

/// What can happen to a rental.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The renter takes the quote; the money is not there yet.
    Accepted,
    /// The money is in the hold: with the acceptance, or later.
    Paid,
    /// Every node is up.
    Ready {
        /// Until when the booked time runs.
        until: Timestamp,
    },
    /// The renter has booked more time.
    Extended {
        /// Until when the booked time runs now.
        until: Timestamp,
    },
    /// Its machines are wanted back: the renter has a little time to go.
    Warned {
        /// Until when.
        until: Timestamp,
    },
    /// That time is over.
    Reclaimed,
    /// The renter wants no more of it.
    Cancelled,
    /// The supply side cannot keep it up.
    Failed,
    /// The stage's time is over.
    Expired,
    /// Every machine is cleared.
    Cleared,
}

/// An event that does not apply to where the rental stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rental is {stage}")]
pub struct StageRefusal {
    /// Where it stands, as [`Stage::text`].
    pub stage: &'static str,
}

impl Stage {
    /// The stage after `event`, or why the event does not apply. Nothing else moves a rental.
    pub fn on(self, event: Event, now: Timestamp) -> Result<Self, StageRefusal> {
        use {Event as E, Stage as S};
        let next = match (self, event) {
            (S::Quoted { until }, E::Accepted) if now < until => {
                S::AwaitingPayment { until: now.after(PAYMENT_MAX) }
            }
            (S::Quoted { until }, E::Paid) if now < until => S::deploying(now),
            (S::Quoted { until }, E::Expired) if now >= until => S::ended(now, Ending::Lapsed),
            (S::AwaitingPayment { until }, E::Paid) if now < until => S::deploying(now),
            (S::AwaitingPayment { .. }, E::Cancelled) => S::ended(now, Ending::Cancelled),
            (S::AwaitingPayment { until }, E::Expired) if now >= until => {
                S::ended(now, Ending::Unpaid)
            }
            (S::Deploying { .. }, E::Ready { until }) => S::Running { since: now, until },
            (S::Deploying { .. }, E::Cancelled) => S::clearing(now, Ending::Cancelled),
            (S::Deploying { .. }, E::Failed) => S::clearing(now, Ending::Failed),
            (S::Deploying { until }, E::Expired) if now >= until => {
                S::clearing(now, Ending::Failed)
            }
            (S::Running { since, until }, E::Extended { until: later }) if now < until => {
                S::Running { since, until: until.max(later) }
            }
            (S::Running { since, until }, E::Warned { until: earlier }) => {
                S::Running { since, until: until.min(earlier.max(now)) }
            }
            (S::Running { until, .. }, E::Reclaimed) if now >= until => {
                S::clearing(now, Ending::Reclaimed)
            }
            (S::Running { .. }, E::Cancelled) => S::clearing(now, Ending::Cancelled),
            (S::Running { .. }, E::Failed) => S::clearing(now, Ending::Failed),
            (S::Running { until, .. }, E::Expired) if now >= until => {
                S::clearing(now, Ending::Completed)
            }
            (S::Ending { why, .. }, E::Cleared) => S::ended(now, why),
            (S::Ending { why, until }, E::Expired) if now >= until => S::ended(now, why),
            // Spelled out, so that a new stage or event does not compile until it has a row.
            (
                S::Quoted { .. }
                | S::AwaitingPayment { .. }
                | S::Deploying { .. }
                | S::Running { .. }
                | S::Ending { .. }
                | S::Ended { .. },
                E::Accepted
                | E::Paid
                | E::Ready { .. }
                | E::Extended { .. }
                | E::Warned { .. }
                | E::Reclaimed
                | E::Cancelled
                | E::Failed
                | E::Expired
                | E::Cleared,
            ) => return Err(StageRefusal { stage: self.text() }),
        };
        Ok(next)
    }

    /// When its time is over, if it has one.
    pub const fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Quoted { until }
            | Self::AwaitingPayment { until }
            | Self::Deploying { until }
            | Self::Running { until, .. }
            | Self::Ending { until, .. } => Some(*until),
            Self::Ended { .. } => None,
        }
    }

    /// Whether the renter's money lies in a hold.
    pub const fn holds_money(&self) -> bool {
        match self {
            Self::Deploying { .. } | Self::Running { .. } => true,
            Self::Quoted { .. }
            | Self::AwaitingPayment { .. }
            | Self::Ending { .. }
            | Self::Ended { .. } => false,
        }
    }

    /// Whether machines are kept for it.
    pub const fn holds_seats(&self) -> bool {
        match self {
            Self::AwaitingPayment { .. }
            | Self::Deploying { .. }
            | Self::Running { .. }
            | Self::Ending { .. } => true,
            Self::Quoted { .. } | Self::Ended { .. } => false,
        }
    }

    /// Whether its nodes should run.
    pub const fn wants_nodes(&self) -> bool {
        match self {
            Self::Deploying { .. } | Self::Running { .. } => true,
            Self::Quoted { .. }
            | Self::AwaitingPayment { .. }
            | Self::Ending { .. }
            | Self::Ended { .. } => false,
        }
    }

    /// How it is written.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Quoted { .. } => "quoted",
            Self::AwaitingPayment { .. } => "awaiting-payment",
            Self::Deploying { .. } => "deploying",
            Self::Running { .. } => "running",
            Self::Ending { .. } => "ending",
            Self::Ended { .. } => "ended",
        }
    }

    /// Why it ends or ended.
    pub const fn ending(&self) -> Option<Ending> {
        match self {
            Self::Ending { why, .. } | Self::Ended { why, .. } => Some(*why),
            Self::Quoted { .. }
            | Self::AwaitingPayment { .. }
            | Self::Deploying { .. }
            | Self::Running { .. } => None,
        }
    }

    fn deploying(now: Timestamp) -> Self {
        Self::Deploying { until: now.after(DEPLOYING_MAX) }
    }

    fn clearing(now: Timestamp, why: Ending) -> Self {
        Self::Ending { why, until: now.after(CLEARING_MAX) }
    }

    fn ended(now: Timestamp, why: Ending) -> Self {
        Self::Ended { at: now, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::{HOUR, MINUTE};

    /// Tells a quoted rental these events, a minute apart unless `later` comes between, and names where it stands.
    fn check(events: &str, expected: &str) {
        let mut now = Timestamp::from_millis(0);
        let mut stage = Stage::Quoted { until: now.after(crate::QUOTE_VALID) };
        let mut refused = "";
        for word in events.split_whitespace() {
            let event = match word {
                "accepted" => Event::Accepted,
                "paid" => Event::Paid,
                "ready" => Event::Ready { until: now.after(HOUR) },
                "warned" => Event::Warned { until: now.after(MINUTE * 5) },
                "reclaimed" => Event::Reclaimed,
                "extended" => Event::Extended { until: now.after(HOUR * 3) },
                "cancelled" => Event::Cancelled,
                "failed" => Event::Failed,
                "expired" => Event::Expired,
                "cleared" => Event::Cleared,
                "later" => {
                    now = now.after(HOUR);
                    continue;
                }
                other => panic!("no event is called {other}"),
            };
            now = now.after(MINUTE);
            match stage.on(event, now) {
                Ok(next) => stage = next,
                Err(_) => refused = "refused: ",
            }
        }
        let why = stage.ending().map_or(String::new(), |why| format!(" {}", why.text()));
        assert_eq!(format!("{refused}{}{why}", stage.text()), expected, "{events}");
    }

    #[test]
    fn the_life_of_a_rental() {
        check("", "quoted");
        check("accepted", "awaiting-payment");
        check("accepted paid", "deploying");
        check("paid ready", "running");
        check("paid ready later expired", "ending completed");
        check("paid ready later expired cleared", "ended completed");
        check("paid ready extended", "running");
        check("paid ready extended later later expired", "refused: running");
        check("paid ready extended later later later expired", "ending completed");
        check("paid ready warned", "running");
        check("paid ready warned reclaimed", "refused: running");
        check("paid ready warned later reclaimed", "ending reclaimed");
        check("paid ready warned later extended", "refused: running");
        check("paid warned", "refused: deploying");
        check("paid extended", "refused: deploying");
        check("paid ready later extended", "refused: running");
        check("paid ready cancelled", "ending cancelled");
        check("paid ready failed cleared", "ended failed");
    }

    #[test]
    fn what_takes_too_long_ends() {
        check("later expired", "ended lapsed");
        check("accepted later expired", "ended unpaid");
        check("paid later expired", "ending failed");
        check("paid failed later expired", "ended failed");
    }

    #[test]
    fn nothing_happens_out_of_turn() {
        check("expired", "refused: quoted");
        check("later paid", "refused: quoted");
        check("ready", "refused: quoted");
        check("accepted later paid", "refused: awaiting-payment");
        check("paid paid", "refused: deploying");
        check("paid ready ready", "refused: running");
        check("paid ready cancelled cancelled", "refused: ending cancelled");
        check("paid ready cancelled failed cleared", "refused: ended cancelled");
        check("later expired cleared", "refused: ended lapsed");
    }

    #[test]
    fn whoever_holds_money_holds_machines() {
        let now = Timestamp::from_millis(0);
        let stages = [
            Stage::Quoted { until: now },
            Stage::AwaitingPayment { until: now },
            Stage::Deploying { until: now },
            Stage::Running { since: now, until: now },
            Stage::Ending { why: Ending::Failed, until: now },
            Stage::Ended { at: now, why: Ending::Failed },
        ];
        for stage in stages {
            assert!(!stage.holds_money() || stage.holds_seats(), "{stage:?}");
            assert!(stage.wants_nodes() == stage.holds_money(), "{stage:?}");
        }
    }
}
