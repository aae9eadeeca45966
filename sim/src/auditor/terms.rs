//! What a rental costs, by the auditor's own arithmetic: in dollars first, then in what it is paid in.

use std::collections::BTreeMap;

use control::Rental;
use market::{Currency, Terms};
use units::{AccountId, Asset};

use crate::broken::{Invariant, Step, must};

/// Smallest units in one coin.
const COIN: u128 = 100_000_000;

/// What a rental comes to, in the smallest unit of what it is paid in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) charged: u64,
    pub(super) fees: u64,
    pub(super) payouts: BTreeMap<AccountId, u64>,
    /// In millionths of a dollar.
    dollars: u64,
    dollar_fees: u64,
}

pub(super) fn whole(units: u128) -> u64 {
    u64::try_from(units).expect("an accepted price fits")
}

pub(super) fn hourly(terms: &Terms) -> u128 {
    terms.node_hours.iter().map(|hour| u128::from(hour.units())).sum()
}

/// Millionths of a dollar in what a rental is paid in: what is charged is rounded up, what is paid out down.
fn in_units(currency: Currency, dollars: u128, up: bool) -> u128 {
    let rate = match currency {
        Currency::Usd | Currency::Usdc => return dollars,
        Currency::Io { usd_micros_per_coin } => u128::from(usd_micros_per_coin),
    };
    let (coins, left) = (dollars * COIN / rate, !(dollars * COIN).is_multiple_of(rate));
    coins + u128::from(up && left)
}

/// Every hour of every node, and the renter's fees on it, each rounded up.
pub(super) fn held(terms: &Terms) -> u64 {
    whole(in_units(terms.currency, dollars_held(terms), true))
}

fn dollars_held(terms: &Terms) -> u128 {
    let cost = hourly(terms) * u128::from(terms.hours);
    let fee = |bp: u16| (cost * u128::from(bp)).div_ceil(10_000);
    cost + fee(terms.renter_fee_bp) + fee(terms.facilitation_bp)
}

/// What these minutes of each node come to: each at its hourly price and rounded down, and so are all fees.
pub(super) fn comes_to(terms: &Terms, minutes: &[(AccountId, u128)]) -> Sum {
    let share = |of: u128, bp: u16| of * u128::from(bp) / 10_000;
    let (mut subtotal, mut fees) = (0, 0);
    let mut owed: BTreeMap<AccountId, u128> = BTreeMap::new();
    for ((supplier, minutes), hour) in minutes.iter().zip(&terms.node_hours) {
        let charge = u128::from(hour.units()) * minutes / 60;
        let fee = share(charge, terms.supplier_fee_bp);
        let payout_fee = share(charge, terms.payout_bp).min(charge - fee);
        subtotal += charge;
        fees += fee + payout_fee;
        *owed.entry(*supplier).or_default() += charge - fee - payout_fee;
    }
    let renter_fees = share(subtotal, terms.renter_fee_bp) + share(subtotal, terms.facilitation_bp);
    let charged = whole(in_units(terms.currency, subtotal + renter_fees, true));
    let payouts: BTreeMap<AccountId, u64> = owed
        .into_iter()
        .map(|(supplier, owed)| (supplier, whole(in_units(terms.currency, owed, false))))
        .collect();
    let paid: u64 = payouts.values().sum();
    let (dollars, dollar_fees) = (whole(subtotal + renter_fees), whole(fees + renter_fees));
    Sum { charged, fees: charged - paid, payouts, dollars, dollar_fees }
}

/// What a rental is paid in.
pub(super) const fn asset(terms: &Terms) -> Asset {
    match terms.currency {
        Currency::Usd => Asset::Usd,
        Currency::Usdc => Asset::Usdc,
        Currency::Io { .. } => Asset::Io,
    }
}

/// Whether the receipt says the same, in dollars and in what was paid.
pub(super) fn receipt_agrees(rental: &Rental, sum: &Sum, held: u64) -> Step {
    let (receipt, paid) = (rental.receipt(), rental.paid());
    let in_dollars = receipt.as_ref().is_some_and(|receipt| {
        receipt.charged.units() == sum.dollars
            && receipt.fees.units() == sum.dollar_fees
            && u128::from(receipt.held.units()) == dollars_held(&rental.terms)
            && receipt.returned.units() + sum.dollars == receipt.held.units()
    });
    let in_units = paid.as_ref().is_some_and(|paid| {
        let payouts = paid.payouts.iter().map(|(supplier, money)| (*supplier, money.units));
        paid.charged.units == sum.charged
            && paid.fees.units == sum.fees
            && paid.held.units == held
            && paid.returned.units + sum.charged == held
            && payouts.collect::<BTreeMap<_, _>>() == sum.payouts
    });
    must(in_dollars && in_units, Invariant::I4Receipts, || {
        format!("{} comes to {sum:?} of {held}, not {receipt:?} and {paid:?}", rental.id)
    })
}
