//! What decides how prices move: every figure of it, changeable by a vote.

use std::collections::BTreeMap;

use units::{Certification, Tier};

use super::region::Region;

/// One, in ten-thousandths.
const WHOLE_BP: u16 = 10_000;
/// The longest window: a year of hours.
const WINDOW_HOURS_MAX: u16 = 8_760;

/// How prices are made. Shares and factors in ten-thousandths (bp); the defaults are those of the study in
/// `docs/concepts/pricing.md`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PricingRules {
    /// The share of the cards that should be rented: at it, a price rests.
    pub target_utilisation_bp: u16,
    /// How far a price goes for each part that utilisation is off the target: at 20,000, one percentage point of
    /// utilisation is two percent of the price.
    pub gain_bp: u16,
    /// The most that a price rises in an hour.
    pub rise_max_bp: u16,
    /// The most that a price falls in an hour.
    pub fall_max_bp: u16,
    /// The least that a price may be, of the base price.
    pub floor_bp: u16,
    /// The most that a price may be, of the base price.
    pub ceiling_bp: u16,
    /// The short memory of utilisation, in hours. The price moves off its rest only as far as both memories agree.
    pub short_window_hours: u16,
    /// The long memory of utilisation, in hours.
    pub long_window_hours: u16,
    /// How fast a supplier's usual supply follows what it newly offers, in hours.
    pub arrival_window_hours: u16,
    /// How fast a supplier's usual supply follows what it takes away, in hours.
    pub withdrawal_window_hours: u16,
    /// The most that one supplier may differ from its usual supply, as a share of all usual supply.
    pub supplier_swing_max_bp: u16,
    /// The most that one supplier counts for in the supply of a price. Also says how many suppliers make a market: with
    /// fewer than the inverse, nothing counts and the price rests on its parent's.
    pub supplier_share_max_bp: u16,
    /// The most that all suppliers together may withdraw from the usual supply.
    pub withdrawn_max_bp: u16,
    /// The most that one renter's rentals count for, of the supply.
    pub renter_share_max_bp: u16,
    /// The most that one account's refused requests count for, of the supply.
    pub refused_each_max_bp: u16,
    /// The most that all refused requests count for, of the supply.
    pub refused_all_max_bp: u16,
    /// With this many cards of usual supply a price stands on its own; with fewer, on its model's in proportion, and a
    /// model on its base price.
    pub thick_cards: u32,
    /// The factor of each tier; one that is not named has none.
    pub tier_bp: BTreeMap<Tier, u16>,
    /// What each certification adds; one that is not named adds nothing.
    pub certification_premium_bp: BTreeMap<Certification, u16>,
    /// The factor of each region; one that is not named has none.
    pub region_bp: BTreeMap<Region, u16>,
    /// What a spot rental is cheaper by when nothing is free.
    pub spot_discount_min_bp: u16,
    /// What a spot rental is cheaper by when everything is free.
    pub spot_discount_max_bp: u16,
    /// The least that a spot price may be, of the base price.
    pub spot_floor_bp: u16,
    /// How long a spot rental runs on after it was told to go, in minutes.
    pub spot_notice_minutes: u16,
}

impl Default for PricingRules {
    fn default() -> Self {
        Self {
            target_utilisation_bp: 8_000,
            gain_bp: 20_000,
            rise_max_bp: 100,
            fall_max_bp: 100,
            floor_bp: 4_000,
            ceiling_bp: 30_000,
            short_window_hours: 6,
            long_window_hours: 24,
            arrival_window_hours: 24,
            withdrawal_window_hours: 14 * 24,
            supplier_swing_max_bp: 200,
            supplier_share_max_bp: 2_000,
            withdrawn_max_bp: 3_000,
            renter_share_max_bp: 1_000,
            refused_each_max_bp: 100,
            refused_all_max_bp: 500,
            thick_cards: 32,
            tier_bp: [
                (Tier::None, 8_500),
                (Tier::Low, 9_000),
                (Tier::Medium, WHOLE_BP),
                (Tier::High, 10_500),
                (Tier::UltraHigh, 11_000),
            ]
            .into(),
            certification_premium_bp: Certification::ALL
                .iter()
                .map(|certification| (*certification, 500))
                .collect(),
            region_bp: BTreeMap::new(),
            spot_discount_min_bp: 1_000,
            spot_discount_max_bp: 6_000,
            spot_floor_bp: 2_000,
            spot_notice_minutes: 5,
        }
    }
}

/// Why rules make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {found}; it must be from {least} to {most}")]
pub struct UnsoundPricing {
    /// The field.
    pub field: &'static str,
    /// What it is.
    pub found: u64,
    /// The least that it may be.
    pub least: u64,
    /// The most that it may be.
    pub most: u64,
}

impl PricingRules {
    /// Whether prices can be made by these rules.
    ///
    /// # Errors
    /// [`UnsoundPricing`] names the first field that is out of range.
    pub fn check(&self) -> Result<(), UnsoundPricing> {
        let whole = WHOLE_BP;
        let most = u16::MAX;
        let window = WINDOW_HOURS_MAX;
        let rows = [
            ("target_utilisation_bp", self.target_utilisation_bp, 1, whole - 1),
            ("gain_bp", self.gain_bp, 0, most),
            ("rise_max_bp", self.rise_max_bp, 1, whole),
            ("fall_max_bp", self.fall_max_bp, 1, whole - 1),
            ("floor_bp", self.floor_bp, 1, most),
            ("ceiling_bp", self.ceiling_bp, self.floor_bp, most),
            ("short_window_hours", self.short_window_hours, 1, window),
            ("long_window_hours", self.long_window_hours, self.short_window_hours, window),
            ("arrival_window_hours", self.arrival_window_hours, 1, window),
            ("withdrawal_window_hours", self.withdrawal_window_hours, 1, window),
            ("supplier_swing_max_bp", self.supplier_swing_max_bp, 1, whole),
            ("supplier_share_max_bp", self.supplier_share_max_bp, 1, whole),
            ("withdrawn_max_bp", self.withdrawn_max_bp, 0, whole - 1),
            ("renter_share_max_bp", self.renter_share_max_bp, 1, whole),
            ("refused_each_max_bp", self.refused_each_max_bp, 0, whole),
            ("refused_all_max_bp", self.refused_all_max_bp, self.refused_each_max_bp, most),
            ("spot_discount_min_bp", self.spot_discount_min_bp, 0, self.spot_discount_max_bp),
            ("spot_discount_max_bp", self.spot_discount_max_bp, 0, whole),
            ("spot_floor_bp", self.spot_floor_bp, 0, most),
            ("spot_notice_minutes", self.spot_notice_minutes, 0, 24 * 60),
        ];
        let factors = self.tier_bp.values().map(|factor| ("tier_bp", *factor, 1, most));
        let regions = self.region_bp.values().map(|factor| ("region_bp", *factor, 1, most));
        let premiums = self.certification_premium_bp.values();
        let premiums = premiums.map(|premium| ("certification_premium_bp", *premium, 0, whole));
        let wrong = rows
            .into_iter()
            .chain(factors)
            .chain(regions)
            .chain(premiums)
            .find(|(_, found, least, most)| found < least || found > most);
        match wrong {
            None if self.thick_cards > 0 => Ok(()),
            None => {
                let most = u64::from(u32::MAX);
                Err(UnsoundPricing { field: "thick_cards", found: 0, least: 1, most })
            }
            Some((field, found, least, most)) => Err(UnsoundPricing {
                field,
                found: u64::from(found),
                least: u64::from(least),
                most: u64::from(most),
            }),
        }
    }

    /// The most by which one account moves a price as a renter, whatever it rents and asks for, in ten-thousandths of
    /// the price at rest: its caps times the gain.
    pub fn renter_influence_max_bp(&self) -> u64 {
        let caps = u64::from(self.renter_share_max_bp) + u64::from(self.refused_each_max_bp);
        caps * u64::from(self.gain_bp) / u64::from(WHOLE_BP)
    }

    /// The most by which one supplier raises a price when it takes its usual supply off the market, in ten-thousandths
    /// of the price at rest, for as long as that supply is remembered and whatever the others show. When they fill up
    /// afterwards, that is demand like any other.
    ///
    /// Counted supply falls from at least `rest + swing` to `rest`, which is at least what all together may leave; and
    /// pressure is at most everything and all refused requests.
    pub fn withdrawal_influence_max_bp(&self) -> u64 {
        let (whole, swing) = (u64::from(WHOLE_BP), u64::from(self.supplier_swing_max_bp));
        let rest = whole.saturating_sub(self.withdrawn_max_bp.into()).max(1);
        let pressure = whole + u64::from(self.refused_all_max_bp);
        (pressure * swing).div_ceil(rest + swing) * u64::from(self.gain_bp) / whole
    }

    /// What a tier's price is of the base price.
    pub(super) fn tier_factor_bp(&self, tier: Tier) -> u16 {
        self.tier_bp.get(&tier).copied().unwrap_or(WHOLE_BP)
    }

    /// What a region's price is of the base price.
    pub(super) fn region_factor_bp(&self, region: Region) -> u16 {
        self.region_bp.get(&region).copied().unwrap_or(WHOLE_BP)
    }
}
