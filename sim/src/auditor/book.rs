//! What the auditor believes of every purse in every asset.

use std::collections::{BTreeMap, BTreeSet};

use control::Control;
use ledger::{Account, AccountKey, Holder};
use market::Stage;
use units::{Asset, RentalId};

use super::rentals::View;
use crate::broken::{Invariant, Step, must};

/// What there is of each asset.
const ASSETS: [Asset; 3] = [Asset::Usd, Asset::Usdc, Asset::Io];

/// Who should have what.
#[derive(Clone, Debug, Default)]
pub(super) struct Money {
    purses: BTreeMap<AccountKey, Pot>,
    /// Coins that genesis has made, in the smallest unit.
    minted: u64,
    /// What came to the network's own purse from whoever pays, since there was a coin.
    revenue: BTreeMap<Asset, u64>,
}

/// One purse: what is in it, how much of that is held, and how much is promised to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pot {
    has: i128,
    held: i128,
    promised: i128,
}

impl Pot {
    const fn of(account: &Account) -> (u64, u64, u64, u64) {
        let Account { debits_posted, credits_posted, debits_pending, credits_pending } = *account;
        (debits_posted, credits_posted, debits_pending, credits_pending)
    }

    fn seen(account: &Account) -> Self {
        let (left, arrived, held, promised) = Self::of(account);
        let has = i128::from(arrived) - i128::from(left);
        Self { has, held: i128::from(held), promised: i128::from(promised) }
    }
}

const fn key(asset: Asset, holder: Holder) -> AccountKey {
    AccountKey { holder, asset }
}

impl Money {
    fn pot(&self, asset: Asset, holder: Holder) -> Pot {
        self.purses.get(&key(asset, holder)).copied().unwrap_or_default()
    }

    fn pot_mut(&mut self, asset: Asset, holder: Holder) -> &mut Pot {
        self.purses.entry(key(asset, holder)).or_default()
    }

    /// What somebody can spend.
    pub(super) fn available(&self, asset: Asset, holder: Holder) -> u64 {
        let pot = self.pot(asset, holder);
        u64::try_from(pot.has - pot.held).unwrap_or(0)
    }

    /// What is in a purse, held or not. Nothing for the one that is below zero.
    pub(super) fn has(&self, asset: Asset, holder: Holder) -> u64 {
        u64::try_from(self.pot(asset, holder).has).unwrap_or(0)
    }

    /// Revenue that is no longer what it was: all but what is `left`.
    pub(super) fn use_revenue(&mut self, asset: Asset, left: u64) -> u64 {
        let revenue = self.revenue.entry(asset).or_default();
        std::mem::replace(revenue, left).saturating_sub(left)
    }

    /// Revenue goes back to whom it came from; no more than is left of it.
    pub(super) fn give_revenue_back(&mut self, asset: Asset, units: u64) {
        let revenue = self.revenue.entry(asset).or_default();
        *revenue = revenue.saturating_sub(units);
    }

    /// Coins come into the world.
    pub(super) fn mint(&mut self, units: u64) {
        self.minted += units;
    }

    /// How many coins lie outside: those that left and did not come back.
    pub(super) fn coins_outside(&self) -> i128 {
        i128::from(self.minted) + self.pot(Asset::Io, Holder::Outside).has
    }

    /// Money goes from one purse to another.
    pub(super) fn flow(&mut self, asset: Asset, from: Holder, to: Holder, units: u64) -> Step {
        let payer = self.pot_mut(asset, from);
        payer.has -= i128::from(units);
        let may = payer.has >= payer.held || from == Holder::Outside;
        let payer = *payer;
        self.pot_mut(asset, to).has += i128::from(units);
        let pays = matches!(from, Holder::Escrow(_) | Holder::Project(_) | Holder::Account(_));
        if to == Holder::Fees && pays && self.minted > 0 {
            *self.revenue.entry(asset).or_default() += units;
        }
        must(may && from != Holder::Burned, Invariant::I1Book, || {
            format!("{from} gives {units} {asset:?} to {to} and is left with {payer:?}")
        })
    }

    /// Money is set aside.
    pub(super) fn hold(&mut self, asset: Asset, from: Holder, to: Holder, units: u64) -> Step {
        self.pot_mut(asset, to).promised += i128::from(units);
        let payer = self.pot_mut(asset, from);
        payer.held += i128::from(units);
        let payer = *payer;
        must(payer.has >= payer.held, Invariant::I3Holds, || {
            format!("{from} has {payer:?} after {units} {asset:?} were held")
        })
    }

    /// Money is no longer set aside.
    pub(super) fn release(&mut self, asset: Asset, from: Holder, to: Holder, units: u64) {
        self.pot_mut(asset, to).promised -= i128::from(units);
        self.pot_mut(asset, from).held -= i128::from(units);
    }

    /// Whether the book says the same of everybody, and each asset adds up.
    pub(super) fn agrees(&self, control: &Control, rentals: &BTreeMap<RentalId, View>) -> Step {
        let book = control.book();
        let known: BTreeSet<AccountKey> =
            self.purses.keys().copied().chain(book.accounts().map(|(key, _)| key)).collect();
        for key in known {
            let (ours, theirs) = (self.pot(key.asset, key.holder), book.account(key));
            must(ours == Pot::seen(&theirs), Invariant::I1Book, || {
                format!("{:?} of {} should be {ours:?}, and is {theirs:?}", key.asset, key.holder)
            })?;
        }
        ASSETS.into_iter().try_for_each(|asset| adds_up(control, asset))?;
        self.no_coin_is_made_or_lost(control)?;
        rentals.iter().try_for_each(|(id, view)| holds_agree(control, *id, view))
    }

    /// Coins inside and outside together are those that genesis has made.
    fn no_coin_is_made_or_lost(&self, control: &Control) -> Step {
        let inside: i128 = of_asset(control, Asset::Io)
            .filter(|(holder, _)| *holder != Holder::Outside)
            .map(|(_, account)| Pot::seen(&account).has)
            .sum();
        let outside = self.coins_outside();
        let (minted, agrees) = (i128::from(self.minted), inside >= 0 && outside >= 0);
        must(agrees && inside + outside == minted, Invariant::I1Supply, || {
            format!("{minted} coins were made: {inside} are inside, {outside} outside")
        })
    }
}

fn of_asset(control: &Control, asset: Asset) -> impl Iterator<Item = (Holder, Account)> {
    let of = move |(key, account): (AccountKey, Account)| {
        (key.asset == asset).then_some((key.holder, account))
    };
    control.book().accounts().filter_map(of)
}

/// An asset sums to zero, nobody but the world owes, and nothing ever leaves what is burned.
fn adds_up(control: &Control, asset: Asset) -> Step {
    let mut sum = 0;
    for (holder, account) in of_asset(control, asset) {
        let pot = Pot::seen(&account);
        sum += pot.has;
        let owes = holder != Holder::Outside && pot.has < pot.held;
        must(!owes, Invariant::I1Book, || format!("{holder} owes: {account:?}"))?;
        let leaks = holder == Holder::Burned && account.debits_posted + account.debits_pending > 0;
        must(!leaks, Invariant::I1Supply, || format!("something left {holder}: {account:?}"))?;
    }
    must(sum == 0, Invariant::I1Book, || format!("{asset:?} sums to {sum}"))
}

/// What a rental holds is exactly what its terms come to, in holds or in its escrow, while its stage says so.
fn holds_agree(control: &Control, id: RentalId, view: &View) -> Step {
    let Some(rental) = control.rental(id) else { return Ok(()) };
    let holds = matches!(view.stage, Stage::Deploying { .. } | Stage::Running { .. });
    let units = rental.holds.iter().map(|hold| control.book().hold(*hold));
    let units: Option<u64> = units.map(|hold| Some(hold?.units_open())).sum();
    let wanted = if holds && !view.escrowed { view.held } else { 0 };
    let agrees = units == Some(wanted) && rental.holds.is_empty() == (wanted == 0);
    must(agrees, Invariant::I3Holds, || {
        format!("{id} is {:?}, should hold {wanted}, and holds {units:?}", view.stage)
    })
}
