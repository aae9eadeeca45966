//! Who is called with whom, and at which instant.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use units::{Hour, Timestamp, WorkerId};

use super::{GROUP_CARDS_MAX, MACHINES_MAX, Net, Traits};
use crate::prf::derive;
use crate::schedule::{Call, ProofRules};

/// Who was not heard for so long is not called in company: ten minutes, many times what an agent waits between two
/// questions.
const SEEN_MILLIS: u64 = 600_000;
/// Machines with too many cards for a group that are passed over until one fits.
const ASIDE_MAX: usize = 16;

/// Machines that are called at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What its challenges say of it: nobody can guess it.
    pub barrier: [u8; 16],
    /// When.
    pub at: Timestamp,
    /// Who, at least two.
    pub machines: BTreeSet<WorkerId>,
    /// Cards that they have together.
    pub cards: u32,
}

/// One part of an hour.
#[derive(Clone, Debug)]
struct Part {
    hour: Hour,
    call: Call,
    groups: Vec<Group>,
    of: BTreeMap<WorkerId, usize>,
}

/// Machines that are there, and the groups that were drawn.
#[derive(Clone, Debug, Default)]
pub struct Seats {
    known: BTreeMap<WorkerId, (Traits, Timestamp)>,
    /// The latest two.
    parts: VecDeque<Part>,
}

/// What company is found by, and for how many of eight draws it is tried first: an owner has most to gain.
const KINDS: [Kind; 8] = [
    Kind::Owner,
    Kind::Owner,
    Kind::Owner,
    Kind::Net,
    Kind::Net,
    Kind::Net,
    Kind::Model,
    Kind::Model,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Owner,
    Net,
    Model,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Owner(units::AccountId),
    Net(Net),
    Model(&'a str),
}

impl Kind {
    fn of(self, traits: &Traits) -> Option<Key<'_>> {
        match self {
            Self::Owner => Some(Key::Owner(traits.owner)),
            Self::Net => traits.net.map(Key::Net),
            Self::Model => Some(Key::Model(&traits.model)),
        }
    }
}

impl Seats {
    /// A machine asked whether it is to prove.
    pub fn seen(&mut self, worker: WorkerId, traits: Traits, now: Timestamp) {
        if self.known.len() < MACHINES_MAX || self.known.contains_key(&worker) {
            self.known.insert(worker, (traits, now));
        }
    }

    /// Whether a machine asked after this moment.
    pub fn was_seen_after(&self, worker: WorkerId, at: Timestamp) -> bool {
        self.known.get(&worker).is_some_and(|(_, seen)| *seen > at)
    }

    /// Its company in this part of the hour.
    pub fn group(&self, worker: WorkerId, hour: Hour, call: Call) -> Option<&Group> {
        let part = self.parts.iter().find(|part| (part.hour, part.call) == (hour, call))?;
        part.groups.get(*part.of.get(&worker)?)
    }

    /// When company is drawn for a part of an hour, and until when: a minute before its calls begin, so that whoever
    /// waits for a call has asked again in the meantime.
    fn draws(rules: &ProofRules, hour: Hour, call: Call) -> (Timestamp, Timestamp) {
        let window = rules.window(call);
        let minutes = |minutes: u8| hour.start().millis() + u64::from(minutes) * 60_000;
        let from = window.from_minute.saturating_sub(1);
        (Timestamp::from_millis(minutes(from)), Timestamp::from_millis(minutes(from + 1)))
    }

    /// Draws the company of a part of the hour when its time has come. Pairs `in_doubt` meet again every second hour.
    pub fn draw(
        &mut self,
        rules: &ProofRules,
        secret: &[u8; 32],
        in_doubt: impl Iterator<Item = (WorkerId, WorkerId)>,
        now: Timestamp,
    ) {
        let hour = Hour::of(now);
        let is_time = |call: &Call| {
            let (from, to) = Self::draws(rules, hour, *call);
            from <= now && now < to
        };
        let Some(call) = [Call::Last, Call::First].into_iter().find(is_time) else { return };
        let is_drawn = |part: &Part| (part.hour, part.call) == (hour, call);
        if rules.company.machines < 2 || self.parts.iter().any(is_drawn) {
            return;
        }
        self.known.retain(|_, (_, seen)| seen.millis() + SEEN_MILLIS > now.millis());
        let salt = derive("iog proof 1 company", &[secret, &hour.start().millis().to_le_bytes()]);
        let salt = derive("iog proof 1 company", &[&salt, &[call as u8]]);
        let mut drawing = Drawing::new(&self.known, rules, salt);
        for pair in in_doubt {
            if drawing.coin(&pair) {
                drawing.seat_pair(pair);
            }
        }
        drawing.seat_all();
        let share = u64::from(rules.company.first_bp) * u64::from(u32::MAX) / 10_000;
        let is_kept = |group: &Vec<WorkerId>| {
            let coin = number(&salt, "kept", group[0]);
            call == Call::Last || u64::from(coin) < share
        };
        let cards = |group: &Vec<WorkerId>| group.iter().map(|it| self.known[it].0.cards).sum();
        let groups = drawing.groups.into_iter().filter(is_kept);
        let groups = groups.map(|group| (cards(&group), group)).collect();
        let part = Part::new(groups, (hour, call), rules, &salt);
        if self.parts.len() == 2 {
            self.parts.pop_front();
        }
        self.parts.push_back(part);
    }
}

/// A number that follows from the secret of a draw and a machine.
fn number(salt: &[u8; 32], what: &str, worker: WorkerId) -> u32 {
    let hash = derive("iog proof 1 seat", &[salt, what.as_bytes(), &worker.bits().to_be_bytes()]);
    u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])
}

impl Part {
    fn new(
        groups: Vec<(u32, Vec<WorkerId>)>,
        (hour, call): (Hour, Call),
        rules: &ProofRules,
        salt: &[u8; 32],
    ) -> Self {
        let mut part = Self { hour, call, groups: Vec::new(), of: BTreeMap::new() };
        for (cards, machines) in groups {
            let first = machines[0].bits().to_be_bytes();
            let barrier = derive("iog proof 1 barrier", &[salt, &first]);
            let at = rules.moment(hour, call, number(salt, "at", machines[0]));
            part.of.extend(machines.iter().map(|worker| (*worker, part.groups.len())));
            part.groups.push(Group {
                barrier: barrier.first_chunk().copied().expect("a hash has more than 16 bytes"),
                at,
                machines: machines.into_iter().collect(),
                cards,
            });
        }
        part
    }
}

/// Groups in the making.
struct Drawing<'a> {
    known: &'a BTreeMap<WorkerId, (Traits, Timestamp)>,
    salt: [u8; 32],
    size: usize,
    /// All machines, in an order that nobody can foresee.
    order: Vec<WorkerId>,
    /// The same, by what they have in common.
    alike: BTreeMap<Key<'a>, VecDeque<WorkerId>>,
    seated: BTreeSet<WorkerId>,
    groups: Vec<Vec<WorkerId>>,
}

impl<'a> Drawing<'a> {
    fn new(
        known: &'a BTreeMap<WorkerId, (Traits, Timestamp)>,
        rules: &ProofRules,
        salt: [u8; 32],
    ) -> Self {
        let mut order: Vec<WorkerId> = known.keys().copied().collect();
        order.sort_by_cached_key(|worker| (number(&salt, "order", *worker), *worker));
        let mut alike: BTreeMap<Key<'a>, VecDeque<WorkerId>> = BTreeMap::new();
        for worker in &order {
            let traits = &known[worker].0;
            let keys = [Kind::Owner, Kind::Net, Kind::Model].map(|kind| kind.of(traits));
            for key in keys.into_iter().flatten() {
                alike.entry(key).or_default().push_back(*worker);
            }
        }
        let size = rules.company.machines.into();
        Self { known, salt, size, order, alike, seated: BTreeSet::new(), groups: Vec::new() }
    }

    /// Whether a pair in doubt meets in this draw: in the others each of them meets somebody else, to compare.
    fn coin(&self, (one, other): &(WorkerId, WorkerId)) -> bool {
        (number(&self.salt, "again", *one) ^ number(&self.salt, "again", *other)) & 1 == 0
    }

    fn cards(&self, worker: WorkerId) -> u32 {
        self.known.get(&worker).map_or(0, |(traits, _)| traits.cards)
    }

    fn is_free(&self, worker: WorkerId) -> bool {
        self.known.contains_key(&worker) && !self.seated.contains(&worker)
    }

    fn seat_pair(&mut self, (one, other): (WorkerId, WorkerId)) {
        let fits = self.cards(one) + self.cards(other) <= GROUP_CARDS_MAX;
        if fits && self.is_free(one) && self.is_free(other) {
            self.seated.extend([one, other]);
            self.groups.push(vec![one, other]);
        }
    }

    fn seat_all(&mut self) {
        for worker in std::mem::take(&mut self.order) {
            if !self.is_free(worker) {
                continue;
            }
            let turn = usize::try_from(number(&self.salt, "kind", worker)).unwrap_or(0);
            let mut kinds = KINDS.to_vec();
            kinds.rotate_left(turn % KINDS.len());
            let mut group = vec![worker];
            for kind in kinds {
                if group.len() == 1 {
                    self.fill(&mut group, kind);
                }
            }
            if group.len() > 1 {
                self.seated.extend(&group);
                self.groups.push(group);
            }
        }
    }

    /// Takes those who come next of the same kind, until the group is full.
    fn fill(&mut self, group: &mut Vec<WorkerId>, kind: Kind) {
        let known = self.known;
        let Some((traits, _)) = known.get(&group[0]) else { return };
        let Some(key) = kind.of(traits) else { return };
        let mut cards = traits.cards;
        let Some(line) = self.alike.get_mut(&key) else { return };
        let mut aside = Vec::new();
        while group.len() < self.size && aside.len() < ASIDE_MAX {
            let Some(worker) = line.pop_front() else { break };
            if self.seated.contains(&worker) {
                continue;
            }
            let more = known.get(&worker).map_or(0, |(traits, _)| traits.cards);
            if worker != group[0] && cards + more <= GROUP_CARDS_MAX {
                cards += more;
                group.push(worker);
            } else {
                aside.push(worker);
            }
        }
        aside.into_iter().rev().for_each(|worker| line.push_front(worker));
    }
}
