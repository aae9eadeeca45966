//! One animal of the zoo: what it says it is, what it is, and how it lives its hours.

use std::collections::BTreeMap;

use proofs::fingerprint::{Reference, Verdict, verdict};
use proofs::matmul::Seeds;
use proofs::silence::Silence;
use proofs::{Outcome, Reason};
use units::{DeviceKind, WorkerId};

use super::card::{Asked, Card};
use super::hours::{Called, House, Tally};
use super::rig::{Bytes, Clock, Nerve, Rig};
use super::wire::{Judge, Net, Played, Setup, Wire, bytes32, fill_us};
use crate::dice::Dice;

/// A prover.
#[derive(Clone, Copy, Debug)]
pub(super) struct Animal {
    /// The model it claims to be; `processor` for none.
    pub(super) claim: &'static str,
    /// What computes.
    pub(super) card: Card,
    pub(super) bytes: Bytes,
    pub(super) nerve: Nerve,
    pub(super) net: Net,
    /// Products that are played for all.
    pub(super) rounds: u16,
    /// Whether the card is elsewhere: it says that it cannot.
    pub(super) is_away: bool,
}

impl Animal {
    /// An honest one.
    pub(super) const fn honest(model: &'static str) -> Self {
        Self {
            claim: model,
            card: Card::new(model),
            bytes: Bytes::Right,
            nerve: Nerve::Steady,
            net: Net::GOOD,
            rounds: 1,
            is_away: false,
        }
    }

    pub(super) const fn computes(self, bytes: Bytes) -> Self {
        Self { bytes, rounds: 2, ..self }
    }

    pub(super) const fn claims(self, claim: &'static str) -> Self {
        Self { claim, ..self }
    }

    pub(super) const fn with(self, card: Card) -> Self {
        Self { card, ..self }
    }

    pub(super) const fn over(self, net: Net) -> Self {
        Self { net, ..self }
    }

    pub(super) const fn of_rounds(self, rounds: u16) -> Self {
        Self { rounds, ..self }
    }

    /// While its card is elsewhere.
    pub(super) const fn away(self) -> Self {
        Self { is_away: true, ..self }
    }

    /// It rather breaks off than fail.
    pub(super) const fn shy(self) -> Self {
        Self { nerve: Nerve::BreaksOff, ..self }
    }
}

/// When something was first seen, and what.
type Seen = Option<(u32, String)>;

/// How it went.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    pub(super) tally: Tally,
    pub(super) fail: Seen,
    pub(super) slow: Seen,
    /// What the fingerprint said first that does not fit the claim.
    pub(super) print: Seen,
    /// When it was seen to break off more often than networks do.
    pub(super) silent: Option<u32>,
    silence: Silence,
    pub(super) reasons: BTreeMap<Reason, u32>,
    /// Why provers did not get to a verdict.
    pub(super) faults: BTreeMap<String, u32>,
}

impl Life {
    /// The first hour in which it was seen to be wrong, slow, or another model.
    pub(super) fn found(&self) -> Seen {
        let all = [&self.fail, &self.slow, &self.print];
        let silent = self.silent.map(|hour| (hour, "reported: breaks off too often".to_owned()));
        let first = all.into_iter().flatten().min_by_key(|(hour, _)| *hour).cloned();
        first.or(silent)
    }

    /// Adds the hours of a machine. What is noted from here on is another's.
    pub(super) fn add(&mut self, tally: &Tally) {
        self.silence = Silence::default();
        self.tally.sessions += tally.sessions;
        self.tally.hours += tally.hours;
        self.tally.paid += tally.paid;
        self.tally.charged += tally.charged;
        for (outcome, count) in &tally.by {
            *self.tally.by.entry(*outcome).or_default() += count;
        }
    }

    pub(super) fn note(&mut self, called: Called, played: &Played) {
        let number = called.number;
        let (outcome, reason) = (played.verdict.outcome(), played.verdict.reason());
        *self.reasons.entry(reason).or_default() += 1;
        if let Some(fault) = &played.fault {
            *self.faults.entry(fault.clone()).or_default() += 1;
        }
        self.silence.note(called.at, &played.verdict.tasks);
        if self.silence.is_striking() {
            self.silent.get_or_insert(number);
        }
        let seen = || Some((number, in_short(reason).to_owned()));
        match outcome {
            Outcome::Fail => self.fail = self.fail.take().or_else(seen),
            Outcome::Slow => self.slow = self.slow.take().or_else(seen),
            Outcome::Pass | Outcome::Inconclusive => {}
        }
    }
}

fn in_short(reason: Reason) -> &'static str {
    match reason {
        Reason::None => "right",
        Reason::Late => "too late",
        Reason::Answer => "an answer too late",
        Reason::Path => "another row than it committed to",
        Reason::Row => "a wrong row",
        Reason::Walk => "a wrong walk",
        Reason::Puzzle => "a wrong puzzle",
        Reason::Expired => "no answer",
        Reason::Unable => "it broke off",
        Reason::Verifier => "the verifier stopped",
        Reason::Skipped => "not started",
    }
}

/// What plays an animal's sessions.
pub(super) struct Keeper {
    pub(super) reference: Reference,
    pub(super) asked: Asked,
    pub(super) dice: Dice,
    worker: WorkerId,
    /// The first seed it ever saw.
    stale: Option<Seeds>,
}

/// What a model has in memory by the reference.
pub(super) fn memory_of(reference: &Reference, model: &str) -> u64 {
    reference.model(model).map_or(0, |row| row.memory_mib)
}

impl Keeper {
    /// The keeper of an animal, and the house where it lives.
    pub(super) fn new(animal: &Animal, seed: u64) -> (Self, House) {
        let reference = Reference::built_in();
        let mut dice = Dice::new(seed);
        let vram_mib = memory_of(&reference, animal.claim);
        let house = House::new(vram_mib, &mut dice);
        let kind = if vram_mib > 0 { DeviceKind::Gpu } else { DeviceKind::Cpu };
        let asked = Asked::new(house.tasks(kind, vram_mib), animal.rounds);
        let worker = house.worker;
        (Self { reference, asked, dice, worker, stale: None }, house)
    }

    /// One session.
    pub(super) fn play(&mut self, animal: &Animal, called: Called, card: u8) -> Played {
        let clock = Clock::default();
        let setup = Setup {
            asked: &self.asked,
            worker: self.worker,
            card: [card; 32],
            hour: called.hour,
            net: animal.net,
            judge: Judge::Honest,
        };
        let wire = Wire::open(&setup, &clock, &mut self.dice);
        let salt = bytes32(&mut self.dice);
        let pace = animal.card.pace(&self.reference, &self.asked.real);
        let mut rig = Rig::new(clock, pace, &mut self.dice);
        (rig.bytes, rig.nerve, rig.stale) = (animal.bytes, animal.nerve, self.stale);
        rig.is_away = animal.is_away;
        let played = wire.play(&mut rig, salt);
        self.stale = rig.stale;
        played
    }

    /// Whether what was measured fits the claim; what else it is, if not.
    pub(super) fn other(&self, claim: &str, played: &Played) -> Option<String> {
        if played.verdict.outcome() != Outcome::Pass || claim == "processor" {
            return None;
        }
        let measured = self.asked.measured(&played.verdict.tasks, fill_us(played));
        match verdict(claim, &measured, &self.reference) {
            Verdict::Consistent { .. } => None,
            Verdict::Other { model, .. } => Some(format!("the fingerprint: {model}")),
            Verdict::Unknown { .. } => Some("the fingerprint: like no model".to_owned()),
        }
    }
}

/// How an animal lives so many hours.
pub(super) fn live(animal: &Animal, hours: u32, seed: u64) -> Life {
    live_as(animal, hours, seed, |_| vec![*animal])
}

/// The same, of one that is another by the hour: what each of its cards is at a call, the same call for all of them.
pub(super) fn live_as(
    claimed: &Animal,
    hours: u32,
    seed: u64,
    mut as_what: impl FnMut(Called) -> Vec<Animal>,
) -> Life {
    let (mut keeper, mut house) = Keeper::new(claimed, seed);
    let mut life = Life::default();
    let tally = house.live(hours, |called| {
        let mut all = Vec::new();
        for (card, animal) in (1..).zip(as_what(called)) {
            let played = keeper.play(&animal, called, card);
            life.note(called, &played);
            if life.print.is_none() {
                let other = keeper.other(claimed.claim, &played);
                life.print = other.map(|other| (called.number, other));
            }
            all.push(played);
        }
        all
    });
    life.tally = tally;
    life
}
