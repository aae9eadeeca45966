//! What is staked on each device, with totals that are kept as it changes, so that nobody has to walk over all devices
//! to know who has a vote, or what is staked altogether.
//!
//! # Invariants
//! - Nothing changes a holding but [`Holdings::change`]: totals are what a walk finds ([`Holdings::sound`]).
//! - Totals are not written down: who reads holdings back finds them anew.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Deref;

use serde::{Deserialize, Serialize, Serializer};
use units::{AccountId, Timestamp, WorkerId};

use crate::device::Holding;
use crate::lots::Lots;

/// The stake of every device that was ever staked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<WorkerId, Holding>")]
pub(crate) struct Holdings {
    by_worker: BTreeMap<WorkerId, Holding>,
    totals: Totals,
}

/// Coins in the smallest unit. Wide enough for whatever is read from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Own and co-staked coins, those of a co-staker who leaves among them until they cool down.
    pub(crate) standing: u128,
    /// What cools down.
    pub(crate) cooling: u128,
    /// What each account has standing.
    pub(crate) of: BTreeMap<AccountId, u128>,
    /// What came when, of whom: what is too young to vote is at the end.
    pub(crate) since: BTreeMap<(Timestamp, AccountId), u128>,
}

impl Holdings {
    /// Changes the stake of a device; `None` when there is none.
    pub(crate) fn change<T>(
        &mut self,
        worker: WorkerId,
        act: impl FnOnce(&mut Holding) -> T,
    ) -> Option<T> {
        let holding = self.by_worker.get_mut(&worker)?;
        self.totals.take_out(holding);
        let told = act(holding);
        self.totals.put_in(holding);
        Some(told)
    }

    /// Remembers a device that this account is the first to stake.
    pub(crate) fn open(&mut self, worker: WorkerId, owner: AccountId) {
        self.by_worker.entry(worker).or_insert_with(|| Holding::of(owner));
    }

    /// What all have together.
    pub(crate) const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Whether the totals are what a walk finds.
    pub(crate) fn sound(&self) -> bool {
        self.totals == Totals::of(&self.by_worker)
    }
}

impl Deref for Holdings {
    type Target = BTreeMap<WorkerId, Holding>;

    fn deref(&self) -> &Self::Target {
        &self.by_worker
    }
}

impl From<BTreeMap<WorkerId, Holding>> for Holdings {
    fn from(by_worker: BTreeMap<WorkerId, Holding>) -> Self {
        let totals = Totals::of(&by_worker);
        Self { by_worker, totals }
    }
}

impl Serialize for Holdings {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.by_worker.serialize(out)
    }
}

impl Totals {
    fn of(by_worker: &BTreeMap<WorkerId, Holding>) -> Self {
        let mut totals = Self::default();
        by_worker.values().for_each(|holding| totals.put_in(holding));
        totals
    }

    fn put_in(&mut self, holding: &Holding) {
        self.cooling += cooling(holding);
        for (account, lots) in standing(holding) {
            for lot in lots.iter().filter(|lot| !lot.amount.is_zero()) {
                let units = u128::from(lot.amount.units());
                self.standing += units;
                *self.of.entry(account).or_default() += units;
                *self.since.entry((lot.since, account)).or_default() += units;
            }
        }
    }

    fn take_out(&mut self, holding: &Holding) {
        self.cooling -= cooling(holding);
        for (account, lots) in standing(holding) {
            for lot in lots.iter() {
                let units = u128::from(lot.amount.units());
                self.standing -= units;
                less(self.of.entry(account), units);
                less(self.since.entry((lot.since, account)), units);
            }
        }
    }
}

/// Whose coins stand for a device.
fn standing(holding: &Holding) -> impl Iterator<Item = (AccountId, &Lots)> {
    let co = holding.co.as_ref().map(|co| (co.account, &co.lots));
    std::iter::once((holding.owner, &holding.own)).chain(co)
}

fn cooling(holding: &Holding) -> u128 {
    holding.cooling.iter().map(|coins| u128::from(coins.amount.units())).sum()
}

/// Nothing is kept of what is nothing, so that equal holdings have equal totals.
fn less<K: Ord>(entry: Entry<'_, K, u128>, units: u128) {
    if let Entry::Occupied(mut entry) = entry {
        *entry.get_mut() -= units;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}
