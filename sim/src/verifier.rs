//! The verifier: sessions of proofs come to verdicts as the machines are that give them, for every card of a machine or
//! for some of them; renters have what they rent checked; and somebody who is no verifier says so too.
//!
//! # Invariants
//! - Whoever is what he says and proves it is never charged, and never listed as less.

use control::{Actor, Command, FingerprintRecord, Purse, SealedRecord};
use proofs::log::Entry;
use proofs::{Judged, Matmul, Memory, Puzzle, Reason, Task};
use units::{Asset, BlobId, Coins, Hour, Money, RentalId, SlashId, Timestamp, WorkerId};

use crate::broken::{Invariant, Step, must};
use crate::limits::LEAPT_MAX;
use crate::people::Purpose;
use crate::world::{Due, World};

/// Smallest units in one coin.
const COIN: u64 = 100_000_000;
/// What an owner stakes on a machine that is to be paid: more than any needs where a unit needs one coin.
const STAKE_COINS: u64 = 400;

/// Everything that a task can come to, what is good as often as all else.
const REASONS: [Reason; 20] = [
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::Late,
    Reason::Answer,
    Reason::Path,
    Reason::Row,
    Reason::Walk,
    Reason::Puzzle,
    Reason::Expired,
    Reason::Unable,
    Reason::Verifier,
    Reason::Skipped,
];

/// What machines are asked.
const TASKS: [Task; 3] = [
    Task::Puzzle(Puzzle { bits: 20, count: 4, limit_ms: 1_000 }),
    Task::Matmul(Matmul {
        log_n: 8,
        rounds: 2,
        checked: 1,
        rows: 1,
        limit_ms: 1_000,
        answer_ms: 1_000,
    }),
    Task::Memory(Memory {
        blocks: 1_024,
        mix: 1,
        log_walkers: 1,
        legs: 1,
        steps: 8,
        opened: 1,
        fill_ms: 1_000,
        walk_ms: 1_000,
        answer_ms: 1_000,
    }),
];

/// What cards are measured to be, by the registry of the first day.
const MODELS: [&str; 5] = ["h100-80gb-hbm3", "a100-sxm4-80gb", "rtx-4090", "rtx-3060", "t4"];

/// What a machine is, whatever it says: the same all its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// What it says, on a line that breaks now and then.
    Honest,
    /// Too slow, mostly.
    Slow,
    /// It makes answers up, now and then.
    Forger,
    /// It breaks off what goes badly.
    Mute,
    /// A slower model than it says.
    Lesser,
    /// Anything at any time.
    Wild,
}

impl Nature {
    fn of(worker: WorkerId) -> Self {
        match (worker.bits() >> 64) % 12 {
            0 => Self::Slow,
            1 => Self::Forger,
            2 => Self::Mute,
            3 => Self::Lesser,
            4 => Self::Wild,
            _ => Self::Honest,
        }
    }

    /// In how many of a thousand sessions a task ends well, and how it ends otherwise.
    const fn habit(self) -> (u64, &'static [Reason]) {
        match self {
            Self::Honest | Self::Lesser => {
                (950, &[Reason::Answer, Reason::Expired, Reason::Verifier])
            }
            Self::Slow => (300, &[Reason::Late]),
            Self::Forger => (800, &[Reason::Row, Reason::Path, Reason::Walk, Reason::Puzzle]),
            Self::Mute => (500, &[Reason::Unable, Reason::Expired]),
            Self::Wild => (0, &REASONS),
        }
    }
}

impl World {
    /// Little but proofs is asked of machines.
    pub(crate) fn ask_for_proofs(&mut self) {
        let rules = r#"{"exempt":["cluster-formation","wallet","connectivity","uptime",
            "account-wallets","supplier-agreement","payout-address"],
            "checklist":{"up_hours_min":0,"proof_of_work_required":true,
            "time_lock_minutes_min":1},"stakes":{"stake_per_unit":"1","cooldown_days":1}}"#;
        let command = Command::SetParameters { patch: rules.to_owned(), from: None };
        self.ask(Actor::Operator, command, Purpose::Other);
        self.genesis();
    }

    /// Sessions come to an end, and others will.
    pub(crate) fn verify(&mut self) -> Step {
        if !self.raining {
            return Ok(());
        }
        let rest = if self.plan.novelties.proofs { 15 } else { 60 };
        let later = self.dice.seconds(1, rest);
        self.agenda.at(self.now.after(later), Due::Verdicts);
        self.attest_perhaps()?;
        let machine = self.dice.index(self.machines.len());
        self.challenge(machine)
    }

    /// An hour of work: every machine is asked to prove itself early and late in it, and then the next one begins.
    pub(crate) fn toil(&mut self) -> Step {
        if !self.raining || self.server.ahead > LEAPT_MAX {
            return Ok(());
        }
        let later = self.dice.seconds(15, 50);
        self.agenda.at(self.now.after(later), Due::Toil);
        for machine in 0..self.machines.len() {
            if self.machines[machine].joined && self.dice.chance(900) {
                self.stake_for_work(machine);
                self.challenge(machine)?;
            }
        }
        // Who has spoken for less than a minute of an hour is not paid for it.
        if self.dice.chance(350) {
            let rest = Hour::of(self.server_clock()).end().since(self.server_clock());
            let leap = rest + self.dice.millis(50_000, 1_200_000);
            self.server.ahead += i64::try_from(leap.as_millis()).expect("little more than an hour");
            self.trace.line(self.now, "clock", || "the next hour begins".to_owned());
        }
        Ok(())
    }

    /// The owner of a machine that would be paid is lent what it takes, and puts it at stake.
    fn stake_for_work(&mut self, machine: usize) {
        let machine = &self.machines[machine];
        let (worker, account) = (machine.id, self.people.suppliers[machine.supplier]);
        let coins = Coins::from_units(STAKE_COINS * COIN);
        let at_stake = self.server.control.as_ref().map(|it| {
            let stakes = &it.economy().stakes;
            stakes.have(worker, self.server_clock())
        });
        if at_stake.is_some_and(|there| there >= coins) {
            return;
        }
        let (from, to) = (Purse::Treasury, Purse::Account(account));
        let lent = Command::Transfer { from, to, money: Money::new(Asset::Io, coins.units()) };
        self.ask(Actor::Operator, lent, Purpose::Other);
        self.ask(Actor::Account(account), Command::Stake { worker, coins }, Purpose::Other);
    }

    /// All cards of a machine come to a verdict.
    fn challenge(&mut self, machine: usize) -> Step {
        let (worker, gpus) = (self.machines[machine].id, self.machines[machine].record.offers.gpus);
        let cards = gpus.max(1);
        let is_wild = Nature::of(worker) == Nature::Wild;
        let at = self.asked_at(is_wild);
        // Most pass with all cards, the wild with one card twice, or leave one out.
        for card in 0..cards {
            let card = if is_wild && self.dice.chance(200) { 0 } else { card };
            let proof = self.session(worker, card, (at, cards));
            self.seal(worker, proof)?;
        }
        self.is_fair_to(worker)
    }

    /// When a challenge was given whose verdict comes now: just now, or some time ago.
    fn asked_at(&mut self, is_wild: bool) -> Timestamp {
        let ago =
            if is_wild && self.dice.chance(150) { self.dice.between(0, 4_000_000) } else { 0 };
        Timestamp::from_millis(self.server_clock().millis().saturating_sub(ago))
    }

    /// An honest machine has failed nothing, counts as what it says, and owes nothing for its proofs.
    fn is_fair_to(&self, id: WorkerId) -> Step {
        let worker = self.server.control.as_ref().and_then(|control| control.worker(id));
        let Some(checks) = worker.map(|worker| &worker.checks) else { return Ok(()) };
        let nature = Nature::of(id);
        let clean = checks.failed.is_none() && checks.charged.is_none();
        let honest = nature != Nature::Honest || (clean && checks.likeness.counts_as.is_none());
        let patient = !matches!(nature, Nature::Slow | Nature::Mute | Nature::Lesser) || clean;
        must(honest && patient, Invariant::Proofs, || format!("{id} is {nature:?}: {checks:?}"))
    }

    fn session(&mut self, worker: WorkerId, card: u32, round: (Timestamp, u32)) -> SealedRecord {
        let (at, cards) = round;
        let nature = Nature::of(worker);
        let count = self.dice.index(TASKS.len()) + 1;
        let (good, others) = nature.habit();
        // The wild are all good often enough to pass now and then.
        let all_pass = self.dice.chance(if nature == Nature::Wild { 600 } else { good });
        let worst = if all_pass { None } else { self.dice.pick(others).copied() };
        let one = self.dice.index(count);
        let mut judged = |index: usize| {
            let wild = (nature == Nature::Wild).then(|| self.dice.pick(&REASONS).copied());
            let reason = match worst {
                None => Reason::None,
                Some(worst) => wild.flatten().unwrap_or(match index.cmp(&one) {
                    std::cmp::Ordering::Less => Reason::None,
                    std::cmp::Ordering::Equal => worst,
                    std::cmp::Ordering::Greater => Reason::Skipped,
                }),
            };
            Judged { reason, elapsed_us: self.dice.between(1, 2_000_000), rate: self.dice.next() }
        };
        let tasks: Vec<Judged> = (0..count).map(&mut judged).collect();
        let mut bytes = || {
            let mut all = [0; 32];
            all.as_chunks_mut::<8>()
                .0
                .iter_mut()
                .for_each(|it| *it = self.dice.next().to_le_bytes());
            all
        };
        let entry = Entry {
            session: std::array::from_fn({
                let session = bytes();
                move |index| session[index]
            }),
            worker,
            card: [u8::try_from(card).expect("a few cards"); 32],
            hour: Hour::of(at).number().into(),
            sealed_ms: at.millis(),
            transcript: BlobId::from_sha256(bytes()),
            challenge: bytes(),
            roots: bytes(),
            openings: bytes(),
            verifier: [7; 32],
            sigma: bytes(),
            tasks,
        };
        let tasks = TASKS[..count].to_vec();
        let (rental, fingerprint) = (self.checked_rental(), self.measured(worker));
        let slash = self.dice.chance(950).then(|| SlashId::from_bits(self.fresh_bits()));
        SealedRecord { at, cards, tasks, entry, rental, fingerprint, slash }
    }

    /// Now and then it is a renter who has what he rents checked, or had.
    fn checked_rental(&mut self) -> Option<RentalId> {
        if !self.dice.chance(60) {
            return None;
        }
        let renter = self.dice.index(self.people.renters.len());
        let rentals = self.people.renters[renter].rentals.clone();
        self.dice.pick(&rentals).copied()
    }

    /// What rates say of a card, if enough was measured.
    fn measured(&mut self, worker: WorkerId) -> Option<FingerprintRecord> {
        let registry = &self.server.control.as_ref()?.parameters().registry;
        let machine = self.machines.iter().find(|machine| machine.id == worker)?;
        let said = machine.record.gpu_model.as_ref()?;
        let claimed = registry.entry(said.text())?.0.to_owned();
        if self.dice.chance(300) {
            return None;
        }
        let any = (*self.dice.pick(&MODELS).expect("five")).to_owned();
        let (model, slower) = match Nature::of(worker) {
            Nature::Lesser if self.dice.chance(900) => (Some(any), true),
            Nature::Wild => (Some(any).filter(|_| self.dice.chance(800)), self.dice.chance(500)),
            Nature::Honest if self.dice.chance(30) => (None, false),
            Nature::Honest | Nature::Slow | Nature::Forger | Nature::Mute | Nature::Lesser => {
                (Some(claimed.clone()), false)
            }
        };
        let probability_bp = if model.is_some() { 9_000 } else { 0 };
        Some(FingerprintRecord { claimed, model, probability_bp, slower })
    }

    /// A verdict is told: as it is, or so that it must be refused.
    fn seal(&mut self, worker: WorkerId, mut proof: SealedRecord) -> Step {
        match self.dice.between(0, 39) {
            0 => proof.entry.tasks.clear(),
            1 => proof.tasks.truncate(proof.tasks.len() - 1),
            2 => proof.entry.worker = WorkerId::from_bits(self.fresh_bits()),
            3 => {
                let by = Actor::Account(self.any_account());
                self.ask(by, Command::SealProof { worker, proof }, Purpose::Theft);
                return Ok(());
            }
            4 => {
                self.ask(Actor::Operator, Command::SealProof { worker, proof }, Purpose::Theft);
                return Ok(());
            }
            _ => {
                let command = Command::SealProof { worker, proof };
                return self.server_says(Actor::Clock, command).map(drop);
            }
        }
        let answer = self.server_says(Actor::Clock, Command::SealProof { worker, proof })?;
        let refused = answer.is_none_or(|answer| answer.is_err());
        must(refused, Invariant::Proofs, || format!("a proof of {worker} makes no sense"))
    }
}
