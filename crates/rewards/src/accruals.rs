//! What blocks have paid and nobody has claimed yet: by account, and by the machine it was earned with.
//!
//! # Invariants
//! - `total` is the sum of all entries; no entry is zero.
//! - Every entry is known from both sides: by its account and by its machine.
//! - What is claimed, taken or given back leaves or enters to the unit.
//!
//! An entry is made by a block alone, so there are never more than machines times those who share in one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, WorkerId};

use units::split;

/// Unclaimed rewards.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Saved")]
pub struct Accruals {
    entries: BTreeMap<(AccountId, WorkerId), Coins>,
    by_worker: BTreeSet<(WorkerId, AccountId)>,
    total: Coins,
}

/// As it is written: rows, for a key of two ids is no text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    total: Coins,
    rows: Vec<(AccountId, WorkerId, Coins)>,
}

/// What of an account's rewards is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// All of it.
    All,
    /// This much, from its machines by id.
    Amount(Coins),
    /// All that was earned with one machine.
    Worker(WorkerId),
}

/// What was claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Claimed {
    /// By whom.
    pub account: AccountId,
    /// How much.
    pub amount: Coins,
    /// From which machines.
    pub parts: Vec<(WorkerId, Coins)>,
}

/// What was taken for an offence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Taken {
    /// The machine's.
    pub worker: WorkerId,
    /// How much.
    pub amount: Coins,
    /// From whom.
    pub parts: Vec<(AccountId, Coins)>,
}

/// Why rewards are not credited or claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More than can be written down.
    #[error("credit {amount} coins: more than can be written down")]
    TooMuch {
        /// What should be credited.
        amount: Coins,
    },
    /// There is nothing.
    #[error("claim rewards: there are none yet, they are credited when an hour's block closes")]
    Nothing,
    /// There is less.
    #[error("claim {asked} coins: there are {there}, claim at most those")]
    NotEnough {
        /// What was asked for.
        asked: Coins,
        /// What there is.
        there: Coins,
    },
}

/// What is wrong with a state that was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Twice the same entry.
    #[error("unclaimed rewards of {account} with {worker} are told twice")]
    Twice {
        /// Whose.
        account: AccountId,
        /// With which machine.
        worker: WorkerId,
    },
    /// An entry of nothing.
    #[error("unclaimed rewards of {account} with {worker} are zero")]
    Zero {
        /// Whose.
        account: AccountId,
        /// With which machine.
        worker: WorkerId,
    },
    /// One side does not know what the other does.
    #[error("{machines} entries by machine, {accounts} by account")]
    Sides {
        /// How many entries are known by machine.
        machines: usize,
        /// How many by account.
        accounts: usize,
    },
    /// The entries sum to something else.
    #[error("unclaimed rewards sum to {sum} units, not to the total of {total} coins")]
    Total {
        /// What the entries sum to, in units.
        sum: u128,
        /// What the total says.
        total: Coins,
    },
}

impl Default for Accruals {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), by_worker: BTreeSet::new(), total: Coins::ZERO }
    }
}

impl Accruals {
    /// What is unclaimed in all.
    pub const fn total(&self) -> Coins {
        self.total
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is unclaimed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What an account has, machine by machine.
    pub fn of_account(&self, account: AccountId) -> impl Iterator<Item = (WorkerId, Coins)> {
        let all = (account, WorkerId::from_bits(0))..=(account, WorkerId::from_bits(u128::MAX));
        self.entries.range(all).map(|((_, worker), amount)| (*worker, *amount))
    }

    /// What an account has in all.
    pub fn account_total(&self, account: AccountId) -> Coins {
        sum(self.of_account(account).map(|(_, amount)| amount))
    }

    /// What was earned with a machine, account by account.
    pub fn of_worker(&self, worker: WorkerId) -> impl Iterator<Item = (AccountId, Coins)> {
        let all = (worker, AccountId::from_bits(0))..=(worker, AccountId::from_bits(u128::MAX));
        self.by_worker.range(all).map(|(worker, account)| {
            let amount = self.entries.get(&(*account, *worker));
            (*account, *amount.expect("both sides know every entry"))
        })
    }

    /// What was earned with a machine in all.
    pub fn worker_total(&self, worker: WorkerId) -> Coins {
        sum(self.of_worker(worker).map(|(_, amount)| amount))
    }

    /// A block has paid an account for a machine.
    pub fn credit(
        &mut self,
        account: AccountId,
        worker: WorkerId,
        amount: Coins,
    ) -> Result<(), Refusal> {
        if amount.is_zero() {
            return Ok(());
        }
        self.total = self.total.checked_add(amount).ok_or(Refusal::TooMuch { amount })?;
        let entry = self.entries.entry((account, worker)).or_insert(Coins::ZERO);
        *entry = entry.checked_add(amount).expect("an entry is at most the total");
        self.by_worker.insert((worker, account));
        Ok(())
    }

    /// An account claims its rewards, or some of them.
    pub fn claim(&mut self, account: AccountId, wanted: Wanted) -> Result<Claimed, Refusal> {
        let there: Vec<_> = self.of_account(account).collect();
        let all = sum(there.iter().map(|(_, amount)| *amount));
        let mut left = match wanted {
            Wanted::All | Wanted::Worker(_) => all,
            Wanted::Amount(asked) if asked > all => {
                return Err(Refusal::NotEnough { asked, there: all });
            }
            Wanted::Amount(asked) => asked,
        };
        let named = |worker: WorkerId| match wanted {
            Wanted::Worker(only) => worker == only,
            Wanted::All | Wanted::Amount(_) => true,
        };
        let mut parts = Vec::new();
        for (worker, amount) in there.into_iter().filter(|(worker, _)| named(*worker)) {
            let part = amount.min(left);
            if part.is_zero() {
                break;
            }
            left = left.checked_sub(part).expect("the lesser of the two");
            parts.push((worker, part));
        }
        if parts.is_empty() {
            return Err(Refusal::Nothing);
        }
        parts.iter().for_each(|(worker, part)| self.remove(account, *worker, *part));
        Ok(Claimed { account, amount: sum(parts.iter().map(|(_, part)| *part)), parts })
    }

    /// Takes at most `amount` of what was earned with a machine, from each who shares in it by what they have.
    pub fn take_for_slash(&mut self, worker: WorkerId, amount: Coins) -> Taken {
        let there: Vec<_> = self.of_worker(worker).collect();
        let weights: Vec<u64> = there.iter().map(|(_, amount)| amount.units()).collect();
        let amount = amount.min(sum(there.iter().map(|(_, amount)| *amount)));
        let shares = split(amount.units(), &weights).unwrap_or_default();
        let accounts = there.into_iter().map(|(account, _)| account);
        let parts = accounts.zip(shares.into_iter().map(Coins::from_units));
        let parts: Vec<_> = parts.filter(|(_, part)| !part.is_zero()).collect();
        parts.iter().for_each(|(account, part)| self.remove(*account, worker, *part));
        Taken { worker, amount, parts }
    }

    /// Gives back what was taken: an appeal was granted.
    pub fn give_back(&mut self, taken: &Taken) -> Result<(), Refusal> {
        let amount = taken.amount;
        if self.total.checked_add(amount).is_none() {
            return Err(Refusal::TooMuch { amount });
        }
        taken
            .parts
            .iter()
            .try_for_each(|(account, part)| self.credit(*account, taken.worker, *part))
    }

    /// Finds what does not add up.
    pub fn audit(&self) -> Result<(), Wrong> {
        if let Some(((account, worker), _)) =
            self.entries.iter().find(|(_, amount)| amount.is_zero())
        {
            return Err(Wrong::Zero { account: *account, worker: *worker });
        }
        let known = |(account, worker): &(_, _)| self.by_worker.contains(&(*worker, *account));
        let (machines, accounts) = (self.by_worker.len(), self.entries.len());
        if machines != accounts || !self.entries.keys().all(known) {
            return Err(Wrong::Sides { machines, accounts });
        }
        let sum: u128 = self.entries.values().map(|amount| u128::from(amount.units())).sum();
        if sum != u128::from(self.total.units()) {
            return Err(Wrong::Total { sum, total: self.total });
        }
        Ok(())
    }

    fn remove(&mut self, account: AccountId, worker: WorkerId, part: Coins) {
        let entry = self.entries.get_mut(&(account, worker)).expect("an entry that was found");
        *entry = entry.checked_sub(part).expect("a part of the entry");
        if entry.is_zero() {
            self.entries.remove(&(account, worker));
            self.by_worker.remove(&(worker, account));
        }
        self.total = self.total.checked_sub(part).expect("an entry is at most the total");
    }
}

/// The sum of entries, which the total bounds.
fn sum(amounts: impl Iterator<Item = Coins>) -> Coins {
    Coins::from_units(amounts.map(Coins::units).sum())
}

impl Serialize for Accruals {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let row = |((account, worker), amount): (&(AccountId, WorkerId), &Coins)| {
            (*account, *worker, *amount)
        };
        Saved { total: self.total, rows: self.entries.iter().map(row).collect() }.serialize(out)
    }
}

impl TryFrom<Saved> for Accruals {
    type Error = Wrong;

    fn try_from(saved: Saved) -> Result<Self, Wrong> {
        let mut read = Self { total: saved.total, ..Self::default() };
        for (account, worker, amount) in saved.rows {
            if read.entries.insert((account, worker), amount).is_some() {
                return Err(Wrong::Twice { account, worker });
            }
            read.by_worker.insert((worker, account));
        }
        read.audit().map(|()| read)
    }
}
