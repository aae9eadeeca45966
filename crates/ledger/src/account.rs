//! Whose purse, and what the book counts for it: four numbers from which every balance is derived.
//!
//! # Invariants
//! - The posted counters of an open account only grow; what somebody has is always a difference of two of them.
//! - `posted + pending` of either side fits into 64 bits, so that closing a hold can never overflow.

use std::fmt;
use std::str::FromStr;

use units::{AccountId, Asset, GrantId, ProjectId, RentalId, SeasonId};

/// Whose purse it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// The world: where money enters and leaves. The only purse that may go below zero, by what has entered.
    Outside,
    /// What a project has to spend.
    Project(ProjectId),
    /// What a person or a company has earned, claimed or paid in, and not yet taken out.
    Account(AccountId),
    /// What a renter has paid and a supplier has not yet earned.
    Escrow(RentalId),
    /// What the network keeps for its services.
    Fees,
    /// Coins under the cap that no block has emitted yet.
    Emission,
    /// What blocks have paid and nobody has claimed yet.
    Rewards,
    /// Everything staked on machines: counting, cooling down or taken for an offence. Who has what of it is known to
    /// the crate `stakes`.
    Stakes,
    /// What holders have put into the safety module, and what blocks have paid to it.
    SafetyModule,
    /// Coins set aside for somebody, released by a vesting schedule.
    Grant(GrantId),
    /// Coins of the community that no grant names.
    Treasury,
    /// Where one asset is changed for another: it buys with one purse and pays out of the other.
    Exchange,
    /// Coins taken out for good. Nothing ever leaves.
    Burned,
    /// What a reward program pays at its end.
    Season(SeasonId),
}

impl Holder {
    /// Whether it may owe. Everyone else spends only what they have.
    pub const fn may_go_below_zero(self) -> bool {
        match self {
            Holder::Outside => true,
            Holder::Project(_)
            | Holder::Account(_)
            | Holder::Escrow(_)
            | Holder::Fees
            | Holder::Emission
            | Holder::Rewards
            | Holder::Stakes
            | Holder::SafetyModule
            | Holder::Grant(_)
            | Holder::Treasury
            | Holder::Exchange
            | Holder::Burned
            | Holder::Season(_) => false,
        }
    }

    /// Whether anything may leave it.
    pub const fn may_pay(self) -> bool {
        !matches!(self, Holder::Burned)
    }
}

impl fmt::Display for Holder {
    /// In words, with the id of what it belongs to: `project prj_…`, `fees`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Project(id) => write!(f, "project {id}"),
            Holder::Account(id) => write!(f, "account {id}"),
            Holder::Escrow(id) => write!(f, "escrow {id}"),
            Holder::Grant(id) => write!(f, "grant {id}"),
            Holder::Season(id) => write!(f, "season {id}"),
            Holder::Outside => f.write_str("outside"),
            Holder::Fees => f.write_str("fees"),
            Holder::Emission => f.write_str("emission"),
            Holder::Rewards => f.write_str("rewards"),
            Holder::Stakes => f.write_str("stakes"),
            Holder::SafetyModule => f.write_str("safety module"),
            Holder::Treasury => f.write_str("treasury"),
            Holder::Exchange => f.write_str("exchange"),
            Holder::Burned => f.write_str("burned"),
        }
    }
}

/// Why a text is not a holder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no purse is called `{found}`")]
pub struct NotAHolder {
    /// What was given, cut to a readable length.
    pub found: String,
}

impl FromStr for Holder {
    type Err = NotAHolder;

    fn from_str(text: &str) -> Result<Self, NotAHolder> {
        let refused = || NotAHolder { found: text.chars().take(40).collect() };
        match text {
            "outside" => return Ok(Holder::Outside),
            "fees" => return Ok(Holder::Fees),
            "emission" => return Ok(Holder::Emission),
            "rewards" => return Ok(Holder::Rewards),
            "stakes" => return Ok(Holder::Stakes),
            "safety module" => return Ok(Holder::SafetyModule),
            "treasury" => return Ok(Holder::Treasury),
            "exchange" => return Ok(Holder::Exchange),
            "burned" => return Ok(Holder::Burned),
            _ => {}
        }
        let (kind, id) = text.split_once(' ').ok_or_else(refused)?;
        match kind {
            "project" => id.parse().ok().map(Holder::Project),
            "account" => id.parse().ok().map(Holder::Account),
            "escrow" => id.parse().ok().map(Holder::Escrow),
            "grant" => id.parse().ok().map(Holder::Grant),
            "season" => id.parse().ok().map(Holder::Season),
            _ => None,
        }
        .ok_or_else(refused)
    }
}

/// One purse in one asset: the name of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// Whose purse.
    pub holder: Holder,
    /// What is in it.
    pub asset: Asset,
}

/// What the book counts for one account, in the smallest unit of its asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Reserved by open holds, to leave.
    pub debits_pending: u64,
    /// Everything that ever left.
    pub debits_posted: u64,
    /// Promised by open holds, to arrive.
    pub credits_pending: u64,
    /// Everything that ever arrived.
    pub credits_posted: u64,
}

impl Account {
    /// What may be spent: what is there less what is reserved. Zero when that is below zero, which happens only
    /// to [`Holder::Outside`].
    pub const fn available(&self) -> u64 {
        self.credits_posted.saturating_sub(self.debits_posted).saturating_sub(self.debits_pending)
    }

    /// What is there, reserved or not. Below zero only for [`Holder::Outside`].
    pub fn balance(&self) -> i128 {
        i128::from(self.credits_posted) - i128::from(self.debits_posted)
    }

    /// What is there but reserved by open holds.
    pub const fn held(&self) -> u64 {
        self.debits_pending
    }

    /// Whether nothing is there, and nothing is about to come or go.
    pub const fn is_settled(&self) -> bool {
        self.debits_pending == 0
            && self.credits_pending == 0
            && self.credits_posted == self.debits_posted
    }

    /// Whether more was spent or reserved than ever arrived.
    pub(crate) fn is_overdrawn(&self) -> bool {
        u128::from(self.credits_posted)
            < u128::from(self.debits_posted) + u128::from(self.debits_pending)
    }

    /// Whether `units` more can leave and still be counted, whatever becomes of open holds.
    pub(crate) fn can_count_debit(&self, units: u64) -> bool {
        can_count(self.debits_posted, self.debits_pending, units)
    }

    /// Whether `units` more can arrive and still be counted, whatever becomes of open holds.
    pub(crate) fn can_count_credit(&self, units: u64) -> bool {
        can_count(self.credits_posted, self.credits_pending, units)
    }
}

fn can_count(posted: u64, pending: u64, units: u64) -> bool {
    posted.checked_add(pending).and_then(|all| all.checked_add(units)).is_some()
}
