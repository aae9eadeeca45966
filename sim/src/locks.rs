//! Time-lock in the weather: somebody comes onto rented cards and goes, cards are lost, and records are handed over
//! that say so, say more, or make no sense.

use std::collections::BTreeMap;

use control::{Actor, Command, Control, Digest, DisturbedBy, DisturbedRecord, LockRecord};
use proofs::lock::{Break, Minutes, Summary};
use units::{Hour, RentalId, SlashId, Timestamp, WorkerId};
use worker::NodeKey;

use crate::broken::{Invariant, Step, must};
use crate::people::Purpose;
use crate::world::{Due, World};

impl World {
    /// A node is disturbed from now on, or is not any more.
    pub(crate) fn disturb(&mut self) {
        if !self.raining {
            self.machines.iter_mut().for_each(crate::machine::Machine::calm);
            return;
        }
        let later = self.dice.seconds(2, 40);
        self.agenda.at(self.now.after(later), Due::Disturbance);
        let index = self.dice.index(self.machines.len());
        let nodes: Vec<NodeKey> = self.machines[index].rays.keys().copied().collect();
        let Some(node) = self.dice.pick(&nodes).copied() else { return };
        let is_over = self.machines[index].disturbed.contains_key(&node) && self.dice.chance(700);
        // Some have bad clocks, and some say late what they saw early.
        let ago = if self.dice.chance(900) { self.dice.between(0, 5_000) } else { 90_000 };
        let since = Timestamp::from_millis(self.server_clock().millis().saturating_sub(ago));
        let why = if self.dice.chance(700) { DisturbedBy::Foreign } else { DisturbedBy::CardLost };
        let by = (!is_over).then_some(DisturbedRecord { why, since });
        self.machines[index].disturb(node, by);
        if self.dice.chance(700) && self.machines[index].brain.is_some() {
            self.machine_speak(index);
        }
    }

    /// A machine hands a record over.
    pub(crate) fn hand_over(&mut self) -> Step {
        if !self.raining {
            return Ok(());
        }
        let later = self.dice.seconds(1, 10);
        self.agenda.at(self.now.after(later), Due::Records);
        let index = self.dice.index(self.machines.len());
        let worker = self.machines[index].id;
        let Some(control) = self.server.control.as_ref() else { return Ok(()) };
        let nodes = seats(control);
        let mine: Vec<(RentalId, u32)> =
            nodes.iter().filter(|(_, of)| **of == worker).map(|(node, _)| *node).collect();
        let others: Vec<(RentalId, u32)> =
            nodes.iter().filter(|(_, of)| **of != worker).map(|(node, _)| *node).collect();
        let is_idle = self.dice.chance(350);
        // Records of what is over come after it.
        let over = |(rental, _): &&(RentalId, u32)| {
            control.rental(*rental).is_some_and(|rental| rental.settled.is_some())
        };
        let over: Vec<(RentalId, u32)> = mine.iter().filter(over).copied().collect();
        let from = if over.is_empty() || self.dice.chance(500) { &mine } else { &over };
        let node = self.dice.pick(from).copied().filter(|_| !is_idle);
        let mut lock = self.record(index, node);
        let wrong = self.dice.between(0, 39);
        match wrong {
            0 => lock.hour = lock.hour.later(1),
            1 => lock.summary.rental = !lock.summary.rental,
            2 => lock.summary.touched = Minutes::NONE,
            3 => match self.dice.pick(&others).copied() {
                Some((rental, node)) => {
                    (lock.rental, lock.node, lock.summary.rental) = (Some(rental), node, true);
                }
                None => return Ok(()),
            },
            4 => {
                let by = Actor::Account(self.any_account());
                self.ask(by, Command::SealLock { worker, lock }, Purpose::Theft);
                return Ok(());
            }
            _ => {
                self.chain(index, &lock);
                return self
                    .server_says(Actor::Clock, Command::SealLock { worker, lock })
                    .map(drop);
            }
        }
        if wrong == 2 && lock.summary.broken.values().all(|it| *it == Minutes::NONE) {
            return Ok(());
        }
        let answer = self.server_says(Actor::Clock, Command::SealLock { worker, lock })?;
        let refused = answer.is_none_or(|answer| answer.is_err());
        must(refused, Invariant::Proofs, || format!("a record of {worker} makes no sense"))
    }

    /// What the next record of the span names.
    fn chain(&mut self, index: usize, lock: &LockRecord) {
        let key = lock.rental.map(|rental| NodeKey { rental, node: lock.node });
        self.machines[index].records.insert(key, (lock.part + 1, lock.hash));
    }

    /// A record of this hour or one of the last.
    fn record(&mut self, index: usize, node: Option<(RentalId, u32)>) -> LockRecord {
        let clock = self.server_clock();
        let ago = if self.dice.chance(700) { 0 } else { self.dice.between(0, 3) };
        let number = Hour::of(clock).number().saturating_sub(u32::try_from(ago).unwrap_or(0));
        let hour = Hour::from_number(number);
        let last = clock.min(hour.end());
        let into = last.millis().saturating_sub(hour.start().millis());
        // Most are of what was just now, in which something was going on; some are of any time.
        let is_news = self.dice.chance(650);
        let into = if is_news { into } else { self.dice.between(0, into) };
        let long = if is_news { into.min(1_200_000) } else { into };
        let ended = hour.start().millis() + into;
        let began = ended - self.dice.between(0, long);
        let minute = |at: u64| u8::try_from(at / 60_000).unwrap_or(60);
        let (from, to) =
            (minute(began - hour.start().millis()), minute(ended - hour.start().millis() + 59_999));
        let key = node.map(|(rental, node)| NodeKey { rental, node });
        let zeros = Digest::from_sha256([0; 32]);
        let (mut part, mut previous) =
            self.machines[index].records.get(&key).copied().unwrap_or((0, zeros));
        if self.dice.once_in(10) {
            part += 2;
        }
        if self.dice.once_in(20) {
            (part, previous) = (0, zeros);
        }
        LockRecord {
            record: self.digest(),
            hash: self.digest(),
            rental: node.map(|(rental, _)| rental),
            node: node.map_or(0, |(_, node)| node),
            part,
            previous,
            hour,
            began: Timestamp::from_millis(began),
            ended: Timestamp::from_millis(ended),
            over: self.dice.once_in(4),
            cards: 1,
            summary: self.summary(node.is_some(), (from, to)),
            strangers: String::new(),
            kept: clock,
            slash: SlashId::from_bits(self.fresh_bits()),
        }
    }

    fn summary(&mut self, rental: bool, (from, to): (u8, u8)) -> Summary {
        let touched = Minutes::between(from, to);
        let reasons = if rental {
            &[Break::Foreign, Break::CardLost, Break::Silence, Break::Blind][..]
        } else {
            &[Break::BusyCard, Break::BusyProcessor, Break::ClockStep, Break::CardLost][..]
        };
        let mut broken = BTreeMap::new();
        for why in reasons.iter().filter(|_| from < to) {
            if self.dice.chance(400) {
                let first = self.dice.between(from.into(), to.into());
                let last = self.dice.between(first, to.into());
                let of = |at: u64| u8::try_from(at).unwrap_or(60);
                broken.insert(*why, Minutes::between(of(first), of(last)));
            }
        }
        let strangers = u8::from(self.dice.chance(500));
        Summary { rental, touched, broken, strangers }
    }

    fn digest(&mut self) -> Digest {
        let mut all = [0; 32];
        all.as_chunks_mut::<8>().0.iter_mut().for_each(|it| *it = self.dice.next().to_le_bytes());
        Digest::from_sha256(all)
    }
}

/// Whose machine each node of a rental is on.
fn seats(control: &Control) -> BTreeMap<(RentalId, u32), WorkerId> {
    let of = |rental: &control::Rental| {
        let id = rental.id;
        let nodes = (0_u32..).zip(rental.nodes.iter().map(|node| node.seat.worker));
        nodes.map(move |(index, worker)| ((id, index), worker)).collect::<Vec<_>>()
    };
    control.rentals().flat_map(of).collect()
}
