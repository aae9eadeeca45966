//! The real control plane on a virtual clock, with machines that do at once what is wanted of them.
//!
//! # Invariants
//! - The brain hears only what a shell could tell it, and wakes exactly when it asks to.
//! - After every block the [`Watch`] looks at it; what does not hold ends the run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use control::{
    Actor, Body, Command, ConnectionRecord, Control, Digest, Effect, Entry, MachineRecord,
    NodeSaid, PhaseSaid, Purse, Refusal, Reply, Subject,
};
use ledger::{AccountKey, Holder, Kind};
use market::{Reading, Stage};
use units::{
    AccountId, Asset, Coins, CommandId, Credits, Hour, InviteId, MINUTE, Money, Name, ProjectId,
    RentalId, Timestamp, WorkerId,
};

use super::watch::Watch;
use crate::newcomers::speeds;

/// How long an invitation may be used.
const INVITED: Duration = Duration::from_secs(60);
/// A dollar, in units.
const DOLLAR: u64 = 1_000_000;
/// Where every machine says that its heads listen.
const HEAD: ([u8; 4], u16) = ([10, 0, 0, 1], 6379);

/// The network.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) control: Control,
    pub(super) now: Timestamp,
    pub(super) watch: Watch,
    /// What rentals have paid to suppliers, in units of dollars and of coins.
    pub(super) paid: BTreeMap<AccountId, (u64, u64)>,
    /// What spot rentals have of it.
    pub(super) paid_by_spot: BTreeMap<AccountId, (u64, u64)>,
    /// Spot rentals that were told to go: for others, and because they were outbid.
    pub(super) told_to_go: [u64; 2],
    /// Those that have not gone yet.
    going: BTreeSet<RentalId>,
    /// How many entries the journal has.
    pub(super) entries: u64,
    /// The entries themselves, for those who want them.
    pub(super) journal: Option<Vec<Entry>>,
    ids: u128,
    nudged: BTreeSet<WorkerId>,
}

impl Network {
    /// A network whose machines are what they say: none is tried, proves anything, or hands over records.
    pub(super) fn new(now: Timestamp) -> Self {
        let mut network = Self {
            control: Control::new(),
            now,
            watch: Watch::default(),
            paid: BTreeMap::new(),
            paid_by_spot: BTreeMap::new(),
            told_to_go: [0; 2],
            going: BTreeSet::new(),
            entries: 0,
            journal: None,
            ids: 0,
            nudged: BTreeSet::new(),
        };
        network.patch(control::DESK_PATCH);
        network.patch(
            r#"{"checklist":{"proof_of_work_required":false},"time_lock":{"missing_hours_max":0}}"#,
        );
        network
    }

    /// A new id of whatever kind.
    pub(super) const fn id(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    /// Tells a command; machines that are up then do what is wanted of them.
    pub(super) fn tell(&mut self, by: Actor, command: Command) -> Result<Reply, Refusal> {
        let reply = self.tell_one(by, command)?;
        while let Some(worker) = self.nudged.pop_first() {
            self.obey(worker);
        }
        Ok(reply)
    }

    /// Tells what nothing can be said against.
    pub(super) fn must(&mut self, by: Actor, command: Command) -> Reply {
        let told = command.clone();
        self.tell(by, command).unwrap_or_else(|why| panic!("{}: {told:?}: {why}", self.hour()))
    }

    fn tell_one(&mut self, by: Actor, command: Command) -> Result<Reply, Refusal> {
        let id = CommandId::from_bits(self.id());
        let asked = Digest::from_sha256([0; 32]);
        let for_others = matches!(command, Command::TurnedAway { .. });
        let outcome = self.control.tell(Body { id, asked, by, command }, self.now);
        if let Ok(outcome) = &outcome {
            self.entries += u64::from(outcome.entry.is_some());
            if let (Some(journal), Some(entry)) = (&mut self.journal, &outcome.entry) {
                journal.push(entry.clone());
            }
        }
        self.see(for_others);
        outcome.map(|outcome| outcome.reply)
    }

    /// Acts on the effects of a command, which may be that somebody was turned away.
    fn see(&mut self, for_others: bool) {
        let mut last = None;
        while let Some(effect) = self.control.next_effect() {
            match effect {
                Effect::Changed(Subject::Rental(rental)) => self.note_going(rental, for_others),
                Effect::Changed(_) | Effect::Sealed(_) | Effect::Locked(_) => {}
                Effect::Moved(moved) => {
                    if let (Some(id), Kind::Move { from, to, units }) = (moved.rental, moved.kind) {
                        self.note_paid(id, from, to, units);
                    }
                }
                Effect::Closed(closed) => {
                    self.watch.closed(&self.control, &closed, self.now);
                    last = Some(closed.header.hour);
                }
                Effect::Nudge(worker) => {
                    self.nudged.insert(worker);
                }
            }
        }
        if let Some(hour) = last {
            self.watch.settled(&self.control, hour);
        }
    }

    fn note_paid(&mut self, id: RentalId, from: AccountKey, to: AccountKey, units: u64) {
        let (Holder::Escrow(_), Holder::Account(account)) = (from.holder, to.holder) else {
            return;
        };
        let is_spot = self.control.rental(id).is_some_and(|rental| rental.order.spot.is_some());
        let spot = is_spot.then(|| self.paid_by_spot.entry(account).or_default());
        for (usd, coins) in spot.into_iter().chain([self.paid.entry(account).or_default()]) {
            match to.asset {
                Asset::Usd | Asset::Usdc => *usd += units,
                Asset::Io => *coins += units,
            }
        }
    }

    /// Counts a spot rental that was told to go, once.
    fn note_going(&mut self, id: RentalId, for_others: bool) {
        let rental = self.control.rental(id);
        let told = rental.is_some_and(|it| it.wanted_back.is_some());
        let goes = rental.is_some_and(|it| matches!(it.stage, Stage::Running { .. }));
        if !goes {
            self.going.remove(&id);
        } else if told && self.going.insert(id) {
            self.told_to_go[usize::from(!for_others)] += 1;
        }
    }

    /// Whether any spot rental is on its way out.
    pub(super) fn is_any_going(&self) -> bool {
        !self.going.is_empty()
    }

    /// Somebody found no machine, with so many dollars at hand: spot rentals may have to go for it. Waits until they
    /// have.
    pub(super) fn turned_away(
        &mut self,
        (project, owner): (ProjectId, AccountId),
        order: control::OrderRecord,
    ) {
        let cards = u64::from(order.nodes) * u64::from(order.each.gpus);
        let at_hand = Money::from(Credits::from_units(cards * DOLLAR));
        // Dollars come in without a question.
        let _ = self.fund(project, at_hand);
        self.must(Actor::Account(owner), Command::TurnedAway { project, order });
        if self.is_any_going() {
            let notice = self.control.parameters().pricing.spot_notice_minutes;
            self.pass(MINUTE * (u32::from(notice) + 1));
        }
    }

    /// A machine that is up runs what it should, and says so.
    fn obey(&mut self, worker: WorkerId) {
        let Some(known) = self.control.worker(worker).filter(|known| known.up) else { return };
        let revision = Some(known.revision);
        let wanted = self.control.wanted(worker);
        let said = |node: &control::NodeWanted| NodeSaid {
            rental: node.rental,
            node: node.node,
            phase: PhaseSaid::Ready,
            head: (node.node == 0).then_some(HEAD.into()),
            disturbed: None,
        };
        let nodes = wanted.nodes.iter().map(said).collect();
        let command = Command::Observe { worker, revision, nodes, jobs: Vec::new() };
        self.tell_one(Actor::Worker(worker), command).expect("a machine may always speak");
    }

    /// Time passes; the brain is woken whenever it asked to be.
    pub(super) fn until(&mut self, end: Timestamp) {
        while let Some(due) = self.control.wake_at().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.must(Actor::Clock, Command::Wake {});
        }
        self.now = self.now.max(end);
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.until(self.now.after(span));
    }

    pub(super) fn hour(&self) -> Hour {
        Hour::of(self.now)
    }

    /// Dollars of the exchange become a holder's, at the rate of the moment; says how many coins it took for them.
    pub(super) fn make_market(&mut self, maker: AccountId) -> u128 {
        let there = self.control.available(Holder::Exchange, Asset::Usd).units;
        let Ok(rate) = self.control.rate(self.now) else { return 0 };
        let coins = rate.coins_to_pay(Credits::from_units(there)).unwrap_or(Coins::ZERO);
        if there < DOLLAR || !self.buy(maker, coins) {
            return 0;
        }
        let (purse, by) = (Purse::Account(maker), Actor::Account(maker));
        let give = Money::from(coins);
        self.must(
            by,
            Command::Convert {
                purse,
                give,
                take: Asset::Usd,
                at_least: 0,
                quoted_until_millis: None,
            },
        );
        let money = self.control.available(Holder::Account(maker), Asset::Usd);
        let to = "bank".to_owned();
        self.must(by, Command::Withdraw { account: maker, money, to });
        u128::from(coins.units())
    }

    pub(super) fn open_account(&mut self, name: &str) -> AccountId {
        let account = AccountId::from_bits(self.id());
        let command = Command::OpenAccount { account, name: named(name), email: None };
        self.must(Actor::Operator, command);
        account
    }

    pub(super) fn open_project(&mut self, owner: AccountId, name: &str) -> ProjectId {
        let project = ProjectId::from_bits(self.id());
        let command = Command::OpenProject { project, owner, name: named(name) };
        self.must(Actor::Account(owner), command);
        project
    }

    pub(super) fn patch(&mut self, patch: &str) {
        let patch = patch.to_owned();
        self.must(Actor::Operator, Command::SetParameters { patch, from: None });
    }

    /// An account's new machine joins and speaks.
    pub(super) fn join(&mut self, account: AccountId, machine: MachineRecord) -> WorkerId {
        let bits = self.id();
        let (invite, worker) = (InviteId::from_bits(bits), WorkerId::from_bits(bits));
        let mut fingerprint = [0; 32];
        fingerprint[..16].copy_from_slice(&bits.to_be_bytes());
        let secret_sha256 = Digest::from_sha256([7; 32]);
        let expires_millis = self.now.after(INVITED).millis();
        self.must(
            Actor::Account(account),
            Command::Invite { invite, account, secret_sha256, expires_millis, replaces: None },
        );
        let (at, (down_mbps, up_mbps)) = (self.now, speeds(machine.tier));
        let connection = ConnectionRecord { at, down_mbps, up_mbps, ping_ms: 20 };
        let joining = Command::Join {
            invite,
            worker,
            name: named(&format!("m{bits}")),
            public_key: Digest::from_sha256([9; 32]),
            fingerprint: Digest::from_sha256(fingerprint),
            machine,
        };
        self.must(Actor::Worker(worker), joining);
        self.must(Actor::Clock, Command::MeasureConnection { worker, connection });
        self.must(Actor::Clock, Command::WorkerUp { worker });
        worker
    }

    /// A machine goes silent.
    pub(super) fn silent(&mut self, worker: WorkerId) {
        let heard_millis = self.now.millis();
        self.must(Actor::Clock, Command::WorkerSilent { worker, heard_millis });
    }

    /// A machine speaks again, and does what it should.
    pub(super) fn up(&mut self, worker: WorkerId) {
        self.must(Actor::Clock, Command::WorkerUp { worker });
        self.obey(worker);
    }

    /// What an account has in coins, not counting what it has staked or not claimed.
    pub(super) fn coins(&self, account: AccountId) -> Coins {
        Coins::from_units(self.control.available(Holder::Account(account), Asset::Io).units)
    }

    /// Coins come in from outside, as far as there are any.
    pub(super) fn buy(&mut self, account: AccountId, coins: Coins) -> bool {
        let command = Command::Deposit {
            to: Purse::Account(account),
            money: Money::from(coins),
            reference: String::new(),
        };
        !coins.is_zero() && self.tell(Actor::Operator, command).is_ok()
    }

    /// Coins go out: sold.
    pub(super) fn sell(&mut self, account: AccountId, coins: Coins) {
        if coins.is_zero() {
            return;
        }
        let (money, to) = (Money::from(coins), "exchange".to_owned());
        self.must(Actor::Account(account), Command::Withdraw { account, money, to });
    }

    pub(super) fn top_up(&mut self, project: ProjectId, amount: Credits) {
        let command = Command::TopUp { project, amount, note: String::new() };
        self.must(Actor::Operator, command);
    }

    /// What sources say of the coin.
    pub(super) fn told_rates(&mut self, told: &[(&str, u64)]) {
        let reading = |(source, micros): &(&str, u64)| Reading {
            source: (*source).to_owned(),
            usd_micros_per_coin: *micros,
            at: self.now,
        };
        let readings = told.iter().map(reading).collect();
        self.must(Actor::Operator, Command::ObserveRate { readings });
    }

    /// Rents, if it can be had: quoted, paid and taken at once.
    pub(super) fn rent(
        &mut self,
        (project, owner): (ProjectId, AccountId),
        order: control::OrderRecord,
        hours: u32,
        pay: Option<Asset>,
    ) -> Result<RentalId, Refusal> {
        let rental = RentalId::from_bits(self.id());
        let by = Actor::Account(owner);
        self.tell(by, Command::Quote { rental, project, order, hours, pay })?;
        let known = self.control.rental(rental).expect("it was quoted just now");
        let held = known.terms.held().expect("it was reckoned for the quote");
        self.fund(project, held)?;
        let name = named(&format!("r{:x}", self.ids));
        self.tell(by, Command::Rent { rental, name, may_wait: false })?;
        Ok(rental)
    }

    /// Brings as much into a project's purse as is missing there.
    fn fund(&mut self, project: ProjectId, held: Money) -> Result<(), Refusal> {
        let has = self.control.available(Holder::Project(project), held.asset).units;
        let missing = held.units.saturating_sub(has);
        if missing == 0 {
            return Ok(());
        }
        match held.asset {
            Asset::Usd => self.top_up(project, Credits::from_units(missing)),
            Asset::Usdc | Asset::Io => {
                let money = Money::new(held.asset, missing);
                let to = Purse::Project(project);
                let reference = String::new();
                self.tell(Actor::Operator, Command::Deposit { to, money, reference })?;
            }
        }
        Ok(())
    }
}

/// A name that was written here.
pub(super) fn named(text: &str) -> Name {
    text.parse().expect("small letters, digits and dashes")
}
