//! The book itself: applies batches of linked transfers, all or nothing.
//!
//! A batch is first written to a draft that lies over the book; only a draft without a refusal is copied in. So a
//! refusal cannot leave a trace, and asking first ([`Book::check`]) is the same code as doing it.

use std::collections::{BTreeMap, VecDeque};

use units::TransferId;

use crate::account::{Account, AccountKey};
use crate::fingerprint::fingerprint;
use crate::transfer::{Closing, Hold, HoldState, Kind, Refusal, Transfer};

/// How many transfers the book remembers by id, most recent first, to know a repetition; also the longest batch.
///
/// Who tells transfers already recognizes repeated commands, so this only has to outlast the commands in flight: a
/// group commit is at most 1,000 commands, and 65,536 transfers are dozens of those. They take about 12 MiB, the holds
/// they closed included.
pub const REMEMBERED_MAX: usize = 65_536;

/// A transfer the book remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: TransferId,
    /// Its contents, in 64 bits.
    pub fingerprint: u64,
    /// The hold it closed. The closed hold is remembered as long as this transfer is.
    pub closes: Option<TransferId>,
}

/// Accounts, holds, and the transfers told lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Without those whose counters are all zero: a purse never used and a purse not listed are the same.
    pub(crate) accounts: BTreeMap<AccountKey, Account>,
    /// All that are open, and those closed by a transfer in `told`.
    pub(crate) holds: BTreeMap<TransferId, Hold>,
    /// Oldest first, at most [`REMEMBERED_MAX`].
    pub(crate) told: VecDeque<Told>,
    /// The fingerprint of each transfer in `told`.
    pub(crate) fingerprints: BTreeMap<TransferId, u64>,
}

impl Book {
    /// Applies linked transfers in order: all of them, or none when one is refused.
    ///
    /// A transfer told before with the same contents does nothing and is no refusal. Within a batch a transfer sees
    /// what those before it did.
    ///
    /// # Errors
    /// The index of the first transfer that was refused, and why.
    pub fn apply(&mut self, batch: &[Transfer]) -> Result<(), (usize, Refusal)> {
        let changes = Draft::of(self, batch)?;
        self.commit(changes);
        Ok(())
    }

    /// What [`Book::apply`] would answer. Changes nothing.
    ///
    /// # Errors
    /// As [`Book::apply`].
    pub fn check(&self, batch: &[Transfer]) -> Result<(), (usize, Refusal)> {
        Draft::of(self, batch).map(|_| ())
    }

    /// What is counted for `key`. All zero for an account never used: accounts are opened by first use.
    pub fn account(&self, key: AccountKey) -> Account {
        self.accounts.get(&key).copied().unwrap_or_default()
    }

    /// Every account that counts something, in order of key.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountKey, Account)> {
        self.accounts.iter().map(|(key, account)| (*key, *account))
    }

    /// The hold made by the transfer `id`: any that is open, and those closed within the last [`REMEMBERED_MAX`]
    /// transfers.
    pub fn hold(&self, id: TransferId) -> Option<Hold> {
        self.holds.get(&id).copied()
    }

    /// Drops a settled account, so that purses of what has ended (the escrow of a rental) need no memory for ever.
    ///
    /// As much came in as went out of it, so the book still sums to zero without it; its counters start from zero
    /// if it is used again. An account never used is settled.
    ///
    /// # Errors
    /// The account, when something is in it or about to come or go.
    pub fn close(&mut self, key: AccountKey) -> Result<(), NotSettled> {
        let account = self.account(key);
        if !account.is_settled() {
            return Err(NotSettled { account });
        }
        self.accounts.remove(&key);
        Ok(())
    }

    /// The fingerprint of the transfer `id`, if it is remembered: one told lately, or one whose hold is kept.
    fn remembered(&self, id: TransferId) -> Option<u64> {
        let of_hold = || self.holds.get(&id).map(|hold| fingerprint(&hold.kind()));
        self.fingerprints.get(&id).copied().or_else(of_hold)
    }

    fn commit(&mut self, changes: Changes) {
        for (key, account) in changes.accounts {
            if account == Account::default() {
                self.accounts.remove(&key);
            } else {
                self.accounts.insert(key, account);
            }
        }
        self.holds.extend(changes.holds);
        self.told.extend(changes.told);
        self.fingerprints.extend(changes.fingerprints);
        while self.told.len() > REMEMBERED_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.told.pop_front() else { return };
        self.fingerprints.remove(&oldest.id);
        if let Some(hold) = oldest.closes {
            self.holds.remove(&hold);
        }
    }
}

/// Why an account was not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account is not settled")]
pub struct NotSettled {
    /// What it counts.
    pub account: Account,
}

/// What a batch makes of the accounts and holds it touches, and what to remember of it.
#[derive(Default)]
struct Changes {
    accounts: BTreeMap<AccountKey, Account>,
    holds: BTreeMap<TransferId, Hold>,
    told: Vec<Told>,
    fingerprints: BTreeMap<TransferId, u64>,
}

/// A book with changes lying over it.
struct Draft<'a> {
    book: &'a Book,
    changes: Changes,
}

impl<'a> Draft<'a> {
    fn of(book: &'a Book, batch: &[Transfer]) -> Result<Changes, (usize, Refusal)> {
        if batch.len() > REMEMBERED_MAX {
            return Err((REMEMBERED_MAX, Refusal::BatchTooLong { max: REMEMBERED_MAX }));
        }
        let mut draft = Draft { book, changes: Changes::default() };
        for (index, transfer) in batch.iter().enumerate() {
            draft.tell(transfer).map_err(|refusal| (index, refusal))?;
        }
        Ok(draft.changes)
    }

    fn tell(&mut self, transfer: &Transfer) -> Result<(), Refusal> {
        let Transfer { id, kind } = *transfer;
        let fingerprint = fingerprint(&kind);
        match self.remembered(id) {
            Some(same) if same == fingerprint => return Ok(()),
            Some(_) => return Err(Refusal::IdReused),
            None => {}
        }
        match kind {
            Kind::Move { from, to, units } => self.on_move(from, to, units)?,
            Kind::Hold { from, to, units } => self.on_hold(id, Hold::open(from, to, units))?,
            Kind::Post { hold, units } => self.on_post(id, hold, units)?,
            Kind::Void { hold } => self.on_void(id, hold)?,
        }
        self.changes.told.push(Told { id, fingerprint, closes: kind.closes() });
        self.changes.fingerprints.insert(id, fingerprint);
        Ok(())
    }

    fn on_move(&mut self, from: AccountKey, to: AccountKey, units: u64) -> Result<(), Refusal> {
        let (mut payer, mut payee) = self.pair(from, to, units)?;
        payer.debits_posted += units;
        payee.credits_posted += units;
        self.changes.accounts.extend([(from, payer), (to, payee)]);
        Ok(())
    }

    fn on_hold(&mut self, id: TransferId, hold: Hold) -> Result<(), Refusal> {
        let (mut payer, mut payee) = self.pair(hold.from, hold.to, hold.units)?;
        payer.debits_pending += hold.units;
        payee.credits_pending += hold.units;
        self.changes.accounts.extend([(hold.from, payer), (hold.to, payee)]);
        self.changes.holds.insert(id, hold);
        Ok(())
    }

    fn on_post(&mut self, by: TransferId, hold: TransferId, units: u64) -> Result<(), Refusal> {
        if units == 0 {
            return Err(Refusal::Nothing);
        }
        let open = self.open_hold(hold)?;
        if units > open.units {
            return Err(Refusal::MoreThanHeld { held: open.units, wanted: units });
        }
        self.close(hold, open, Closing::Posted { by, units });
        Ok(())
    }

    fn on_void(&mut self, by: TransferId, hold: TransferId) -> Result<(), Refusal> {
        let open = self.open_hold(hold)?;
        self.close(hold, open, Closing::Voided { by });
        Ok(())
    }

    /// The two accounts of a transfer that reserves or moves money, if it may.
    fn pair(
        &self,
        from: AccountKey,
        to: AccountKey,
        units: u64,
    ) -> Result<(Account, Account), Refusal> {
        if from == to {
            return Err(Refusal::SameAccount);
        }
        if from.asset != to.asset {
            return Err(Refusal::AssetMismatch);
        }
        if !from.holder.may_pay() {
            return Err(Refusal::Burned);
        }
        if units == 0 {
            return Err(Refusal::Nothing);
        }
        let (payer, payee) = (self.account(from), self.account(to));
        let available = payer.available();
        if available < units && !from.holder.may_go_below_zero() {
            return Err(Refusal::Insufficient { available, wanted: units });
        }
        if !payer.can_count_debit(units) || !payee.can_count_credit(units) {
            return Err(Refusal::Overflow);
        }
        Ok((payer, payee))
    }

    fn open_hold(&self, id: TransferId) -> Result<Hold, Refusal> {
        let drafted = self.changes.holds.get(&id).copied();
        let hold = drafted.or_else(|| self.book.hold(id)).ok_or(Refusal::HoldUnknown)?;
        match hold.state {
            HoldState::Open => Ok(hold),
            HoldState::Closed(closing) => Err(Refusal::HoldClosed(closing)),
        }
    }

    /// Ends an open hold. Cannot fail: what is posted was reserved, and room for it in the counters with it.
    fn close(&mut self, id: TransferId, open: Hold, closing: Closing) {
        let posted = match closing {
            Closing::Posted { units, .. } => units,
            Closing::Voided { .. } => 0,
        };
        let (mut payer, mut payee) = (self.account(open.from), self.account(open.to));
        payer.debits_pending -= open.units;
        payer.debits_posted += posted;
        payee.credits_pending -= open.units;
        payee.credits_posted += posted;
        self.changes.accounts.extend([(open.from, payer), (open.to, payee)]);
        self.changes.holds.insert(id, Hold { state: HoldState::Closed(closing), ..open });
    }

    fn account(&self, key: AccountKey) -> Account {
        self.changes.accounts.get(&key).copied().unwrap_or_else(|| self.book.account(key))
    }

    fn remembered(&self, id: TransferId) -> Option<u64> {
        let drafted = self.changes.fingerprints.get(&id).copied();
        drafted.or_else(|| self.book.remembered(id))
    }
}
