//! Where a rental moves on, and the money with it.

use std::collections::BTreeMap;

use ledger::{Holder, Kind};
use market::{Ending, Event, Receipt, Stage};
use units::{AccountId, Credits, RentalId, Timestamp};

use crate::effect::Subject;
use crate::state::{Control, Node, Rental, Settled, usd};

impl Control {
    /// Moves a rental on, if the event applies to where it stands, with everything that follows from it.
    pub(crate) fn advance(&mut self, id: RentalId, event: Event, now: Timestamp) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let before = rental.stage;
        let Ok(after) = before.on(event, now) else { return };
        rental.stage = after;
        if before.holds_money() && !after.holds_money() {
            self.settle(id, before, now);
        }
        if before.wants_nodes() && !after.wants_nodes() {
            self.stop_jobs_of(id, now);
            self.clear_nodes(id);
        } else if !before.wants_nodes() && after.wants_nodes() {
            self.nudge_nodes(id);
        }
        if before.holds_seats() && !after.holds_seats() {
            self.give_back_all(id);
        }
        self.schedule(id);
        self.changed(Subject::Rental(id));
        if let Stage::Ending { .. } = after {
            self.end_if_cleared(id, now);
        }
    }

    /// Pays a rental that waits for money, if the money is there.
    pub(crate) fn pay_if_waiting(&mut self, id: RentalId, now: Timestamp) {
        let Some(rental) = self.rentals.get(&id) else { return };
        let Stage::AwaitingPayment { until } = rental.stage else { return };
        let Ok(held) = rental.terms.hold() else { return };
        if now >= until {
            return;
        }
        let project = rental.project;
        // A booking that costs nothing is paid without a hold: the book moves no zeros.
        if !held.is_zero() {
            let (from, to) = (usd(Holder::Project(project)), usd(Holder::Escrow(id)));
            let Ok(made) =
                self.move_money(&[Kind::Hold { from, to, units: held.units() }], Some(id))
            else {
                return;
            };
            if let Some(rental) = self.rentals.get_mut(&id) {
                rental.hold = made.first().copied();
            }
            self.changed(Subject::Project(project));
        }
        self.advance(id, Event::Paid, now);
        self.fail_if_silent(id, now);
    }

    /// A machine may have gone silent while the money was missing: there is nothing to wait for then.
    fn fail_if_silent(&mut self, id: RentalId, now: Timestamp) {
        let Some(rental) = self.rentals.get(&id) else { return };
        let silent =
            |node: &Node| !self.workers.get(&node.seat.worker).is_some_and(|worker| worker.up);
        let found =
            (0_u32..).zip(&rental.nodes).find(|(_, node)| silent(node)).map(|(index, _)| index);
        if let Some(index) = found {
            self.node_lost(id, index, "its machine went silent before the rental was paid", now);
        }
    }

    /// Turns the hold into payouts, fees and change. The rental has just left `before`.
    fn settle(&mut self, id: RentalId, before: Stage, now: Timestamp) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        for node in &mut rental.nodes {
            node.meter.stop(now);
        }
        rental.settled = Some(match (before, rental.stage.ending()) {
            (Stage::Running { since, .. }, Some(Ending::Cancelled | Ending::Completed)) => {
                let ran = now.since(since).as_millis();
                Settled::ByRenter { ran_millis: u64::try_from(ran).unwrap_or(u64::MAX) }
            }
            (_, _) => Settled::BySupply,
        });
        let receipt = rental.receipt().expect("it was settled just now");
        let hold = rental.hold.take();
        let (project, suppliers) = (rental.project, payouts(&receipt));
        if let Some(hold) = hold {
            let moves = moves(rental, hold, &receipt, &suppliers);
            self.move_money(&moves, Some(id))
                .expect("a receipt comes to no more than what is held");
            self.book.close(usd(Holder::Escrow(id))).expect("all of the escrow was paid out");
        }
        self.changed(Subject::Project(project));
        for supplier in suppliers.keys() {
            self.changed(Subject::Account(*supplier));
        }
    }
}

fn payouts(receipt: &Receipt) -> BTreeMap<AccountId, Credits> {
    let mut payouts: BTreeMap<AccountId, Credits> = BTreeMap::new();
    for line in &receipt.lines {
        let sum = payouts.entry(line.supplier).or_insert(Credits::ZERO);
        *sum = sum.checked_add(line.payout).expect("payouts sum to less than the hold");
    }
    payouts
}

fn moves(
    rental: &Rental,
    hold: units::TransferId,
    receipt: &Receipt,
    suppliers: &BTreeMap<AccountId, Credits>,
) -> Vec<Kind> {
    if receipt.charged.is_zero() {
        return vec![Kind::Void { hold }];
    }
    let from = usd(Holder::Escrow(rental.id));
    let paid =
        |holder, amount: Credits| Kind::Move { from, to: usd(holder), units: amount.units() };
    let mut moves = vec![Kind::Post { hold, units: receipt.charged.units() }];
    let nonzero = suppliers.iter().filter(|(_, amount)| !amount.is_zero());
    moves.extend(nonzero.map(|(supplier, amount)| paid(Holder::Account(*supplier), *amount)));
    if !receipt.fees.is_zero() {
        moves.push(paid(Holder::Fees, receipt.fees));
    }
    moves
}
