//! What a coin is worth outside, a day at a time, and what sources say of it.
//!
//! Three things move it: what the network's people buy and sell, a thirtieth of it each day, against what circulates; a
//! pull to what the network earns, a multiple of a year's rentals for all coins that circulate; and noise. No day moves
//! it further than [`DAY_MAX_PPM`].

use crate::dice::Dice;

/// The most that a day moves the price, in millionths.
const DAY_MAX_PPM: i128 = 80_000;
/// How many years of rentals all circulating coins are worth.
const YEARS_OF_REVENUE: u128 = 6;
/// The part of the way to that worth that a day makes up, in millionths.
const PULL_PPM: i128 = 10_000;
/// The furthest that the worth counts for being away, in millionths of the price.
const AWAY_MAX_PPM: i128 = 800_000;
/// How many times its part of what circulates a net purchase moves the price by: few of the coins are for sale.
const THIN: i128 = 4;
/// Over how many days somebody buys or sells.
const DAYS: u128 = 30;
/// What a coin never falls below, in millionths of a dollar.
const MICROS_MIN: u64 = 50;
/// The most noise of a day, twice over, in millionths.
const NOISE_PPM: u64 = 20_000;
const COIN: u128 = 100_000_000;
const PPM: i128 = 1_000_000;

/// The market for coins.
#[derive(Clone, Debug)]
pub(super) struct Bourse {
    /// What a coin is worth, in millionths of a dollar.
    pub(super) micros: u64,
    /// What people of the network are still buying and selling, in units.
    pub(super) bought: u128,
    pub(super) sold: u128,
    dice: Dice,
}

/// What a day's price follows from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Day {
    /// What rentals come to in a year at the day's pace, in millionths of a dollar.
    pub(super) revenue: u128,
    /// Coins that circulate, in units.
    pub(super) circulating: u128,
    /// How people feel, in thousandths: they pay so much for what the network earns.
    pub(super) mood: u128,
}

impl Bourse {
    pub(super) fn new(micros: u64, seed: u64) -> Self {
        Self { micros, bought: 0, sold: 0, dice: Dice::new(seed) }
    }

    /// The day's price, from what was bought and sold since the last.
    pub(super) fn day(&mut self, day: &Day) {
        let coins = (day.circulating / COIN).max(1);
        let worth = day.revenue * YEARS_OF_REVENUE * day.mood / 1_000 / coins;
        let (price, worth) = (i128::from(self.micros), signed(worth));
        let away = ((worth - price) * PPM / price).clamp(-AWAY_MAX_PPM, AWAY_MAX_PPM);
        let (bought, sold) = (self.bought.div_ceil(DAYS), self.sold.div_ceil(DAYS));
        let net = signed(bought) - signed(sold);
        let flow = net * THIN * PPM / signed(day.circulating.max(COIN));
        let noise = self.dice.between(0, NOISE_PPM) + self.dice.between(0, NOISE_PPM);
        let noise = i128::from(noise) - i128::from(NOISE_PPM);
        let moved = away * PULL_PPM / PPM + flow + noise;
        let moved = moved.clamp(-DAY_MAX_PPM, DAY_MAX_PPM);
        let price = price * (PPM + moved) / PPM;
        self.micros = u64::try_from(price).unwrap_or(MICROS_MIN).max(MICROS_MIN);
        self.bought -= bought;
        self.sold -= sold;
    }

    /// What the sources say on a day: all about the same, but one lies for a week each quarter, and one is dead for a
    /// month each year.
    pub(super) fn told(&mut self, day: u32) -> Vec<(&'static str, u64)> {
        let near = |dice: &mut Dice, micros: u64| micros * dice.between(995, 1_005) / 1_000;
        let honest = ["north", "south", "west"];
        let mut told: Vec<(&'static str, u64)> =
            honest.map(|source| (source, near(&mut self.dice, self.micros))).into();
        if day % 91 < 7 {
            told[2].1 = self.micros * if day.is_multiple_of(2) { 3 } else { 1 };
        }
        if (100..130).contains(&(day % 365)) {
            told.remove(0);
        }
        told
    }
}

fn signed(units: u128) -> i128 {
    i128::try_from(units).unwrap_or(i128::MAX)
}
