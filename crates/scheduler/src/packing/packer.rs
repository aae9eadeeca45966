//! Hosts, what is on them, and which of them the next order goes to.
//!
//! # Invariants
//! - What is free of a host is what it has less what is on it, and never less than nothing.
//! - An order is put only where it fits, and refused only where it fits nowhere.
//! - The same hosts, orders and policy put every order on the same host and card.

use std::collections::BTreeMap;

use super::host::{Host, Need, Spot};
use super::policy::{Policy, Rating, Ratings};

/// Kinds of orders whose ratings are kept, 20 bytes a host each: the longest unasked makes room for a further one.
const KINDS_MAX: usize = 512;

/// How good a host is for an order. Lower is better. Fields are compared top to bottom, so their order *is* the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// What is lost: the rating and what it costs beside at this moment, in the policy's own unit.
    pub cost: i64,
    /// Decides ties, so that equal hosts fill up one after the other.
    pub host: u32,
}

/// What is known of a host for one kind of order.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// How often the host had changed when it was rated.
    changes: u32,
    rating: Option<Rating>,
}

/// What is known of all hosts for one kind of order.
#[derive(Clone, Debug)]
struct Kind {
    need: Need,
    /// The number of the order that asked last.
    asked: u64,
    of_hosts: Vec<Known>,
}

const UNKNOWN: Known = Known { changes: u32::MAX, rating: None };

/// Hosts that a policy fills.
#[derive(Clone, Debug)]
pub struct Packer<P> {
    hosts: Vec<Host>,
    changes: Vec<u32>,
    kinds: BTreeMap<Need, usize>,
    known: Vec<Kind>,
    asked: u64,
    policy: P,
}

impl<P: Policy> Packer<P> {
    /// These hosts, of which nothing is taken. Ties go to the earlier one.
    pub fn new(hosts: impl IntoIterator<Item = Host>, policy: P) -> Self {
        let hosts: Vec<Host> = (0..).zip(hosts).map(|(id, host)| Host { id, ..host }).collect();
        let changes = vec![0; hosts.len()];
        Self { hosts, changes, kinds: BTreeMap::new(), known: Vec::new(), asked: 0, policy }
    }

    /// What is free of each.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Puts the order where the policy likes it best, or says that it fits nowhere.
    pub fn place(&mut self, need: &Need) -> Option<Spot> {
        if self.policy.on_order(need, &self.hosts) == Ratings::Void {
            self.forget();
        }
        let (score, rating) = self.best(need)?;
        let host = &mut self.hosts[index(score.host)];
        let spot = host.spot(need, usize::from(rating.card));
        host.take(need, spot);
        self.has_changed(score.host);
        Some(spot)
    }

    /// The order is over.
    ///
    /// # Panics
    /// If the host is none of these.
    pub fn give_back(&mut self, need: &Need, spot: Spot) {
        self.hosts[index(spot.host)].give_back(need, spot);
        self.has_changed(spot.host);
    }

    fn has_changed(&mut self, host: u32) {
        let changes = &mut self.changes[index(host)];
        // The largest number means that nothing is known.
        *changes = if *changes == UNKNOWN.changes - 1 { 0 } else { *changes + 1 };
        if *changes == 0 {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.known.iter_mut().for_each(|kind| kind.of_hosts.fill(UNKNOWN));
    }

    fn best(&mut self, need: &Need) -> Option<(Score, Rating)> {
        let kind = self.kind(need);
        let mut best: Option<(Score, Rating)> = None;
        let facts = self.hosts.iter().zip(&self.changes).zip(&mut self.known[kind].of_hosts);
        for ((host, changes), known) in facts {
            if known.changes != *changes {
                let rating = host.fits(need).then(|| self.policy.rate(host, need));
                *known = Known { changes: *changes, rating };
            }
            let Some(rating) = known.rating else { continue };
            let cost = i64::from(rating.cost) + self.policy.surcharge(host, need, &rating);
            let score = Score { cost, host: host.id };
            if best.is_none_or(|(best, _)| score < best) {
                best = Some((score, rating));
            }
        }
        best
    }

    /// Where what is known for this kind of order stands.
    fn kind(&mut self, need: &Need) -> usize {
        self.asked += 1;
        let kind = self.kinds.get(need).copied().unwrap_or_else(|| self.new_kind(need));
        self.known[kind].asked = self.asked;
        kind
    }

    fn new_kind(&mut self, need: &Need) -> usize {
        let kind = if self.known.len() < KINDS_MAX {
            let of_hosts = vec![UNKNOWN; self.hosts.len()];
            self.known.push(Kind { need: *need, asked: self.asked, of_hosts });
            self.known.len() - 1
        } else {
            let by_age = (0..self.known.len()).min_by_key(|kind| self.known[*kind].asked);
            let oldest = by_age.expect("there is room for some kinds");
            let kind = &mut self.known[oldest];
            self.kinds.remove(&kind.need);
            kind.need = *need;
            kind.of_hosts.fill(UNKNOWN);
            oldest
        };
        self.kinds.insert(*need, kind);
        kind
    }
}

fn index(host: u32) -> usize {
    usize::try_from(host).expect("a host's number fits a word")
}
