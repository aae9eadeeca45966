//! Three ways to make a price: none, by utilisation alone, and by the network's rules.

use std::collections::BTreeMap;

use market::{Observation, PriceKey, Pricing, PricingRules};
use units::{AccountId, Credits, Hour};

/// The base price in its smallest units, so that a price in units is one in millionths of the base price.
const BASE: Credits = Credits::from_units(1_000_000);

/// One hour as anyone sees it, in card-hours.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Supplier and its free cards.
    pub(super) free: Vec<(u32, u64)>,
    /// Supplier, renter, cards.
    pub(super) rented: Vec<(u32, u32, u64)>,
    /// Who was turned away, and with how many cards.
    pub(super) refused: Vec<(u32, u64)>,
}

/// How a price is made.
#[derive(Clone, Debug)]
pub(super) enum Policy {
    /// The base price, always.
    Fixed,
    /// The same curve as the network's, on the last hour as it looks: no memory, no caps, no step.
    Naive(PricingRules, u64),
    /// The network's.
    Bounded(Box<Bounded>),
}

/// The network's pricing and what it needs.
#[derive(Clone, Debug)]
pub(super) struct Bounded {
    pricing: Pricing,
    rules: PricingRules,
    key: PriceKey,
    hour: u32,
}

impl Policy {
    pub(super) fn bounded(rules: PricingRules) -> Self {
        let key = "medium/europe/-/NVIDIA H100 PCIe".parse().expect("a well formed key");
        Self::Bounded(Box::new(Bounded { pricing: Pricing::default(), rules, key, hour: 0 }))
    }

    /// What an hour of a card costs, in millionths of the base price.
    pub(super) fn price_ppm(&self) -> u64 {
        match self {
            Self::Fixed => 1_000_000,
            Self::Naive(_, price) => *price,
            Self::Bounded(bounded) => {
                bounded.pricing.quote(&bounded.key, BASE, &bounded.rules).price.units()
            }
        }
    }

    pub(super) fn step(&mut self, seen: &Seen) {
        match self {
            Self::Fixed => {}
            Self::Naive(rules, price) => *price = naive(rules, seen),
            Self::Bounded(bounded) => bounded.step(seen),
        }
    }
}

impl Bounded {
    fn step(&mut self, seen: &Seen) {
        let account = |number: u32| AccountId::from_bits(u128::from(number));
        let mut observation = Observation::default();
        for (supplier, cards) in &seen.free {
            observation.free(account(*supplier), cards * 60);
        }
        for (supplier, renter, cards) in &seen.rented {
            observation.rented(account(*supplier), account(*renter), cards * 60);
        }
        for (renter, cards) in &seen.refused {
            observation.refused(account(*renter), cards * 60);
        }
        self.hour += 1;
        let seen = BTreeMap::from([(self.key.clone(), observation)]);
        let hour = Hour::from_number(self.hour);
        self.pricing.step(hour, &seen, &self.rules).expect("hours go forward");
    }
}

fn naive(rules: &PricingRules, seen: &Seen) -> u64 {
    let rented: u64 = seen.rented.iter().map(|(_, _, cards)| cards).sum();
    let free: u64 = seen.free.iter().map(|(_, cards)| cards).sum();
    let refused: u64 = seen.refused.iter().map(|(_, cards)| cards).sum();
    let pressure = (rented + refused) * 1_000_000 / (rented + free).max(1);
    let target = u64::from(rules.target_utilisation_bp) * 100;
    let part = |off: u64| off.saturating_mul(u64::from(rules.gain_bp)) / 10_000;
    let price = if pressure > target {
        1_000_000 + part(pressure - target)
    } else {
        1_000_000_u64.saturating_sub(part(target - pressure))
    };
    price.clamp(u64::from(rules.floor_bp) * 100, u64::from(rules.ceiling_bp) * 100)
}
