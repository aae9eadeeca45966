//! Whether the book adds up, asked of the book as it stands and not of how it came to be.

use std::collections::BTreeMap;

use units::{Asset, TransferId};

use crate::account::{Account, AccountKey};
use crate::book::Book;

/// What does not add up. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Imbalance {
    /// Not as much left accounts as arrived in accounts.
    #[error("{} left and {} arrived, in units of {}", .debits, .credits, .asset.code())]
    Posted {
        /// Of this asset.
        asset: Asset,
        /// What left.
        debits: u128,
        /// What arrived.
        credits: u128,
    },
    /// What an account says is reserved or promised is not what open holds say.
    #[error("an account does not agree with its open holds")]
    Pending {
        /// The account.
        key: AccountKey,
    },
    /// An account that must not went below zero.
    #[error("an account is below zero")]
    Overdrawn {
        /// The account.
        key: AccountKey,
    },
    /// Closing an account's open holds could pass 64 bits.
    #[error("an account counts more than 64 bits hold")]
    Overfull {
        /// The account.
        key: AccountKey,
    },
    /// A hold of nothing, to oneself, or between two assets.
    #[error("a hold no transfer could have made")]
    Hold {
        /// The hold.
        id: TransferId,
    },
}

impl Book {
    /// Whether every asset sums to zero, no one is below zero who must not be, and reserved money is exactly what
    /// open holds reserve. Takes time in proportion to the book.
    ///
    /// # Errors
    /// The first thing that does not add up.
    pub fn audit(&self) -> Result<(), Imbalance> {
        self.audit_sums()?;
        self.audit_pending()?;
        for (key, account) in self.accounts() {
            audit_account(key, &account)?;
        }
        self.audit_holds()
    }

    fn audit_sums(&self) -> Result<(), Imbalance> {
        let mut sums: BTreeMap<Asset, (u128, u128)> = BTreeMap::new();
        for (key, account) in self.accounts() {
            let (debits, credits) = sums.entry(key.asset).or_default();
            *debits += u128::from(account.debits_posted);
            *credits += u128::from(account.credits_posted);
        }
        match sums.into_iter().find(|(_, (debits, credits))| debits != credits) {
            Some((asset, (debits, credits))) => Err(Imbalance::Posted { asset, debits, credits }),
            None => Ok(()),
        }
    }

    fn audit_pending(&self) -> Result<(), Imbalance> {
        let mut pending: BTreeMap<AccountKey, (u128, u128)> = BTreeMap::new();
        for hold in self.holds.values() {
            let units = u128::from(hold.units_open());
            pending.entry(hold.from).or_default().0 += units;
            pending.entry(hold.to).or_default().1 += units;
        }
        for key in self.accounts.keys() {
            pending.entry(*key).or_default();
        }
        let disagrees = |(key, (debits, credits)): (AccountKey, (u128, u128))| {
            let account = self.account(key);
            let counted = (u128::from(account.debits_pending), u128::from(account.credits_pending));
            (counted != (debits, credits)).then_some(key)
        };
        match pending.into_iter().find_map(disagrees) {
            Some(key) => Err(Imbalance::Pending { key }),
            None => Ok(()),
        }
    }

    fn audit_holds(&self) -> Result<(), Imbalance> {
        for (id, hold) in &self.holds {
            let between_two = hold.from != hold.to && hold.from.asset == hold.to.asset;
            if hold.units == 0 || !between_two {
                return Err(Imbalance::Hold { id: *id });
            }
        }
        Ok(())
    }
}

fn audit_account(key: AccountKey, account: &Account) -> Result<(), Imbalance> {
    if account.is_overdrawn() && !key.holder.may_go_below_zero() {
        return Err(Imbalance::Overdrawn { key });
    }
    if !account.can_count_debit(0) || !account.can_count_credit(0) {
        return Err(Imbalance::Overfull { key });
    }
    Ok(())
}
