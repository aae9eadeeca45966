//! From one asset into another, and from revenue into coins that are burned.
//!
//! ```text
//!  revenue ──share──► set aside ──plan──► purchase at the oracle's rate ──done──► burned
//!                         ▲                      │ slipped, or no purchase now
//!                         └──────────────────────┘
//! ```
//!
//! # Invariants
//! - What was set aside is what is still there plus what was spent, to the unit.
//! - No purchase costs more than was set aside, nor buys less than the rules' slippage allows.
//! - A conversion there and back never gains a unit.
//!
//! Absent on purpose: who sells the coins, and the purses that the money lies in.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{Asset, Coins, Credits, HOUR, Money, Timestamp};
use utoipa::ToSchema;

use crate::oracle::{NoRate, Rate};
use crate::terms::TooMuch;

const WHOLE_BP: u128 = 10_000;

/// How revenue becomes burned coins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BurnRules {
    /// The share of revenue that buys coins, in ten-thousandths of what is left after suppliers are paid.
    pub share_of_revenue_bp: u16,
    /// How often coins are bought at most, in hours.
    pub interval_hours: u32,
    /// How many fewer coins than the rate promises a purchase may bring, in ten-thousandths.
    pub slippage_max_bp: u16,
    /// The least that a purchase is made for, in US dollars.
    pub minimum: Credits,
}

impl Default for BurnRules {
    fn default() -> Self {
        Self {
            share_of_revenue_bp: 5_000,
            interval_hours: 24,
            slippage_max_bp: 100,
            minimum: Credits::from_units(10_000_000),
        }
    }
}

/// How assets are converted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversionRules {
    /// How long a quoted conversion holds, in seconds: no longer than a rate, so that nobody waits to see where the
    /// next one goes (io.net: 60).
    pub quote_valid_s: u32,
}

impl Default for ConversionRules {
    fn default() -> Self {
        Self { quote_valid_s: 60 }
    }
}

/// Why rules of the exchange make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}")]
pub struct ExchangeFault {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

impl BurnRules {
    /// Whether the rules make sense.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self) -> Result<(), ExchangeFault> {
        let fault = |field, expected| Err(ExchangeFault { field, expected });
        if self.share_of_revenue_bp > 10_000 {
            return fault("share_of_revenue_bp", "at most 10000, the whole");
        }
        if !(1..=8_760).contains(&self.interval_hours) {
            return fault("interval_hours", "from 1 to 8760");
        }
        if self.slippage_max_bp >= 5_000 {
            return fault("slippage_max_bp", "below 5000, a half");
        }
        if self.minimum.is_zero() {
            return fault("minimum", "more than nothing");
        }
        Ok(())
    }
}

impl ConversionRules {
    /// Whether the rules make sense.
    ///
    /// # Errors
    /// The field that does not.
    pub const fn check(&self) -> Result<(), ExchangeFault> {
        if self.quote_valid_s >= 1 && self.quote_valid_s <= 600 {
            return Ok(());
        }
        Err(ExchangeFault { field: "quote_valid_s", expected: "from 1 to 600" })
    }
}

/// A purchase of coins to burn, not yet made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlannedBurn)]
pub struct Burn {
    /// What is paid for the coins.
    pub spend: Credits,
    /// How many coins that is at the rate, rounded down.
    pub coins: Coins,
    /// The fewest that may come of it.
    pub coins_min: Coins,
    /// The rate.
    pub rate: Rate,
}

/// Why no coins are bought now. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// The last purchase was not long ago.
    #[error("coins were bought {passed_s} s ago, and are bought every {every_hours} h")]
    TooSoon {
        /// How long ago, in seconds.
        passed_s: u64,
        /// How often, in hours.
        every_hours: u32,
    },
    /// The coin has no rate to buy at.
    #[error(transparent)]
    NoRate(#[from] NoRate),
    /// Too little was set aside.
    #[error("{there} USD are set aside, {least} USD is the least")]
    TooLittle {
        /// What is set aside.
        there: Credits,
        /// The least.
        least: Credits,
    },
    /// The purse sells too few coins for the least that is spent.
    #[error("{there} coins are for sale, {wanted} would be bought")]
    TooFewCoins {
        /// What the purse has.
        there: Coins,
        /// What would be bought with all that is set aside.
        wanted: Coins,
    },
    /// The purchase cannot be written down.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

/// Why a purchase does not count. It changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BurnRefusal {
    /// It brought too few coins.
    #[error("{bought} coins were bought, {least} is the least at this rate")]
    Slipped {
        /// How many it brought.
        bought: Coins,
        /// The fewest that it had to.
        least: Coins,
    },
    /// It was planned when more was set aside.
    #[error("{spend} USD were spent, {there} USD are set aside: plan again")]
    NotSetAside {
        /// What it costs.
        spend: Credits,
        /// What there is.
        there: Credits,
    },
    /// The totals cannot be written down.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

/// What was set aside to buy coins, and what was bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Burns {
    /// What is set aside and not spent.
    pub set_aside: Credits,
    /// Ten-thousandths of the smallest unit that are set aside besides, so that many small revenues count for as
    /// much as one large one.
    pub remainder: u16,
    /// When coins were last bought, in milliseconds since 1970.
    #[schema(value_type = Option<u64>)]
    pub last_at: Option<Timestamp>,
    /// What was ever spent.
    pub spent: Credits,
    /// What was ever burned.
    pub burned: Coins,
}

impl Default for Burns {
    fn default() -> Self {
        Self {
            set_aside: Credits::ZERO,
            remainder: 0,
            last_at: None,
            spent: Credits::ZERO,
            burned: Coins::ZERO,
        }
    }
}

impl Burns {
    /// The network keeps this much of what was paid. Returns the share of it that is set aside.
    ///
    /// # Errors
    /// [`TooMuch`] when all that is set aside cannot be written down.
    pub fn on_revenue(&mut self, revenue: Credits, rules: &BurnRules) -> Result<Credits, TooMuch> {
        let share = u128::from(revenue.units()) * u128::from(rules.share_of_revenue_bp);
        let exact = share + u128::from(self.remainder);
        let units = u64::try_from(exact / WHOLE_BP).map_err(|_| TooMuch)?;
        let share = Credits::from_units(units);
        self.set_aside = self.set_aside.checked_add(share).ok_or(TooMuch)?;
        self.remainder = u16::try_from(exact % WHOLE_BP).expect("below ten thousand");
        Ok(share)
    }

    /// What it accounts for: what is set aside and not spent.
    pub const fn total(&self) -> Credits {
        self.set_aside
    }

    /// The purchase that is due, from a purse with this many coins: for all that is set aside, or for all that the
    /// purse has.
    ///
    /// # Errors
    /// Why none is.
    pub fn plan(
        &self,
        purse: Coins,
        rate: Result<Rate, NoRate>,
        now: Timestamp,
        rules: &BurnRules,
    ) -> Result<Burn, NotNow> {
        let every_hours = rules.interval_hours;
        let passed = self.last_at.map(|last| now.since(last));
        if let Some(passed) = passed.filter(|passed| *passed < HOUR * every_hours) {
            return Err(NotNow::TooSoon { passed_s: passed.as_secs(), every_hours });
        }
        plan_burn(self.set_aside, purse, rate?, rules)
    }

    /// The planned purchase was made and brought this many coins, which are burned.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn done(&mut self, burn: &Burn, bought: Coins, now: Timestamp) -> Result<(), BurnRefusal> {
        if bought < burn.coins_min {
            return Err(BurnRefusal::Slipped { bought, least: burn.coins_min });
        }
        let (spend, there) = (burn.spend, self.set_aside);
        let left = there.checked_sub(spend).ok_or(BurnRefusal::NotSetAside { spend, there })?;
        let spent = self.spent.checked_add(spend).ok_or(TooMuch)?;
        let burned = self.burned.checked_add(bought).ok_or(TooMuch)?;
        *self = Self { set_aside: left, last_at: Some(now), spent, burned, ..*self };
        Ok(())
    }

    /// Whether what was read back adds up.
    ///
    /// # Errors
    /// What does not.
    pub fn audit(&self) -> Result<(), ExchangeFault> {
        let fault = |field, expected| Err(ExchangeFault { field, expected });
        if self.remainder >= 10_000 {
            return fault("remainder", "below 10000, one unit");
        }
        if self.last_at.is_none() && !(self.spent.is_zero() && self.burned.is_zero()) {
            return fault("last_at", "given once coins were bought");
        }
        Ok(())
    }
}

/// The purchase for this many dollars at this rate, from a purse with this many coins. The coins are rounded down; if
/// the purse cannot give them all, it gives what it has, at a price rounded up.
///
/// # Errors
/// [`NotNow::TooLittle`], [`NotNow::TooFewCoins`] and [`NotNow::TooMuch`].
pub fn plan_burn(
    budget: Credits,
    purse: Coins,
    rate: Rate,
    rules: &BurnRules,
) -> Result<Burn, NotNow> {
    if budget < rules.minimum {
        return Err(NotNow::TooLittle { there: budget, least: rules.minimum });
    }
    let wanted = rate.coins_to_pay(budget).unwrap_or(Coins::from_units(u64::MAX));
    let (spend, coins) = if wanted <= purse {
        (budget, wanted)
    } else {
        (rate.usd_to_charge(purse).ok_or(TooMuch)?.min(budget), purse)
    };
    if spend < rules.minimum || coins.is_zero() {
        return Err(NotNow::TooFewCoins { there: purse, wanted });
    }
    let slippage = coins.share_floor(rules.slippage_max_bp);
    let coins_min = coins.checked_sub(slippage).expect("a share is at most the whole");
    Ok(Burn { spend, coins, coins_min, rate })
}

/// A promise to change one amount into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Conversion {
    /// What is given.
    pub give: Money,
    /// What is got for it.
    pub get: Money,
    /// The rate of the coin, if one side is coins.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// Until when it holds, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub expires: Timestamp,
}

/// Why nothing is converted. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoConversion {
    /// There is nothing to convert.
    #[error("both sides are {asset}: there is nothing to convert")]
    Same {
        /// The asset of both.
        asset: Asset,
    },
    /// The coin has no rate.
    #[error(transparent)]
    NoRate(#[from] NoRate),
    /// The other side cannot be written down.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// One side would be nothing.
    #[error("this is less than the smallest unit of the other asset: convert more")]
    Nothing,
}

/// A quote that has lapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quoted rate has lapsed: ask for another")]
pub struct Lapsed;

/// Which side of a conversion is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactly {
    /// This much is given; what is got for it is rounded down.
    Give(Money),
    /// This much is got; what must be given for it is rounded up.
    Get(Money),
}

impl Conversion {
    /// A quote between `exactly` and `other`. Dollars of credit and USDC are one for one; coins go by `rate`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn quote(
        exactly: Exactly,
        other: Asset,
        rate: Result<Rate, NoRate>,
        now: Timestamp,
        rules: &ConversionRules,
    ) -> Result<Self, NoConversion> {
        let (Exactly::Give(known) | Exactly::Get(known)) = exactly;
        if known.asset == other {
            return Err(NoConversion::Same { asset: other });
        }
        let coins = Coins::from_units(known.units);
        let dollars = Credits::from_units(known.units);
        let up = matches!(exactly, Exactly::Get(_));
        let (units, rate) = match (known.asset, other) {
            (Asset::Usd | Asset::Usdc, Asset::Usd | Asset::Usdc) | (Asset::Io, Asset::Io) => {
                (Some(known.units), None)
            }
            (Asset::Usd | Asset::Usdc, Asset::Io) => {
                let rate = rate?;
                let coins =
                    if up { rate.coins_to_charge(dollars) } else { rate.coins_to_pay(dollars) };
                (coins.map(Coins::units), Some(rate))
            }
            (Asset::Io, Asset::Usd | Asset::Usdc) => {
                let rate = rate?;
                let usd = if up { rate.usd_to_charge(coins) } else { rate.usd_to_pay(coins) };
                (usd.map(Credits::units), Some(rate))
            }
        };
        let computed = Money::new(other, units.ok_or(TooMuch)?);
        if computed.units == 0 || known.units == 0 {
            return Err(NoConversion::Nothing);
        }
        let (give, get) = if up { (computed, known) } else { (known, computed) };
        let valid = Duration::from_secs(u64::from(rules.quote_valid_s));
        Ok(Self { give, get, rate, expires: now.after(valid) })
    }

    /// Whether it still holds.
    ///
    /// # Errors
    /// [`Lapsed`] when it does not.
    pub fn check_valid(&self, now: Timestamp) -> Result<(), Lapsed> {
        if now < self.expires { Ok(()) } else { Err(Lapsed) }
    }
}
