//! What the auditor believes of time-lock: which minutes of a node are paid for, which records take from it, and what
//! goes back to its renter; and how many minutes of an hour a machine's records allow.
//!
//! Minutes are counted one by one, in sets of numbers since 1970: nothing here knows of masks.

use std::collections::{BTreeMap, BTreeSet};

use control::{Actor, Body, Command, Control, DisturbedRecord, LockRecord, NodeSaid, PhaseSaid};
use ledger::Holder;
use proofs::lock::{Break, Minutes};
use proofs::log::LockEntry;
use sha2::{Digest as _, Sha256};
use stakes::Offence;
use stakes::votes::Switch;
use units::{AccountId, Hour, RentalId, SlashId, Timestamp, WorkerId};

use super::Belief;
use super::hours::Hours;
use super::terms::{asset, comes_to};
use crate::broken::{Invariant, Step, must};

const MINUTE: u64 = 60_000;

/// What time-lock says of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeTime {
    /// Since when it is not its renter's alone.
    pub(super) disturbed: bool,
    /// When it served without a break.
    spans: Vec<(u64, u64)>,
    /// Minutes that records take.
    struck: BTreeSet<u64>,
    /// Minutes that went back after the settlement.
    late: BTreeSet<u64>,
    /// Milliseconds that were certain once, and stay.
    floor: u64,
    /// Minutes that went back after the settlement.
    refunded: u128,
    /// At the settlement: whole minutes that count, and those that are missing to the least, which may be more than
    /// was booked.
    settled: Option<(u128, u128)>,
    /// The last record: how many came before, its hash, when it ended, and whether its span did.
    head: Option<Head>,
}

/// The last record of a span.
#[derive(Clone, Copy, Debug)]
struct Head {
    part: u32,
    hash: control::Digest,
    ended: u64,
    over: bool,
}

impl Head {
    fn of(lock: &LockRecord) -> Self {
        let (part, hash, over) = (lock.part, lock.hash, lock.over);
        Self { part, hash, ended: lock.ended.millis(), over }
    }

    /// What the last record is after this one, and when the one before ended, if that was without a reason.
    fn after(last: Option<Self>, lock: &LockRecord) -> (Option<Self>, Option<u64>) {
        let zeros = control::Digest::from_sha256([0; 32]);
        let (next, named) = last.map_or((0, zeros), |last| (last.part + 1, last.hash));
        if lock.part == next && lock.previous == named {
            return (Some(Self::of(lock)), last.filter(|last| !last.over).map(|last| last.ended));
        }
        (if lock.part > next { Some(Self::of(lock)) } else { last }, None)
    }
}

fn minutes_of(hour: Hour, minutes: Minutes) -> impl Iterator<Item = u64> {
    let first = u64::from(hour.number()) * 60;
    (0..60_u8).filter(move |minute| minutes.has(*minute)).map(move |it| first + u64::from(it))
}

/// Minutes that a renter gets back by a record.
fn taken(lock: &LockRecord) -> BTreeSet<u64> {
    let of = |why: &Break| lock.summary.broken.get(why).copied().unwrap_or_default();
    let both = [of(&Break::Foreign), of(&Break::CardLost)];
    both.into_iter().flat_map(|minutes| minutes_of(lock.hour, minutes)).collect()
}

impl NodeTime {
    /// It has served from `since` until `until`.
    pub(super) fn served(&mut self, since: Timestamp, until: Timestamp) {
        if since < until {
            self.spans.push((since.millis(), until.millis()));
        }
    }

    /// Minutes that it is paid for whole, if nothing is said against them.
    fn paid(&self, hours: &Hours, live: Option<(Timestamp, Timestamp)>) -> BTreeSet<u64> {
        let live = live.map(|(since, at)| (since.millis(), at.millis()));
        let whole = |(from, until): (u64, u64)| from.div_ceil(MINUTE)..until / MINUTE;
        let voids: Vec<(u64, u64)> = hours.voids();
        let counts = |minute: &u64| {
            let (from, until) = (minute * MINUTE, (minute + 1) * MINUTE);
            voids.iter().all(|(begins, ends)| until <= *begins || *ends <= from)
        };
        self.spans.iter().copied().chain(live).flat_map(whole).filter(counts).collect()
    }

    /// Milliseconds that count of so many that it has served.
    pub(super) fn counts(
        &self,
        served: u64,
        hours: &Hours,
        live: Option<(Timestamp, Timestamp)>,
    ) -> u64 {
        let struck = self.struck_of(hours, live);
        served.saturating_sub(struck * MINUTE).max(self.floor)
    }

    fn struck_of(&self, hours: &Hours, live: Option<(Timestamp, Timestamp)>) -> u64 {
        if self.struck.is_empty() {
            return 0;
        }
        self.struck.intersection(&self.paid(hours, live)).count() as u64
    }

    /// So much is certain.
    pub(super) fn settle(
        &mut self,
        firm: u64,
        hours: &Hours,
        live: Option<(Timestamp, Timestamp)>,
    ) {
        self.floor = self.counts(firm, hours, live);
    }

    /// It is settled, with so many minutes, and so many that were missing. What was certain, and records took: whole
    /// minutes.
    pub(super) fn end(&mut self, minutes: u128, missed: u128, served: u64, hours: &Hours) -> u128 {
        self.settled = Some((minutes, missed));
        let less = served.saturating_sub(self.struck_of(hours, None) * MINUTE);
        u128::from(self.floor.saturating_sub(less) / MINUTE)
    }

    /// Minutes that are charged in the end.
    fn charged(&self, booked: u128) -> u128 {
        let (minutes, missed) = self.settled.unwrap_or_default();
        (minutes.saturating_sub(self.refunded) + missed).min(booked)
    }
}

/// What records of a machine say.
#[derive(Clone, Debug, Default)]
pub(super) struct MachineTime {
    joined: Option<Hour>,
    newest: Option<Hour>,
    head: Option<Head>,
    /// Minutes that are touched, and that are broken, by hour.
    hours: BTreeMap<Hour, (BTreeSet<u64>, BTreeSet<u64>)>,
}

/// Machines with records.
#[derive(Clone, Debug, Default)]
pub(super) struct Locks {
    of: BTreeMap<WorkerId, MachineTime>,
}

/// What a node said of itself, if it said that it is ready: whether it is disturbed. Of two words the later counts.
pub(super) fn said_ready(
    command: &Command,
    node: (WorkerId, RentalId, u32),
) -> Option<Option<DisturbedRecord>> {
    let Command::Observe { worker, nodes, .. } = command else { return None };
    let (of, rental, index) = node;
    let is_it = |said: &&NodeSaid| said.rental == rental && said.node == index;
    let said = nodes.iter().rev().find(is_it).filter(|_| *worker == of)?;
    (said.phase == PhaseSaid::Ready).then_some(said.disturbed)
}

impl Belief {
    /// Minutes of an hour that records of a machine allow.
    pub(super) fn allowed(&self, control: &Control, worker: WorkerId, hour: Hour) -> u64 {
        let Some(known) = self.locks.of.get(&worker) else { return 60 };
        if let Some((touched, broken)) = known.hours.get(&hour) {
            return touched.difference(broken).count() as u64;
        }
        let newest = known.newest.max(known.joined);
        let missing = newest.map_or(0, |newest| hour.number().saturating_sub(newest.number() + 1));
        let max = control.parameters().time_lock.missing_hours_max;
        if max > 0 && missing > u32::from(max) { 0 } else { 60 }
    }

    /// A record: it is logged, and what it says is taken in. Whether any money moved.
    pub(super) fn see_locks(
        &mut self,
        control: &Control,
        body: &Body,
    ) -> Result<bool, super::Broken> {
        if let Command::Join { worker, .. } = &body.command {
            self.locks.of.entry(*worker).or_default().joined = Some(Hour::of(self.at));
        }
        if let Command::Retire { worker } = &body.command {
            self.locks.of.remove(worker);
        }
        let Command::SealLock { worker, lock } = &body.command else { return Ok(false) };
        must(body.by == Actor::Clock, Invariant::Proofs, || format!("{body:?} was sealed"))?;
        let entry = LockEntry {
            worker: *worker,
            hour: lock.hour.number().into(),
            kept_ms: lock.kept.millis(),
            record: lock.record,
            hash: *lock.hash.sha256(),
        };
        let leaf = Sha256::new().chain_update([0]).chain_update(entry.bytes());
        self.verdicts.logged(leaf.finalize().into());
        self.tale.records += 1;
        self.add_hour(control, *worker, lock);
        self.is_charged_by_record(control, *worker, lock)?;
        self.see_taken(control, lock)?;
        Ok(true)
    }

    fn add_hour(&mut self, control: &Control, worker: WorkerId, lock: &LockRecord) {
        let head = match lock.rental {
            None => self.locks.of.entry(worker).or_default().head,
            Some(id) if control.rental(id).is_some() => self.node_time(lock).and_then(|it| it.head),
            Some(_) => None,
        };
        let is_known = lock.rental.is_none_or(|id| control.rental(id).is_some());
        let (next, ended) = Head::after(head, lock);
        if lock.rental.is_some()
            && is_known
            && let Some(time) = self.node_time(lock)
        {
            time.head = next;
        }
        let silence = u64::from(control.parameters().time_lock.silence_max_secs) * 1_000;
        let known = self.locks.of.entry(worker).or_default();
        if lock.rental.is_none() {
            known.head = next;
        }
        let gap = ended.filter(|_| is_known).map(|ended| (ended, lock.began.millis()));
        if let Some((from, to)) = gap.filter(|(from, to)| to.saturating_sub(*from) > silence) {
            for minute in from / MINUTE..to.div_ceil(MINUTE) {
                let hour = Hour::from_number(u32::try_from(minute / 60).unwrap_or(u32::MAX));
                if let Some((_, broken)) = known.hours.get_mut(&hour) {
                    broken.insert(minute);
                }
            }
        }
        known.newest = known.newest.max(Some(lock.hour));
        let (touched, broken) = known.hours.entry(lock.hour).or_default();
        touched.extend(minutes_of(lock.hour, lock.summary.touched));
        let all = lock.summary.broken.values();
        broken.extend(all.flat_map(|minutes| minutes_of(lock.hour, *minutes)));
    }

    fn node_time(&mut self, lock: &LockRecord) -> Option<&mut NodeTime> {
        let view = self.rentals.get_mut(&lock.rental?)?;
        view.time_of(lock.node)
    }

    /// Minutes that a record takes from what is paid for: later, or now, if it is settled.
    fn see_taken(&mut self, control: &Control, lock: &LockRecord) -> Step {
        let Some(id) = lock.rental.filter(|id| control.rental(*id).is_some()) else {
            return Ok(());
        };
        let taken = taken(lock);
        let Some((time, hours)) =
            self.rentals.get_mut(&id).and_then(|view| view.clock_of(lock.node))
        else {
            return Ok(());
        };
        if time.settled.is_none() {
            time.struck.extend(taken);
            return Ok(());
        }
        let paid = time.paid(hours, None);
        let more: BTreeSet<u64> = taken
            .into_iter()
            .filter(|it| paid.contains(it) && !time.struck.contains(it) && !time.late.contains(it))
            .collect();
        let count = more.len() as u128;
        time.late.extend(more);
        self.refund(control, (id, lock.node), count)
    }

    /// So many minutes of a settled rental go back, as far as what they brought is there.
    pub(super) fn refund(
        &mut self,
        control: &Control,
        (id, node): (RentalId, u32),
        minutes: u128,
    ) -> Step {
        let Some(rental) = control.rental(id).filter(|_| minutes > 0) else { return Ok(()) };
        let Some(view) = self.rentals.get_mut(&id) else { return Ok(()) };
        let booked = u128::from(rental.terms.hours) * 60;
        let mut sum = |more: u128| {
            if let Some(time) = view.time_of(node) {
                time.refunded += more;
            }
            let suppliers = rental.nodes.iter().map(|node| node.supplier);
            let charged = view.times().map(|time| time.charged(booked));
            let all: Vec<(AccountId, u128)> = suppliers.zip(charged).collect();
            comes_to(&rental.terms, &all)
        };
        let (before, after) = (sum(0), sum(minutes));
        let place = usize::try_from(node).unwrap_or(usize::MAX);
        let supplier = rental.nodes.get(place).map_or(AccountId::from_bits(0), |it| it.supplier);
        let of = |sum: &super::terms::Sum| sum.payouts.get(&supplier).copied().unwrap_or(0);
        let whole = before.charged - after.charged;
        let first = (of(&before) - of(&after)).min(whole);
        let (asset, project) = (asset(&rental.terms), Holder::Project(rental.project));
        for (from, units) in [(Holder::Account(supplier), first), (Holder::Fees, whole - first)] {
            let there = self.money.has(asset, from).min(units);
            self.money.flow(asset, from, project, there)?;
            if from == Holder::Fees {
                self.money.give_revenue_back(asset, there);
            }
            view.refunded += there;
        }
        self.tale.refunds += 1;
        must(
            view.refunded == rental.refunded || view.refunds_follow(),
            Invariant::I4Receipts,
            || format!("{id} gives back {}, not {}", view.refunded, rental.refunded),
        )
    }

    /// A record that shows an offence opens a slash, unless one like it was opened lately or nothing can be charged.
    fn is_charged_by_record(
        &mut self,
        control: &Control,
        worker: WorkerId,
        lock: &LockRecord,
    ) -> Step {
        let Some(slash) = control.economy().stakes.slash(lock.slash) else { return Ok(()) };
        let count = |why: Break| {
            let minutes = lock.summary.broken.get(&why).copied().unwrap_or_default();
            minutes_of(lock.hour, minutes).collect::<BTreeSet<u64>>()
        };
        let busy = count(Break::BusyCard).union(&count(Break::BusyProcessor)).count();
        let foreign = !count(Break::Foreign).is_empty() && lock.summary.strangers > 0;
        let rules = &control.parameters().time_lock;
        let offence = if foreign { Offence::ForeignProcess } else { Offence::UtilizationBreach };
        let due = foreign || busy >= usize::from(rules.busy_minutes_offence);
        let window = u64::from(rules.offence_again_hours) * 3_600_000;
        let lately = |(id, other): (SlashId, &stakes::Slash)| {
            id != lock.slash
                && other.offence == slash.offence
                && other.offended_at.millis().abs_diff(slash.offended_at.millis()) < window
        };
        let again = control.economy().stakes.slashes_of(worker).any(lately);
        let right = due
            && slash.offence == offence
            && slash.worker == worker
            && !again
            && !self.is_braked(Switch::Slashing);
        must(right, Invariant::Proofs, || format!("{worker} was charged with {slash:?}"))?;
        self.verdicts.charges.insert(lock.slash);
        self.tale.caught += 1;
        Ok(())
    }
}
