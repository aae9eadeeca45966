//! The arithmetic of a price: factors of the base price in millionths, one after the other.
//!
//! # Invariants
//! - Every factor rounds down, and none depends on the base price; so a price is a share of it, the same for any base.

use units::{Certification, Credits};

use super::gauge::{ALL_PPM, target_ppm};
use super::key::PriceKey;
use super::quote::{PriceQuote, PriceStep, Why};
use super::rules::PricingRules;

/// What utilisation says of one price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressure {
    /// What both memories agree on, own and parents' weighed together.
    pub(super) agreed_ppm: u64,
    /// What the short memory says.
    pub(super) short_ppm: u64,
    /// How far its own figures count.
    pub(super) own_weight_bp: u64,
}

/// A price as shares of the base price, after each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    tier: u64,
    certified: u64,
    region: u64,
    utilisation: u64,
    bounded: u64,
    /// The price on demand.
    pub(super) limited: u64,
    discounted: u64,
    /// The spot price.
    spot: u64,
}

impl Chain {
    /// The price by these rules, an hour after it was `last_ppm`.
    pub(super) fn new(
        key: &PriceKey,
        pressure: Pressure,
        last_ppm: Option<u64>,
        rules: &PricingRules,
    ) -> Self {
        let tier = ppm(rules.tier_factor_bp(key.tier));
        let certified = times(tier, certified_bp(key, rules));
        let region = times(certified, rules.region_factor_bp(key.region).into());
        let utilisation = share(region, utilisation_ppm(pressure.agreed_ppm, rules));
        let bounded = match last_ppm {
            Some(last) => {
                let fall = times(last, rules.fall_max_bp.into());
                let rise = times(last, rules.rise_max_bp.into());
                utilisation.clamp(last - fall.min(last), last.saturating_add(rise))
            }
            None => utilisation,
        };
        let limited = bounded.min(ppm(rules.ceiling_bp)).max(ppm(rules.floor_bp));
        let discounted = times(limited, 10_000 - discount_bp(pressure, rules));
        let spot = discounted.max(ppm(rules.spot_floor_bp)).min(limited);
        Self { tier, certified, region, utilisation, bounded, limited, discounted, spot }
    }

    /// The same, as money and in words.
    pub(super) fn quote(
        &self,
        key: &PriceKey,
        base: Credits,
        pressure: Pressure,
        last_ppm: Option<u64>,
        rules: &PricingRules,
    ) -> PriceQuote {
        let money = |ppm: u64| amount(base, ppm);
        let on_demand = [
            (ALL_PPM, Why::Base { model: key.model.clone() }),
            (
                self.tier,
                Why::Tier { tier: key.tier, factor_bp: rules.tier_factor_bp(key.tier).into() },
            ),
            (
                self.certified,
                Why::Certifications {
                    certifications: key.certifications.clone(),
                    factor_bp: certified_bp(key, rules),
                },
            ),
            (
                self.region,
                Why::Region {
                    region: key.region,
                    factor_bp: rules.region_factor_bp(key.region).into(),
                },
            ),
            (
                self.utilisation,
                Why::Utilisation {
                    pressure_bp: pressure.agreed_ppm / 100,
                    target_bp: rules.target_utilisation_bp.into(),
                    own_weight_bp: pressure.own_weight_bp,
                    factor_bp: utilisation_ppm(pressure.agreed_ppm, rules) / 100,
                },
            ),
            (
                self.bounded,
                Why::StepBound {
                    last: last_ppm.map(money),
                    fall_max_bp: rules.fall_max_bp.into(),
                    rise_max_bp: rules.rise_max_bp.into(),
                },
            ),
            (
                self.limited,
                Why::Limits {
                    floor: money(ppm(rules.floor_bp)),
                    ceiling: money(ppm(rules.ceiling_bp)),
                },
            ),
        ];
        let (price, spot_price) = (money(self.limited), money(self.spot));
        PriceQuote {
            on_demand: steps(base, base, on_demand),
            spot: steps(base, price, self.spot_rows(base, pressure, rules)),
            price,
            spot_price,
        }
    }

    fn spot_rows(
        &self,
        base: Credits,
        pressure: Pressure,
        rules: &PricingRules,
    ) -> [(u64, Why); 2] {
        let discount = Why::SpotDiscount {
            idle_bp: idle_ppm(pressure) / 100,
            discount_bp: discount_bp(pressure, rules),
        };
        let floor = Why::SpotFloor { floor: amount(base, ppm(rules.spot_floor_bp)) };
        [(self.discounted, discount), (self.spot, floor)]
    }
}

fn steps<const N: usize>(base: Credits, start: Credits, rows: [(u64, Why); N]) -> Vec<PriceStep> {
    let mut from = start;
    let step = |(ppm, why): (u64, Why)| {
        let to = amount(base, ppm);
        let step = PriceStep { name: why.name(), from, to, why };
        from = to;
        step
    };
    rows.into_iter().map(step).collect()
}

/// What all certifications of a key come to: each adds to the same price.
fn certified_bp(key: &PriceKey, rules: &PricingRules) -> u64 {
    let premium = |certification: &Certification| {
        rules.certification_premium_bp.get(certification).map_or(0, |bp| u64::from(*bp))
    };
    10_000 + key.certifications.iter().map(premium).sum::<u64>()
}

/// The factor of utilisation: one at the target, and the gain for each part off it.
fn utilisation_ppm(pressure_ppm: u64, rules: &PricingRules) -> u64 {
    let target = target_ppm(rules);
    let part = |off: u64| off * u64::from(rules.gain_bp) / 10_000;
    if pressure_ppm >= target {
        ALL_PPM + part(pressure_ppm - target)
    } else {
        ALL_PPM.saturating_sub(part(target - pressure_ppm))
    }
}

fn idle_ppm(pressure: Pressure) -> u64 {
    ALL_PPM.saturating_sub(pressure.short_ppm)
}

/// What spot is cheaper by: between its bounds as what is free is between nothing and all.
fn discount_bp(pressure: Pressure, rules: &PricingRules) -> u64 {
    let (least, most) =
        (u64::from(rules.spot_discount_min_bp), u64::from(rules.spot_discount_max_bp));
    (least + most.saturating_sub(least) * idle_ppm(pressure) / ALL_PPM).min(10_000)
}

/// A share of the base price as money. The most that can be written down stands for more.
fn amount(base: Credits, ppm: u64) -> Credits {
    base.mul_div_floor(ppm, ALL_PPM).unwrap_or(Credits::from_units(u64::MAX))
}

fn ppm(bp: u16) -> u64 {
    u64::from(bp) * 100
}

fn times(of: u64, bp: u64) -> u64 {
    of.saturating_mul(bp) / 10_000
}

fn share(of: u64, ppm: u64) -> u64 {
    of.saturating_mul(ppm) / ALL_PPM
}
