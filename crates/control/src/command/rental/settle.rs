//! Where a rental moves on, and the money with it.

use std::collections::BTreeMap;

use ledger::{AccountKey, Holder, Kind};
use market::{Ending, Event, Stage};
use units::{AccountId, Money, RentalId, Timestamp};

use crate::effect::Subject;
use crate::refusal::Refusal;
use crate::state::{Control, Node, Settled};

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
        let Ok(held) = rental.terms.held() else { return };
        if now >= until || self.hold_for(id, held).is_err() {
            return;
        }
        self.advance(id, Event::Paid, now);
        self.fail_if_silent(id, now);
    }

    /// Sets money of the rental's project aside for it.
    pub(super) fn hold_for(&mut self, id: RentalId, money: Money) -> Result<(), Refusal> {
        let Some(rental) = self.rentals.get(&id) else { return Ok(()) };
        // A booking that costs nothing is paid without a hold: the book moves no zeros.
        if money.units == 0 {
            return Ok(());
        }
        let project = rental.project;
        let purse = |holder| AccountKey { holder, asset: money.asset };
        let (from, to) = (purse(Holder::Project(project)), purse(Holder::Escrow(id)));
        let units = money.units;
        let made = if rental.escrowed {
            self.move_money(&[Kind::Move { from, to, units }], Some(id))?;
            None
        } else {
            self.move_money(&[Kind::Hold { from, to, units }], Some(id))?.first().copied()
        };
        if let Some(rental) = self.rentals.get_mut(&id) {
            rental.holds.extend(made);
        }
        self.changed(Subject::Project(project));
        Ok(())
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

    /// Turns what is held into payouts, fees and change. The rental has just left `before`.
    fn settle(&mut self, id: RentalId, before: Stage, now: Timestamp) {
        for index in 0..self.node_count(id) {
            self.stop_meter(id, index, now);
        }
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        rental.settled = Some(match (before, rental.stage.ending()) {
            (Stage::Running { since, .. }, Some(Ending::Cancelled | Ending::Completed)) => {
                let ran = now.since(since).as_millis();
                Settled::ByRenter { ran_millis: u64::try_from(ran).unwrap_or(u64::MAX) }
            }
            (_, _) => Settled::BySupply,
        });
        let paid = rental.paid().expect("it was settled just now");
        let project = rental.project;
        if paid.charged.units == 0 && !rental.escrowed {
            let voids: Vec<Kind> = std::mem::take(&mut rental.holds)
                .into_iter()
                .map(|hold| Kind::Void { hold })
                .collect();
            self.move_money(&voids, Some(id)).expect("its holds are open");
        } else {
            self.pay_out(id, &paid.payouts);
            let purse = |holder| AccountKey { holder, asset: paid.charged.asset };
            let from = purse(Holder::Escrow(id));
            let rest = [(Holder::Fees, paid.fees), (Holder::Project(project), paid.returned)];
            let rest = rest.into_iter().filter(|(_, money)| money.units > 0);
            let moves: Vec<Kind> = rest
                .map(|(to, money)| Kind::Move { from, to: purse(to), units: money.units })
                .collect();
            self.move_money(&moves, Some(id))
                .expect("a receipt comes to no more than what is held");
            self.book.close(from).expect("all of the escrow was paid out");
        }
        self.changed(Subject::Project(project));
    }

    /// Pays suppliers what they have earned of this rental and were not paid yet.
    pub(super) fn pay_out(&mut self, id: RentalId, earned: &BTreeMap<AccountId, Money>) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let asset = rental.terms.currency.asset();
        let mut moves = Vec::new();
        for hold in std::mem::take(&mut rental.holds) {
            let held = self.book.hold(hold).expect("its holds are open").units;
            moves.push(Kind::Post { hold, units: held });
        }
        rental.escrowed = true;
        let from = AccountKey { holder: Holder::Escrow(id), asset };
        for (supplier, earned) in earned {
            let paid = rental.paid_out.entry(*supplier).or_default();
            let units = earned.units.saturating_sub(*paid);
            if units > 0 {
                *paid += units;
                let to = AccountKey { holder: Holder::Account(*supplier), asset };
                moves.push(Kind::Move { from, to, units });
            }
        }
        self.move_money(&moves, Some(id)).expect("what was earned is no more than what is held");
        for supplier in earned.keys() {
            self.changed(Subject::Account(*supplier));
        }
    }
}
