//! What the auditor sees of rentals: where each stands, how long its nodes have served, what it must come to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use control::{Body, Command, Control, Node, NodeStage, Rental};
use ledger::Holder;
use market::{Ending, Stage, Terms};
use units::{AccountId, HOUR, ProjectId, RentalId, Timestamp, WorkerId};

use super::Belief;
use super::hours::Hours;
use super::locks::{NodeTime, said_ready};
use super::moves::{is_warned, may, place};
use super::nodes::{NodeView, Said};
use super::proving::Mark;
use super::terms::{Sum, asset, comes_to, held, hourly, receipt_agrees};
use crate::broken::{Broken, Invariant, Step, must};

/// Whose node, and for how many minutes it is paid.
type Minutes = (AccountId, u128);

/// A rental as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) stage: Stage,
    pub(super) project: ProjectId,
    /// What is set aside for it, in the smallest unit of what it is paid in.
    pub(super) held: u64,
    /// Whether that lies in its escrow.
    pub(super) escrowed: bool,
    paid_out: BTreeMap<AccountId, u64>,
    /// How many records of worked time it has.
    records: usize,
    terms: Terms,
    nodes: Vec<NodeView>,
    /// How many of its jobs the renter sees at each stage.
    jobs: BTreeMap<&'static str, usize>,
    /// When its machines are wanted back, if they are.
    pub(super) wanted_back: Option<Timestamp>,
    /// What went back after the settlement.
    pub(super) refunded: u64,
    /// Cards whose last check for the renter was slow.
    slow: BTreeSet<(WorkerId, [u8; 32])>,
    /// Whether a check has shown that it is not what was rented: then it ends as if the supply side had ended it.
    unfit: bool,
    /// How many nodes of it may yet give back in this entry.
    refunds_due: usize,
}

impl View {
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }

    pub(super) const fn stage_text(&self) -> &'static str {
        self.stage.text()
    }

    /// Its nodes, whatever became of them.
    pub(super) fn nodes(&self) -> &[NodeView] {
        &self.nodes
    }

    pub(super) fn new(rental: &Rental) -> Self {
        let nodes = rental.nodes.iter().map(NodeView::new).collect();
        Self {
            stage: rental.stage,
            project: rental.project,
            held: 0,
            escrowed: false,
            paid_out: BTreeMap::new(),
            records: 0,
            terms: rental.terms.clone(),
            nodes,
            jobs: BTreeMap::new(),
            wanted_back: None,
            refunded: 0,
            slow: BTreeSet::new(),
            unfit: false,
            refunds_due: 0,
        }
    }

    /// Whether more of it is given back in this entry.
    pub(super) const fn refunds_follow(&self) -> bool {
        self.refunds_due > 0
    }

    /// A check for its renter came to this, on a card of this machine, while it runs there.
    pub(super) fn checked(&mut self, worker: WorkerId, card: [u8; 32], mark: Mark) {
        if !self.serving().any(|node| node.worker == worker) {
            return;
        }
        self.unfit |= match mark {
            Mark::Good => {
                self.slow.remove(&(worker, card));
                false
            }
            Mark::Slow => !self.slow.insert((worker, card)),
            Mark::Wrong => true,
        };
    }

    /// Its nodes, while it runs.
    pub(super) fn serving(&self) -> impl Iterator<Item = &NodeView> {
        let runs = matches!(self.stage, Stage::Running { .. });
        self.nodes.iter().filter(move |_| runs)
    }

    pub(super) fn times(&self) -> impl Iterator<Item = &NodeTime> {
        self.nodes.iter().map(|node| &node.time)
    }

    pub(super) fn time_of(&mut self, node: u32) -> Option<&mut NodeTime> {
        self.clock_of(node).map(|(time, _)| time)
    }

    /// What time-lock says of a node, and its hours.
    pub(super) fn clock_of(&mut self, node: u32) -> Option<(&mut NodeTime, &Hours)> {
        let node = self.nodes.get_mut(usize::try_from(node).ok()?)?;
        Some((&mut node.time, &node.hours))
    }

    /// It is settled: for each node, whole minutes that were certain and that records have taken since.
    fn end(&mut self, rental: &Rental, at: Timestamp, ran: Option<Duration>) -> Vec<u128> {
        let booked = u128::from(self.terms.hours) * 60;
        let least = u128::from(self.terms.minimum_minutes);
        let nodes = self.nodes.iter_mut().zip(&rental.nodes);
        let owed = nodes.map(|(seen, node)| {
            let minutes = (u128::from(seen.served_by(at)) / 60_000).min(booked);
            let missed = missed(seen, node, least, ran);
            let served = seen.hours.counted();
            seen.time.end(minutes, missed, served, &seen.hours)
        });
        owed.collect()
    }

    /// Whole minutes of each node by now, with what a renter who ends a rental that `ran` so long owes of the
    /// minimum.
    fn minutes(&self, rental: &Rental, at: Timestamp, ran: Option<Duration>) -> Vec<Minutes> {
        let booked = u128::from(self.terms.hours) * 60;
        let least = u128::from(self.terms.minimum_minutes);
        let of = |(seen, node): (&NodeView, &Node)| {
            let minutes = (u128::from(seen.served_by(at)) / 60_000).min(booked);
            (node.supplier, (minutes + missed(seen, node, least, ran)).min(booked))
        };
        self.nodes.iter().zip(&rental.nodes).map(of).collect()
    }
}

/// Minutes that a node which stood to the end is short of the least, if a renter ended a rental that `ran` so long.
fn missed(seen: &NodeView, node: &Node, least: u128, ran: Option<Duration>) -> u128 {
    let stood =
        node.stage == NodeStage::Ready && node.silent_since.is_none() && !seen.time.disturbed;
    let Some(ran) = ran.filter(|_| stood) else { return 0 };
    let ran = u64::try_from(ran.as_millis()).unwrap_or(u64::MAX);
    least.saturating_sub(u128::from(seen.hours.counts_from(ran)) / 60_000)
}

const fn holds_money(stage: Stage) -> bool {
    matches!(stage, Stage::Deploying { .. } | Stage::Running { .. })
}

impl Belief {
    /// Whether the rental stands elsewhere than before.
    pub(super) fn see_rental(
        &mut self,
        control: &Control,
        rental: &Rental,
        body: &Body,
    ) -> Result<bool, Broken> {
        let id = rental.id;
        let Some(before) = self.rentals.get(&id).map(|view| view.stage) else {
            let Command::Quote { rental: asked, hours, pay, .. } = body.command else {
                return self.see_served(control, rental).map(|()| true);
            };
            let quoted = asked == id && matches!(rental.stage, Stage::Quoted { .. });
            must(quoted, Invariant::Authority, || format!("{id} was never quoted"))?;
            let pay = pay.unwrap_or(units::Asset::Usd);
            self.on_terms_of_now(control, rental, (hours, pay))?;
            self.rentals.insert(id, View::new(rental));
            self.touched.insert(id);
            return Ok(true);
        };
        if matches!(body.command, Command::Rent { rental: rented, .. } if rented == id) {
            self.promise(control, rental)?;
            self.takes_nothing_kept(rental)?;
        }
        if let Command::Extend { rental: extended, hours } = body.command
            && extended == id
        {
            self.extended(control, rental, hours)?;
            return Ok(true);
        }
        self.keeps_its_terms(rental)?;
        self.see_notice(control, rental, body)?;
        self.see_nodes(rental, body)?;
        self.see_jobs(control, rental, body)?;
        let after = rental.stage;
        if before == after {
            return self.see_payouts(rental);
        }
        self.touched.insert(id);
        let warned = is_warned(rental, before, after);
        self.keeps_its_notice(rental, after, body)?;
        must(
            warned || place(after) > place(before) && may(before, after, body),
            Invariant::Authority,
            || format!("{id} went from {before:?} to {after:?} by {:?}", body.command),
        )?;
        self.see_money(control, rental, before, after)?;
        let reclaimed = after.ending() == Some(Ending::Reclaimed) && before.ending().is_none();
        self.tale.reclaimed += u64::from(reclaimed);
        if let Some(view) = self.rentals.get_mut(&id) {
            view.stage = after;
        }
        if after.ending() == Some(Ending::Failed) && before.ending().is_none() {
            self.tale.failed += 1;
        }
        Ok(true)
    }

    /// Nodes move only by the word of their own machine, or by the clock.
    fn see_nodes(&mut self, rental: &Rental, body: &Body) -> Step {
        let at = self.at;
        let Some(view) = self.rentals.get_mut(&rental.id) else { return Ok(()) };
        let ran = matches!(view.stage, Stage::Running { .. });
        let wanted = view.stage.wants_nodes();
        // What a machine says after one of its nodes has ended the rental is not heard.
        let ends = wanted && !rental.stage.wants_nodes();
        let lost = |(seen, node): (&NodeView, &Node)| {
            node.stage == NodeStage::Lost && seen.stage != NodeStage::Lost
        };
        let last = view.nodes.iter().zip(&rental.nodes).rposition(lost).filter(|_| ends);
        let recorded =
            rental.worked.len() > std::mem::replace(&mut view.records, rental.worked.len());
        let settled = rental.worked_until.filter(|_| recorded && holds_money(rental.stage));
        let nodes = view.nodes.iter_mut().zip(&rental.nodes);
        for (index, (seen, node)) in (0_u32..).zip(nodes) {
            if let Some(until) = settled {
                seen.settle(until, rental.terms.worked.void_broken_hour);
            }
            let foreign =
                matches!(&body.command, Command::Observe { worker, .. } if *worker != seen.worker);
            must(!foreign || seen.stage == node.stage, Invariant::Authority, || {
                format!("a node of {} moved by the word of another machine", rental.id)
            })?;
            let place = usize::try_from(index).unwrap_or(usize::MAX);
            let is_heard =
                wanted && seen.stage != NodeStage::Lost && last.is_none_or(|last| place < last);
            let disturbed = said_ready(&body.command, (seen.worker, rental.id, index));
            let disturbed = disturbed.filter(|_| is_heard);
            let said = Said { command: &body.command, ran, disturbed };
            seen.meter(rental, node, said, at);
            let is_own = self.owners.get(&rental.project) == Some(&seen.supplier);
            for (since, until) in seen.take_served().into_iter().filter(|_| !is_own) {
                self.hired.served(seen.worker, since, until);
            }
        }
        Ok(())
    }

    /// Jobs move only by the word of the machine that holds the head.
    fn see_jobs(&mut self, control: &Control, rental: &Rental, body: &Body) -> Step {
        let Some(view) = self.rentals.get_mut(&rental.id) else { return Ok(()) };
        let mut jobs = BTreeMap::new();
        for job in rental.jobs.iter().filter_map(|id| control.job(*id)) {
            *jobs.entry(job.stage.text()).or_default() += 1;
        }
        let head = view.nodes.first().map(|node| node.worker);
        let foreign =
            matches!(&body.command, Command::Observe { worker, .. } if Some(*worker) != head);
        let ends = matches!(view.stage, Stage::Running { .. }) && !holds_money(rental.stage);
        must(!foreign || ends || jobs == view.jobs, Invariant::Authority, || {
            format!("a job of {} moved by the word of another machine", rental.id)
        })?;
        view.jobs = jobs;
        Ok(())
    }

    fn see_money(
        &mut self,
        control: &Control,
        rental: &Rental,
        before: Stage,
        after: Stage,
    ) -> Step {
        let (asset, escrow) = (asset(&rental.terms), Holder::Escrow(rental.id));
        let project = Holder::Project(rental.project);
        let at = self.at;
        let Some(view) = self.rentals.get_mut(&rental.id) else { return Ok(()) };
        if !holds_money(before) && holds_money(after) {
            view.held = held(&rental.terms);
            return self.money.hold(asset, project, escrow, view.held);
        }
        if !holds_money(before) || holds_money(after) {
            return Ok(());
        }
        let ran = match (before, after.ending()) {
            (Stage::Running { since, .. }, Some(Ending::Cancelled | Ending::Completed))
                if !view.unfit =>
            {
                Some(at.since(since))
            }
            _ => None,
        };
        let sum = comes_to(&rental.terms, &view.minutes(rental, at, ran));
        receipt_agrees(rental, &sum, view.held)?;
        let owed = view.end(rental, at, ran);
        self.settle(rental.id, project, &sum)?;
        self.refund_all(control, rental.id, &owed)
    }

    /// What was certain, and records took before the settlement, goes back after it.
    fn refund_all(&mut self, control: &Control, id: RentalId, owed: &[u128]) -> Step {
        for (node, minutes) in (0_u32..).zip(owed) {
            let left = owed.iter().skip(usize::try_from(node).unwrap_or(0) + 1);
            if let Some(view) = self.rentals.get_mut(&id) {
                view.refunds_due = left.filter(|owed| **owed > 0).count();
            }
            self.refund(control, (id, node), *minutes)?;
        }
        Ok(())
    }

    /// What is held becomes payouts, fees and change.
    fn settle(&mut self, id: RentalId, project: Holder, sum: &Sum) -> Step {
        let Some(view) = self.rentals.get_mut(&id) else { return Ok(()) };
        let (asset, escrow) = (asset(&view.terms), Holder::Escrow(id));
        let held = std::mem::take(&mut view.held);
        must(sum.charged <= held, Invariant::I4Receipts, || {
            format!("{id} is charged {} of {held} held", sum.charged)
        })?;
        let escrowed = std::mem::take(&mut view.escrowed);
        let paid_out = std::mem::take(&mut view.paid_out);
        let money = &mut self.money;
        if !escrowed {
            money.release(asset, project, escrow, held);
            money.flow(asset, project, escrow, held)?;
        }
        for (supplier, units) in &sum.payouts {
            let before = paid_out.get(supplier).copied().unwrap_or(0);
            must(before <= *units, Invariant::I4Receipts, || {
                format!("{supplier} was paid {before} before {id} came to {units}")
            })?;
            money.flow(asset, escrow, Holder::Account(*supplier), *units - before)?;
        }
        money.flow(asset, escrow, Holder::Fees, sum.fees)?;
        money.flow(asset, escrow, project, held - sum.charged)
    }

    /// What suppliers are paid while it runs is never more than they have earned.
    fn see_payouts(&mut self, rental: &Rental) -> Result<bool, Broken> {
        let at = self.at;
        let Some(view) = self.rentals.get_mut(&rental.id) else { return Ok(false) };
        if !holds_money(view.stage) || !rental.escrowed {
            return Ok(false);
        }
        let (asset, escrow) = (asset(&view.terms), Holder::Escrow(rental.id));
        let moved = !view.escrowed || view.paid_out != rental.paid_out;
        let earned = comes_to(&view.terms, &view.minutes(rental, at, None));
        if !std::mem::replace(&mut view.escrowed, true) {
            let project = Holder::Project(rental.project);
            self.money.release(asset, project, escrow, view.held);
            self.money.flow(asset, project, escrow, view.held)?;
        }
        for (supplier, units) in &rental.paid_out {
            let before = view.paid_out.insert(*supplier, *units).unwrap_or(0);
            let earned = earned.payouts.get(supplier).copied().unwrap_or(0);
            must(before <= *units && *units <= earned, Invariant::I4Receipts, || {
                format!("{supplier} has earned {earned} of {}, and was paid {units}", rental.id)
            })?;
            self.money.flow(asset, escrow, Holder::Account(*supplier), *units - before)?;
        }
        Ok(moved)
    }

    /// What was promised stays, except for what a renter asks to be changed.
    fn keeps_its_terms(&self, rental: &Rental) -> Step {
        let Some(view) = self.rentals.get(&rental.id) else { return Ok(()) };
        must(view.terms == rental.terms, Invariant::Promise, || {
            format!("{} was promised {:?}, and has {:?}", rental.id, view.terms, rental.terms)
        })
    }

    /// The terms are those of the moment: the fees of the parameters in effect, and the rate.
    pub(super) fn on_terms_of_now(
        &self,
        control: &Control,
        rental: &Rental,
        (hours, pay): (u32, units::Asset),
    ) -> Step {
        let terms = &rental.terms;
        let fees = self.rules.fees_of(control.version().number, pay);
        let says = [
            u64::from(terms.renter_fee_bp),
            u64::from(terms.supplier_fee_bp),
            u64::from(terms.facilitation_bp),
            u64::from(terms.payout_bp),
            u64::from(terms.minimum_minutes),
        ];
        let agrees = asset(terms) == pay && terms.hours == hours && says == fees;
        must(agrees, Invariant::Promise, || format!("{terms:?} is quoted, the fees are {fees:?}"))?;
        self.is_price_of_now(control, rental)?;
        self.is_rate_of_now(control, terms.currency)
    }

    /// More hours on the same terms, held at once.
    fn extended(&mut self, control: &Control, rental: &Rental, hours: u32) -> Step {
        let at = self.at;
        let Some(view) = self.rentals.get_mut(&rental.id) else { return Ok(()) };
        let terms = Terms { hours: view.terms.hours + hours, ..view.terms.clone() };
        let Stage::Running { since, until } = view.stage else {
            let seen = format!("{} is extended while it is {:?}", rental.id, view.stage);
            return Err(Broken { invariant: Invariant::Authority, seen });
        };
        let stage = Stage::Running { since, until: until.after(HOUR * hours) };
        let agrees = rental.terms == terms && rental.stage == stage;
        let agrees = agrees && at < until && rental.wanted_back.is_none();
        must(agrees, Invariant::Promise, || {
            format!("{hours} hours after {:?} are {:?}: {rental:?}", view.stage, rental.stage)
        })?;
        let (asset, escrow) = (asset(&terms), Holder::Escrow(rental.id));
        let project = Holder::Project(rental.project);
        let more = held(&terms) - view.held;
        let escrowed = view.escrowed;
        (view.held, view.stage, view.terms) = (view.held + more, stage, terms);
        self.touched.insert(rental.id);
        self.has_not_fallen(control, rental.terms.currency)?;
        if escrowed {
            self.money.flow(asset, project, escrow, more)
        } else {
            self.money.hold(asset, project, escrow, more)
        }
    }

    /// What was just rented is what was asked for, and costs no more than was promised.
    pub(super) fn promise(&mut self, control: &Control, rental: &Rental) -> Step {
        let Some(view) = self.rentals.get_mut(&rental.id) else { return Ok(()) };
        let (asked, filters) = (&rental.order, &rental.order.filters);
        let fits = |(node, hour): (&Node, &units::Credits)| {
            let Some(worker) = control.worker(node.seat.worker) else { return false };
            let machine = control.counts_as(worker);
            let model = filters.gpu_model.is_none() || filters.gpu_model == machine.gpu_model;
            let owner = filters.suppliers.is_empty() || filters.suppliers.contains(&worker.owner);
            let price = filters.node_hour_max.is_none_or(|max| *hour <= max);
            let tier = filters.tier_min.is_none_or(|tier| machine.tier >= tier);
            model && owner && price && tier && node.seat.resources == asked.each
        };
        let nodes = u32::try_from(rental.nodes.len()).unwrap_or(0);
        let prices = rental.terms.node_hours.clone();
        let kept = nodes == asked.nodes
            && rental.nodes.iter().zip(&rental.terms.node_hours).all(fits)
            && hourly(&rental.terms) <= hourly(&view.terms)
            && rental.terms == Terms { node_hours: prices, ..view.terms.clone() };
        must(kept, Invariant::Promise, || format!("{} got {:?}", rental.id, rental.nodes))?;
        view.nodes = rental.nodes.iter().map(NodeView::new).collect();
        view.terms = rental.terms.clone();
        Ok(())
    }

    /// After the clock was told, nothing is left that it should have ended; and it is told in time.
    pub(super) fn nobody_waits(&self, control: &Control, command: &Command) -> Step {
        let wakes = control.wake_at();
        for (id, view) in &self.rentals {
            let Some(until) = view.stage.expires_at() else { continue };
            let late = matches!(command, Command::Wake {}) && until <= self.at;
            must(!late, Invariant::I10Waits, || format!("{id} is {:?} at its end", view.stage))?;
            must(wakes.is_some_and(|at| at <= until), Invariant::I10Waits, || {
                format!("nobody is woken for {id}, which is {:?}", view.stage)
            })?;
        }
        Ok(())
    }
}
