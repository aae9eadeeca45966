//! Time-lock: nodes that are not their renter's alone, records of it, and what follows from both.
//!
//! # Invariants
//! - A renter pays for no minute that its node's machine, at the time or in a record, says was disturbed: it is left
//!   out of the meter, or struck from it, or refunded. Each minute once.
//! - A refund after the settlement moves exactly what the receipt would have been less, as far as it is there.
//! - What a record says is taken from its summary: the record was checked before it was told.

use std::sync::Arc;

use ledger::{AccountKey, Holder, Kind};
use market::{Receipt, Stage};
use proofs::lock::{Hint, Minutes};
use proofs::log::LockEntry;
use stakes::votes::Switch;
use stakes::{Evidence, EvidenceKind, Offence, SUMMARY_BYTES_MAX};
use units::{Asset, HOUR, Hour, Money, RentalId, SlashId, Timestamp, WorkerId};

use super::rental::{Stop, node_at, node_mut};
use super::supply::only_clock;
use crate::effect::{Effect, Locked, Subject};
use crate::record::{Actor, DisturbedRecord, LockRecord, SlashRecord};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Follows, LockHead, Rental, Reply, minute_after, minute_of};

/// How far the machine's clock may be ahead of the control plane's, in milliseconds: five minutes.
const AHEAD_MAX_MILLIS: u64 = 300_000;

/// What a record takes from what its node is paid for.
#[derive(Clone, Copy, Debug, Default)]
struct Struck {
    /// Minutes that go back to the renter beside those that its meter left out.
    refunded_minutes: u32,
    /// Minutes that would have, had it come in time.
    too_late_minutes: u32,
}

impl Control {
    /// A node that is ready says whether it is its renter's alone. From the minute in which it was not, to the one in
    /// which it is again, its clock stands.
    pub(crate) fn disturbed(
        &mut self,
        id: RentalId,
        index: u32,
        said: Option<DisturbedRecord>,
        now: Timestamp,
    ) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let runs = matches!(rental.stage, Stage::Running { .. });
        let Some(node) = node_mut(&mut rental.nodes, index) else { return };
        match (node.lock.disturbed, said) {
            (None, Some(DisturbedRecord { why, since })) => {
                let since = minute_of(since.min(now));
                let since = node.meter.since().map_or(since, |from| from.max(since));
                self.stop_meter(id, index, Stop::Disturbed, since);
                let Some(rental) = self.rentals.get_mut(&id) else { return };
                let Some(node) = node_mut(&mut rental.nodes, index) else { return };
                let since = if runs { since } else { now };
                node.lock.disturbed = Some(DisturbedRecord { why, since });
            }
            (Some(was), Some(is)) => {
                node.lock.disturbed = Some(DisturbedRecord { why: is.why, ..was });
            }
            (Some(_), None) => {
                let again = minute_after(now);
                node.lock.calm(again);
                if runs {
                    node.meter.start(again);
                }
            }
            (None, None) => {}
        }
    }

    /// What time-lock has to know when a node stops serving. A disturbed node that breaks has broken all the same: its
    /// clock stands already, and its hour counts for nothing.
    pub(crate) fn stop_lock(&mut self, id: RentalId, index: u32, stop: Stop, at: Timestamp) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let runs = matches!(rental.stage, Stage::Running { .. });
        let Some(node) = node_mut(&mut rental.nodes, index) else { return };
        if runs && stop == Stop::Broken && node.lock.disturbed.is_some() {
            node.lock.calm(at);
            node.meter.start(at);
        }
        node.lock.stopped(&node.meter, at, stop == Stop::Broken);
    }

    /// A record of time-lock was handed over: it is logged for everyone, and what follows from it is done.
    pub(crate) fn seal_lock(
        &mut self,
        by: Actor,
        id: WorkerId,
        lock: LockRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_clock(by)?;
        self.known_worker(id)?;
        self.refundable.forget_before(now);
        self.makes_sense(id, &lock, now)?;
        let follows = self.join_chain(id, &lock);
        let broken = lock.summary.broken();
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        let hour = worker.locks.add(lock.hour, lock.summary.touched, broken);
        let Struck { refunded_minutes, too_late_minutes } = self.strike(id, &lock, now);
        let slash = self.slash_for(id, &lock, now);
        let (kept_ms, record) = (lock.kept.millis(), lock.record);
        let number = u64::from(lock.hour.number());
        let entry =
            LockEntry { worker: id, hour: number, kept_ms, record, hash: *lock.hash.sha256() };
        let (index, nodes) = self.economy.proofs.append_lock(&entry);
        let hour_up = hour.map(|hour| hour.up());
        let locked = Locked {
            index,
            worker: id,
            lock,
            entry,
            follows,
            hour_up,
            refunded_minutes,
            too_late_minutes,
            slash,
            nodes,
        };
        self.effects.push_back(Effect::Locked(Arc::new(locked)));
        self.changed(Subject::Worker(id));
        Ok(Reply::Done)
    }

    /// Refuses a record that cannot be, whoever checked it.
    fn makes_sense(&self, id: WorkerId, lock: &LockRecord, now: Timestamp) -> Result<(), Refusal> {
        let wrong = |why: &str| Refusal::Invalid { field: "record", why: why.to_owned() };
        let in_hour = Hour::of(lock.began) == lock.hour
            && lock.began <= lock.ended
            && lock.ended <= lock.hour.end();
        if !in_hour || !lock.summary.adds_up() || lock.summary.rental != lock.rental.is_some() {
            return Err(wrong("its minutes are not those of its hour"));
        }
        if lock.ended.millis() > now.millis().saturating_add(AHEAD_MAX_MILLIS) {
            return Err(wrong("it is of a time that has not come"));
        }
        if self.is_of_trial(id, lock) == Some(false) {
            return Err(wrong("the trial was not then"));
        }
        let Some(rental) = lock.rental.and_then(|rental| self.rental(rental)) else {
            return Ok(());
        };
        let node = node_at(&rental.nodes, lock.node);
        if node.is_some_and(|node| node.seat.worker == id) {
            Ok(())
        } else {
            Err(wrong("the node is another machine's"))
        }
    }

    /// Whether a record is of a trial's time; nothing if it is of no trial.
    fn is_of_trial(&self, id: WorkerId, lock: &LockRecord) -> Option<bool> {
        self.was_tried_in(id, lock.rental?, (lock.began, lock.ended))
    }

    /// Puts a record at the end of its chain. Time in which nobody looked, between two of them, counts for nothing.
    fn join_chain(&mut self, id: WorkerId, lock: &LockRecord) -> Follows {
        let of_node = lock.rental.and_then(|rental| self.rental(rental));
        let node = of_node.and_then(|rental| node_at(&rental.nodes, lock.node));
        let last = match (node, lock.rental) {
            (Some(node), _) => node.lock.head,
            (None, None) => self.workers.get(&id).and_then(|worker| worker.locks.idle),
            // Of a rental that is long over only the tables know.
            (None, Some(_)) => return Follows::Last,
        };
        let follows = LockHead::joined(last.as_ref(), lock);
        let head = Some(LockHead::of(lock)).filter(|_| follows != Follows::Other).or(last);
        let of_node = lock.rental.and_then(|rental| self.rental_to_refund(rental));
        if let Some(node) = of_node.and_then(|rental| node_mut(&mut rental.nodes, lock.node)) {
            node.lock.head = head;
        }
        let silence = u64::from(self.parameters().time_lock.silence_max_secs) * 1_000;
        let Some(worker) = self.workers.get_mut(&id) else { return follows };
        if lock.rental.is_none() {
            worker.locks.idle = head;
        }
        if let Some(last) = last.filter(|last| !last.over && follows == Follows::Last)
            && lock.began.millis().saturating_sub(last.ended.millis()) > silence
        {
            worker.locks.unseen(last.ended, lock.began);
        }
        follows
    }

    /// Takes the minutes that a record breaks from what its node is paid for.
    fn strike(&mut self, worker: WorkerId, lock: &LockRecord, now: Timestamp) -> Struck {
        let minutes = lock.summary.refunded();
        let Some(id) = lock.rental.filter(|_| minutes != Minutes::NONE) else {
            return Struck::default();
        };
        let too_late = Struck { refunded_minutes: 0, too_late_minutes: minutes.count().into() };
        // Nobody pays for a trial.
        let is_trial = self.is_of_trial(worker, lock) == Some(true);
        let Some(rental) = self.rental_to_refund(id) else {
            return if is_trial { Struck::default() } else { too_late };
        };
        let is_settled = rental.settled.is_some();
        let Some(node) = node_mut(&mut rental.nodes, lock.node) else { return Struck::default() };
        if node.lock.has_forgotten(lock.hour) {
            return too_late;
        }
        let more = if is_settled {
            let more = node.lock.strike_late(lock.hour, minutes);
            self.refund(id, lock.node, more);
            more
        } else {
            let before = node.lock.struck();
            node.note_ran(now);
            node.lock.strike(lock.hour, minutes);
            node.lock.struck().saturating_sub(before)
        };
        self.changed(Subject::Rental(id));
        Struck { refunded_minutes: more, too_late_minutes: 0 }
    }

    /// What was struck and had been paid out for certain is refunded once the rental is settled.
    pub(crate) fn refund_owed(&mut self, id: RentalId) {
        let Some(rental) = self.rentals.get(&id) else { return };
        let owed = |node: &crate::state::Node| node.lock.owed(node.meter.served());
        let owed: Vec<u32> = rental.nodes.iter().map(owed).collect();
        for (index, minutes) in (0_u32..).zip(owed) {
            self.refund(id, index, minutes);
        }
    }

    /// Gives back what a settled rental would have cost less: the supplier what it would have earned less, and the
    /// network the rest, each as far as it has it.
    fn refund(&mut self, id: RentalId, index: u32, minutes: u32) {
        if minutes == 0 {
            return;
        }
        let Some(rental) = self.rental(id) else { return };
        let Some(supplier) = node_at(&rental.nodes, index).map(|node| node.supplier) else {
            return;
        };
        let (project, before) = (rental.project, rental.after_refunds());
        let Some(rental) = self.rental_to_refund(id) else { return };
        if let Some(node) = node_mut(&mut rental.nodes, index) {
            node.lock.refunded = node.lock.refunded.saturating_add(minutes);
        }
        let (Some(before), Some(after)) = (before, rental.after_refunds()) else { return };
        let asset = before.charged.asset;
        let of = |paid: &market::Paid| paid.payouts.get(&supplier).map_or(0, |money| money.units);
        let whole = before.charged.units.saturating_sub(after.charged.units);
        let from_supplier = of(&before).saturating_sub(of(&after)).min(whole);
        let parts =
            [(Holder::Account(supplier), from_supplier), (Holder::Fees, whole - from_supplier)];
        let moved = self.take_back(id, project, asset, parts);
        if let Some(rental) = self.rental_to_refund(id) {
            rental.refunded = rental.refunded.saturating_add(moved);
            rental.refund_short = rental.refund_short.saturating_add(whole.saturating_sub(moved));
        }
        self.changed(Subject::Account(supplier));
        self.changed(Subject::Project(project));
    }

    fn take_back(
        &mut self,
        id: RentalId,
        project: units::ProjectId,
        asset: Asset,
        parts: [(Holder, u64); 2],
    ) -> u64 {
        let to = AccountKey { holder: Holder::Project(project), asset };
        let there = |(holder, units): (Holder, u64)| {
            let units = units.min(self.available(holder, asset).units);
            Kind::Move { from: AccountKey { holder, asset }, to, units }
        };
        let units = |kind: &Kind| if let Kind::Move { units, .. } = kind { *units } else { 0 };
        let moves: Vec<Kind> = parts.into_iter().map(there).filter(|it| units(it) > 0).collect();
        if !moves.is_empty() {
            self.move_money(&moves, Some(id)).expect("it is there");
        }
        for kind in &moves {
            if let Kind::Move { from, units, .. } = kind
                && from.holder == Holder::Fees
            {
                self.give_revenue_back(asset, *units);
            }
        }
        moves.iter().map(units).sum()
    }

    /// Charges the machine with what its record shows, unless that was done lately, slashing is stopped, or nothing
    /// answers for it.
    fn slash_for(&mut self, id: WorkerId, lock: &LockRecord, now: Timestamp) -> Option<SlashId> {
        // In a trial there is no renter whom it would harm.
        if self.is_of_trial(id, lock) == Some(true) {
            return None;
        }
        let rules = self.parameters().time_lock.clone();
        let (offence, why) = match lock.summary.decide(&rules).hint? {
            Hint::ForeignProcess => (Offence::ForeignProcess, "on a rented card"),
            Hint::UtilizationBreach => (Offence::UtilizationBreach, "busy while on offer"),
        };
        let offended_at = lock.began.min(now);
        let again = HOUR * u32::from(rules.offence_again_hours);
        let lately = |(_, slash): (SlashId, &stakes::Slash)| {
            slash.offence == offence
                && slash.offended_at < offended_at.after(again)
                && offended_at < slash.offended_at.after(again)
        };
        if self.is_braked(Switch::Slashing, now) || self.economy.stakes.slashes_of(id).any(lately) {
            return None;
        }
        let minutes = match offence {
            Offence::UtilizationBreach => lock.summary.busy().count(),
            Offence::ForeignProcess
            | Offence::SpoofedHardware
            | Offence::ForgedProof
            | Offence::SecondIdentity
            | Offence::DataTampering
            | Offence::FailedDelivery => lock.summary.refunded().count(),
        };
        let whose = if lock.strangers.is_empty() { "" } else { ": " };
        let summary = format!("{minutes} minutes of {}, {why}{whose}{}", lock.hour, lock.strangers);
        let summary = summary[..summary.floor_char_boundary(SUMMARY_BYTES_MAX)].to_owned();
        let kind = EvidenceKind::TimeLockRecord;
        let evidence = vec![Evidence { kind, blob: lock.record, summary }];
        let cards = u32::from(lock.cards);
        let slash = lock.slash;
        let record = SlashRecord { slash, worker: id, offence, offended_at, cards, evidence };
        self.charge_machine(record, now).ok().map(|_| slash)
    }
}

impl Rental {
    /// What it would have come to without the minutes that were refunded since.
    fn after_refunds(&self) -> Option<market::Paid> {
        let mut served = self.served(self.settled?);
        for (served, node) in served.iter_mut().zip(&self.nodes) {
            served.span = served.span.saturating_sub(units::MINUTE * node.lock.refunded);
        }
        Receipt::compute(&self.terms, &served).ok()?.paid(&self.terms).ok()
    }

    /// What went back to the renter after it was settled.
    pub fn refund(&self) -> Money {
        Money::new(self.terms.currency.asset(), self.refunded)
    }
}
