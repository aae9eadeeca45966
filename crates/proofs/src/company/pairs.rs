//! Who met whom, and how that went: what two never do together, though each does it without the other.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use units::{Timestamp, WorkerId};

use super::{CompanyRules, MACHINES_MAX, PAIRS_MAX};

/// Meetings of a pair, and sessions of a machine, that are kept in mind: the latest.
pub(super) const MEETINGS_KEPT: u32 = 32;
/// Rates of a machine alone that are kept in mind.
const RATES_KEPT: usize = 8;
/// Rates without which it is not said that a machine was slower than it is.
const RATES_MIN: usize = 3;
/// Whoever is slower than this share of its own speed shares its card: two have half each, so that one of them, at
/// least, is below.
const SHARED: f64 = 0.7;
/// After so many meetings in other company it counts what a machine does in company, however well it does alone.
const COMPANY_MIN: u32 = 4;
/// Whoever never passed with so many others is compared with what he does alone, and with those with whom he did.
/// Whoever never passed with more than that keeps up with nobody, and that says nothing of any one of them.
const NEVER_MAX: usize = 7;
/// By how many deviations a share may be lower than it seems.
const DEVIATIONS: f64 = 2.0;

/// What a session showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was passed, at this rate; the number is that of the gate, the same for all whose memory was full at one time.
    Passed {
        /// The number; none where there is no gate.
        number: Option<u32>,
        /// The rate of what halves when a card is shared.
        rate: u64,
    },
    /// It came to nothing, was late, or wrong.
    Failed,
    /// Nothing can be said.
    Excused,
}

/// What all sessions of a machine in a meeting showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Showing(pub Came);

impl Showing {
    /// Of a machine with so many cards: all have to pass at one time.
    pub fn of(came: &[Came], cards: u32) -> Self {
        if came.contains(&Came::Excused) {
            return Self(Came::Excused);
        }
        let all_came = u32::try_from(came.len()).is_ok_and(|count| count >= cards);
        let first = came.first().copied().filter(|_| all_came).unwrap_or(Came::Failed);
        Self(came.iter().fold(first, |all, one| match (all, one) {
            (Came::Passed { number, rate }, Came::Passed { number: other, rate: its })
                if number == *other =>
            {
                Came::Passed { number, rate: rate.min(*its) }
            }
            _ => Came::Failed,
        }))
    }
}

/// Yes or no, so many times of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tally {
    count: u32,
    /// The latest is the lowest bit.
    bits: u32,
}

impl Tally {
    fn note(&mut self, yes: bool) {
        self.bits = (self.bits << 1) | u32::from(yes);
        self.count = (self.count + 1).min(MEETINGS_KEPT);
    }

    fn yes(&self) -> u32 {
        self.bits.count_ones()
    }

    /// Whether the latest of them were all yes.
    fn latest(&self, count: u32) -> bool {
        self.bits.trailing_ones() >= count
    }
}

/// A meeting of a machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    /// A bit for each of the others: few of those who were not there have one of the same place.
    others: u64,
    /// Whether it kept up.
    fit: bool,
}

/// The place of a machine among the others of an event.
fn bit(worker: WorkerId) -> u64 {
    let hash = crate::prf::derive("iog proof 1 pair", &[&worker.bits().to_be_bytes()]);
    1 << (hash[0] & 63)
}

/// What a machine does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    alone: Tally,
    company: VecDeque<Event>,
    rates: VecDeque<u64>,
    /// With whom it met, and never passed; no more than one above [`NEVER_MAX`].
    never: Vec<WorkerId>,
    last: Timestamp,
}

impl Own {
    /// Half of its rates alone are above.
    fn median(&self) -> Option<u64> {
        let mut rates: Vec<u64> = self.rates.iter().copied().collect();
        rates.sort_unstable();
        rates.get(rates.len() / 2).copied().filter(|_| rates.len() >= RATES_MIN)
    }

    fn is_below(&self, rate: u64) -> bool {
        self.median().is_some_and(|own| (rate as f64) < SHARED * own as f64)
    }

    fn met(&mut self, event: Event) {
        if self.company.len() == MEETINGS_KEPT as usize {
            self.company.pop_front();
        }
        self.company.push_back(event);
    }

    /// Whether it ever passed with this one.
    fn passes_with(&mut self, other: WorkerId, ever: bool) {
        if ever {
            self.never.retain(|it| *it != other);
        } else if self.never.len() <= NEVER_MAX && !self.never.contains(&other) {
            self.never.push(other);
        }
    }

    /// How often it keeps up without the other, at least.
    fn share(&self, other: WorkerId) -> f64 {
        let never = if self.never.len() > NEVER_MAX { &[] } else { self.never.as_slice() };
        let theirs = never.iter().fold(bit(other), |all, it| all | bit(*it));
        let without = || self.company.iter().filter(|event| event.others & theirs == 0);
        let met = u32::try_from(without().count()).unwrap_or(0);
        let fit = u32::try_from(without().filter(|event| event.fit).count()).unwrap_or(0);
        let (count, yes) = (met + self.alone.count, fit + self.alone.yes());
        let all = share(yes, count);
        let least = all - DEVIATIONS * (all * (1.0 - all) / f64::from(count + 3)).sqrt();
        let in_company = if met < COMPANY_MIN { 1.0 } else { share(fit, met) };
        least.min(in_company).max(0.0)
    }
}

/// Laplace's rule: who was never seen is as likely as not.
fn share(yes: u32, of: u32) -> f64 {
    f64::from(yes + 1) / f64::from(of + 2)
}

/// What two did when they met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    together: Tally,
    since: Timestamp,
    last: Timestamp,
    is_told: bool,
}

impl Pair {
    fn found(&self, one: WorkerId, other: WorkerId) -> Found {
        let (meetings, together) = (self.together.count, self.together.yes());
        Found { one, other, meetings, together, since: self.since, suspected: self.is_told }
    }
}

/// What is found of two machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The one.
    pub one: WorkerId,
    /// The other.
    pub other: WorkerId,
    /// How often they met of late.
    pub meetings: u32,
    /// In how many of those both passed at their speed, at one time.
    pub together: u32,
    /// When they met first.
    pub since: Timestamp,
    /// Whether they are suspected to be one; no longer, if not.
    pub suspected: bool,
}

/// All of it, to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    pairs: Vec<(WorkerId, WorkerId, Pair)>,
    machines: Vec<(WorkerId, Own)>,
}

/// Pairs that met, and what each machine does without the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    pairs: BTreeMap<(WorkerId, WorkerId), Pair>,
    machines: BTreeMap<WorkerId, Own>,
}

impl From<&Pairs> for Kept {
    fn from(pairs: &Pairs) -> Self {
        Self {
            pairs: pairs.pairs.iter().map(|((one, other), pair)| (*one, *other, *pair)).collect(),
            machines: pairs.machines.iter().map(|(worker, own)| (*worker, own.clone())).collect(),
        }
    }
}

impl From<Kept> for Pairs {
    fn from(kept: Kept) -> Self {
        let pairs = kept.pairs.into_iter().take(PAIRS_MAX);
        let machines = kept.machines.into_iter().take(MACHINES_MAX);
        Self {
            pairs: pairs.map(|(one, other, pair)| ((one, other), pair)).collect(),
            machines: machines.collect(),
        }
    }
}

impl Pairs {
    /// A session that nobody else was called with.
    pub fn alone(&mut self, worker: WorkerId, came: Came, now: Timestamp) {
        let Some(own) = self.own(worker, now) else { return };
        match came {
            Came::Passed { rate, .. } => {
                own.alone.note(true);
                if own.rates.len() == RATES_KEPT {
                    own.rates.pop_front();
                }
                own.rates.push_back(rate);
            }
            Came::Failed => own.alone.note(false),
            Came::Excused => {}
        }
    }

    /// How a group's meeting went, for everyone who was called: what is found by it.
    pub fn met(
        &mut self,
        showings: &BTreeMap<WorkerId, Showing>,
        rules: &CompanyRules,
        now: Timestamp,
    ) -> Vec<Found> {
        let said = |showing: &&Showing| showing.0 != Came::Excused;
        let all = showings.iter().filter(|(_, showing)| said(showing));
        let all = all.map(|(worker, _)| bit(*worker)).fold(0, |all, bit| all | bit);
        let mut shown: Vec<(WorkerId, Option<Option<u32>>)> = Vec::new();
        for (worker, Showing(came)) in showings {
            let Some(own) = self.own(*worker, now) else { continue };
            let fit = match *came {
                Came::Excused => continue,
                Came::Passed { number, rate } if !own.is_below(rate) => Some(number),
                Came::Passed { .. } | Came::Failed => None,
            };
            own.met(Event { others: all & !bit(*worker), fit: fit.is_some() });
            shown.push((*worker, fit));
        }
        let mut found = Vec::new();
        for (at, one) in shown.iter().enumerate() {
            for other in &shown[at + 1..] {
                found.extend(self.pair(*one, *other, rules, now));
            }
        }
        self.bound();
        found
    }

    /// Pairs that are suspected, or did not pass together when they met last.
    pub fn in_doubt(&self) -> impl Iterator<Item = (WorkerId, WorkerId)> + '_ {
        let in_doubt = |pair: &Pair| pair.is_told || !pair.together.latest(1);
        self.pairs.iter().filter(move |(_, pair)| in_doubt(pair)).map(|(key, _)| *key)
    }

    /// Pairs that are suspected.
    pub fn all_suspected(&self) -> impl Iterator<Item = Found> + '_ {
        let told = self.pairs.iter().filter(|(_, pair)| pair.is_told);
        told.map(|((one, other), pair)| pair.found(*one, *other))
    }

    fn own(&mut self, worker: WorkerId, now: Timestamp) -> Option<&mut Own> {
        if self.machines.len() >= MACHINES_MAX && !self.machines.contains_key(&worker) {
            return None;
        }
        let own = self.machines.entry(worker).or_default();
        own.last = now;
        Some(own)
    }

    fn pair(
        &mut self,
        (one, fit): (WorkerId, Option<Option<u32>>),
        (other, other_fit): (WorkerId, Option<Option<u32>>),
        rules: &CompanyRules,
        now: Timestamp,
    ) -> Option<Found> {
        let fresh = Pair { together: Tally::default(), since: now, last: now, is_told: false };
        let mut pair = self.pairs.get(&(one, other)).copied().unwrap_or(fresh);
        pair.together.note(fit.is_some() && fit == other_fit);
        pair.last = now;
        let ever = pair.together.yes() > 0;
        for (worker, mate) in [(one, other), (other, one)] {
            self.machines.get_mut(&worker).into_iter().for_each(|own| own.passes_with(mate, ever));
        }
        let least = u32::from(rules.meetings_min);
        let suspected = if pair.is_told {
            !pair.together.latest(least)
        } else {
            let is_due = pair.together.count >= least && !pair.together.latest(1);
            is_due && self.chance((one, other), &pair) * f64::from(rules.rarity) < 1.0
        };
        let is_news = suspected != pair.is_told;
        pair.is_told = suspected;
        let found = pair.found(one, other);
        // Whoever is cleared begins anew.
        let next = if is_news && !suspected { fresh } else { pair };
        self.pairs.insert((one, other), next);
        is_news.then_some(found)
    }

    /// How likely two honest machines, each as it is without the other, pass together so seldom.
    fn chance(&self, (one, other): (WorkerId, WorkerId), pair: &Pair) -> f64 {
        let share =
            |worker, other| self.machines.get(&worker).map_or(0.0, |own: &Own| own.share(other));
        let both = share(one, other) * share(other, one);
        at_most(pair.together.yes(), pair.together.count, both)
    }

    /// Forgets the quarter that says least, when there are too many.
    fn bound(&mut self) {
        if self.pairs.len() > PAIRS_MAX {
            let mut by_worth: Vec<_> = self
                .pairs
                .iter()
                .map(|(key, pair)| ((pair.is_told, !pair.together.latest(1), pair.last), *key))
                .collect();
            by_worth.sort_unstable();
            for (_, key) in by_worth.iter().take(PAIRS_MAX / 4) {
                self.pairs.remove(key);
            }
        }
        if self.machines.len() >= MACHINES_MAX {
            let mut by_age: Vec<_> =
                self.machines.iter().map(|(id, own)| (own.last, *id)).collect();
            by_age.sort_unstable();
            for (_, worker) in by_age.iter().take(MACHINES_MAX / 4) {
                self.machines.remove(worker);
            }
        }
    }
}

/// The chance of at most so many of so many, each as likely: the binomial distribution.
fn at_most(yes: u32, of: u32, each: f64) -> f64 {
    let mut term = (1.0 - each).powi(i32::try_from(of).unwrap_or(i32::MAX));
    let mut sum = term;
    for number in 0..yes {
        term *= f64::from(of - number) / f64::from(number + 1) * each / (1.0 - each);
        sum += term;
    }
    sum
}
