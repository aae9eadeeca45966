//! Machines that are called in company: one card that is several by name, and houses full of honest ones.
//!
//! Who is called with whom, who waits for whom, and what is found of pairs is by the real brains. Sessions are reckoned
//! here, not played: what they come to follows from times and limits alone.

use std::collections::BTreeMap;

use proofs::company::{Came, CompanyRules, Found, Net, Pairs, Seats, Showing, Traits, came};
use proofs::fingerprint::Reference;
use proofs::gate::Gate;
use proofs::schedule::{Call, ProofRules};
use proofs::silence::Silence;
use proofs::{Judged, Outcome, Reason, Task};
use units::{AccountId, DeviceKind, Hour, Timestamp, WorkerId};

use super::animal::memory_of;
use super::card::{Card, Missing, Pace, about};
use super::farms::{Bound, CHEATS, Farm, HOUSES, Trick};
use super::stand::Row;
use crate::dice::Dice;

const FIRST: u32 = 490_000;
/// Enough time for whoever wants to come to a gate when everybody else has gone.
const AFTER_ALL_MS: u64 = 45_000;

pub(super) fn cheats(seed: u64) -> Vec<Row> {
    CHEATS.iter().map(|farm| Play::new(farm, seed).row()).collect()
}

pub(super) fn honest(seed: u64) -> Vec<Row> {
    HOUSES.iter().map(|farm| Play::new(farm, seed).row()).collect()
}

/// What a session was seen to be.
#[derive(Clone, Debug)]
struct Seen {
    outcome: Outcome,
    judged: Vec<Judged>,
}

/// How far a session gets by itself.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Its memory is full then, in milliseconds from the instant, and its walk takes so many.
    Full(u64, u64),
    /// It has passed then; there is nothing to fill.
    Done(u64, u64),
    /// It ends then, for this reason.
    Ends(u64, Reason),
}

/// A farm in play.
struct Play<'a> {
    farm: &'a Farm,
    rules: ProofRules,
    reference: Reference,
    tasks: Vec<Task>,
    seats: Seats,
    pairs: Pairs,
    dice: Dice,
    outcomes: BTreeMap<Outcome, u32>,
    meetings: u32,
    sessions: u64,
    late_in: Option<u32>,
    silence: BTreeMap<u32, Silence>,
    silent_in: Option<u32>,
    found: Vec<(u32, Found)>,
    paid: u32,
    /// Hours of all machines that are not honest, or of all if all are.
    looked_at: u32,
}

impl<'a> Play<'a> {
    fn new(farm: &'a Farm, seed: u64) -> Self {
        let (rules, reference) = (ProofRules::default(), Reference::built_in());
        let vram_mib = memory_of(&reference, farm.claim);
        let kind = if vram_mib > 0 { DeviceKind::Gpu } else { DeviceKind::Cpu };
        let class = rules.class_of(kind, vram_mib).expect("every kind has a class");
        let tasks = class.1.tasks(vram_mib);
        Self {
            farm,
            rules,
            reference,
            tasks,
            seats: Seats::default(),
            pairs: Pairs::default(),
            dice: Dice::new(seed),
            outcomes: BTreeMap::new(),
            meetings: 0,
            sessions: 0,
            late_in: None,
            silence: BTreeMap::new(),
            silent_in: None,
            found: Vec::new(),
            paid: 0,
            looked_at: 0,
        }
    }

    fn all(&self) -> u32 {
        self.farm.names + self.farm.beside
    }

    fn is_liar(&self, name: u32) -> bool {
        name < self.farm.names && self.farm.bound != Bound::Honest
    }

    fn row(mut self) -> Row {
        for hour in 1..=self.farm.hours {
            self.hour(hour);
        }
        let (text, holds) = self.judge();
        assert!(holds, "{}: {text}: {:?}, {:?}", self.farm.title, self.found, self.outcomes);
        let found = match (self.late_in, self.found.first()) {
            (Some(hour), _) => format!("hour {hour}: too late"),
            (None, Some((hour, found))) => {
                let (together, meetings) = (found.together, found.meetings);
                format!("hour {hour}: suspected: together {together} of {meetings} times")
            }
            (None, None) => match (self.farm.bound, self.silent_in) {
                (Bound::Silent(_), Some(hour)) => {
                    format!("hour {hour}: reported: breaks off too often")
                }
                _ => "—".to_owned(),
            },
        };
        let sessions: u32 = self.outcomes.values().sum();
        Row {
            name: self.farm.title.to_owned(),
            tried: format!("{sessions}, {} meetings", self.meetings),
            found,
            paid: format!("{} of {}", self.paid, self.looked_at),
            gain: self.farm.gain.to_owned(),
            bound: text,
            outcomes: self.outcomes,
        }
    }

    fn judge(&self) -> (String, bool) {
        let suspected = self.found.iter().find(|(_, found)| found.suspected);
        let is_among = |worker: WorkerId| worker.bits() < u128::from(self.farm.names);
        let right = self.found.iter().all(|(_, it)| is_among(it.one) && is_among(it.other));
        let all_paid = self.paid == self.looked_at;
        match self.farm.bound {
            Bound::Slow => {
                let holds = self.late_in == Some(1) && self.paid == 0 && self.found.is_empty();
                ("slow by hour 1, never paid".to_owned(), holds)
            }
            Bound::Lent => {
                let holds = self.late_in == Some(1) && 2 * self.paid == self.looked_at;
                ("slow by hour 1; who lends is paid".to_owned(), holds)
            }
            Bound::Suspected(by) => {
                let holds = right && suspected.is_some_and(|(hour, _)| *hour <= by);
                (format!("suspected by hour {by}, and nobody honest"), holds)
            }
            Bound::Silent(by) => {
                let holds = self.found.is_empty() && self.silent_in.is_some_and(|it| it <= by);
                (format!("reported by hour {by}"), holds)
            }
            Bound::NotCaught => {
                ("**not caught**".to_owned(), self.found.is_empty() && self.late_in.is_none())
            }
            Bound::Honest => {
                let holds = self.found.is_empty() && self.late_in.is_none() && all_paid;
                ("no suspicion, all hours".to_owned(), holds)
            }
        }
    }

    fn at(hour: u32, minute: u64) -> Timestamp {
        let start = Hour::from_number(FIRST + hour).start().millis();
        Timestamp::from_millis(start + minute * 60_000)
    }

    fn worker(name: u32) -> WorkerId {
        WorkerId::from_bits(name.into())
    }

    fn hour(&mut self, hour: u32) {
        let mut passed: BTreeMap<u32, bool> = BTreeMap::new();
        for (call, minute) in [(Call::First, 0), (Call::Last, 39)] {
            self.draw(hour, minute);
            let of = Hour::from_number(FIRST + hour);
            let mut groups: BTreeMap<[u8; 16], Vec<u32>> = BTreeMap::new();
            for name in 0..self.all() {
                match self.seats.group(Self::worker(name), of, call) {
                    Some(group) => groups.entry(group.barrier).or_default().push(name),
                    None => {
                        let is_passed = self.alone(name, Self::at(hour, minute + 5));
                        passed.insert(name, is_passed);
                    }
                }
            }
            for group in groups.values() {
                self.meet(group, hour, minute, &mut passed);
            }
        }
        let is_looked_at =
            |play: &Self, name| play.farm.bound == Bound::Honest || play.is_liar(name);
        for (name, is_passed) in passed {
            if is_looked_at(self, name) {
                self.looked_at += 1;
                self.paid += u32::from(is_passed);
            }
        }
    }

    fn draw(&mut self, hour: u32, minute: u64) {
        let now = Self::at(hour, minute);
        for name in 0..self.all() {
            let own = if self.farm.strangers { u128::from(name) } else { 1_000 };
            let net = u8::try_from(own % 200).unwrap_or(0);
            let traits = Traits {
                owner: AccountId::from_bits(own),
                net: Some(Net::V4([10, 0, net])),
                model: self.farm.claim.to_owned(),
                cards: self.farm.cards,
            };
            self.seats.seen(Self::worker(name), traits, now);
        }
        self.seats.draw(&self.rules, &[7; 32], self.pairs.in_doubt(), now);
    }

    /// A session of each of a machine's cards, alone; whether it is passed in the end.
    fn alone(&mut self, name: u32, now: Timestamp) -> bool {
        // A call is tried four times.
        for _ in 0..4 {
            let way = self.way(name, 1, self.farm.cards, false);
            let seen = self.seen(name, way, now);
            let came = came(&self.tasks, &seen.judged, None);
            self.pairs.alone(Self::worker(name), came, now);
            match seen.outcome {
                Outcome::Pass => return true,
                Outcome::Inconclusive => {}
                Outcome::Slow | Outcome::Fail => return false,
            }
        }
        false
    }

    /// What a card is for a name that shares it with so many.
    fn pace(&self, name: u32, sharing: u32, neighbor_is_busy: bool) -> Pace {
        let farm = self.farm;
        let mut card = if name < farm.names { farm.card } else { Card::new(farm.claim) };
        card.permille /= u64::from(sharing);
        if name < farm.names && sharing > 1 {
            card.memory_mib = card.memory_mib.map(|it| it / u64::from(sharing)).or_else(|| {
                let all = memory_of(&self.reference, card.model);
                (all > 0).then(|| all / u64::from(sharing))
            });
        }
        if let (Trick::Padded(times), true) = (farm.trick, name < farm.names) {
            card.permille = 1_000 / times;
        }
        if farm.trick == Trick::Borrows {
            let lends = name % 2 == 1;
            card.memory_mib = card.memory_mib.filter(|_| !lends);
            card.missing = if neighbor_is_busy { Missing::Made } else { Missing::Behind(9e11) };
        }
        card.pace(&self.reference, &self.tasks)
    }

    /// How far a session gets by itself, beside so many others on its house's line.
    fn way(&mut self, name: u32, sharing: u32, on_line: u32, neighbor_is_busy: bool) -> Way {
        if self.dice.chance(self.farm.breaks) {
            return Way::Ends(1_000, Reason::Expired);
        }
        let pace = self.pace(name, sharing, neighbor_is_busy);
        let mut now_ms = 100 + self.dice.between(0, 3_000);
        let mut took = |seconds: f64| about(seconds, &mut self.dice) / 1_000;
        let mut walk = None;
        for task in &self.tasks {
            let sends_ms =
                task.openings_bytes() as u64 * 1_000 * u64::from(on_line) / self.farm.line;
            match task {
                Task::Puzzle(_) => now_ms += took(pace.puzzle),
                Task::Matmul(matmul) => {
                    let products_ms = took(pace.products);
                    now_ms += products_ms + sends_ms;
                    if products_ms > matmul.limit_ms.into() {
                        return Way::Ends(now_ms, Reason::Late);
                    }
                    if sends_ms > matmul.answer_ms.into() {
                        return Way::Ends(now_ms, Reason::Answer);
                    }
                    walk = walk.or(Some((products_ms, false)));
                }
                Task::Memory(memory) => {
                    let (fill_ms, walk_ms) = (took(pace.fill), took(pace.walk));
                    now_ms += fill_ms;
                    if fill_ms > memory.fill_ms.into() {
                        return Way::Ends(now_ms, Reason::Answer);
                    }
                    walk = Some((walk_ms, true));
                }
            }
        }
        match walk {
            Some((walk_ms, true)) => Way::Full(now_ms, walk_ms),
            Some((products_ms, false)) => Way::Done(now_ms, products_ms),
            None => Way::Done(now_ms, 1),
        }
    }

    /// What comes of a session that got so far, and is let go.
    fn seen(&mut self, name: u32, way: Way, now: Timestamp) -> Seen {
        let reason = match way {
            Way::Full(_, walk_ms) if walk_ms > self.walk_limit_ms() => Reason::Late,
            Way::Full(..) | Way::Done(..) => Reason::None,
            Way::Ends(_, reason) => reason,
        };
        let took_ms = match way {
            Way::Full(_, took) | Way::Done(_, took) => took.max(1),
            Way::Ends(..) => 1,
        };
        let rate = 1_000_000_000 / took_ms;
        let judged = self.tasks.iter().map(|_| Judged { reason, elapsed_us: 1, rate }).collect();
        let outcome = reason.outcome();
        self.sessions += 1;
        // Each session has a moment of its own.
        let at = Timestamp::from_millis(now.millis() + self.sessions);
        let silence = self.silence.entry(name).or_default();
        silence.note(at, &[Judged { reason, elapsed_us: 1, rate }]);
        if silence.is_striking() {
            let hour = Hour::of(now).number() - FIRST;
            self.silent_in.get_or_insert(hour);
        }
        *self.outcomes.entry(outcome).or_default() += 1;
        Seen { outcome, judged }
    }

    fn walk_limit_ms(&self) -> u64 {
        let limit = |task: &Task| match task {
            Task::Memory(memory) => Some(u64::from(memory.walk_ms)),
            Task::Puzzle(_) | Task::Matmul(_) => None,
        };
        self.tasks.iter().find_map(limit).unwrap_or(u64::MAX)
    }

    /// A group is called at one instant.
    fn meet(&mut self, group: &[u32], hour: u32, minute: u64, passed: &mut BTreeMap<u32, bool>) {
        self.meetings += 1;
        let now = Self::at(hour, minute + 5);
        let ways: Vec<(u32, Way)> =
            group.iter().map(|name| (*name, self.company_way(*name, group, hour))).collect();
        let numbers = self.gate(&ways);
        let mut showings = BTreeMap::new();
        for ((name, way), number) in ways.into_iter().zip(numbers) {
            let seen = self.seen(name, way, now);
            let came: Came = came(&self.tasks, &seen.judged, number);
            // All cards of a machine are alike, and pass or fail together.
            showings.insert(Self::worker(name), Showing::of(&[came], 1));
            if seen.outcome == Outcome::Slow {
                self.late_in.get_or_insert(hour);
            }
            let is_passed = match seen.outcome {
                Outcome::Pass => true,
                Outcome::Slow | Outcome::Fail => false,
                Outcome::Inconclusive => self.alone(name, now),
            };
            passed.insert(name, is_passed);
        }
        let found = self.pairs.met(&showings, &CompanyRules::default(), now);
        self.found.extend(found.into_iter().map(|found| (hour, found)));
    }

    /// How far a name gets that is called with these.
    fn company_way(&mut self, name: u32, group: &[u32], hour: u32) -> Way {
        let farm = self.farm;
        let on_line = if farm.strangers { 1 } else { u32::try_from(group.len()).unwrap_or(1) };
        let on_line = on_line * farm.cards;
        let is_mate = |other: &&u32| {
            name < farm.names
                && **other / farm.sharing == name / farm.sharing
                && **other < farm.names
        };
        let mates: Vec<u32> = group.iter().filter(is_mate).copied().collect();
        let count = u32::try_from(mates.len()).unwrap_or(1).max(1);
        if farm.trick == Trick::Borrows {
            let neighbor_is_busy = group.contains(&(name ^ 1));
            return self.way(name, 1, on_line, neighbor_is_busy);
        }
        if count == 1 || !self.is_liar(name) {
            return self.way(name, 1, on_line, false);
        }
        let turn = mates[usize::try_from(hour).unwrap_or(0) % mates.len()];
        match farm.trick {
            Trick::Unaware => self.way(name, count, on_line, false),
            Trick::InTurn if name != turn => Way::Ends(1_000, Reason::Unable),
            Trick::Later if name != turn => match self.way(name, 1, on_line, false) {
                Way::Full(at, walk_ms) => Way::Full(at + AFTER_ALL_MS, walk_ms),
                other @ (Way::Done(..) | Way::Ends(..)) => other,
            },
            Trick::Dawdles if name == mates[1] => Way::Ends(25_000, Reason::Answer),
            Trick::InTurn | Trick::Later | Trick::Dawdles | Trick::Padded(_) | Trick::Borrows => {
                self.way(name, 1, on_line, false)
            }
        }
    }

    /// With which number each is let go.
    fn gate(&self, ways: &[(u32, Way)]) -> Vec<Option<u32>> {
        let id = |name: &u32| u128::from(*name).to_le_bytes();
        let hold_ms = u64::from(self.rules.company.hold_secs) * 1_000;
        let mut gate = Gate::new(ways.len(), 15_000, hold_ms);
        let mut due: Vec<(u64, u32, bool)> = Vec::new();
        for (name, way) in ways {
            gate.enter(id(name));
            match way {
                Way::Full(at, _) => due.push((*at, *name, true)),
                Way::Done(at, _) | Way::Ends(at, _) => due.push((*at, *name, false)),
            }
        }
        due.sort_unstable();
        for (at, name, is_full) in due {
            while gate.wake_ms().is_some_and(|wake| wake < at) {
                gate.open(gate.wake_ms().unwrap_or(at));
            }
            if is_full {
                gate.on_full(id(&name), at)
            } else {
                gate.on_over(id(&name))
            }
            gate.open(at);
        }
        gate.wake_ms().map(|wake| gate.open(wake));
        ways.iter().map(|(name, _)| gate.number(&id(name))).collect()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nobody_honest_is_suspected_whatever_the_dice_say() {
        (2..5).for_each(|seed| drop(super::honest(seed)));
    }

    #[test]
    fn whoever_has_one_card_for_several_is_suspected_whatever_the_dice_say() {
        (2..8).for_each(|seed| drop(super::cheats(seed)));
    }
}
