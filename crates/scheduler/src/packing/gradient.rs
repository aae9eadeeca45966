//! The published policy: down the gradient of fragmentation, as its authors' own program does it.
//!
//! "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC 2023.
//! It is told the typical mix of orders in advance.

use std::collections::BTreeMap;

use super::host::{Host, Models, Need};
use super::policy::{Policy, Rating, Ratings};

/// What of the typical orders is looked at, in hundredths: the most frequent ones, until they are as many.
const COVERED_PERCENT: u64 = 95;
/// `1,000,000 · ln(k / (100 − k))` for k from 50 to 99, rounded up: from where on the logistic function of a loss in
/// thousandths of a card, in hundredths, rounds down to at least k. Below 50 it is the same mirrored.
const LOGITS: [i64; 50] = [
    0, 40_006, 80_043, 120_145, 160_343, 200_671, 241_163, 281_852, 322_774, 363_966, 405_466,
    447_313, 489_549, 532_217, 575_365, 619_040, 663_295, 708_186, 753_772, 800_120, 847_298,
    895_385, 944_462, 994_623, 1_045_969, 1_098_613, 1_152_680, 1_208_312, 1_265_667, 1_324_926,
    1_386_295, 1_450_011, 1_516_348, 1_585_628, 1_658_229, 1_734_602, 1_815_290, 1_900_959,
    1_992_431, 2_090_742, 2_197_225, 2_313_635, 2_442_348, 2_586_690, 2_751_536, 2_944_439,
    3_178_054, 3_476_099, 3_891_821, 4_595_120,
];

/// What is asked for typically: memory does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Typical {
    cpu_milli: u32,
    card_milli: u16,
    cards: u8,
    models: Models,
}

/// Fragmentation gradient descent.
#[derive(Clone, Debug)]
pub struct Gradient {
    typical: Vec<(Typical, i64)>,
    count: i64,
}

impl Gradient {
    /// The policy for orders like these.
    pub fn of(orders: &[Need]) -> Self {
        let mut counts: BTreeMap<Typical, u64> = BTreeMap::new();
        for order in orders {
            *counts.entry(typical(order)).or_default() += 1;
        }
        let mut by_count: Vec<(Typical, u64)> = counts.into_iter().collect();
        by_count.sort_by_key(|(typical, count)| (std::cmp::Reverse(*count), *typical));
        let all: u64 = by_count.iter().map(|(_, count)| count).sum();
        let mut covered = 0;
        by_count.retain(|(_, count)| {
            let is_wanted = covered * 100 < all * COVERED_PERCENT;
            covered += if is_wanted { *count } else { 0 };
            is_wanted
        });
        let weight = |count| i64::try_from(count).expect("orders are counted in memory");
        Self {
            typical: by_count.iter().map(|(typical, count)| (*typical, weight(*count))).collect(),
            count: weight(covered).max(1),
        }
    }

    /// What typical orders cannot use of the host, in thousandths of a card, times their count.
    fn fragmented(&self, host: &Host) -> i64 {
        let idle = host.cards.sum_milli();
        let useless = |typical: &Typical| {
            let is_out = typical.cards == 0
                || host.cpu_milli < typical.cpu_milli
                || !typical.models.contains(host.model)
                || host.cards.at_least(typical.card_milli) < typical.cards;
            if is_out {
                return idle;
            }
            let small = host.cards.free().iter().filter(|free| **free < typical.card_milli);
            small.map(|free| u32::from(*free)).sum()
        };
        if idle == 0 {
            return 0;
        }
        self.typical.iter().map(|(typical, weight)| i64::from(useless(typical)) * weight).sum()
    }

    /// The published score: a hundred times the logistic function of what fragmentation sinks by, rounded down.
    fn score(&self, sunk: i64) -> i32 {
        let sunk = sunk * 1_000;
        let reached = |logit: &&i64| sunk.abs() >= **logit * self.count;
        let beyond_half = LOGITS.iter().take_while(reached).count();
        let beyond_half = i32::try_from(beyond_half).expect("there are fifty");
        if sunk >= 0 { 49 + beyond_half } else { 50 - beyond_half }
    }
}

impl Policy for Gradient {
    const RATED_AT_ONCE: usize = usize::MAX;

    fn on_order(&mut self, _: &Need, _: &[Host]) -> Ratings {
        Ratings::Stand
    }

    fn on_change(&mut self, _: &Host, _: &Host) {}

    fn rate(&mut self, host: &Host, need: &Need) -> Rating {
        let before = self.fragmented(host);
        let mut best: Option<Rating> = None;
        for card in candidates(host, need) {
            let after = self.fragmented(&host.with(need, card));
            let cost = -self.score(before - after);
            if best.is_none_or(|best| cost < best.cost) {
                let card = u8::try_from(card).expect("a host has few cards");
                best = Some(Rating { cost, card, ..Rating::default() });
            }
        }
        best.unwrap_or_default()
    }

    fn surcharge(&self, _: &Host, _: &Need, _: &Rating) -> i64 {
        0
    }
}

/// The cards to try for an order that fits: one of each that a share would leave different, any for whole cards.
pub(crate) fn candidates(host: &Host, need: &Need) -> impl Iterator<Item = usize> {
    let (is_share, milli, cards) = (need.is_share(), need.card_milli(), host.cards);
    let is_candidate = move |card: usize| {
        let free = cards.free();
        free[card] >= milli && !free[..card].contains(&free[card])
    };
    let tried = if is_share { host.cards.free().len() } else { 1 };
    (0..tried).filter(move |card| !is_share || is_candidate(*card))
}

fn typical(order: &Need) -> Typical {
    Typical {
        cpu_milli: order.cpu_milli,
        card_milli: order.card_milli(),
        cards: order.cards(),
        models: order.models(),
    }
}
