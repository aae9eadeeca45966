//! What the auditor sees of rentals: where each stands, how long its nodes have served, what it must come to.

use std::collections::BTreeMap;
use std::time::Duration;

use control::{Actor, Body, Command, Control, Node, NodeStage, Rental};
use market::{Ending, Stage};
use units::{AccountId, Timestamp, WorkerId};

use super::Belief;
use crate::broken::{Broken, Invariant, Step, must};

/// A rental as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) stage: Stage,
    pub(super) held: u64,
    hourly_quoted: u128,
    nodes: Vec<NodeView>,
    /// How many of its jobs the renter sees at each stage.
    jobs: BTreeMap<&'static str, usize>,
}

#[derive(Clone, Debug)]
struct NodeView {
    worker: WorkerId,
    stage: NodeStage,
    since: Option<Timestamp>,
    served: Duration,
}

/// What a rental comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) charged: u64,
    pub(super) fees: u64,
    pub(super) payouts: Vec<(AccountId, u64)>,
}

impl View {
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }

    pub(super) const fn stage_text(&self) -> &'static str {
        self.stage.text()
    }

    fn new(rental: &Rental) -> Self {
        let nodes = rental.nodes.iter().map(NodeView::new).collect();
        Self {
            stage: rental.stage,
            held: 0,
            hourly_quoted: hourly(rental),
            nodes,
            jobs: BTreeMap::new(),
        }
    }
}

impl NodeView {
    const fn new(node: &Node) -> Self {
        Self { worker: node.seat.worker, stage: node.stage, since: None, served: Duration::ZERO }
    }

    /// When its machine was last heard, if this entry says that it has fallen silent.
    fn heard_last(&self, command: &Command) -> Option<Timestamp> {
        let Command::WorkerSilent { worker, heard_millis } = command else { return None };
        (*worker == self.worker).then_some(Timestamp::from_millis(*heard_millis))
    }

    /// What it has served by the end of this entry, given how it stands.
    fn meter(&mut self, rental: &Rental, node: &Node, command: &Command, at: Timestamp) {
        let runs = matches!(rental.stage, Stage::Running { .. });
        let serves = runs && node.stage == NodeStage::Ready && node.silent_since.is_none();
        match (self.since, serves) {
            (None, true) => self.since = Some(at),
            (Some(since), false) => {
                let until = self.heard_last(command).unwrap_or(at).min(at);
                self.served += until.since(since);
                self.since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
        self.stage = node.stage;
    }
}

const fn holds_money(stage: Stage) -> bool {
    matches!(stage, Stage::Deploying { .. } | Stage::Running { .. })
}

const fn place(stage: Stage) -> u8 {
    match stage {
        Stage::Quoted { .. } => 0,
        Stage::AwaitingPayment { .. } => 1,
        Stage::Deploying { .. } => 2,
        Stage::Running { .. } => 3,
        Stage::Ending { .. } => 4,
        Stage::Ended { .. } => 5,
    }
}

fn hourly(rental: &Rental) -> u128 {
    rental.terms.node_hours.iter().map(|hour| u128::from(hour.units())).sum()
}

/// Every hour of every node, and the renter's fee on it rounded up.
fn hold(rental: &Rental) -> u64 {
    let cost = hourly(rental) * u128::from(rental.terms.hours);
    let fee = (cost * u128::from(rental.terms.renter_fee_bp)).div_ceil(10_000);
    u64::try_from(cost + fee).expect("an accepted price fits")
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
            let quoted = matches!(body.command, Command::Quote { rental, .. } if rental == id)
                && matches!(rental.stage, Stage::Quoted { .. });
            must(quoted, Invariant::Authority, || format!("{id} was never quoted"))?;
            self.rentals.insert(id, View::new(rental));
            self.touched.insert(id);
            return Ok(true);
        };
        if let Command::Rent { rental: rented, .. } = body.command
            && rented == id
        {
            self.promise(control, rental)?;
        }
        self.see_nodes(rental, body)?;
        self.see_jobs(control, rental, body)?;
        let after = rental.stage;
        if before == after {
            return Ok(false);
        }
        self.touched.insert(id);
        must(
            place(after) > place(before) && may(before, after, body),
            Invariant::Authority,
            || format!("{id} went from {before:?} to {after:?} by {:?}", body.command),
        )?;
        self.see_money(rental, before, after)?;
        if let Some(view) = self.rentals.get_mut(&id) {
            view.stage = after;
        }
        if after.ending() == Some(Ending::Failed) && before.ending().is_none() {
            self.failed += 1;
        }
        Ok(true)
    }

    /// Nodes move only by the word of their own machine, or by the clock.
    fn see_nodes(&mut self, rental: &Rental, body: &Body) -> Step {
        let at = self.at;
        let Some(view) = self.rentals.get_mut(&rental.id) else { return Ok(()) };
        for (seen, node) in view.nodes.iter_mut().zip(&rental.nodes) {
            let foreign =
                matches!(&body.command, Command::Observe { worker, .. } if *worker != seen.worker);
            must(!foreign || seen.stage == node.stage, Invariant::Authority, || {
                format!("a node of {} moved by the word of another machine", rental.id)
            })?;
            seen.meter(rental, node, &body.command, at);
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

    fn see_money(&mut self, rental: &Rental, before: Stage, after: Stage) -> Step {
        let Some(view) = self.rentals.get_mut(&rental.id) else { return Ok(()) };
        if !holds_money(before) && holds_money(after) {
            view.held = hold(rental);
            return self.money.hold(rental.project, view.held);
        }
        if holds_money(before) && !holds_money(after) {
            let ran = match (before, after.ending()) {
                (Stage::Running { since, .. }, Some(Ending::Cancelled | Ending::Completed)) => {
                    Some(self.at.since(since))
                }
                _ => None,
            };
            let sum = comes_to(rental, &view.nodes, ran);
            let held = std::mem::take(&mut view.held);
            receipt_agrees(rental, &sum, held)?;
            return self.money.settle(rental.project, held, &sum);
        }
        Ok(())
    }

    /// What was just rented is what was asked for, and costs no more than was promised.
    fn promise(&mut self, control: &Control, rental: &Rental) -> Step {
        let Some(view) = self.rentals.get_mut(&rental.id) else { return Ok(()) };
        let (asked, filters) = (&rental.order, &rental.order.filters);
        let fits = |node: &Node| {
            let Some(worker) = control.worker(node.seat.worker) else { return false };
            let machine = &worker.machine;
            let model = filters.gpu_model.is_none() || filters.gpu_model == machine.gpu_model;
            let owner = filters.suppliers.is_empty() || filters.suppliers.contains(&worker.owner);
            let price = filters.node_hour_max.is_none_or(|max| node.seat.node_hour <= max);
            let tier = filters.tier_min.is_none_or(|tier| machine.tier >= tier);
            model && owner && price && tier && node.seat.resources == asked.each
        };
        let nodes = u32::try_from(rental.nodes.len()).unwrap_or(0);
        let kept = nodes == asked.nodes
            && rental.nodes.iter().all(fits)
            && hourly(rental) <= view.hourly_quoted;
        must(kept, Invariant::Promise, || format!("{} got {:?}", rental.id, rental.nodes))?;
        view.nodes = rental.nodes.iter().map(NodeView::new).collect();
        Ok(())
    }

    /// After the clock was told, nothing is left that it should have ended; and it is told in time.
    pub(super) fn nobody_waits(&self, control: &Control, command: &Command) -> Step {
        for (id, view) in &self.rentals {
            let Some(until) = view.stage.expires_at() else { continue };
            let late = matches!(command, Command::Wake {}) && until <= self.at;
            must(!late, Invariant::I10Waits, || format!("{id} is {:?} at its end", view.stage))?;
            must(control.wake_at().is_some_and(|at| at <= until), Invariant::I10Waits, || {
                format!("nobody is woken for {id}, which is {:?}", view.stage)
            })?;
        }
        Ok(())
    }
}

/// Which command may move a rental from where to where.
const fn may(before: Stage, after: Stage, body: &Body) -> bool {
    use {Command as C, Stage as S};
    let renter = matches!(body.by, Actor::Account(_) | Actor::Operator);
    match (before, after) {
        (S::Quoted { .. }, S::Ended { .. }) => matches!(body.command, C::Wake {}),
        (S::Quoted { .. }, _) => renter && matches!(body.command, C::Rent { .. }),
        (S::AwaitingPayment { .. }, S::Ended { .. }) => {
            matches!(body.command, C::Wake {} | C::EndRental { .. })
        }
        (S::AwaitingPayment { .. }, _) => matches!(body.command, C::TopUp { .. }),
        (S::Deploying { .. }, S::Running { .. }) => matches!(body.command, C::Observe { .. }),
        (S::Deploying { .. }, _) => matches!(
            body.command,
            C::Observe { .. } | C::Wake {} | C::EndRental { .. } | C::WorkerSilent { .. }
        ),
        (S::Running { .. }, _) => {
            matches!(body.command, C::Observe { .. } | C::Wake {} | C::EndRental { .. })
        }
        (S::Ending { .. }, _) => matches!(body.command, C::Observe { .. } | C::Wake {}),
        (S::Ended { .. }, _) => false,
    }
}

/// Whole minutes at the hourly price, each node for itself, rounded down; fees likewise. A rental that the renter
/// ended after it `ran` so long owes what that cut off of the minimum.
fn comes_to(rental: &Rental, nodes: &[NodeView], ran: Option<Duration>) -> Sum {
    let terms = &rental.terms;
    let booked = u128::from(terms.hours) * 60;
    let mut sum = Sum::default();
    let mut subtotal = 0;
    for ((seen, node), hour) in nodes.iter().zip(&rental.nodes).zip(&terms.node_hours) {
        let mut minutes = (seen.served.as_millis() / 60_000).min(booked);
        let stood = node.stage == NodeStage::Ready && node.silent_since.is_none();
        if let Some(ran) = ran.filter(|_| stood) {
            let missed = u128::from(terms.minimum_minutes).saturating_sub(ran.as_millis() / 60_000);
            minutes = (minutes + missed).min(booked);
        }
        let charge = u128::from(hour.units()) * minutes / 60;
        let fee = charge * u128::from(terms.supplier_fee_bp) / 10_000;
        subtotal += charge;
        sum.fees += whole(fee);
        sum.payouts.push((node.supplier, whole(charge - fee)));
    }
    let fee = subtotal * u128::from(terms.renter_fee_bp) / 10_000;
    sum.fees += whole(fee);
    sum.charged = whole(subtotal + fee);
    sum
}

fn whole(units: u128) -> u64 {
    u64::try_from(units).expect("an accepted price fits")
}

fn receipt_agrees(rental: &Rental, sum: &Sum, held: u64) -> Step {
    let paid: u64 = sum.payouts.iter().map(|(_, units)| units).sum();
    let receipt = rental.receipt();
    let agrees = receipt.as_ref().is_some_and(|receipt| {
        receipt.charged.units() == sum.charged
            && receipt.fees.units() == sum.fees
            && receipt.held.units() == held
            && receipt.returned.units() + sum.charged == held
    });
    must(agrees && sum.charged == paid + sum.fees, Invariant::I4Receipts, || {
        format!("{} comes to {sum:?} of {held}, the receipt says {receipt:?}", rental.id)
    })
}
