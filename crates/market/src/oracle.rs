//! What a coin is worth in dollars, by several sources that need not be honest.
//!
//! # Invariants
//! - A rate was agreed on by at least [`OracleRules::sources_min`] sources and by most of those that spoke.
//! - A rate moves no further than the rules allow from any other of the last hour, unless every source has told the
//!   same new rate for [`OracleRules::settle_s`].
//! - What is charged in coins is rounded up, what is paid out rounded down: no conversion makes value.
//!
//! A refused update changes no rate. The last one holds until it is stale; then nothing is paid in coins.
//!
//! Absent on purpose: where the readings come from.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{Coins, Credits, HOUR, Timestamp};
use utoipa::ToSchema;

/// The most sources that are asked: enough for a median that a few liars do not move.
pub const SOURCES_MAX: usize = 32;
/// The highest rate there is: a million dollars for a coin. Above it only an error is to be expected.
pub const RATE_MAX: u64 = 1_000_000_000_000;
/// How many units one coin has.
const COIN: u128 = 100_000_000;
/// The whole, in ten-thousandths.
const WHOLE_BP: u128 = 10_000;

/// What an oracle goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OracleRules {
    /// How often a rate may change, in seconds (io.net: every minute).
    pub update_min_s: u32,
    /// How old a reading may be when it is used, in seconds.
    pub reading_max_s: u32,
    /// How long a rate is good for, in seconds. After that nothing is paid in coins until there is a new one.
    pub staleness_max_s: u32,
    /// How many sources must agree.
    pub sources_min: u16,
    /// How far a source may lie from the median and still agree with it, in ten-thousandths of the median.
    pub deviation_max_bp: u16,
    /// How far one update may move the rate, in ten-thousandths of the last.
    pub jump_max_bp: u16,
    /// How far the rate may move within an hour, in ten-thousandths of any rate of that hour.
    pub hour_jump_max_bp: u16,
    /// How long all sources must tell the same after a jump until it is believed, in seconds.
    pub settle_s: u32,
}

impl Default for OracleRules {
    fn default() -> Self {
        Self {
            update_min_s: 60,
            reading_max_s: 120,
            staleness_max_s: 600,
            sources_min: 2,
            deviation_max_bp: 300,
            jump_max_bp: 1_000,
            hour_jump_max_bp: 2_500,
            settle_s: 1_800,
        }
    }
}

/// Why rules make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}")]
pub struct OracleFault {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

impl OracleRules {
    /// Whether the rules make sense.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self) -> Result<(), OracleFault> {
        let rows = [
            (
                (10..=3_600).contains(&self.update_min_s),
                "update_min_s",
                "from 10 to 3600: the rates of an hour are kept",
            ),
            (self.reading_max_s >= 1, "reading_max_s", "at least 1"),
            (
                self.staleness_max_s >= self.update_min_s,
                "staleness_max_s",
                "at least update_min_s, or a rate would end before its successor",
            ),
            (
                (1..=SOURCES_MAX).contains(&usize::from(self.sources_min)),
                "sources_min",
                "from 1 to 32",
            ),
            ((1..5_000).contains(&self.deviation_max_bp), "deviation_max_bp", "from 1 to 4999"),
            ((1..10_000).contains(&self.jump_max_bp), "jump_max_bp", "from 1 to 9999"),
            (
                (self.jump_max_bp..10_000).contains(&self.hour_jump_max_bp),
                "hour_jump_max_bp",
                "from jump_max_bp to 9999",
            ),
            (
                self.settle_s >= self.staleness_max_s,
                "settle_s",
                "at least staleness_max_s: a jump is believed only after the old rate has lapsed",
            ),
        ];
        match rows.into_iter().find(|row| !row.0) {
            None => Ok(()),
            Some((_, field, expected)) => Err(OracleFault { field, expected }),
        }
    }
}

/// What one source says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OracleReading)]
pub struct Reading {
    /// Who says it.
    pub source: String,
    /// Millionths of a dollar for one coin.
    pub usd_micros_per_coin: u64,
    /// When it was so, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub at: Timestamp,
}

/// What a coin is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CoinRate)]
pub struct Rate {
    /// Millionths of a dollar for one coin.
    pub usd_micros_per_coin: u64,
    /// Since when, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub at: Timestamp,
}

impl Rate {
    /// The coins that are charged for this many dollars: rounded up.
    ///
    /// `None` when that is more than can be written down, or a coin is worth nothing.
    pub fn coins_to_charge(&self, usd: Credits) -> Option<Coins> {
        let (exact, rate) = self.coins_of(usd)?;
        u64::try_from(exact.div_ceil(rate)).ok().map(Coins::from_units)
    }

    /// The coins that are paid out for this many dollars: rounded down.
    ///
    /// `None` when that is more than can be written down, or a coin is worth nothing.
    pub fn coins_to_pay(&self, usd: Credits) -> Option<Coins> {
        let (exact, rate) = self.coins_of(usd)?;
        u64::try_from(exact / rate).ok().map(Coins::from_units)
    }

    /// The dollars that are charged for this many coins: rounded up.
    ///
    /// `None` when that is more than can be written down, or a coin is worth nothing.
    pub fn usd_to_charge(&self, coins: Coins) -> Option<Credits> {
        u64::try_from(self.usd_of(coins)?.div_ceil(COIN)).ok().map(Credits::from_units)
    }

    /// The dollars that are paid out for this many coins, and what they are worth: rounded down.
    ///
    /// `None` when that is more than can be written down, or a coin is worth nothing.
    pub fn usd_to_pay(&self, coins: Coins) -> Option<Credits> {
        u64::try_from(self.usd_of(coins)? / COIN).ok().map(Credits::from_units)
    }

    /// Whether it may be used.
    ///
    /// # Errors
    /// [`NoRate::Stale`] when it is older than the rules allow.
    pub fn check_fresh(&self, now: Timestamp, rules: &OracleRules) -> Result<(), NoRate> {
        let age = now.since(self.at);
        if age <= seconds(rules.staleness_max_s) {
            return Ok(());
        }
        Err(NoRate::Stale { age_s: age.as_secs(), most_s: rules.staleness_max_s })
    }

    fn coins_of(&self, usd: Credits) -> Option<(u128, u128)> {
        coins_of(usd, self.usd_micros_per_coin)
    }

    fn usd_of(&self, coins: Coins) -> Option<u128> {
        let rate = u128::from(self.usd_micros_per_coin);
        (rate > 0).then(|| u128::from(coins.units()) * rate)
    }

    /// Whether it lies within this many ten-thousandths of `other`.
    fn within(&self, other: u64, share_bp: u16) -> bool {
        let distance = u128::from(self.usd_micros_per_coin.abs_diff(other));
        distance * WHOLE_BP <= u128::from(other) * u128::from(share_bp)
    }
}

/// What this many dollars come to in units of the coin at a rate: the first number over the second. `None` when a coin
/// is worth nothing.
pub(crate) fn coins_of(usd: Credits, usd_micros_per_coin: u64) -> Option<(u128, u128)> {
    let rate = u128::from(usd_micros_per_coin);
    (rate > 0).then(|| (u128::from(usd.units()) * COIN, rate))
}

/// Why nothing can be paid in coins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRate {
    /// No rate was ever agreed on.
    #[error("the coin has no rate yet; pay in dollars")]
    Never,
    /// The last rate is too old.
    #[error(
        "the coin's rate is {age_s} s old, at most {most_s} s are allowed; pay in dollars, or later"
    )]
    Stale {
        /// How old it is, in seconds.
        age_s: u64,
        /// How old it may be.
        most_s: u32,
    },
}

/// A rate as people are told it.
const fn dollars(usd_micros: u64) -> Credits {
    Credits::from_units(usd_micros)
}

/// Why readings make no rate. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The last rate is not old enough.
    #[error("the rate changes every {wait_s} s at most")]
    TooSoon {
        /// How long a rate stands at least.
        wait_s: u32,
    },
    /// More readings than are looked at.
    #[error("more than {most} readings")]
    TooMany {
        /// The most.
        most: usize,
    },
    /// Too few sources have told a usable rate of late.
    #[error("{usable} sources have a fresh rate, {needed} are needed")]
    TooFew {
        /// How many have.
        usable: usize,
        /// How many must.
        needed: u16,
    },
    /// Too few sources agree.
    #[error("the sources disagree: from {} to {} dollars", dollars(*.low), dollars(*.high))]
    Disagree {
        /// The lowest reading.
        low: u64,
        /// The highest.
        high: u64,
    },
    /// The rate would move too far at once.
    #[error("from {} to {} dollars is too far for one update", dollars(*.from), dollars(*.to))]
    Jump {
        /// The last rate.
        from: u64,
        /// What the sources say.
        to: u64,
    },
    /// The rate would have moved too far within an hour.
    #[error("from {} to {} dollars is too far for an hour", dollars(*.from), dollars(*.to))]
    HourJump {
        /// The rate of the last hour that lies farthest off.
        from: u64,
        /// What the sources say.
        to: u64,
    },
}

/// The rate that these sources agree on, given the rates of the last hour, oldest first.
///
/// The newest reading of a source counts; one from the future, too old, of nothing or above [`RATE_MAX`] does not.
/// The rate is the median of those that lie near the median of all.
///
/// # Errors
/// Why they make no rate.
pub fn median(
    readings: &[Reading],
    recent: &[Rate],
    now: Timestamp,
    rules: &OracleRules,
) -> Result<Rate, Rejected> {
    if recent.last().is_some_and(|last| now.since(last.at) < seconds(rules.update_min_s)) {
        return Err(Rejected::TooSoon { wait_s: rules.update_min_s });
    }
    let rate = agreed(readings, now, rules)?;
    let to = rate.usd_micros_per_coin;
    let far = |earlier: &&Rate, share_bp| !rate.within(earlier.usd_micros_per_coin, share_bp);
    if let Some(last) = recent.last().filter(|last| far(last, rules.jump_max_bp)) {
        return Err(Rejected::Jump { from: last.usd_micros_per_coin, to });
    }
    let of_hour = recent.iter().filter(|earlier| now.since(earlier.at) <= HOUR);
    let farthest = of_hour.max_by_key(|earlier| earlier.usd_micros_per_coin.abs_diff(to));
    if let Some(earlier) = farthest.filter(|earlier| far(earlier, rules.hour_jump_max_bp)) {
        return Err(Rejected::HourJump { from: earlier.usd_micros_per_coin, to });
    }
    Ok(rate)
}

/// What the sources agree on, whatever was before.
fn agreed(readings: &[Reading], now: Timestamp, rules: &OracleRules) -> Result<Rate, Rejected> {
    if readings.len() > SOURCES_MAX {
        return Err(Rejected::TooMany { most: SOURCES_MAX });
    }
    let mut told = usable(readings, now, rules);
    told.sort_unstable();
    let (Some(low), Some(high), true) =
        (told.first().copied(), told.last().copied(), told.len() >= usize::from(rules.sources_min))
    else {
        return Err(Rejected::TooFew { usable: told.len(), needed: rules.sources_min });
    };
    let middle = middle(&told);
    let near = |told: &u64| {
        Rate { usd_micros_per_coin: *told, at: now }.within(middle, rules.deviation_max_bp)
    };
    let agreeing: Vec<u64> = told.iter().copied().filter(near).collect();
    if agreeing.len() < usize::from(rules.sources_min) || agreeing.len() * 2 <= told.len() {
        return Err(Rejected::Disagree { low, high });
    }
    Ok(Rate { usd_micros_per_coin: self::middle(&agreeing), at: now })
}

fn usable(readings: &[Reading], now: Timestamp, rules: &OracleRules) -> Vec<u64> {
    let mut newest: BTreeMap<&str, &Reading> = BTreeMap::new();
    for reading in readings.iter().filter(|reading| reading.at <= now) {
        let known = newest.entry(&reading.source).or_insert(reading);
        if known.at < reading.at {
            *known = reading;
        }
    }
    let fresh = |reading: &&&Reading| now.since(reading.at) <= seconds(rules.reading_max_s);
    let rates = newest.values().filter(fresh).map(|reading| reading.usd_micros_per_coin);
    rates.filter(|rate| (1..=RATE_MAX).contains(rate)).collect()
}

/// The middle of a sorted list that is not empty; between the two middles, rounded down, if it is even.
fn middle(sorted: &[u64]) -> u64 {
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        sorted[half - 1].midpoint(sorted[half])
    } else {
        sorted[half]
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

/// A rate the sources agree on and that lies too far from the last to be believed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OracleDoubt)]
pub struct Doubt {
    /// What they told first.
    pub first: Rate,
    /// When they last told much the same, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub last_at: Timestamp,
}

/// The oracle: the rates of the last hour, and a jump that is in doubt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Oracle {
    /// The rates of the last hour and the last of all, oldest first.
    pub recent: Vec<Rate>,
    /// A jump in doubt.
    #[serde(default)]
    pub doubt: Option<Doubt>,
}

impl Oracle {
    /// Takes in what the sources say and returns the new rate.
    ///
    /// # Errors
    /// Why there is none: the last rate stands as long as it is fresh. A jump is refused, remembered, and believed
    /// once the sources have told it, without a break, for [`OracleRules::settle_s`].
    pub fn on_readings(
        &mut self,
        readings: &[Reading],
        now: Timestamp,
        rules: &OracleRules,
    ) -> Result<Rate, Rejected> {
        let answer = median(readings, &self.recent, now, rules);
        let rate = match answer {
            Ok(rate) => rate,
            Err(refused @ (Rejected::Jump { to, .. } | Rejected::HourJump { to, .. })) => {
                let rate = Rate { usd_micros_per_coin: to, at: now };
                if !self.settled(rate, rules) {
                    return Err(refused);
                }
                self.recent.clear();
                rate
            }
            // Too soon says nothing about the sources; anything else breaks a jump's row of witnesses.
            Err(refused @ Rejected::TooSoon { .. }) => return Err(refused),
            Err(
                refused @ (Rejected::TooMany { .. }
                | Rejected::TooFew { .. }
                | Rejected::Disagree { .. }),
            ) => {
                self.doubt = None;
                return Err(refused);
            }
        };
        self.doubt = None;
        self.recent.retain(|earlier| now.since(earlier.at) <= HOUR);
        self.recent.push(rate);
        Ok(rate)
    }

    /// The rate that holds.
    ///
    /// # Errors
    /// When there is none, or none that is fresh.
    pub fn rate(&self, now: Timestamp, rules: &OracleRules) -> Result<Rate, NoRate> {
        let last = self.recent.last().ok_or(NoRate::Never)?;
        last.check_fresh(now, rules)?;
        Ok(*last)
    }

    /// Whether this jump has been told for long enough. If not, it is remembered.
    fn settled(&mut self, rate: Rate, rules: &OracleRules) -> bool {
        let gap_max = seconds(rules.staleness_max_s);
        let doubt = self.doubt.filter(|doubt| {
            rate.within(doubt.first.usd_micros_per_coin, rules.jump_max_bp)
                && rate.at.since(doubt.last_at) <= gap_max
        });
        let first = doubt.map_or(rate, |doubt| doubt.first);
        self.doubt = Some(Doubt { first, last_at: rate.at });
        rate.at.since(first.at) >= seconds(rules.settle_s)
    }

    /// Whether what was read back adds up.
    ///
    /// # Errors
    /// What does not, in words.
    pub fn audit(&self) -> Result<(), OracleFault> {
        let fault = |field, expected| Err(OracleFault { field, expected });
        let rates = || self.recent.iter().chain(self.doubt.as_ref().map(|doubt| &doubt.first));
        if !rates().all(|rate| (1..=RATE_MAX).contains(&rate.usd_micros_per_coin)) {
            return fault("recent and doubt", "rates above nothing and at most RATE_MAX");
        }
        if !self.recent.is_sorted_by(|earlier, later| earlier.at < later.at) {
            return fault("recent", "in the order of time");
        }
        if self.doubt.is_some_and(|doubt| doubt.last_at < doubt.first.at) {
            return fault("doubt", "told last no earlier than first");
        }
        Ok(())
    }
}
