//! Futures of a host: what it would still get if orders like the recent ones came.
//!
//! A future is a row of orders drawn from the recent ones. A host plays it out alone: each order that fits is taken, on
//! the tightest card. What is idle in the end, on average of all futures, is what the host loses as it stands.

use super::dice::Dice;
use super::host::{Host, Need};

/// Futures that are looked at. Twice as many cost twice the time and give away no more.
const FUTURES: usize = 16;
/// Orders of a future: the largest hosts are full after a dozen, and what they still lack then they will not get, for
/// others want it as well. Twice as many lose a tenth of a point.
const ORDERS: usize = 20;
/// Orders of a future that come as one: the largest of them is first, for a placement may choose a little.
const AT_ONCE: usize = 2;
/// The futures are drawn with it, the first number that was tried. Another one moves an allocation by a tenth of a
/// point, by a few where processors are what is scarce.
const SEED: u64 = 7;

/// Thousandths of a card in a card's millionths, for each future: a loss of all of them is exact.
const LOSS_UNIT: u32 = 1_000;

const _: () = assert!(ORDERS.is_multiple_of(AT_ONCE), "nothing comes alone");

/// What might come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Futures {
    /// One after the other, [`ORDERS`] each.
    orders: Vec<Need>,
}

impl Futures {
    /// Futures in which each order of `recent` comes as often as it came. Those for no card are left out: they go where
    /// cards are lost anyhow.
    pub(crate) fn like<'a>(recent: impl Iterator<Item = &'a Need>) -> Self {
        let mut known: Vec<Need> = recent.filter(|order| order.cards() > 0).copied().collect();
        if known.is_empty() {
            return Self::default();
        }
        // Evenly spread over all that came in order, so that the futures together are like what they are drawn from.
        known.sort_unstable();
        let count = FUTURES * ORDERS;
        let at = |drawn: usize| known[(2 * drawn + 1) * known.len() / (2 * count)];
        let mut orders: Vec<Need> = (0..count).map(at).collect();
        Dice::new(SEED).shuffle(&mut orders);
        for together in orders.chunks_exact_mut(AT_ONCE) {
            together
                .sort_by_key(|order| std::cmp::Reverse((order.demand_milli(), order.cpu_milli)));
        }
        Self { orders }
    }

    /// What the host will have idle when the futures are over, on average, in millionths of a card.
    pub(crate) fn loss(&self, host: &Host) -> u32 {
        let idle = host.cards.sum_milli();
        if self.orders.is_empty() {
            return idle * LOSS_UNIT;
        }
        let all: u32 =
            self.orders.chunks_exact(ORDERS).map(|future| play(future, *host, idle)).sum();
        all * LOSS_UNIT / u32::try_from(FUTURES).expect("futures are few")
    }
}

/// What is idle of a host after a future, in thousandths of a card.
fn play(future: &[Need], mut host: Host, mut idle: u32) -> u32 {
    for order in future {
        if order.cpu_milli > host.cpu_milli
            || order.memory_mib > host.memory_mib
            || !order.models().contains(host.model)
        {
            continue;
        }
        let is_taken = if order.is_share() {
            take_share(&mut host, order.card_milli())
        } else {
            take_whole(&mut host, order.cards(), order.card_milli())
        };
        if is_taken {
            host.cpu_milli -= order.cpu_milli;
            host.memory_mib -= order.memory_mib;
            idle -= order.demand_milli();
        }
        if idle == 0 {
            break;
        }
    }
    idle
}

fn take_share(host: &mut Host, milli: u16) -> bool {
    let Some(card) = host.cards.tightest(milli) else { return false };
    host.cards.free_mut()[card] -= milli;
    true
}

fn take_whole(host: &mut Host, mut cards: u8, milli: u16) -> bool {
    if host.cards.untouched() < cards {
        return false;
    }
    for free in host.cards.free_mut() {
        if *free == milli && cards > 0 {
            *free = 0;
            cards -= 1;
        }
    }
    true
}
