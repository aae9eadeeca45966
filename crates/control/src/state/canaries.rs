//! What the proofs that a renter asked for have said of a rented machine.
//!
//! # Invariants
//! - A machine that was found not to be what was rented stays so for that rental: what it proves later changes nothing.
//! - What came to nothing counts neither way.

use std::collections::BTreeSet;

use proofs::log::Entry;
use proofs::{Outcome, Reason};
use serde::{Deserialize, Serialize};
use units::{BlobId, Timestamp, WorkerId};

use super::nouns::Rental;

/// Cards of a machine of which is kept that they were slow: more than a machine has.
const SLOW_CARDS_MAX: usize = 64;

/// A proof by which a machine is not what was rented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfit {
    /// When its verdict was taken in.
    pub at: Timestamp,
    /// Its session.
    pub session: [u8; 16],
    /// What was wrong, or slow.
    pub reason: Reason,
}

/// What canaries have said of one machine in one rental.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// How many came to a verdict that counts.
    pub canaries: u32,
    /// Cards whose last canary was slow.
    pub slow: BTreeSet<BlobId>,
    /// The first by which it is not what was rented.
    pub unfit: Option<Unfit>,
}

impl Rental {
    /// The first proof by which a machine of it is not what was rented. Whoever pays may then end it as if the supply
    /// side had: only what was served is charged.
    pub fn unfit(&self) -> Option<(WorkerId, Unfit)> {
        let found = self.checked.iter().filter_map(|(worker, said)| Some((*worker, said.unfit?)));
        found.min_by_key(|(worker, unfit)| (unfit.at, *worker))
    }
}

impl Checked {
    /// Takes in a verdict. A wrong answer is enough; slowness only when it comes twice in a row, since the renter's own
    /// work can be the cause of one.
    pub(crate) fn take(&mut self, entry: &Entry, now: Timestamp) {
        let outcome = proofs::worst(&entry.tasks);
        let card = BlobId::from_sha256(entry.card);
        let is_unfit = match outcome {
            Outcome::Inconclusive => return,
            Outcome::Pass => {
                self.slow.remove(&card);
                false
            }
            Outcome::Slow => {
                let was_slow = self.slow.contains(&card);
                if self.slow.len() < SLOW_CARDS_MAX {
                    self.slow.insert(card);
                }
                was_slow
            }
            Outcome::Fail => true,
        };
        self.canaries = self.canaries.saturating_add(1);
        if is_unfit && self.unfit.is_none() {
            let judged = entry.tasks.iter().find(|judged| judged.outcome() == outcome);
            let reason = judged.map_or(Reason::None, |judged| judged.reason);
            self.unfit = Some(Unfit { at: now, session: entry.session, reason });
        }
    }
}
