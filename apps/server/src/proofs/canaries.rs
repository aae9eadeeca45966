//! Canaries: renters have what they rent prove itself, while it is theirs.
//!
//! A renter asks, and gives a nonce if he wants to know by himself that the answer is fresh. Every card of his nodes is
//! then challenged, with little to do, although it is hired. What came of it is sealed like any proof, and says which
//! rental it was given in.
//!
//! # Invariants
//! - A rental has one canary at a time, seldom another, and in a day no more of a node's time than the rules say.
//! - A card is asked again only when it came to nothing, and as often as the rules say.
//! - What is known of canaries is in memory, and their limits with it: a server that starts anew counts from nothing.

mod calls;
mod rented;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proofs::canary::barrier;
use units::{DAY, DeviceKind, MINUTE, RentalId, Timestamp, WorkerId};

use self::rented::{Wanted, wanted};
use super::Proofs;
use super::table::{Desk, Place};
use crate::clock::now;
use crate::limits::CANARIES_MAX;
use crate::writer::Failure;

pub(crate) use self::rented::{Canary, CardStage};

/// Why there is no canary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoCanary {
    /// There is no such rental.
    #[error("there is no such rental")]
    NoRental,
    /// It does not run.
    #[error("not now: the rental is {0}")]
    NotRunning(&'static str),
    /// A node is not ready.
    #[error("not now: node {0} is not ready")]
    NotReady(u32),
    /// No class of proofs is for such machines.
    #[error("not now: nothing is asked of machines like that of node {0}")]
    NoClass(u32),
    /// There was one just now, or one goes on.
    #[error("the rental was checked {} ago; it can be checked again in {}", span(.ago), span(.wait))]
    TooSoon {
        /// How long it is ago.
        ago: Duration,
        /// How long it is until then.
        wait: Duration,
    },
    /// Canaries have taken what they may of a day.
    #[error(
        "checks have taken {secs} s of a node today, and may take no more until tomorrow (UTC)"
    )]
    Spent {
        /// How much.
        secs: u64,
        /// How long it is until then.
        wait: Duration,
    },
    /// Too many are known.
    #[error("there is no room for another check just now")]
    Busy,
}

fn span(span: &Duration) -> String {
    match span.as_secs() {
        secs @ 0..120 => format!("{secs} s"),
        secs => format!("{} min", secs / 60),
    }
}

/// The last canary of a rental, and what all of a day have taken.
#[derive(Debug)]
struct Kept {
    last: Canary,
    /// The day, in days since 1970, and the microseconds of each machine in it.
    day: u64,
    spent_us: BTreeMap<WorkerId, u64>,
}

/// All canaries that are known.
#[derive(Debug, Default)]
pub(super) struct Canaries {
    rentals: BTreeMap<RentalId, Kept>,
    /// Which rentals' canaries go on, by machine.
    going: BTreeMap<WorkerId, BTreeSet<RentalId>>,
}

fn day_of(at: Timestamp) -> u64 {
    at.millis() / millis(DAY)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Canaries {
    /// A renter asks for one. The same nonce again is the same canary.
    pub(super) fn ask(
        &mut self,
        rental: RentalId,
        nonce: [u8; 32],
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Canary, NoCanary> {
        let Wanted { parts, parameters } = wanted;
        let rules = &parameters.proofs.canary;
        let mut spent_us = BTreeMap::new();
        if let Some(kept) = self.rentals.get(&rental) {
            let last = &kept.last;
            if last.nonce == nonce {
                return Ok(last.clone());
            }
            let rest = last.at.after(MINUTE * u32::from(rules.every_minutes));
            let free = if last.is_over(now) { rest } else { rest.max(last.until) };
            if now < free {
                return Err(NoCanary::TooSoon { ago: now.since(last.at), wait: free.since(now) });
            }
            if kept.day == day_of(now) {
                spent_us = kept.spent_us.clone();
            }
        } else if self.rentals.len() >= CANARIES_MAX {
            return Err(NoCanary::Busy);
        }
        let most = spent_us.values().max().copied().unwrap_or_default() / 1_000_000;
        if most >= u64::from(rules.daily_secs) {
            let tomorrow = Timestamp::from_millis((day_of(now) + 1) * millis(DAY));
            return Err(NoCanary::Spent { secs: most, wait: tomorrow.since(now) });
        }
        let until = now.after(MINUTE * u32::from(rules.lasts_minutes));
        let barrier = barrier(&nonce, rental);
        let last = Canary { rental, nonce, barrier, at: now, until, parts, parameters };
        for part in &last.parts {
            self.going.entry(part.worker).or_default().insert(rental);
        }
        self.rentals.insert(rental, Kept { last: last.clone(), day: day_of(now), spent_us });
        Ok(last)
    }

    /// The last canary of a rental.
    pub(super) fn of(&self, rental: RentalId) -> Option<&Canary> {
        self.rentals.get(&rental).map(|kept| &kept.last)
    }

    /// Which rental's canary a card may be asked in: a card's own, of which its machine says that it has it, or any of
    /// a processor.
    fn fitting(
        &self,
        worker: WorkerId,
        card: &[u8; 32],
        held: Option<RentalId>,
    ) -> impl Iterator<Item = (RentalId, usize)> {
        let going = self.going.get(&worker).into_iter().flatten();
        going.filter_map(move |rental| {
            let canary = &self.rentals.get(rental)?.last;
            let at = canary.parts.iter().position(|part| part.worker == worker)?;
            let standing = &canary.parts.get(at)?.standing;
            let is_held = standing.kind == DeviceKind::Cpu || held == Some(*rental);
            (is_held && standing.has(*card)).then_some((*rental, at))
        })
    }

    /// Whether a card of this machine may be asked now.
    pub(super) fn waits_for(
        &self,
        worker: WorkerId,
        card: &[u8; 32],
        held: Option<RentalId>,
        now: Timestamp,
    ) -> bool {
        let is_due = |(rental, at): (RentalId, usize)| {
            let canary = self.of(rental)?;
            let turn = canary.parts.get(at)?.turn(card, canary.rules(), now)?;
            Some(now < canary.until && turn <= now)
        };
        self.fitting(worker, card, held).any(|fits| is_due(fits).unwrap_or(false))
    }

    /// Forgets what is over and no longer counts against anybody.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let today = day_of(now);
        self.rentals.retain(|_, kept| {
            let rest = kept.last.at.after(MINUTE * u32::from(kept.last.rules().every_minutes));
            now < kept.last.until || now < rest || kept.day == today
        });
        let rentals = &self.rentals;
        self.going.retain(|_, going| {
            going.retain(|id| rentals.get(id).is_some_and(|kept| !kept.last.is_over(now)));
            !going.is_empty()
        });
    }
}

impl Proofs {
    /// What a card is to do for a renter, if one asked.
    pub(super) fn place_canary(
        &self,
        of: (WorkerId, [u8; 32]),
        held: Option<RentalId>,
    ) -> Option<Place> {
        let salt = |session: &[u8; 16]| self.salt(session);
        let desk = Desk { key: &self.key, secret: &self.calls, salt: &salt };
        self.table(|table| table.place_canary(&desk, of, held, now()))
    }

    /// A renter asks for a check of what he rents. The same nonce again is the same check.
    ///
    /// # Errors
    /// When the brain does not answer, or there is none now.
    pub(crate) async fn ask_canary(
        &self,
        rental: RentalId,
        nonce: [u8; 32],
    ) -> Result<Result<Canary, NoCanary>, Failure> {
        let wanted = self.writer.look(move |state| wanted(state, rental)).await?;
        let asked =
            wanted.and_then(|it| self.table(|table| table.canaries.ask(rental, nonce, it, now())));
        if asked.is_ok() {
            self.bell.send_modify(|rings| *rings += 1);
        }
        Ok(asked)
    }

    /// The last check of a rental that this server knows of.
    pub(crate) fn canary(&self, rental: RentalId) -> Option<Canary> {
        self.table(|table| table.canaries.of(rental).cloned())
    }
}

#[cfg(test)]
mod tests;
