//! How sought after the cards of one price are, by a measure that no single account can bend far.
//!
//! The *pressure* of an hour is what was rented and what was turned away, over what was offered; 1,000,000 parts mean
//! that everything was rented. Before anything is divided, everybody's part is cut to size:
//! - a supplier counts with what it offers, but with no more than its usual supply give or take a *swing*, and never
//!   with more than its *share* of the usual supply of all; its rentals shrink in the same proportion;
//! - a renter counts up to its share of the supply, and so does an account that was turned away;
//! - all suppliers together withdraw no more than a part of the usual supply.
//!
//! # Invariants
//! - Usual supply is memory: nothing that an hour shows changes by how much that same hour may count.
//! - No more counts as rented than as offered, so pressure is at most everything and the cap of refused requests.
//! - More free cards never raise the pressure; a free card that is rented, or one more request refused, never lowers
//!   it.

use std::collections::{BTreeMap, BTreeSet};

use units::AccountId;

use super::limits::SUPPLIERS_MAX;
use super::observed::Observation;
use super::rules::PricingRules;

/// Everything, in the parts that pressure is counted in.
pub(super) const ALL_PPM: u64 = 1_000_000;
const PPM_PER_BP: u64 = 100;
const WHOLE_BP: u64 = 10_000;
const MICRO_CARDS: u64 = 1_000_000;

/// What is remembered of the cards of one price, or of one model.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gauge {
    /// What each supplier usually has on the market, in millionths of a card.
    usual: BTreeMap<AccountId, u64>,
    /// Pressure, as remembered over the short window.
    pub(super) short_ppm: u64,
    /// Pressure, as remembered over the long window.
    pub(super) long_ppm: u64,
    /// How far it stands on its own, in ten-thousandths: wholly with enough usual supply, less with less.
    pub(super) weight_bp: u64,
}

/// What usual supply counts for.
#[derive(Clone, Copy, Debug)]
struct Usual {
    /// What each supplier is cut to.
    each_max: u64,
    /// What all of them come to, each cut to that.
    all: u128,
}

impl Gauge {
    /// Nothing seen: at rest.
    pub(super) fn new(rules: &PricingRules) -> Self {
        let rest = target_ppm(rules);
        Self { usual: BTreeMap::new(), short_ppm: rest, long_ppm: rest, weight_bp: 0 }
    }

    /// An hour has passed.
    pub(super) fn step(&mut self, seen: &Observation, rules: &PricingRules) {
        let usual = self.usual(rules);
        let pressure = self.pressure_ppm(seen, usual, rules);
        self.short_ppm = toward(self.short_ppm, pressure, rules.short_window_hours);
        self.long_ppm = toward(self.long_ppm, pressure, rules.long_window_hours);
        self.weight_bp = weight_bp(usual, rules);
        self.remember(seen, rules);
    }

    /// What the hour showed, cut to size. At rest where nothing counts as supply.
    fn pressure_ppm(&self, seen: &Observation, usual: Usual, rules: &PricingRules) -> u64 {
        let supply = self.supply(seen, usual, rules);
        if supply == 0 {
            return target_ppm(rules);
        }
        // Both sides in ten-thousandths of a millionth of a card, so that no cap is rounded.
        let share = |bp: u16| supply * u128::from(bp);
        let rented = self.rented(seen, usual, rules);
        let rented =
            rented.values().map(|each| (each * 10_000).min(share(rules.renter_share_max_bp)));
        let refused =
            seen.refused.values().map(|minutes| u128::from(micro_cards(*minutes)) * 10_000);
        let refused: u128 = refused.map(|each| each.min(share(rules.refused_each_max_bp))).sum();
        let sought = rented.sum::<u128>() + refused.min(share(rules.refused_all_max_bp));
        let parts = sought * u128::from(PPM_PER_BP) / supply;
        u64::try_from(parts)
            .expect("no more counts as rented than as offered, and refusals are capped")
    }

    /// What counts as offered, in millionths of a card.
    fn supply(&self, seen: &Observation, usual: Usual, rules: &PricingRules) -> u128 {
        let known = self.usual.keys().chain(seen.suppliers.keys());
        let suppliers: BTreeSet<AccountId> = known.copied().collect();
        let counted = suppliers.into_iter().map(|supplier| {
            let (low, high) = self.range(supplier, usual, rules);
            u128::from(micro_cards(seen.offered(supplier)).clamp(low, high))
        });
        let stays = 10_000_u128.saturating_sub(rules.withdrawn_max_bp.into());
        let least = usual.all * stays / 10_000;
        counted.sum::<u128>().max(least)
    }

    /// What counts as rented by each renter, in millionths of a card: of a supplier that counts for a part of what it
    /// offers, the same part.
    fn rented(
        &self,
        seen: &Observation,
        usual: Usual,
        rules: &PricingRules,
    ) -> BTreeMap<AccountId, u128> {
        let mut renters = BTreeMap::new();
        for (supplier, supplied) in &seen.suppliers {
            let (_, high) = self.range(*supplier, usual, rules);
            let offered = micro_cards(seen.offered(*supplier));
            for (renter, minutes) in &supplied.rented {
                let all = u128::from(micro_cards(*minutes));
                let counts = all * u128::from(high.min(offered)) / u128::from(offered.max(1));
                *renters.entry(*renter).or_default() += counts;
            }
        }
        renters
    }

    /// The least and the most that a supplier may count for.
    fn range(&self, supplier: AccountId, usual: Usual, rules: &PricingRules) -> (u64, u64) {
        let own = self.usual.get(&supplier).copied().unwrap_or(0).min(usual.each_max);
        let swing = usual.all * u128::from(rules.supplier_swing_max_bp) / 10_000;
        let swing = u64::try_from(swing).unwrap_or(u64::MAX);
        (own.saturating_sub(swing), own.saturating_add(swing).min(usual.each_max))
    }

    /// Usual supply, with each supplier cut so that nobody has more than the allowed share of the rest and itself.
    fn usual(&self, rules: &PricingRules) -> Usual {
        let share = u128::from(rules.supplier_share_max_bp);
        let mut sizes: Vec<u64> = self.usual.values().copied().collect();
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        let mut rest: u128 = sizes.iter().map(|size| u128::from(*size)).sum();
        // With the `cut` largest all cut to c, c = share × (cut × c + rest).
        for (cut, size) in (0_u128..).zip(&sizes) {
            let Some(left) = 10_000_u128.checked_sub(share * cut).filter(|left| *left > 0) else {
                break;
            };
            let each_max = share * rest / left;
            if u128::from(*size) <= each_max {
                let each_max = u64::try_from(each_max).unwrap_or(u64::MAX);
                return Usual { each_max, all: rest + cut * u128::from(each_max) };
            }
            rest -= u128::from(*size);
        }
        Usual { each_max: 0, all: 0 }
    }

    fn remember(&mut self, seen: &Observation, rules: &PricingRules) {
        for supplier in seen.suppliers.keys() {
            if self.usual.len() < SUPPLIERS_MAX {
                self.usual.entry(*supplier).or_default();
            }
        }
        for (supplier, usual) in &mut self.usual {
            let offered = micro_cards(seen.offered(*supplier));
            let arrives = offered > *usual;
            let window =
                if arrives { rules.arrival_window_hours } else { rules.withdrawal_window_hours };
            *usual = toward(*usual, offered, window);
        }
        self.usual.retain(|_, usual| *usual > 0);
    }

    /// Nobody is remembered to supply anything.
    pub(super) fn is_forgotten(&self) -> bool {
        self.usual.is_empty()
    }

    /// The pressure that both memories agree on: the nearer to the target where they lie on one side of it, else the
    /// target.
    pub(super) fn agreed_ppm(&self, rules: &PricingRules) -> u64 {
        let (least, most) = (self.short_ppm.min(self.long_ppm), self.short_ppm.max(self.long_ppm));
        target_ppm(rules).clamp(least, most)
    }

    /// Whether every figure is within what this code can have written.
    pub(super) fn is_sound(&self) -> bool {
        let most = ALL_PPM + u64::from(u16::MAX) * PPM_PER_BP;
        self.short_ppm <= most
            && self.long_ppm <= most
            && self.weight_bp <= WHOLE_BP
            && self.usual.len() <= SUPPLIERS_MAX
            && self.usual.values().all(|usual| *usual > 0)
    }
}

fn weight_bp(usual: Usual, rules: &PricingRules) -> u64 {
    let thick = u128::from(rules.thick_cards.max(1)) * u128::from(MICRO_CARDS);
    let weight = usual.all * u128::from(WHOLE_BP) / thick;
    u64::try_from(weight).map_or(WHOLE_BP, |weight| weight.min(WHOLE_BP))
}

/// The utilisation at which a price rests.
pub(super) fn target_ppm(rules: &PricingRules) -> u64 {
    u64::from(rules.target_utilisation_bp) * PPM_PER_BP
}

/// One hour of a memory over this many. Rounded down, so that what is gone is forgotten in the end.
fn toward(from: u64, to: u64, window_hours: u16) -> u64 {
    let window = u128::from(window_hours.max(1));
    let sum = u128::from(from) * (window - 1) + u128::from(to);
    u64::try_from(sum / window).expect("a mean lies between its parts")
}

/// As many as can be written down, for more.
fn micro_cards(card_minutes: u64) -> u64 {
    let exact = u128::from(card_minutes) * u128::from(MICRO_CARDS) / 60;
    u64::try_from(exact).unwrap_or(u64::MAX)
}
