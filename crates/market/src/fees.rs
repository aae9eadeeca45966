//! What the network takes for its services, and what a longer booking saves.
//!
//! # Invariants
//! - A fee is rounded down, to the good of whoever pays it; what a card costs is the provider's, and rounded up.
//! - What a payer gives is what the receivers get: parts and total agree to the unit.
//!
//! Absent on purpose: who holds the money, and what a node has served.

use serde::{Deserialize, Serialize};
use units::{Asset, Credits};
use utoipa::ToSchema;

/// The most that a rule may take, in ten-thousandths: a third. Above it only an error is to be expected.
const FEE_MAX_BP: u16 = 3_333;

/// What the network charges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeeRules {
    /// Added to what a renter is charged, in ten-thousandths (io.net: 25).
    pub renter_reservation_bp: u16,
    /// Taken from what a supplier earns, in ten-thousandths (io.net: 25).
    pub supplier_reservation_bp: u16,
    /// Added when a renter pays in credits, in ten-thousandths (io.net: 200 on everything but IO).
    pub facilitation_usd_bp: u16,
    /// Added when a renter pays in USDC, in ten-thousandths (io.net: 200).
    pub facilitation_usdc_bp: u16,
    /// Added when a renter pays in IO, in ten-thousandths (io.net: 0).
    pub facilitation_io_bp: u16,
    /// Taken when a supplier is paid in credits, in ten-thousandths: nothing leaves the network.
    pub payout_usd_bp: u16,
    /// Taken when a supplier is paid in USDC, in ten-thousandths (io.net: 200).
    pub payout_usdc_bp: u16,
    /// Taken when a supplier is paid in IO, in ten-thousandths (io.net: 0).
    pub payout_io_bp: u16,
    /// What the provider of card payments takes, in ten-thousandths (io.net: 350).
    pub card_bp: u16,
    /// The least it takes, in US dollars (io.net: 0.50).
    pub card_min: Credits,
    /// The least that a card payment must leave as credits, in US dollars (io.net: 1.00).
    pub credits_min: Credits,
    /// Minutes of a rental that are never given back when the renter ends it (io.net: the first hour).
    pub nonrefundable_minutes: u32,
}

impl Default for FeeRules {
    fn default() -> Self {
        Self {
            renter_reservation_bp: 25,
            supplier_reservation_bp: 25,
            facilitation_usd_bp: 200,
            facilitation_usdc_bp: 200,
            facilitation_io_bp: 0,
            payout_usd_bp: 0,
            payout_usdc_bp: 200,
            payout_io_bp: 0,
            card_bp: 350,
            card_min: Credits::from_units(500_000),
            credits_min: Credits::from_units(1_000_000),
            nonrefundable_minutes: 60,
        }
    }
}

/// Why rules of fees make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}")]
pub struct FeeFault {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

/// What a payment by card comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CardTopUp)]
pub struct TopUp {
    /// What the card paid.
    pub paid: Credits,
    /// What its provider keeps.
    pub fee: Credits,
    /// What becomes credits.
    pub credits: Credits,
}

/// A payment by card that would leave too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after the card provider's fee {left} USD would be left; pay enough for at least {least}")]
pub struct TooLittle {
    /// What would be left.
    pub left: Credits,
    /// What must be.
    pub least: Credits,
}

impl FeeRules {
    /// Whether the rules make sense.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self) -> Result<(), FeeFault> {
        let shares = [
            ("renter_reservation_bp", self.renter_reservation_bp),
            ("supplier_reservation_bp", self.supplier_reservation_bp),
            ("facilitation_usd_bp", self.facilitation_usd_bp),
            ("facilitation_usdc_bp", self.facilitation_usdc_bp),
            ("facilitation_io_bp", self.facilitation_io_bp),
            ("payout_usd_bp", self.payout_usd_bp),
            ("payout_usdc_bp", self.payout_usdc_bp),
            ("payout_io_bp", self.payout_io_bp),
            ("card_bp", self.card_bp),
        ];
        if let Some((field, _)) = shares.into_iter().find(|share| share.1 > FEE_MAX_BP) {
            return Err(FeeFault { field, expected: "at most 3333 ten-thousandths, a third" });
        }
        if self.nonrefundable_minutes > 24 * 60 {
            let expected = "at most 1440 minutes, a day";
            return Err(FeeFault { field: "nonrefundable_minutes", expected });
        }
        Ok(())
    }

    /// What is added for the way of paying, in ten-thousandths.
    pub const fn facilitation_bp(&self, asset: Asset) -> u16 {
        match asset {
            Asset::Usd => self.facilitation_usd_bp,
            Asset::Usdc => self.facilitation_usdc_bp,
            Asset::Io => self.facilitation_io_bp,
        }
    }

    /// What is taken for the way of being paid, in ten-thousandths.
    pub const fn payout_bp(&self, asset: Asset) -> u16 {
        match asset {
            Asset::Usd => self.payout_usd_bp,
            Asset::Usdc => self.payout_usdc_bp,
            Asset::Io => self.payout_io_bp,
        }
    }

    /// What becomes of a payment by card: its provider takes its share, rounded up, and at least its minimum; the
    /// rest becomes credits.
    ///
    /// # Errors
    /// [`TooLittle`] when the rest is below [`FeeRules::credits_min`].
    pub fn card_top_up(&self, paid: Credits) -> Result<TopUp, TooLittle> {
        let share = paid.share_ceil(self.card_bp).unwrap_or(paid);
        let fee = share.max(self.card_min);
        let credits = paid.checked_sub(fee).unwrap_or(Credits::ZERO);
        if credits < self.credits_min {
            return Err(TooLittle { left: credits, least: self.credits_min });
        }
        Ok(TopUp { paid, fee, credits })
    }
}

/// The unit in which a booking is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DurationType {
    /// Hours.
    Hourly,
    /// Days of 24 hours.
    Daily,
    /// Weeks of 7 days.
    Weekly,
    /// Months of 30 days.
    Monthly,
}

impl DurationType {
    /// Every one, shortest first.
    pub const ALL: &'static [Self] = &[Self::Hourly, Self::Daily, Self::Weekly, Self::Monthly];

    /// How many hours one of them has.
    pub const fn hours(self) -> u32 {
        match self {
            Self::Hourly => 1,
            Self::Daily => 24,
            Self::Weekly => 7 * 24,
            Self::Monthly => 30 * 24,
        }
    }

    /// The longest that a booking of this many hours fills.
    pub fn of_hours(hours: u32) -> Self {
        let fits = |unit: &&Self| unit.hours() <= hours;
        Self::ALL.iter().rev().find(fits).copied().unwrap_or(Self::Hourly)
    }
}

/// What an hour costs in a longer booking, in ten-thousandths of an hour booked alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DurationRules {
    /// In a booking of hours (io.net: 10000).
    pub hourly_bp: u16,
    /// In a booking of days (io.net: 9000).
    pub daily_bp: u16,
    /// In a booking of weeks (io.net: 8000).
    pub weekly_bp: u16,
    /// In a booking of months.
    pub monthly_bp: u16,
}

impl Default for DurationRules {
    fn default() -> Self {
        Self { hourly_bp: 10_000, daily_bp: 9_000, weekly_bp: 8_000, monthly_bp: 7_500 }
    }
}

impl DurationRules {
    /// Whether the rules make sense: a longer booking costs no more by the hour, and none costs nothing.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self) -> Result<(), FeeFault> {
        let fields = [
            ("hourly_bp", self.hourly_bp),
            ("daily_bp", self.daily_bp),
            ("weekly_bp", self.weekly_bp),
            ("monthly_bp", self.monthly_bp),
        ];
        let mut most = 10_000;
        for (field, share) in fields {
            if share == 0 || share > most {
                let expected = "at least 1 and no more than for a shorter booking";
                return Err(FeeFault { field, expected });
            }
            most = share;
        }
        Ok(())
    }

    /// The factor of bookings in this unit, in ten-thousandths.
    pub const fn factor_bp(&self, unit: DurationType) -> u16 {
        match unit {
            DurationType::Hourly => self.hourly_bp,
            DurationType::Daily => self.daily_bp,
            DurationType::Weekly => self.weekly_bp,
            DurationType::Monthly => self.monthly_bp,
        }
    }

    /// What an hour costs in such a booking, rounded down.
    pub fn hour(&self, hour: Credits, unit: DurationType) -> Credits {
        hour.share_floor(self.factor_bp(unit))
    }
}
