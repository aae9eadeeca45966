//! A price that explains itself: from the base price to the final one in named steps.

use std::collections::BTreeSet;
use std::fmt;

use units::{Certification, Credits, GpuModel, Tier};

use super::key::joined;
use super::region::Region;

/// What one hour of one card costs, and how that came about.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceQuote {
    /// On demand: base price, tier, certifications, region, utilisation, the hour's bound, floor and ceiling.
    pub on_demand: Vec<PriceStep>,
    /// From there to the spot price.
    pub spot: Vec<PriceStep>,
    /// What one hour of one card costs on demand: where the last step of `on_demand` leads.
    pub price: Credits,
    /// What it costs as spot: where the last step of `spot` leads. Never more than `price`.
    pub spot_price: Credits,
}

/// One step on the way to a price.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceStep {
    /// What the step is called.
    pub name: StepName,
    /// The price before it.
    pub from: Credits,
    /// The price after it.
    pub to: Credits,
    /// What made the difference. Its text is a sentence for people.
    pub why: Why,
}

/// The steps, in the order in which they are taken.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum StepName {
    /// The base price of the model.
    Base,
    /// How the machine is connected.
    Tier,
    /// Who vouches for the place.
    Certifications,
    /// Where it stands.
    Region,
    /// How much of the supply is rented.
    Utilisation,
    /// The most that a price moves in an hour.
    StepBound,
    /// The floor and the ceiling.
    Limits,
    /// What spot is cheaper by.
    SpotDiscount,
    /// The floor of spot prices.
    SpotFloor,
}

impl StepName {
    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Tier => "tier",
            Self::Certifications => "certifications",
            Self::Region => "region",
            Self::Utilisation => "utilisation",
            Self::StepBound => "step-bound",
            Self::Limits => "limits",
            Self::SpotDiscount => "spot-discount",
            Self::SpotFloor => "spot-floor",
        }
    }
}

/// What a step was taken for. Factors are in ten-thousandths.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Why {
    /// Every price of a model begins here.
    Base {
        /// The model.
        model: GpuModel,
    },
    /// The factor of a tier.
    Tier {
        /// The tier.
        tier: Tier,
        /// Its factor.
        factor_bp: u64,
    },
    /// The factor of certifications.
    Certifications {
        /// The certifications.
        certifications: BTreeSet<Certification>,
        /// Their factor, all together.
        factor_bp: u64,
    },
    /// The factor of a region.
    Region {
        /// The region.
        region: Region,
        /// Its factor.
        factor_bp: u64,
    },
    /// The price follows how much is rented.
    Utilisation {
        /// Cards rented and asked for, over cards offered, as the price sees it.
        pressure_bp: u64,
        /// Where it rests.
        target_bp: u64,
        /// How far these machines' own figures count; the rest is their model's, or rest.
        own_weight_bp: u64,
        /// The factor that follows.
        factor_bp: u64,
    },
    /// A price moves only so far from the last hour's.
    StepBound {
        /// The last hour's price; none where there was none.
        last: Option<Credits>,
        /// The most that it falls, in ten-thousandths.
        fall_max_bp: u64,
        /// The most that it rises, in ten-thousandths.
        rise_max_bp: u64,
    },
    /// A price stays within bounds around the base price.
    Limits {
        /// The least.
        floor: Credits,
        /// The most.
        ceiling: Credits,
    },
    /// Spot is cheaper, the more is free.
    SpotDiscount {
        /// What is free, of all.
        idle_bp: u64,
        /// What it is cheaper by.
        discount_bp: u64,
    },
    /// Spot has a floor, which is never above the price on demand.
    SpotFloor {
        /// The least.
        floor: Credits,
    },
}

impl Why {
    pub(super) fn name(&self) -> StepName {
        match self {
            Self::Base { .. } => StepName::Base,
            Self::Tier { .. } => StepName::Tier,
            Self::Certifications { .. } => StepName::Certifications,
            Self::Region { .. } => StepName::Region,
            Self::Utilisation { .. } => StepName::Utilisation,
            Self::StepBound { .. } => StepName::StepBound,
            Self::Limits { .. } => StepName::Limits,
            Self::SpotDiscount { .. } => StepName::SpotDiscount,
            Self::SpotFloor { .. } => StepName::SpotFloor,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base { model } => write!(f, "base price of {model}"),
            Self::Tier { tier, factor_bp } => write!(f, "tier {tier} × {}", Times(*factor_bp)),
            Self::Certifications { certifications, factor_bp } => {
                write!(f, "certified {} × {}", joined(certifications), Times(*factor_bp))
            }
            Self::Region { region, factor_bp } => {
                write!(f, "region {region} × {}", Times(*factor_bp))
            }
            Self::Utilisation { pressure_bp, target_bp, own_weight_bp, factor_bp } => write!(
                f,
                "{} rented or asked for, {} wanted, {} from these machines' own figures × {}",
                Percent(*pressure_bp),
                Percent(*target_bp),
                Percent(*own_weight_bp),
                Times(*factor_bp)
            ),
            Self::StepBound { last: None, .. } => f.write_str("no price an hour ago"),
            Self::StepBound { last: Some(last), fall_max_bp, rise_max_bp } => write!(
                f,
                "at most -{} and +{} an hour from {last}",
                Percent(*fall_max_bp),
                Percent(*rise_max_bp)
            ),
            Self::Limits { floor, ceiling } => write!(f, "from {floor} to {ceiling}"),
            Self::SpotDiscount { idle_bp, discount_bp } => {
                write!(f, "{} free: {} less", Percent(*idle_bp), Percent(*discount_bp))
            }
            Self::SpotFloor { floor } => write!(f, "spot from {floor}"),
        }
    }
}

/// A factor for people: `1.0500`.
struct Times(u64);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04}", self.0 / 10_000, self.0 % 10_000)
    }
}

/// A share for people: `7.50 %`.
struct Percent(u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} %", self.0 / 100, self.0 % 100)
    }
}
