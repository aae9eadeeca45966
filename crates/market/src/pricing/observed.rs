//! What one hour showed of the machines of one price: what was free, who rented from whom, who was turned away.

use std::collections::BTreeMap;

use units::AccountId;

use super::limits::{CARD_MINUTES_MAX, TURNED_AWAY_MAX};

/// One hour of the machines of one price, in card-minutes: 60 for one card and the whole hour.
///
/// It adds up, so the order in which it was told does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    pub(super) suppliers: BTreeMap<AccountId, Supplied>,
    pub(super) refused: BTreeMap<AccountId, u64>,
}

/// What one supplier had on the market in that hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Supplied {
    pub(super) free: u64,
    /// By renter.
    pub(super) rented: BTreeMap<AccountId, u64>,
}

impl Observation {
    /// Cards of `supplier` were open and not rented for so long.
    pub fn free(&mut self, supplier: AccountId, card_minutes: u64) {
        add(&mut self.suppliers.entry(supplier).or_default().free, card_minutes);
    }

    /// Cards of `supplier` were rented by `renter` for so long. Whoever rents from themselves has taken the cards off
    /// the market: that counts neither as demand nor as supply.
    pub fn rented(&mut self, supplier: AccountId, renter: AccountId, card_minutes: u64) {
        let supplied = self.suppliers.entry(supplier).or_default();
        if supplier != renter {
            add(supplied.rented.entry(renter).or_default(), card_minutes);
        }
    }

    /// `renter` asked for cards that nobody had free, and could have paid for so many card-minutes of this hour. Tell
    /// only what an order could have paid for: asking is free, so what counts of it is capped for each account and in
    /// all.
    pub fn refused(&mut self, renter: AccountId, card_minutes: u64) {
        if self.refused.len() < TURNED_AWAY_MAX || self.refused.contains_key(&renter) {
            add(self.refused.entry(renter).or_default(), card_minutes);
        }
    }

    /// Adds all that another observation of the same hour saw.
    pub fn absorb(&mut self, other: &Self) {
        for (supplier, supplied) in &other.suppliers {
            self.free(*supplier, supplied.free);
            for (renter, card_minutes) in &supplied.rented {
                self.rented(*supplier, *renter, *card_minutes);
            }
        }
        for (renter, card_minutes) in &other.refused {
            self.refused(*renter, *card_minutes);
        }
    }

    /// What a supplier had on the market, free and rented together, in card-minutes.
    pub(super) fn offered(&self, supplier: AccountId) -> u64 {
        let Some(supplied) = self.suppliers.get(&supplier) else { return 0 };
        supplied.rented.values().fold(supplied.free, |sum, rented| sum.saturating_add(*rented))
    }
}

fn add(to: &mut u64, card_minutes: u64) {
    *to = to.saturating_add(card_minutes).min(CARD_MINUTES_MAX);
}
