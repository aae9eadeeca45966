//! What a rental is paid in. Prices, terms and receipts are in dollars; money moves in this.

use units::{Asset, Credits, Money};

use crate::oracle::coins_of;

/// What a rental is paid in, and at which rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Currency {
    /// Credits with the operator, one for one.
    Usd,
    /// USDC, one for one.
    Usdc,
    /// The network's coin, at the rate of the quote.
    Io {
        /// Millionths of a dollar that one coin is worth; never zero.
        usd_micros_per_coin: u64,
    },
}

impl Currency {
    /// The asset that moves.
    pub const fn asset(self) -> Asset {
        match self {
            Self::Usd => Asset::Usd,
            Self::Usdc => Asset::Usdc,
            Self::Io { .. } => Asset::Io,
        }
    }

    /// What `amount` comes to, rounded up to the smallest unit: what is charged.
    ///
    /// `None` when it is more than can be written down, or a coin is worth nothing.
    pub fn ceil(self, amount: Credits) -> Option<Money> {
        self.of(amount, u128::div_ceil)
    }

    /// What `amount` comes to, rounded down to the smallest unit: what is paid out.
    ///
    /// `None` when it is more than can be written down, or a coin is worth nothing.
    pub fn floor(self, amount: Credits) -> Option<Money> {
        self.of(amount, |all, rate| all / rate)
    }

    fn of(self, amount: Credits, divide: fn(u128, u128) -> u128) -> Option<Money> {
        let units = match self {
            Self::Usd | Self::Usdc => amount.units(),
            Self::Io { usd_micros_per_coin } => {
                let (all, rate) = coins_of(amount, usd_micros_per_coin)?;
                u64::try_from(divide(all, rate)).ok()?
            }
        };
        Some(Money::new(self.asset(), units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn worked_examples() {
        let dollars: Credits = "10".parse().unwrap();
        let io = Currency::Io { usd_micros_per_coin: 300_000 };
        assert_eq!(io.ceil(dollars).unwrap().to_string(), "33.33333334 IO");
        assert_eq!(io.floor(dollars).unwrap().to_string(), "33.33333333 IO");
        assert_eq!(Currency::Usdc.ceil(dollars).unwrap().to_string(), "10.000000 USDC");
        assert_eq!(Currency::Io { usd_micros_per_coin: 0 }.ceil(dollars), None);
    }

    proptest! {
        #[test]
        fn parts_paid_out_come_to_no_more_than_what_was_charged(
            parts in prop::collection::vec(0_u64..1 << 50, 1..6), rate in 1_u64..1 << 40,
        ) {
            let io = Currency::Io { usd_micros_per_coin: rate };
            let whole = Credits::from_units(parts.iter().sum());
            let paid: Option<u128> = parts
                .iter()
                .map(|part| Some(u128::from(io.floor(Credits::from_units(*part))?.units)))
                .sum();
            if let (Some(charged), Some(paid)) = (io.ceil(whole), paid) {
                prop_assert!(paid <= u128::from(charged.units));
            }
        }
    }
}
