//! What is staked on one device: own coins, at most one co-staker's, and what cools down.

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, OfferId, SlashId, Timestamp, WorkerId};

use crate::lots::{Lots, sum};

/// What the caller knows of a device at the moment it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which one.
    pub worker: WorkerId,
    /// What it must have at stake, by [`crate::StakeRules::need`].
    pub need: Coins,
    /// Whether a renter has it.
    pub hired: bool,
}

/// Coins that no longer count and cannot be withdrawn yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cooling {
    /// Whose they are.
    pub account: AccountId,
    /// How many.
    pub amount: Coins,
    /// Until when they counted: for what happened later a co-staker does not answer.
    pub stood_until: Timestamp,
    /// When they can be withdrawn.
    pub withdrawable_at: Timestamp,
    /// The offer they were staked by, for a co-staker's.
    pub offer: Option<OfferId>,
}

/// A co-staker's coins on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoStake {
    pub(crate) offer: OfferId,
    pub(crate) account: AccountId,
    pub(crate) lots: Lots,
}

/// Everything staked on one device, but for what slashes lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Holding {
    pub(crate) owner: AccountId,
    pub(crate) own: Lots,
    pub(crate) co: Option<CoStake>,
    pub(crate) cooling: Vec<Cooling>,
    /// Offers, oldest first; those that are over are forgotten beyond a limit.
    pub(crate) offers: Vec<OfferId>,
    /// Slashes, oldest first; those that are over are forgotten beyond a limit.
    pub(crate) slashes: Vec<SlashId>,
}

impl Holding {
    pub(crate) fn of(owner: AccountId) -> Self {
        Self {
            owner,
            own: Lots::default(),
            co: None,
            cooling: Vec::new(),
            offers: Vec::new(),
            slashes: Vec::new(),
        }
    }

    /// What the co-staker has in it.
    pub(crate) fn co_total(&self) -> Coins {
        self.co.as_ref().map_or(Coins::ZERO, |co| co.lots.total())
    }

    /// When the last of this account's coins can be withdrawn, if any cool down.
    pub(crate) fn cools_until(&self, account: AccountId) -> Option<Timestamp> {
        let own = self.cooling.iter().filter(|cooling| cooling.account == account);
        own.map(|cooling| cooling.withdrawable_at).max()
    }

    /// Coins begin to cool down, or come back to where they did.
    pub(crate) fn cool(&mut self, coins: Cooling) {
        if coins.amount.is_zero() {
            return;
        }
        let same = |known: &&mut Cooling| Cooling { amount: coins.amount, ..**known } == coins;
        match self.cooling.iter_mut().find(same) {
            Some(known) => known.amount = sum([known.amount, coins.amount]),
            None => self.cooling.push(coins),
        }
    }
}

/// What a device has at stake beside what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What counts: own and co-staked coins, less what is locked.
    pub have: Coins,
    /// What it must have.
    pub need: Coins,
    /// Whether that suffices.
    pub sufficient: bool,
    /// The owner's coins that count.
    pub own: Coins,
    /// The co-staker's coins that count.
    pub co: Coins,
    /// Until when the co-staker's coins count, for one that leaves.
    pub co_until: Option<Timestamp>,
    /// What the owner may take out at any time.
    pub overflow: Coins,
    /// What slashes lock.
    pub locked: Coins,
    /// What cools down, whose it is and until when.
    pub cooling: Vec<Cooling>,
}
