//! The nouns of the state. Fields are public to read: only this crate holds a mutable one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use market::{Earned, HourMeter, Paid, Receipt, Served, Stage, Terms, Worked, WorkedRules};
use scheduler::Seat;
use units::{
    AccountId, Credits, Hour, JobId, Name, ProjectId, RentalId, Timestamp, TransferId, WorkerId,
};

use super::canaries::Checked;
use super::conduct::Week;
use super::hired::Hired;
use super::lock::{Locks, NodeLock};
use super::network::{NetworkPolicy, Service};
use super::standing::{Checks, Listing, Nomination, Priced};
use super::uptime::Uptime;
use crate::onboarding::Onboarding;
use crate::record::{AttestationRecord, Digest, MachineRecord, OrderRecord, Role, Scope};

/// A person or a company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What it is called.
    pub name: Name,
    /// Where it can be written to.
    pub email: Option<String>,
}

/// What is paid for together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// What it is called.
    pub name: Name,
    /// Who may do what in it. At least one of them owns it.
    pub members: BTreeMap<AccountId, Role>,
    /// What the operator gave it and it has not spent: that can be spent here, and not be taken out.
    pub granted: Credits,
    /// Its rentals that are not long over.
    pub rentals: BTreeSet<RentalId>,
    /// What may pass in the private networks of its rentals.
    pub policy: NetworkPolicy,
}

/// What opens the API.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Key {
    /// Whose it is.
    pub account: AccountId,
    /// What its owner calls it.
    pub label: Name,
    /// What it may be used for.
    pub scopes: BTreeSet<Scope>,
    /// SHA-256 of its secret.
    pub secret_sha256: Digest,
    /// Until when it opens anything; `None` for ever.
    pub expires: Option<Timestamp>,
    /// Whether it was taken back.
    pub revoked: bool,
}

impl Key {
    /// Whether it opens anything now.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires.is_none_or(|expires| now < expires)
    }
}

/// A single-use invitation for one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Whose machine it will be.
    pub account: AccountId,
    /// SHA-256 of its secret.
    pub secret_sha256: Digest,
    /// Until when it can be used.
    pub expires: Timestamp,
    /// Who used it.
    pub used_by: Option<WorkerId>,
    /// The machine that comes again with it, if it is not for a new one.
    pub replaces: Option<WorkerId>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Worker {
    /// Whose it is; set when it joins.
    pub owner: AccountId,
    /// What it is called.
    pub name: Name,
    /// Its own ed25519 key.
    pub public_key: Digest,
    /// What its hardware hashes to.
    pub fingerprint: Digest,
    /// What it has.
    pub machine: MachineRecord,
    /// Since when it has that: quotes from before then promise another machine.
    pub described: Timestamp,
    /// Whether it speaks.
    pub up: bool,
    /// Since when, and for how long in each hour.
    pub uptime: Uptime,
    /// For how long it served somebody else in each hour.
    pub hired: Hired,
    /// What its records of time-lock say.
    #[serde(default)]
    pub locks: Locks,
    /// What it is to the economy, by the registry of the day. Follows from the rest.
    #[serde(skip)]
    pub listing: Listing,
    /// Which prices it has, by the registry of the day. Follows from the rest.
    #[serde(skip)]
    pub priced: Priced,
    /// How it has behaved in the last week.
    pub week: Week,
    /// How it was judged when the open hour began.
    pub nominated: Option<Nomination>,
    /// What verifiers and the operator have said of it.
    pub checks: Checks,
    /// What it has attested, while that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<AttestationRecord>,
    /// How far it has come in.
    pub onboarding: Onboarding,
    /// Whether its owner wants no new rentals on it.
    pub paused: bool,
    /// Grows with every change of what it should run.
    pub revision: u64,
    /// The nodes seated on it.
    #[serde(skip)]
    pub nodes: BTreeSet<(RentalId, u32)>,
}

impl Worker {
    pub(crate) fn new(
        name: Name,
        public_key: Digest,
        fingerprint: Digest,
        machine: MachineRecord,
        described: Timestamp,
    ) -> Self {
        Self {
            owner: AccountId::from_bits(0),
            name,
            public_key,
            fingerprint,
            machine,
            described,
            up: false,
            uptime: Uptime::default(),
            hired: Hired::default(),
            locks: Locks { newest: Some(Hour::of(described)), ..Locks::default() },
            listing: Listing::default(),
            priced: Priced::default(),
            week: Week::default(),
            nominated: None,
            checks: Checks::default(),
            attestation: None,
            onboarding: Onboarding::joined(described),
            paused: false,
            revision: 1,
            nodes: BTreeSet::new(),
        }
    }

    /// Whether it takes new rentals.
    pub fn is_open(&self) -> bool {
        self.takes_part() && self.checks.failed.is_none() && self.onboarding.is_ready()
    }

    /// Whether it can be asked for something: a proof, a measurement, a trial.
    pub const fn takes_part(&self) -> bool {
        let is_free = self.onboarding.trial.is_none();
        self.up && !self.paused && self.checks.blocked.is_none() && is_free
    }
}

/// How far a node of a rental has come.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum NodeStage {
    /// Its machine was asked.
    Waiting,
    /// Its machine has started it.
    Starting,
    /// It takes work.
    Ready,
    /// It is gone and will not come back.
    Lost,
}

impl NodeStage {
    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Lost => "lost",
        }
    }
}

/// One node of a rental.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it takes of which machine.
    pub seat: Seat,
    /// Whose machine that is.
    pub supplier: AccountId,
    /// How far it has come.
    pub stage: NodeStage,
    /// Where it listens, if it is the head.
    pub listens: Option<SocketAddr>,
    /// How long it has served, without the hours its supplier broke.
    pub meter: HourMeter,
    /// What time-lock says of it: what disturbs it, and the minutes its renter gets back.
    pub lock: NodeLock,
    /// Since when its machine is silent, while the rental runs.
    pub silent_since: Option<Timestamp>,
    /// The newest revision at which its machine has said that it is there.
    pub seen_at: Option<u64>,
    /// Since which revision its machine is asked to clear it.
    pub cleared_from: Option<u64>,
    /// Whether its seat was given back.
    pub cleared: bool,
}

impl Node {
    pub(crate) fn new(seat: Seat, supplier: AccountId, rules: &WorkedRules) -> Self {
        Self {
            seat,
            supplier,
            stage: NodeStage::Waiting,
            listens: None,
            meter: HourMeter::new(rules),
            lock: NodeLock::default(),
            silent_since: None,
            seen_at: None,
            cleared_from: None,
            cleared: false,
        }
    }
}

impl Node {
    /// How much of what it has served by `known` counts whatever happens, and from now on that is certain.
    fn settle(&mut self, known: Timestamp) -> Duration {
        self.note_ran(known);
        let served = self.meter.settle(known);
        self.lock.settle(served)
    }

    /// Notes the minutes that it has served so far, while it serves.
    pub(crate) fn note_ran(&mut self, now: Timestamp) {
        if let Some(since) = self.meter.counts_since() {
            self.lock.note_ran(since, now);
        }
    }
}

/// How a rental was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// It ran for so long until the renter's side ended it.
    ByRenter {
        /// In milliseconds.
        ran_millis: u64,
    },
    /// It never ran, or the supply side ended it: only what was served is charged.
    BySupply,
}

impl Settled {
    fn cut_off_after(self, node: &Node) -> Option<Duration> {
        match self {
            Self::ByRenter { ran_millis }
                if matches!(node.stage, NodeStage::Ready)
                    && node.silent_since.is_none()
                    && node.lock.disturbed.is_none() =>
            {
                Some(node.meter.counts_from(Duration::from_millis(ran_millis)))
            }
            Self::ByRenter { .. } | Self::BySupply => None,
        }
    }
}

/// A renter's hold on machines, from the quote to the receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rental {
    /// Its id; the quote it came from has the same bits.
    pub id: RentalId,
    /// Who pays.
    pub project: ProjectId,
    /// What the renter calls it, once taken.
    pub name: Option<Name>,
    /// What was asked for.
    pub order: OrderRecord,
    /// What was promised.
    pub terms: Terms,
    /// Where it stands.
    pub stage: Stage,
    /// When it was quoted.
    pub quoted_at: Timestamp,
    /// Its nodes: the quoted seats, and from the acceptance on the taken ones.
    pub nodes: Vec<Node>,
    /// The holds that pay for it: that of the booking and those of its extensions, while there are any.
    pub holds: Vec<TransferId>,
    /// Whether what was held lies in the escrow: from the first payout for worked time on.
    pub escrowed: bool,
    /// What suppliers were paid of it so far, in the smallest unit of what it is paid in.
    pub paid_out: BTreeMap<AccountId, u64>,
    /// Until when worked time is recorded and paid out: from the beginning of its running on.
    pub worked_until: Option<Timestamp>,
    /// When the clock saw that the next record's time is over, until it is made: who had fallen silent by then is
    /// known a little later.
    pub day_seen_at: Option<Timestamp>,
    /// The records of worked time, oldest first.
    pub worked: Vec<Worked>,
    /// How it was settled, from its ending on. What it came to follows: [`Rental::receipt`].
    pub settled: Option<Settled>,
    /// What went back to the renter after that, because records of time-lock said so: in the smallest unit of what it
    /// is paid in.
    pub refunded: u64,
    /// What should have gone back and was not there.
    pub refund_short: u64,
    /// What the proofs that the renter asked for said of its machines.
    pub checked: BTreeMap<WorkerId, Checked>,
    /// When it must be gone, for a spot rental whose machines are wanted back.
    pub wanted_back: Option<Timestamp>,
    /// Why it failed or has to go, in words for the renter.
    pub reason: Option<String>,
    /// Its jobs, in the order they came.
    pub jobs: Vec<JobId>,
    /// Whether its nodes have a private network: each of its machines could give them one when it was taken.
    pub has_mesh: bool,
    /// Its services, beside those that every rental has.
    pub services: BTreeMap<Name, Service>,
    /// When it is looked at next: its place in the agenda.
    pub(crate) due: Option<Timestamp>,
}

impl Rental {
    /// What it came to, once it is settled. It follows from the terms and the nodes' meters alone.
    pub fn receipt(&self) -> Option<Receipt> {
        let settled = self.settled?;
        let receipt = Receipt::compute(&self.terms, &self.served(settled));
        Some(receipt.expect("terms that were quoted can be settled"))
    }

    /// The receipt in what the rental is paid in, once it is settled.
    pub fn paid(&self) -> Option<Paid> {
        Some(self.receipt()?.paid(&self.terms).expect("terms that were quoted can be settled"))
    }

    /// What each node has served, and whether it was up when the renter ended it.
    pub(crate) fn served(&self, settled: Settled) -> Vec<Served> {
        let served = |node: &Node| Served {
            worker: node.seat.worker,
            supplier: node.supplier,
            span: self.bounded(node.lock.counts(node.meter.served())),
            cut_off_after: settled.cut_off_after(node),
        };
        self.nodes.iter().map(served).collect()
    }

    /// What its nodes have served for certain by `known`, and from now on that is certain.
    pub(crate) fn firm(&mut self, known: Timestamp) -> Earned {
        let booked = self.terms.booked();
        let served = |node: &mut Node| Served {
            worker: node.seat.worker,
            supplier: node.supplier,
            span: node.settle(known).min(booked),
            cut_off_after: None,
        };
        let served: Vec<Served> = self.nodes.iter_mut().map(served).collect();
        Earned::firm(&self.terms, &served).expect("terms that were quoted can be settled")
    }

    /// When the next record of worked time is due, unless the rental ends before.
    pub(crate) fn next_record(&self) -> Option<Timestamp> {
        let Stage::Running { until, .. } = self.stage else { return None };
        let due = self.worked_until?.after(self.terms.worked.every());
        (due < until).then_some(due)
    }

    fn bounded(&self, span: Duration) -> Duration {
        span.min(self.terms.booked())
    }

    /// When something about it must be looked at next.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        let silent = self.nodes.iter().filter_map(|node| node.silent_since);
        let silent = silent
            .min()
            .filter(|_| self.stage.wants_nodes())
            .map(|since| since.after(market::NODE_SILENCE_MAX));
        let stage = if let Stage::Ended { at, .. } = self.stage {
            Some(at.after(crate::limits::ENDED_KEPT_FOR))
        } else {
            self.stage.expires_at()
        };
        let record = match (self.next_record(), self.day_seen_at) {
            (Some(_), Some(seen)) => Some(seen.after(crate::limits::HEARD_FROM_BY)),
            (record, _) => record,
        };
        [stage, silent, record].into_iter().flatten().min()
    }
}
