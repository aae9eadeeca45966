//! Our policy: an order goes where the orders to come lose least by it.
//!
//! What is lost of a host is played out: see [`Futures`]. What many hosts have too little of together no host can see
//! alone, so it has [`Prices`]. Both are learnt from the orders that came; nothing is told in advance.

use super::futures::Futures;
use super::gradient::candidates;
use super::host::{Host, Need, WHOLE_MILLI};
use super::kind::index;
use super::lessons::Lessons;
use super::memo::{Memo, Print};
use super::policy::{GANGS_MAX, Policy, Rating, Ratings};
use super::prices::Prices;
use super::recent::Recent;

/// Orders between two looks at what is left of the hosts, at least.
const PRICES_EVERY: u64 = 100;
/// Hosts that one order more between two looks goes with: prices of many hosts move slowly, and each kind of orders has
/// all of them compared anew.
const HOSTS_PER_ORDER: u64 = 12;
/// What an idle card costs beside what is lost of it, in millionths of a card for each thousandth: enough to fill hosts
/// one after the other where nothing else tells them apart. Half and twice as much do as well.
const IDLE_CARD: u32 = 6;
/// What a thousandth of an idle processor costs, in thousandths of a millionth of a card: as much as its part of a card
/// on a host of 128 processors and eight cards.
const IDLE_CPU: u32 = 390;

/// Expected loss over the orders to come, as the recent ones were.
#[derive(Clone, Debug)]
pub struct Foresight {
    recent: Recent,
    lessons: Lessons,
    futures: Option<Futures>,
    losses: Memo,
    prices: Prices,
    /// Of each host, until it changes or something is learnt.
    facts: Vec<Option<Facts>>,
}

/// What is known of a host as it stands.
#[derive(Clone, Copy, Debug)]
struct Facts {
    of: Host,
    /// Of its cards alone.
    print: Print,
    idle_milli: u32,
    untouched: u8,
    loss: u32,
    room: [u8; GANGS_MAX],
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
            recent: Recent::default(),
            lessons: Lessons::default(),
            futures: None,
            losses: Memo::new(),
            prices: Prices::none(),
            facts: Vec::new(),
        }
    }

    fn learn(&mut self, hosts: &[Host]) {
        self.futures = Some(Futures::like(&self.recent));
        self.losses.forget();
        self.facts.fill(None);
        self.prices = Prices::of(self.recent.for_cards(), hosts);
    }

    /// What is known of a host as it stands.
    fn facts(&mut self, host: &Host) -> Facts {
        let place = index(host.id);
        if self.facts.len() <= place {
            self.facts.resize(place + 1, None);
        }
        if let Some(facts) = self.facts[place].filter(|facts| facts.of == *host) {
            return facts;
        }
        let print = Print::of(host);
        let untouched = host.cards.untouched();
        let facts = Facts {
            of: *host,
            print,
            idle_milli: host.cards.sum_milli(),
            untouched,
            loss: self
                .loss(print.with_rest((host.cpu_milli, host.memory_mib), host.model), || *host),
            room: self.prices.room(untouched, host.cpu_milli, host.memory_mib),
        };
        self.facts[place] = Some(facts);
        facts
    }

    /// What is lost of the host of that print, in millionths of a card. Before the first lesson nothing is.
    fn loss(&mut self, print: Print, host: impl FnOnce() -> Host) -> u32 {
        let Some(futures) = &self.futures else { return 0 };
        self.losses.get(print, || futures.loss(&host()))
    }

    /// What is lost by taking that much of a card, and which of those that differ loses least.
    fn best_card(&mut self, host: &Host, need: &Need, facts: &Facts) -> (u32, u8) {
        let rest = (host.cpu_milli - need.cpu_milli, host.memory_mib - need.memory_mib);
        if !need.is_share() {
            let print = facts.print.without_cards(need.cards()).with_rest(rest, host.model);
            return (self.loss(print, || host.with(need, 0)), 0);
        }
        let mut best = (u32::MAX, 0);
        for card in candidates(host, need) {
            let free = host.cards.free()[card];
            let print = facts.print.with_less(free, need.card_milli()).with_rest(rest, host.model);
            let loss = self.loss(print, || host.with(need, card));
            if loss < best.0 {
                best = (loss, card);
            }
        }
        (best.0, u8::try_from(best.1).expect("a host has few cards"))
    }
}

impl Policy for Foresight {
    // With a third of it a tenth of a point is lost; with as many as there are nothing is won.
    const RATED_AT_ONCE: usize = 48;

    fn on_order(&mut self, need: &Need, hosts: &[Host]) -> Ratings {
        self.recent.add(*need);
        if self.lessons.is_due() {
            self.learn(hosts);
            return Ratings::Aged;
        }
        if self.lessons.came.is_multiple_of(PRICES_EVERY.max(hosts.len() as u64 / HOSTS_PER_ORDER))
        {
            self.prices.follow();
            return Ratings::Repriced;
        }
        Ratings::Stand
    }

    fn on_change(&mut self, before: &Host, after: &Host) {
        self.prices.on_change(before, after);
        if let Some(facts) = self.facts.get_mut(index(after.id)) {
            *facts = None;
        }
    }

    fn rate(&mut self, host: &Host, need: &Need) -> Rating {
        let facts = self.facts(host);
        let (loss, card) = self.best_card(host, need, &facts);
        let cpu_milli = host.cpu_milli - need.cpu_milli;
        let idle_milli = facts.idle_milli - need.demand_milli();
        let idle = idle(idle_milli, cpu_milli);
        let mut gangs = [0; GANGS_MAX];
        if facts.room != gangs {
            let touched = if need.is_share() {
                u8::from(host.cards.free()[usize::from(card)] == WHOLE_MILLI)
            } else {
                need.cards()
            };
            let untouched = facts.untouched - touched;
            let after = self.prices.room(untouched, cpu_milli, host.memory_mib - need.memory_mib);
            for (lost, (before, after)) in gangs.iter_mut().zip(facts.room.into_iter().zip(after)) {
                *lost = before - after;
            }
        }
        Rating { cost: signed(loss) + signed(idle) - signed(facts.loss), card, gangs }
    }

    #[inline]
    fn surcharge(&self, host: &Host, need: &Need, rating: &Rating) -> i64 {
        self.prices.of_model(host, need.demand_milli()) + self.prices.of_gangs(&rating.gangs)
    }
}

/// What it costs that so much of a host is idle, in millionths of a card.
pub(crate) fn idle(cards_milli: u32, cpu_milli: u32) -> u32 {
    let cpu = u64::from(cpu_milli) * u64::from(IDLE_CPU) / 1_000;
    cards_milli * IDLE_CARD + u32::try_from(cpu).expect("a part of what fits")
}

/// Millionths of the cards of one host.
pub(crate) fn signed(millionths: u32) -> i32 {
    i32::try_from(millionths).expect("a host has few cards")
}
