//! What is known of all hosts for one kind of order, and which of them is best.

use super::host::{Host, Need};
use super::policy::{Policy, Rating};

/// Hosts that are rated anew each time that the kind is asked for when what is known of them is of an earlier lesson.
const REFRESHED: usize = 4;
/// Hosts among which these are looked for.
const LOOKED_AT: usize = 256;
/// Hosts whose best is kept together.
const BLOCK: usize = 32;
/// The cost of a host that the order does not fit on.
const NEVER: i64 = i64::MAX;

/// How good a host is for an order. Lower is better. Fields are compared top to bottom, so their order *is* the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// What is lost: the rating and what it costs beside at this moment, in the policy's own unit.
    pub cost: i64,
    /// Decides ties, so that equal hosts fill up one after the other.
    pub host: u32,
}

/// What was learnt when something was worked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edition {
    pub(crate) ratings: u64,
    pub(crate) prices: u64,
    pub(crate) lesson: u64,
}

/// What is known of all hosts for one kind of order.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) need: Need,
    /// The number of the order that asked last.
    pub(crate) asked: u64,
    /// How many hosts had changed when it did.
    pub(crate) seen: u64,
    pub(crate) edition: Edition,
    pub(crate) ratings: Vec<Rating>,
    /// Which of them are of another state of their host, or of an earlier lesson.
    is_stale: Vec<bool>,
    stale: usize,
    /// The host that was looked at last for one whose rating is stale.
    next: usize,
    /// Hosts that may still be rated anew before the next order.
    pub(crate) budget: usize,
    tallies: Tallies,
}

impl Kind {
    pub(crate) fn unknown(need: &Need, hosts: usize) -> Self {
        Self {
            need: *need,
            asked: 0,
            seen: 0,
            edition: Edition { ratings: u64::MAX, prices: u64::MAX, lesson: u64::MAX },
            ratings: vec![Rating::default(); hosts],
            is_stale: vec![false; hosts],
            stale: 0,
            next: 0,
            budget: usize::MAX,
            tallies: Tallies::none(hosts),
        }
    }

    /// How far a need is from another for as much of as many cards, as ratings go.
    pub(crate) fn distance(&self, need: &Need) -> Option<(u32, u32)> {
        let cards = |need: &Need| (need.cards(), need.card_milli());
        let apart = (
            self.need.cpu_milli.abs_diff(need.cpu_milli),
            self.need.memory_mib.abs_diff(need.memory_mib),
        );
        (cards(&self.need) == cards(need)).then_some(apart)
    }

    /// A kind of which nothing is known but what is known of one for as much of as many cards. All is stale.
    pub(crate) fn like<P: Policy>(
        other: &Self,
        need: &Need,
        hosts: &[Host],
        policy: &mut P,
    ) -> Self {
        let mut kind = Self {
            need: *need,
            is_stale: vec![true; hosts.len()],
            stale: hosts.len(),
            ..other.clone()
        };
        for host in hosts {
            let place = index(host.id);
            if !host.fits(need) {
                kind.tallies.costs[place] = NEVER;
            } else if kind.tallies.costs[place] == NEVER {
                kind.tallies.costs[place] = kind.cost(host, policy);
            }
        }
        kind.tallies.tally();
        kind
    }

    pub(crate) fn rate(&mut self, host: &Host, policy: &mut impl Policy) {
        let cost = self.cost(host, policy);
        self.tallies.costs[index(host.id)] = cost;
    }

    /// All hosts have been rated.
    pub(crate) fn has_all(&mut self) {
        self.is_stale.fill(false);
        self.stale = 0;
        self.tallies.tally();
    }

    /// An order of the kind came; the last lesson was that one.
    pub(crate) fn learn(&mut self, lesson: u64) {
        if self.edition.lesson != lesson {
            self.edition.lesson = lesson;
            let is_known = self.tallies.costs.iter().map(|cost| *cost != NEVER);
            self.is_stale
                .iter_mut()
                .zip(is_known)
                .for_each(|(is_stale, is_known)| *is_stale = is_known);
            self.stale = self.is_stale.iter().filter(|is_stale| **is_stale).count();
        }
    }

    /// The host is another. It is rated anew while the budget lasts, and otherwise when its turn comes.
    pub(crate) fn on_change<P: Policy>(&mut self, host: &Host, policy: &mut P) {
        let place = index(host.id);
        let is_known = self.tallies.costs[place] != NEVER;
        if self.budget > 0 || !is_known || !host.fits(&self.need) {
            self.rerate(host, policy);
        } else if !self.is_stale[place] {
            self.is_stale[place] = true;
            self.stale += 1;
        }
    }

    fn rerate(&mut self, host: &Host, policy: &mut impl Policy) {
        let place = index(host.id);
        let cost = self.cost(host, policy);
        self.budget = self.budget.saturating_sub(usize::from(cost != NEVER));
        self.stale -= usize::from(std::mem::take(&mut self.is_stale[place]));
        self.tallies.set(place, cost);
    }

    /// The best host, rated as it is and as the last lesson says; of the others some that are not are rated anew.
    pub(crate) fn best<P: Policy>(&mut self, hosts: &[Host], policy: &mut P) -> Option<Score> {
        let mut looked_at = 0;
        self.budget = self.budget.min(REFRESHED);
        while self.stale > 0 && self.budget > 0 && looked_at < hosts.len().min(LOOKED_AT) {
            self.next = if self.next + 1 < hosts.len() { self.next + 1 } else { 0 };
            looked_at += 1;
            if self.is_stale[self.next] {
                self.rerate(&hosts[self.next], policy);
            }
        }
        self.budget = P::RATED_AT_ONCE;
        loop {
            let score = self.tallies.best()?;
            let place = index(score.host);
            if !self.is_stale[place] {
                return Some(score);
            }
            self.rerate(&hosts[place], policy);
            if self.budget == 0 {
                return Some(Score { cost: self.tallies.costs[place], ..score });
            }
        }
    }

    fn cost(&mut self, host: &Host, policy: &mut impl Policy) -> i64 {
        if !host.fits(&self.need) {
            return NEVER;
        }
        let rating = policy.rate(host, &self.need);
        self.ratings[index(host.id)] = rating;
        i64::from(rating.cost) + policy.surcharge(host, &self.need, &rating)
    }

    pub(crate) fn reprice(&mut self, hosts: &[Host], policy: &impl Policy) {
        for ((host, rating), cost) in hosts.iter().zip(&self.ratings).zip(&mut self.tallies.costs) {
            if *cost != NEVER {
                *cost = i64::from(rating.cost) + policy.surcharge(host, &self.need, rating);
            }
        }
        self.tallies.tally();
    }
}

/// What an order of a kind costs on each host, and the least of each block of them.
#[derive(Clone, Debug)]
pub(crate) struct Tallies {
    costs: Vec<i64>,
    least: Vec<i64>,
}

impl Tallies {
    fn none(hosts: usize) -> Self {
        Self { costs: vec![NEVER; hosts], least: vec![NEVER; hosts.div_ceil(BLOCK)] }
    }

    pub(crate) fn tally(&mut self) {
        for (least, costs) in self.least.iter_mut().zip(self.costs.chunks(BLOCK)) {
            *least = least_of(costs);
        }
    }

    fn set(&mut self, host: usize, cost: i64) {
        let before = std::mem::replace(&mut self.costs[host], cost);
        let block = host / BLOCK;
        let least = &mut self.least[block];
        if cost <= *least {
            *least = cost;
        } else if before == *least {
            let costs = &self.costs[block * BLOCK..];
            *least = least_of(&costs[..costs.len().min(BLOCK)]);
        }
    }

    /// The cheapest host, the first of several.
    pub(crate) fn best(&self) -> Option<Score> {
        let least = least_of(&self.least);
        if least == NEVER {
            return None;
        }
        let block = self.least.iter().position(|cost| *cost == least)? * BLOCK;
        let host = block + self.costs[block..].iter().position(|cost| *cost == least)?;
        Some(Score { cost: least, host: u32::try_from(host).expect("hosts are numbered") })
    }
}

/// The least of them, [`NEVER`] if there is none.
fn least_of(costs: &[i64]) -> i64 {
    let mut least = NEVER;
    for cost in costs {
        // An `if` compiles to a few instructions, `min` of an iterator to a call for each.
        if *cost < least {
            least = *cost;
        }
    }
    least
}

/// A host's place among all.
#[inline]
pub(crate) fn index(host: u32) -> usize {
    usize::try_from(host).expect("a host's number fits a word")
}
