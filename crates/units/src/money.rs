//! Money: whole numbers of an asset's smallest unit.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use crate::hardware::UnknownWord;
use crate::id::as_text;

/// What can be owned and owed. Each has a book of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asset {
    /// US dollars of credit with the network's operator, in millionths.
    Usd,
    /// USDC, a dollar on a chain, in millionths.
    Usdc,
    /// IO, the network's own coin, in hundred-millionths.
    Io,
}

impl Asset {
    /// How many decimal places its smallest unit lies below one.
    pub const fn decimals(self) -> u32 {
        match self {
            Asset::Usd | Asset::Usdc => 6,
            Asset::Io => 8,
        }
    }

    /// What it is called beside an amount.
    pub const fn code(self) -> &'static str {
        match self {
            Asset::Usd => "USD",
            Asset::Usdc => "USDC",
            Asset::Io => "IO",
        }
    }

    /// Every asset there is.
    pub const ALL: &'static [Self] = &[Self::Usd, Self::Usdc, Self::Io];
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Asset {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.iter().copied().find(|asset| asset.code() == text).ok_or_else(|| UnknownWord {
            found: text.chars().take(40).collect(),
            known: "USD, USDC, IO",
        })
    }
}

as_text!(Asset, "USD".to_owned());

/// An asset as a type, so that two of them are never added.
pub trait Denomination: Copy + Ord + fmt::Debug {
    /// The asset.
    const ASSET: Asset;
}

/// US dollars of credit: six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd;

impl Denomination for Usd {
    const ASSET: Asset = Asset::Usd;
}

/// USDC: six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usdc;

impl Denomination for Usdc {
    const ASSET: Asset = Asset::Usdc;
}

/// The network's own coin: eight decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Io;

impl Denomination for Io {
    const ASSET: Asset = Asset::Io;
}

/// A whole number of the smallest units of one asset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount<A> {
    units: u64,
    asset: PhantomData<A>,
}

/// An amount of US dollar credits.
pub type Credits = Amount<Usd>;
/// An amount of the network's own coin.
pub type Coins = Amount<Io>;

impl<A: Denomination> Amount<A> {
    /// Nothing.
    pub const ZERO: Self = Self::from_units(0);

    /// This many of the smallest unit.
    pub const fn from_units(units: u64) -> Self {
        Self { units, asset: PhantomData }
    }

    /// How many of the smallest unit.
    pub const fn units(self) -> u64 {
        self.units
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.units == 0
    }

    /// The sum, unless it is more than can be written down.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.units.checked_add(other.units).map(Self::from_units)
    }

    /// The difference, unless there is less than `other`.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.units.checked_sub(other.units).map(Self::from_units)
    }

    /// This much, `count` times, unless that is more than can be written down.
    pub fn checked_times(self, count: u64) -> Option<Self> {
        self.units.checked_mul(count).map(Self::from_units)
    }

    /// The share of `basis_points` ten-thousandths, rounded down: a fee never takes a unit it did not earn.
    #[must_use]
    pub fn share_floor(self, basis_points: u16) -> Self {
        self.mul_div_floor(u64::from(basis_points), 10_000).expect("a share with a divisor")
    }

    /// The share of `basis_points` ten-thousandths, rounded up: what must be set aside to be safe.
    ///
    /// `None` when it is more than can be written down.
    pub fn share_ceil(self, basis_points: u16) -> Option<Self> {
        let exact = u128::from(self.units) * u128::from(basis_points);
        u64::try_from(exact.div_ceil(10_000)).ok().map(Self::from_units)
    }

    /// As an hourly price: what `span` costs, rounded down to whole units.
    ///
    /// `None` when it is more than can be written down.
    pub fn for_span_floor(self, span: Duration) -> Option<Self> {
        let millis = u64::try_from(span.as_millis()).ok()?;
        self.mul_div_floor(millis, 3_600_000)
    }

    /// This much times `times` over `over`, rounded down.
    ///
    /// `None` when `over` is zero, and when it is more than can be written down.
    pub fn mul_div_floor(self, times: u64, over: u64) -> Option<Self> {
        let exact = u128::from(self.units) * u128::from(times);
        let floor = exact.checked_div(u128::from(over))?;
        u64::try_from(floor).ok().map(Self::from_units)
    }
}

impl<A> Default for Amount<A> {
    fn default() -> Self {
        Self { units: 0, asset: PhantomData }
    }
}

impl<A: Denomination> fmt::Display for Amount<A> {
    /// The amount in whole coins with every decimal place: `1.250000`. With `{:#}` for people: as many as say
    /// something, and at least two: `1.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = A::ASSET.decimals();
        let one = 10_u64.pow(decimals);
        let width = usize::try_from(decimals).expect("a small number");
        let fraction = format!("{:0width$}", self.units % one);
        let said = match f.alternate() {
            true => fraction.trim_end_matches('0').len().max(PEOPLE_DECIMALS_MIN),
            false => width,
        };
        write!(f, "{}.{}", self.units / one, &fraction[..said])
    }
}

/// How many decimals people are shown at least.
const PEOPLE_DECIMALS_MIN: usize = 2;

impl<A: Denomination> fmt::Debug for Amount<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {}", A::ASSET.code())
    }
}

/// An amount of an asset that is known only when it is read: `12.500000 USD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money {
    /// Of what.
    pub asset: Asset,
    /// How many of its smallest unit.
    pub units: u64,
}

impl Money {
    /// This many of an asset's smallest unit.
    pub const fn new(asset: Asset, units: u64) -> Self {
        Self { asset, units }
    }

    /// The amount in whole coins with every decimal place, without the asset's name.
    pub fn amount(self) -> String {
        match self.asset {
            Asset::Usd => Amount::<Usd>::from_units(self.units).to_string(),
            Asset::Usdc => Amount::<Usdc>::from_units(self.units).to_string(),
            Asset::Io => Amount::<Io>::from_units(self.units).to_string(),
        }
    }
}

impl<A: Denomination> From<Amount<A>> for Money {
    fn from(amount: Amount<A>) -> Self {
        Self { asset: A::ASSET, units: amount.units }
    }
}

impl fmt::Display for Money {
    /// The amount with every decimal place, and the asset: `1.250000 USD`. With `{:#}` for people, as an [`Amount`] is:
    /// `1.25 USD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return write!(f, "{} {}", self.amount(), self.asset);
        }
        match self.asset {
            Asset::Usd => write!(f, "{:#} USD", Amount::<Usd>::from_units(self.units)),
            Asset::Usdc => write!(f, "{:#} USDC", Amount::<Usdc>::from_units(self.units)),
            Asset::Io => write!(f, "{:#} IO", Amount::<Io>::from_units(self.units)),
        }
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not an amount of an asset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an amount of an asset: `{found}` (write an amount and USD, USDC or IO, as in `12.50 IO`)"
)]
pub struct NotMoney {
    /// What was given, cut to a readable length.
    pub found: String,
}

impl FromStr for Money {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let refused = || NotMoney { found: text.chars().take(40).collect() };
        let (amount, asset) = text.trim().rsplit_once(' ').ok_or_else(refused)?;
        let units = |asset: Asset| match asset {
            Asset::Usd => amount.parse().ok().map(Amount::<Usd>::units),
            Asset::Usdc => amount.parse().ok().map(Amount::<Usdc>::units),
            Asset::Io => amount.parse().ok().map(Amount::<Io>::units),
        };
        let asset: Asset = asset.parse().map_err(|_| refused())?;
        units(asset).map(|units| Self { asset, units }).ok_or_else(refused)
    }
}

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an amount: `{found}` (write whole coins, at most {decimals} decimals, as in 12.50)")]
pub struct NotAnAmount {
    /// What was given, cut to a readable length.
    pub found: String,
    /// How many decimals the asset has.
    pub decimals: u32,
}

impl<A: Denomination> FromStr for Amount<A> {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let decimals = A::ASSET.decimals();
        let refused = || NotAnAmount { found: text.chars().take(40).collect(), decimals };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let places = u32::try_from(fraction.len()).map_err(|_| refused())?;
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || places > decimals {
            return Err(refused());
        }
        let whole: u64 = whole.parse().map_err(|_| refused())?;
        let fraction: u64 = fraction.parse().map_err(|_| refused())?;
        let fraction = fraction * 10_u64.pow(decimals - places);
        whole
            .checked_mul(10_u64.pow(decimals))
            .and_then(|units| units.checked_add(fraction))
            .map(Self::from_units)
            .ok_or_else(refused)
    }
}

as_text!(Credits, "12.500000".to_owned());
as_text!(Coins, "12.50000000".to_owned());
as_text!(Money, "12.500000 USD".to_owned());

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(text: &str) -> Credits {
        text.parse().unwrap()
    }

    #[test]
    fn an_amount_is_read_as_people_write_it() {
        assert_eq!(usd("12.5").units(), 12_500_000);
        assert_eq!(usd("0.000001").units(), 1);
        assert_eq!(usd("7").to_string(), "7.000000");
        for wrong in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "1.0000001", "99999999999999999999", "1 "]
        {
            assert!(wrong.parse::<Credits>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_span_costs_its_part_of_the_hour() {
        assert_eq!(usd("0.60").for_span_floor(Duration::from_secs(60)), Some(usd("0.01")));
        assert_eq!(usd("0.000001").for_span_floor(Duration::from_secs(59)), Some(Credits::ZERO));
    }

    #[test]
    fn money_says_what_it_is() {
        assert_eq!("1.5 IO".parse(), Ok(Money::new(Asset::Io, 150_000_000)));
        assert_eq!(Money::from(usd("2")).to_string(), "2.000000 USD");
        for (amount, shown) in [("2", "2.00"), ("0.1", "0.10"), ("0.025", "0.025")] {
            assert_eq!(format!("{:#}", usd(amount)), shown);
            assert_eq!(format!("{:#}", Money::from(usd(amount))), format!("{shown} USD"));
        }
        for wrong in ["", "1.5", "1.5 DOGE", "IO 1.5", "1.123456789 IO", "1.1234567 USDC"] {
            assert!(wrong.parse::<Money>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn money_reads_back_as_written(units: u64, asset in 0_usize..3) {
            let money = Money::new(Asset::ALL[asset], units);
            prop_assert_eq!(money.to_string().parse::<Money>(), Ok(money));
        }

        #[test]
        fn amounts_read_back_as_written(units: u64) {
            let amount = Credits::from_units(units);
            prop_assert_eq!(amount.to_string().parse::<Credits>(), Ok(amount));
        }

        #[test]
        fn a_share_is_never_more_than_the_whole(units: u64, basis_points in 0_u16..=10_000) {
            let amount = Credits::from_units(units);
            let floor = amount.share_floor(basis_points);
            let ceil = amount.share_ceil(basis_points).unwrap();
            prop_assert!(floor <= ceil && ceil <= amount);
            prop_assert!(ceil.units() - floor.units() <= 1);
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = text.parse::<Credits>();
        }
    }
}
