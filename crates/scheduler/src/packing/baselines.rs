//! Policies that others are compared with: best fit, dot product, chance.

use super::dice::Dice;
use super::host::{Host, Need};
use super::policy::{Policy, Rating, Ratings};

/// Processors of the largest host of the benchmark, in thousandths: what the published policies measure by.
const CPU_MILLI_MAX: i64 = 128_000;
/// Cards of the largest host of the benchmark, in thousandths.
const CARDS_MILLI_MAX: i64 = 8_000;
/// Steps that published scores are rounded to.
const STEPS: i64 = 100;

/// Least left over, processors and cards counting half each, as published: in steps of a hundredth.
#[derive(Clone, Copy, Debug, Default)]
pub struct BestFit;

impl Policy for BestFit {
    const RATED_AT_ONCE: usize = usize::MAX;

    fn on_order(&mut self, _: &Need, _: &[Host]) -> Ratings {
        Ratings::Stand
    }

    fn on_change(&mut self, _: &Host, _: &Host) {}

    fn rate(&mut self, host: &Host, need: &Need) -> Rating {
        let cpu_left = i64::from(host.cpu_milli - need.cpu_milli);
        let cards_left = i64::from(host.cards.sum_milli() - need.demand_milli());
        let left = cpu_left * CARDS_MILLI_MAX + cards_left * CPU_MILLI_MAX;
        stepped(left * STEPS, 2 * CPU_MILLI_MAX * CARDS_MILLI_MAX, tightest_card(host, need))
    }

    fn surcharge(&self, _: &Host, _: &Need, _: &Rating) -> i64 {
        0
    }
}

/// Least product of what is free and what is asked for, as published: in steps of a hundredth.
#[derive(Clone, Copy, Debug, Default)]
pub struct DotProduct;

impl Policy for DotProduct {
    const RATED_AT_ONCE: usize = usize::MAX;

    fn on_order(&mut self, _: &Need, _: &[Host]) -> Ratings {
        Ratings::Stand
    }

    fn on_change(&mut self, _: &Host, _: &Host) {}

    fn rate(&mut self, host: &Host, need: &Need) -> Rating {
        let (cpu, cpu_asked) = (i64::from(host.cpu_milli), i64::from(need.cpu_milli));
        let (cards, cards_asked) =
            (i64::from(host.cards.sum_milli()), i64::from(need.demand_milli()));
        let (cpu_square, cards_square) =
            (CPU_MILLI_MAX * CPU_MILLI_MAX, CARDS_MILLI_MAX * CARDS_MILLI_MAX);
        // The squares differ by a power of two, so that one denominator serves both.
        let product = cpu * cpu_asked + cards * cards_asked * (cpu_square / cards_square);
        stepped(product * STEPS, 2 * cpu_square, tightest_card(host, need))
    }

    fn surcharge(&self, _: &Host, _: &Need, _: &Rating) -> i64 {
        0
    }
}

/// Any host it fits on, and any card of it.
#[derive(Clone, Debug)]
pub struct Chance {
    dice: Dice,
    throw: u64,
}

impl Chance {
    /// The same seed makes the same choices.
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), throw: 0 }
    }
}

impl Policy for Chance {
    const RATED_AT_ONCE: usize = usize::MAX;

    fn on_order(&mut self, _: &Need, _: &[Host]) -> Ratings {
        self.throw = self.dice.throw();
        // Which card is drawn anew for every order.
        Ratings::Void
    }

    fn on_change(&mut self, _: &Host, _: &Host) {}

    fn rate(&mut self, host: &Host, need: &Need) -> Rating {
        let fitting = u64::from(host.cards.at_least(need.card_milli()));
        let mut chosen = self.dice.below(fitting.max(1));
        let mut cards = (0..).zip(host.cards.free());
        let card = cards.find(|(_, free)| {
            let is_fitting = **free >= need.card_milli();
            let is_chosen = is_fitting && chosen == 0;
            chosen -= u64::from(is_fitting && !is_chosen);
            is_chosen
        });
        Rating { card: card.map_or(0, |(card, _)| card), ..Rating::default() }
    }

    fn surcharge(&self, host: &Host, _: &Need, _: &Rating) -> i64 {
        let drawn = Dice::new(self.throw ^ u64::from(host.id)).throw();
        i64::from(u32::try_from(drawn >> u32::BITS).expect("half a word is half a word"))
    }
}

/// Published policies round what is good down: what is bad is rounded up.
fn stepped(bad: i64, of: i64, card: u8) -> Rating {
    let steps =
        i32::try_from((bad + of - 1) / of).expect("hosts are no thousand times the largest");
    Rating { cost: steps, card, ..Rating::default() }
}

/// The card with least free that a share fits on.
pub(crate) fn tightest_card(host: &Host, need: &Need) -> u8 {
    let card = if need.is_share() { host.cards.tightest(need.card_milli()) } else { None };
    u8::try_from(card.unwrap_or_default()).expect("a host has few cards")
}
