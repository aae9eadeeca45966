//! A book taken apart into plain lists, and put together again.
//!
//! # Invariants
//! - A book has exactly one snapshot, and the snapshot gives back an equal book.
//! - What does not add up does not become a book: a snapshot comes from a disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use units::TransferId;

use crate::account::{Account, AccountKey};
use crate::audit::Imbalance;
use crate::book::{Book, REMEMBERED_MAX, Told};
use crate::fingerprint::fingerprint;
use crate::transfer::{Closing, Hold, HoldState, Kind};

/// Everything in a book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Every account that counts something, in ascending order of key.
    pub accounts: Vec<(AccountKey, Account)>,
    /// Every hold the book knows, in ascending order of the id of the transfer that made it.
    pub holds: Vec<(TransferId, Hold)>,
    /// The transfers remembered, oldest first.
    pub told: Vec<Told>,
}

/// Why parts make no book. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotABook {
    /// Two accounts of one key, not in order, or one that counts nothing.
    #[error("the list of accounts is not in order")]
    Accounts {
        /// The first out of place.
        key: AccountKey,
    },
    /// Two holds of one id, or not in order.
    #[error("the list of holds is not in order")]
    Holds {
        /// The first out of place.
        id: TransferId,
    },
    /// More transfers than a book remembers.
    #[error("{found} transfers are remembered, more than {REMEMBERED_MAX}")]
    TooManyTold {
        /// How many there are.
        found: usize,
    },
    /// A transfer remembered twice, or one that does not fit the holds.
    #[error("a remembered transfer does not fit the others")]
    Told {
        /// The transfer.
        id: TransferId,
    },
    /// A closed hold whose closing is not remembered as such.
    #[error("a closed hold does not fit the remembered transfers")]
    Closing {
        /// The hold.
        id: TransferId,
    },
    /// It does not add up.
    #[error("the book does not add up")]
    Imbalance(#[source] Imbalance),
}

impl Book {
    /// The book as plain lists.
    pub fn parts(&self) -> Parts {
        Parts {
            accounts: self.accounts().collect(),
            holds: self.holds.iter().map(|(id, hold)| (*id, *hold)).collect(),
            told: self.told.iter().copied().collect(),
        }
    }

    /// The book these are the parts of.
    ///
    /// # Errors
    /// The first thing by which they are not the parts of any book.
    pub fn from_parts(parts: Parts) -> Result<Self, NotABook> {
        let Parts { accounts, holds, told } = parts;
        if let Some(key) = first_misplaced(&accounts) {
            return Err(NotABook::Accounts { key });
        }
        if let Some((key, _)) = accounts.iter().find(|(_, account)| *account == Account::default())
        {
            return Err(NotABook::Accounts { key: *key });
        }
        if let Some(id) = first_misplaced(&holds) {
            return Err(NotABook::Holds { id });
        }
        if told.len() > REMEMBERED_MAX {
            return Err(NotABook::TooManyTold { found: told.len() });
        }
        let holds: BTreeMap<TransferId, Hold> = holds.into_iter().collect();
        check_told(&told, &holds)?;
        check_closings(&told, &holds)?;
        let book = Book {
            accounts: accounts.into_iter().collect(),
            holds,
            fingerprints: told.iter().map(|told| (told.id, told.fingerprint)).collect(),
            told: VecDeque::from(told),
        };
        book.audit().map_err(NotABook::Imbalance)?;
        Ok(book)
    }
}

/// The key of the first entry that is not above the one before it.
fn first_misplaced<K: Copy + Ord, V>(entries: &[(K, V)]) -> Option<K> {
    entries.windows(2).find(|pair| pair[0].0 >= pair[1].0).map(|pair| pair[1].0)
}

/// Each remembered transfer is remembered once, and agrees with the hold it made and the hold it closed.
fn check_told(told: &[Told], holds: &BTreeMap<TransferId, Hold>) -> Result<(), NotABook> {
    let mut seen = BTreeSet::new();
    let mut closed = BTreeSet::new();
    for entry in told {
        let made = holds.get(&entry.id).map(|hold| fingerprint(&hold.kind()));
        let fits_made = made.is_none_or(|print| print == entry.fingerprint);
        let fits_closed = entry.closes.is_none_or(|id| closes(entry, id, holds));
        let in_order = seen.insert(entry.id) && !closed.contains(&entry.id);
        if !(fits_made && fits_closed && in_order) {
            return Err(NotABook::Told { id: entry.id });
        }
        closed.extend(entry.closes);
    }
    Ok(())
}

/// Whether the hold `id` says that it was closed by the remembered transfer, with the same contents.
fn closes(entry: &Told, id: TransferId, holds: &BTreeMap<TransferId, Hold>) -> bool {
    let Some(Hold { state: HoldState::Closed(closing), units: held, .. }) = holds.get(&id) else {
        return false;
    };
    let kind = match *closing {
        Closing::Posted { units, .. } if units == 0 || units > *held => return false,
        Closing::Posted { units, .. } => Kind::Post { hold: id, units },
        Closing::Voided { .. } => Kind::Void { hold: id },
    };
    closing.by() == entry.id && fingerprint(&kind) == entry.fingerprint
}

/// Each closed hold is remembered by its closing, or it would never be forgotten.
fn check_closings(told: &[Told], holds: &BTreeMap<TransferId, Hold>) -> Result<(), NotABook> {
    let closed: BTreeSet<TransferId> = told.iter().filter_map(|entry| entry.closes).collect();
    for (id, hold) in holds {
        if matches!(hold.state, HoldState::Closed(_)) && !closed.contains(id) {
            return Err(NotABook::Closing { id: *id });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Holder;
    use units::{Asset, ProjectId};

    /// A hold of 20 and the transfer that posted `units` of it, each as the other remembers it.
    fn posted(units: u64) -> (BTreeMap<TransferId, Hold>, Vec<Told>) {
        let [hold, by] = [1, 2].map(TransferId::from_bits);
        let usd = |holder| AccountKey { holder, asset: Asset::Usd };
        let project = usd(Holder::Project(ProjectId::from_bits(1)));
        let mut made = Hold::open(usd(Holder::Outside), project, 20);
        let [opening, closing] = [made.kind(), Kind::Post { hold, units }];
        made.state = HoldState::Closed(Closing::Posted { by, units });
        let told =
            |id, kind: Kind| Told { id, fingerprint: fingerprint(&kind), closes: kind.closes() };
        (BTreeMap::from([(hold, made)]), vec![told(hold, opening), told(by, closing)])
    }

    #[test]
    fn a_closing_posts_something_and_at_most_what_was_held() {
        for (units, fits) in [(0, false), (1, true), (20, true), (21, false)] {
            let (holds, told) = posted(units);
            assert_eq!(check_told(&told, &holds).is_ok(), fits, "{units}");
        }
    }
}
