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
/// With so many meetings in other company a machine is compared with those; with fewer, also with what it does alone.
const COMPANY_MIN: u32 = 4;

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

/// What a machine does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    alone: Tally,
    company: Tally,
    rates: VecDeque<u64>,
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

    /// How often it keeps up, without these meetings.
    fn share(&self, met: u32, fit: u32) -> f64 {
        let (count, yes) =
            (self.company.count.saturating_sub(met), self.company.yes().saturating_sub(fit));
        let (count, yes) = if count >= COMPANY_MIN {
            (count, yes)
        } else {
            (count + self.alone.count, yes + self.alone.yes())
        };
        // Laplace's rule: who was never seen is as likely as not.
        f64::from(yes.min(count) + 1) / f64::from(count + 2)
    }
}

/// What two did when they met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    together: Tally,
    /// In which of them each kept up.
    fit: (Tally, Tally),
    since: Timestamp,
    last: Timestamp,
    is_told: bool,
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
        let mut shown: Vec<(WorkerId, Option<Option<u32>>)> = Vec::new();
        for (worker, Showing(came)) in showings {
            let Some(own) = self.own(*worker, now) else { continue };
            let fit = match *came {
                Came::Excused => continue,
                Came::Passed { number, rate } if !own.is_below(rate) => Some(number),
                Came::Passed { .. } | Came::Failed => None,
            };
            own.company.note(fit.is_some());
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

    /// How many pairs are suspected.
    pub fn suspected(&self) -> usize {
        self.pairs.values().filter(|pair| pair.is_told).count()
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
        let fresh = Pair {
            together: Tally::default(),
            fit: <(Tally, Tally)>::default(),
            since: now,
            last: now,
            is_told: false,
        };
        let mut pair = self.pairs.get(&(one, other)).copied().unwrap_or(fresh);
        pair.together.note(fit.is_some() && fit == other_fit);
        pair.fit.0.note(fit.is_some());
        pair.fit.1.note(other_fit.is_some());
        pair.last = now;
        let least = u32::from(rules.meetings_min);
        let suspected = if pair.is_told {
            !pair.together.latest(least)
        } else {
            let is_due = pair.together.count >= least && !pair.together.latest(1);
            is_due && self.chance((one, other), &pair) * f64::from(rules.rarity) < 1.0
        };
        let is_news = suspected != pair.is_told;
        pair.is_told = suspected;
        let (meetings, together) = (pair.together.count, pair.together.yes());
        let found = Found { one, other, meetings, together, since: pair.since, suspected };
        // Whoever is cleared begins anew.
        let next = if is_news && !suspected { fresh } else { pair };
        self.pairs.insert((one, other), next);
        is_news.then_some(found)
    }

    /// How likely two honest machines, each as it is without the other, pass together so seldom.
    fn chance(&self, (one, other): (WorkerId, WorkerId), pair: &Pair) -> f64 {
        let share = |worker, fit: &Tally| {
            self.machines.get(&worker).map_or(0.5, |own| own.share(fit.count, fit.yes()))
        };
        let both = share(one, &pair.fit.0) * share(other, &pair.fit.1);
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
