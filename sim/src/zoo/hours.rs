//! A machine's hours: called as the schedule calls it, judged by the control plane, paid or not.
//!
//! # Invariants
//! - The calls are those of `proofs::calls`, the verdicts are told as `SealProof`, and whether an hour counts is asked
//!   of the checklist's own function.

use std::collections::BTreeMap;

use control::{Actor, Body, Command, Control, Digest, MachineRecord, Purse, SealedRecord};
use proofs::calls::{Appointed, Calls, Known};
use proofs::log::Entry;
use proofs::schedule::{Call, ProofRules};
use proofs::{Outcome, Task};
use rewards::checklist::{ChecklistRules, Engagement, Evidence};
use units::{
    AccountId, Coins, CommandId, DeviceKind, Hour, InviteId, Resources, SlashId, Tier, Timestamp,
    WorkerId,
};

use super::wire::Played;
use crate::dice::Dice;

/// The first hour that is played.
const FIRST: u32 = 490_000;

/// The control plane, and one machine.
pub(super) struct House {
    control: Control,
    rules: ProofRules,
    secret: [u8; 32],
    pub(super) worker: WorkerId,
    calls: Calls,
    now: Timestamp,
    ids: u128,
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called {
    /// The number of its hour in the story, from 1.
    pub(super) number: u32,
    /// The hour since 1970.
    pub(super) hour: u64,
    /// Which of the hour's.
    pub(super) call: Call,
    /// When.
    pub(super) at: Timestamp,
}

/// What hours came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) sessions: u32,
    pub(super) by: BTreeMap<Outcome, u32>,
    pub(super) hours: u32,
    pub(super) paid: u32,
    /// Hours in which memory that failed before kept it from being nominated.
    pub(super) waiting: u32,
    /// How often it was charged with a wrong proof.
    pub(super) charged: u32,
}

impl Tally {
    pub(super) fn of(&self, outcome: Outcome) -> u32 {
        self.by.get(&outcome).copied().unwrap_or(0)
    }
}

fn named<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a name that was written here")
}

impl House {
    /// A machine that says it has a card with so much memory; without any, a processor.
    pub(super) fn new(vram_mib: u64, dice: &mut Dice) -> Self {
        let worker = WorkerId::from_bits(dice.next().into());
        let mut house = Self {
            control: Control::new(),
            rules: ProofRules::default(),
            secret: super::wire::bytes32(dice),
            worker,
            calls: Calls::default(),
            now: Hour::from_number(FIRST).start(),
            ids: 0,
        };
        let patch = control::DESK_PATCH.to_owned();
        house.tell(Actor::Operator, Command::SetParameters { patch, from: None });
        let first_month = Hour::from_number(FIRST).month();
        house.tell(Actor::Operator, Command::Genesis { first_month });
        house.join(vram_mib);
        house.stake();
        house
    }

    fn tell(&mut self, by: Actor, command: Command) {
        self.ids += 1;
        let id = CommandId::from_bits(self.ids);
        let asked = Digest::from_sha256([0; 32]);
        let told = self.control.tell(Body { id, asked, by, command }, self.now);
        told.expect("nothing can be said against it");
        while self.control.next_effect().is_some() {}
    }

    fn join(&mut self, vram_mib: u64) {
        let (account, invite) = (AccountId::from_bits(1), InviteId::from_bits(2));
        let name = named("zoo");
        self.tell(Actor::Operator, Command::OpenAccount { account, name, email: None });
        let expires_millis = self.now.millis() + 60_000;
        let secret_sha256 = Digest::from_sha256([7; 32]);
        let by = Actor::Account(account);
        self.tell(
            by,
            Command::Invite { invite, account, secret_sha256, expires_millis, replaces: None },
        );
        let gpus = u32::from(vram_mib > 0);
        let machine = MachineRecord {
            offers: Resources { gpus, vcpus: 8, memory_mib: 32_768, disk_mib: 100_000 },
            gpu_model: (gpus > 0).then(|| named("NVIDIA H100 80GB HBM3")),
            vram_mib,
            cpu_model: String::new(),
            os: String::new(),
            country: None,
            tier: Tier::High,
            certifications: std::collections::BTreeSet::new(),
            host: None,
        };
        let worker = self.worker;
        let joining = Command::Join {
            invite,
            worker,
            name: named("animal"),
            public_key: Digest::from_sha256([9; 32]),
            fingerprint: Digest::from_sha256([3; 32]),
            machine,
        };
        self.tell(Actor::Worker(worker), joining);
        self.tell(Actor::Clock, Command::WorkerUp { worker });
    }

    /// Puts at stake what may be lost by a wrong proof.
    fn stake(&mut self) {
        let (account, worker) = (AccountId::from_bits(1), self.worker);
        let coins: Coins = named("10000");
        let (from, to) = (Purse::Treasury, Purse::Account(account));
        self.tell(Actor::Operator, Command::Transfer { from, to, money: coins.into() });
        self.tell(Actor::Account(account), Command::Stake { worker, coins });
    }

    /// What is asked of a card with so much memory.
    pub(super) fn tasks(&self, kind: DeviceKind, vram_mib: u64) -> Vec<Task> {
        let class = self.rules.class_of(kind, vram_mib);
        class.expect("every kind has a class").1.tasks(vram_mib)
    }

    /// Plays so many hours: `prove` is asked at every call.
    pub(super) fn live(
        &mut self,
        hours: u32,
        mut prove: impl FnMut(Called) -> Vec<Played>,
    ) -> Tally {
        let mut tally = Tally { hours, ..Tally::default() };
        for number in 1..=hours {
            let hour = Hour::from_number(FIRST + number);
            self.now = self.now.max(hour.start());
            tally.waiting += u32::from(self.is_waiting());
            while self.now < hour.end() {
                match self.due() {
                    Ok(call) => {
                        self.calls.called(call, self.now);
                        let hour = hour.number().into();
                        let played = prove(Called { number, hour, call, at: self.now });
                        self.seal(&played, &mut tally);
                        self.calls.ended(self.now);
                    }
                    Err(at) => self.now = at.max(Timestamp::from_millis(self.now.millis() + 1)),
                }
            }
            tally.paid += u32::from(self.is_paid(hour));
        }
        let slashes = self.control.economy().stakes.slashes_of(self.worker).count();
        tally.charged = u32::try_from(slashes).expect("a few");
        tally
    }

    fn due(&self) -> Result<Call, Timestamp> {
        let checks = &self.control.worker(self.worker).expect("it joined").checks;
        let known = Known {
            rules: &self.rules,
            secret: &self.secret,
            worker: self.worker,
            up_since: Some(Hour::from_number(FIRST).start()),
            concluded: checks.work.last().map(|work| work.at),
            appointed: Appointed::default(),
        };
        self.calls.due(&known, self.now)
    }

    /// All sessions of a call have ended: those of several cards ran at one time.
    fn seal(&mut self, played: &[Played], tally: &mut Tally) {
        let at = self.now;
        let took_us = played.iter().map(|one| one.took_us).max().unwrap_or(0);
        self.now = Timestamp::from_millis(at.millis() + took_us / 1_000 + 1);
        let cards = u32::try_from(played.len()).expect("a few");
        for one in played {
            tally.sessions += 1;
            *tally.by.entry(one.verdict.outcome()).or_default() += 1;
            let entry = Entry::of(&one.transcript, self.now.millis()).expect("it was sealed");
            let tasks = super::wire::tasks_of(&one.transcript);
            self.ids += 1;
            let slash = Some(SlashId::from_bits(self.ids));
            let (rental, fingerprint) = (None, None);
            let proof = SealedRecord { at, cards, tasks, entry, rental, fingerprint, slash };
            self.tell(Actor::Clock, Command::SealProof { worker: self.worker, proof });
        }
    }

    /// Whether the hour counts, by the function that blocks are closed with.
    fn is_paid(&self, hour: Hour) -> bool {
        let checks = &self.control.worker(self.worker).expect("it joined").checks;
        let rules = ChecklistRules::default();
        let evidence = Evidence {
            engagement: Engagement::Idle,
            work: checks.said_of(checks.work.in_hour(hour)),
            up_minutes: 60,
            exempt: rewards::rule::RuleSet::NONE,
        };
        rewards::checklist::proofs(&rules, &evidence).failure().is_none()
    }

    /// Whether too many failures of memory keep it from being nominated now.
    fn is_waiting(&self) -> bool {
        let rows = self.control.ready(self.worker, self.now).expect("it joined");
        rows.iter().any(|row| row.rule == rewards::rule::Rule::VramTests && !row.check)
    }
}
