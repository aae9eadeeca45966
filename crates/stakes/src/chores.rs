//! What becomes due by time alone.

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, OfferId, Timestamp, WorkerId};

use crate::offer::OfferEvent;
use crate::stakes::Stakes;

/// Something that is due at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Chore {
    /// A leaving co-staker's coins stop counting.
    WaitOver(OfferId),
}

/// What happened by time alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A leaving co-staker's coins stopped counting and cool down. No money moves.
    CoStakeCools {
        /// The offer.
        offer: OfferId,
        /// The device.
        worker: WorkerId,
        /// The co-staker.
        account: AccountId,
        /// How many coins.
        amount: Coins,
        /// When they can be withdrawn.
        withdrawable_at: Timestamp,
    },
}

impl Stakes {
    /// When [`Stakes::on_wake`] next has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Does what is due, and says what it was, oldest first.
    pub fn on_wake(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(&(at, chore)) = self.agenda.first() {
            if at > now {
                break;
            }
            self.agenda.pop_first();
            match chore {
                Chore::WaitOver(offer) => effects.extend(self.on_wait_over(offer, now)),
            }
        }
        effects
    }

    fn on_wait_over(&mut self, id: OfferId, now: Timestamp) -> Option<Effect> {
        let worker = self.offers.get(&id)?.worker;
        let (account, amount) = self.cool_co_stake(worker, OfferEvent::WaitOver, now)?;
        let withdrawable_at = self.devices.get(&worker)?.cools_until(account)?;
        Some(Effect::CoStakeCools { offer: id, worker, account, amount, withdrawable_at })
    }
}
