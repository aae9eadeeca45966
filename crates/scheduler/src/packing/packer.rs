//! Hosts, what is on them, and which of them the next order goes to.
//!
//! # Invariants
//! - What is free of a host is what it has less what is on it, and never less than nothing.
//! - An order is put only where it fits, and refused only where it fits nowhere.
//! - The same hosts, orders and policy put every order on the same host and card.
//! - The host that is taken was rated as it is. Of the others some were rated as they were: see
//!   [`Policy::RATED_AT_ONCE`].

use std::collections::{BTreeMap, VecDeque};

use super::host::{Host, Need, Spot};
use super::kind::{Edition, Kind, index};
use super::policy::{Policy, Ratings};

/// Kinds of orders whose ratings are kept, 21 bytes a host each: the longest unasked makes room for a further one.
const KINDS_MAX: usize = 512;
/// Changes of hosts that are remembered, for each host: kinds that were not asked for longer look at all of them.
const CHANGES_PER_HOST: usize = 4;

/// Hosts that a policy fills.
#[derive(Clone, Debug)]
pub struct Packer<P> {
    hosts: Vec<Host>,
    /// Hosts that changed, one after the other.
    changed: VecDeque<u32>,
    /// How many changed before the first of these.
    forgotten: u64,
    /// The last change of each host.
    last_change: Vec<u64>,
    kinds: BTreeMap<Need, usize>,
    known: Vec<Kind>,
    asked: u64,
    edition: Edition,
    policy: P,
}

impl<P: Policy> Packer<P> {
    /// These hosts, of which nothing is taken. Ties go to the earlier one.
    pub fn new(hosts: impl IntoIterator<Item = Host>, policy: P) -> Self {
        let hosts: Vec<Host> = (0..).zip(hosts).map(|(id, host)| Host { id, ..host }).collect();
        Self {
            last_change: vec![0; hosts.len()],
            hosts,
            changed: VecDeque::new(),
            forgotten: 0,
            kinds: BTreeMap::new(),
            known: Vec::new(),
            asked: 0,
            edition: Edition::default(),
            policy,
        }
    }

    /// What is free of each.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Puts the order where the policy likes it best, or says that it fits nowhere.
    pub fn place(&mut self, need: &Need) -> Option<Spot> {
        match self.policy.on_order(need, &self.hosts) {
            Ratings::Stand => (),
            Ratings::Repriced => self.edition.prices += 1,
            Ratings::Aged => {
                self.edition.prices += 1;
                self.edition.lesson += 1;
            }
            Ratings::Void => self.edition.ratings += 1,
        }
        let kind = self.kind(need);
        self.refresh(kind);
        let kind = &mut self.known[kind];
        let score = kind.best(&self.hosts, &mut self.policy)?;
        let card = kind.ratings[index(score.host)].card;
        let before = self.hosts[index(score.host)];
        let spot = before.spot(need, usize::from(card));
        self.hosts[index(score.host)].take(need, spot);
        self.has_changed(&before);
        Some(spot)
    }

    /// The order is over.
    ///
    /// # Panics
    /// If the host is none of these.
    pub fn give_back(&mut self, need: &Need, spot: Spot) {
        let before = self.hosts[index(spot.host)];
        self.hosts[index(spot.host)].give_back(need, spot);
        self.has_changed(&before);
    }

    fn has_changed(&mut self, before: &Host) {
        self.policy.on_change(before, &self.hosts[index(before.id)]);
        if self.changed.len() == self.hosts.len() * CHANGES_PER_HOST {
            self.changed.pop_front();
            self.forgotten += 1;
        }
        self.last_change[index(before.id)] = self.forgotten + self.changed.len() as u64;
        self.changed.push_back(before.id);
    }

    /// Brings what is known for a kind to this moment.
    fn refresh(&mut self, kind: usize) {
        let kind = &mut self.known[kind];
        kind.budget = P::RATED_AT_ONCE;
        let missed =
            kind.seen.checked_sub(self.forgotten).and_then(|seen| usize::try_from(seen).ok());
        kind.seen = self.forgotten + self.changed.len() as u64;
        let missed = missed.filter(|_| kind.edition.ratings == self.edition.ratings);
        let Some(missed) = missed else {
            kind.edition = self.edition;
            for host in &self.hosts {
                kind.rate(host, &mut self.policy);
            }
            kind.has_all();
            return;
        };
        kind.learn(self.edition.lesson);
        if kind.edition.prices != self.edition.prices {
            kind.edition.prices = self.edition.prices;
            kind.reprice(&self.hosts, &self.policy);
        }
        let mut change = kind.seen;
        for host in self.changed.range(missed..).rev() {
            change -= 1;
            // What changed again is looked at once, as it is.
            if self.last_change[index(*host)] == change {
                kind.on_change(&self.hosts[index(*host)], &mut self.policy);
            }
        }
    }

    /// Where what is known for this kind of order stands.
    fn kind(&mut self, need: &Need) -> usize {
        self.asked += 1;
        let kind = self.kinds.get(need).copied().unwrap_or_else(|| self.new_kind(need));
        self.known[kind].asked = self.asked;
        kind
    }

    fn new_kind(&mut self, need: &Need) -> usize {
        let kind = self.unknown(need);
        let place = if self.known.len() < KINDS_MAX {
            self.known.push(kind);
            self.known.len() - 1
        } else {
            let by_age = (0..self.known.len()).min_by_key(|kind| self.known[*kind].asked);
            let oldest = by_age.expect("there is room for some kinds");
            self.kinds.remove(&self.known[oldest].need);
            self.known[oldest] = kind;
            oldest
        };
        self.kinds.insert(*need, place);
        place
    }

    /// A kind that was never asked for: what is known of the one most like it does until hosts are rated.
    fn unknown(&mut self, need: &Need) -> Kind {
        let is_of_use = |kind: &&Kind| {
            P::RATED_AT_ONCE < self.hosts.len() && kind.edition.ratings == self.edition.ratings
        };
        let alike = self
            .known
            .iter()
            .filter(is_of_use)
            .filter_map(|kind| Some((kind.distance(need)?, kind)));
        match alike.min_by_key(|(distance, _)| *distance) {
            Some((_, alike)) => Kind::like(alike, need, &self.hosts, &mut self.policy),
            None => Kind::unknown(need, self.hosts.len()),
        }
    }
}
