//! Our policy: an order goes where the orders to come lose least by it.
//!
//! What is lost of a host is played out: see [`Futures`]. What many hosts have too little of together no host can see
//! alone, so it has [`Prices`]. Both are learnt from the orders that came; nothing is told in advance.

use std::collections::VecDeque;

use super::baselines::tightest_card;
use super::futures::Futures;
use super::gradient::candidates;
use super::host::{Host, Need};
use super::memo::Memo;
use super::policy::{GANGS_MAX, Policy, Rating, Ratings};
use super::prices::Prices;

/// Orders that are remembered. The older ones say nothing of what will come.
const RECENT_MAX: usize = 4_000;
/// Orders after which something can be said of those to come. It is said early: what is put anywhere while nothing is
/// known stays in the way, and a first lesson at 50 orders loses a quarter of a percent of all cards, at 200 a whole
/// one.
const FIRST_LESSON: u64 = 5;
/// Orders between two lessons at most; while few have come, a lesson is when there are half as many again.
const LESSON_EVERY: u64 = 500;
/// Orders between two looks at what is left of the hosts.
const PRICES_EVERY: u64 = 100;
/// What an idle card costs beside what is lost of it, in millionths of a card for each thousandth: enough to fill hosts
/// one after the other where nothing else tells them apart. Half and twice as much do as well.
const IDLE_CARD: u32 = 6;
/// What a thousandth of an idle processor costs, in thousandths of a millionth of a card: as much as its part of a card
/// on a host of 128 processors and eight cards.
const IDLE_CPU: u32 = 390;

/// Expected loss over the orders to come, as the recent ones were.
#[derive(Clone, Debug)]
pub struct Foresight {
    recent: VecDeque<Need>,
    came: u64,
    lesson_at: u64,
    futures: Option<Futures>,
    losses: Memo,
    prices: Prices,
}

impl Default for Foresight {
    fn default() -> Self {
        Self::new()
    }
}

impl Foresight {
    /// Nothing is known yet of what is ordered.
    pub fn new() -> Self {
        Self {
            recent: VecDeque::new(),
            came: 0,
            lesson_at: FIRST_LESSON,
            futures: None,
            losses: Memo::new(),
            prices: Prices::none(),
        }
    }

    fn learn(&mut self, hosts: &[Host]) {
        self.futures = Some(Futures::like(self.recent.iter()));
        self.losses.forget();
        self.prices = Prices::of(self.recent.iter(), hosts);
        self.lesson_at = self.came + (self.came / 2).min(LESSON_EVERY);
    }

    /// What is lost of the host, in millionths of a card. Before the first lesson nothing is.
    fn loss(&mut self, host: &Host) -> u32 {
        let Some(futures) = &self.futures else { return 0 };
        let alike = Host { id: 0, cards: host.cards.in_order(), ..*host };
        self.losses.get(alike, |host| futures.loss(host))
    }

    fn rate_on(&mut self, host: &Host, need: &Need, card: usize) -> i32 {
        let after = host.with(need, card);
        let idle = after.cards.sum_milli() * IDLE_CARD + after.cpu_milli * IDLE_CPU / 1_000;
        signed(self.loss(&after)) + signed(idle)
    }
}

impl Policy for Foresight {
    fn on_order(&mut self, need: &Need, hosts: &[Host]) -> Ratings {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(*need);
        self.came += 1;
        if self.came == self.lesson_at {
            self.learn(hosts);
            return Ratings::Void;
        }
        if self.came.is_multiple_of(PRICES_EVERY) {
            self.prices.follow(hosts);
        }
        Ratings::Stand
    }

    fn rate(&mut self, host: &Host, need: &Need) -> Rating {
        let mut best =
            Rating { cost: i32::MAX, card: tightest_card(host, need), gangs: [0; GANGS_MAX] };
        for card in candidates(host, need) {
            let cost = self.rate_on(host, need, card);
            if cost < best.cost {
                best = Rating {
                    cost,
                    card: u8::try_from(card).expect("a host has few cards"),
                    ..best
                };
            }
        }
        best.cost -= signed(self.loss(host));
        let (before, after) =
            (self.prices.room(host), self.prices.room(&host.with(need, usize::from(best.card))));
        for (lost, (before, after)) in best.gangs.iter_mut().zip(before.into_iter().zip(after)) {
            *lost = before - after;
        }
        best
    }

    fn surcharge(&self, host: &Host, need: &Need, rating: &Rating) -> i64 {
        self.prices.of_model(host, need.demand_milli()) + self.prices.of_gangs(&rating.gangs)
    }
}

/// Millionths of the cards of one host.
fn signed(millionths: u32) -> i32 {
    i32::try_from(millionths).expect("a host has few cards")
}
