//! What becomes due by time alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, OfferId, SlashId, Timestamp, WorkerId};

use crate::offer::{OfferEvent, OfferState};
use crate::slash::SlashEvent;
use crate::stakes::Stakes;

/// Something that is due at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Chore {
    /// A leaving co-staker's coins stop counting.
    WaitOver(OfferId),
    /// The time to appeal, or to decide an appeal, is over.
    SlashDue(SlashId),
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
    /// A slash stands: its coins are to be burned, from the purse of stakes.
    Burned {
        /// The slash.
        slash: SlashId,
        /// The device.
        worker: WorkerId,
        /// What was taken of stakes.
        stake: Coins,
        /// What was taken of rewards.
        rewards: Coins,
    },
    /// A slash was overturned: stakes are as they would be without it, and rewards are to be given back.
    Restored {
        /// The slash.
        slash: SlashId,
        /// The device.
        worker: WorkerId,
        /// What went back to stakes. No money moves for it.
        stake: Coins,
        /// What is to go back from the purse of stakes to rewards, and whose it is.
        rewards: BTreeMap<AccountId, Coins>,
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
                Chore::SlashDue(slash) => {
                    let ended = self.step(slash, SlashEvent::TimeUp, now);
                    effects.extend(ended.expect("a slash whose time is over ends"));
                }
            }
        }
        effects
    }

    fn on_wait_over(&mut self, id: OfferId, now: Timestamp) -> Option<Effect> {
        let worker = self.offers.get(&id)?.worker;
        let (account, amount) = self.cool_co_stake(worker, OfferEvent::WaitOver, now)?;
        let OfferState::Cooling { withdrawable_at } = self.offers.get(&id)?.state else {
            return None;
        };
        Some(Effect::CoStakeCools { offer: id, worker, account, amount, withdrawable_at })
    }
}
