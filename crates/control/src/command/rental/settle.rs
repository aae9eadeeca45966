//! Where a rental moves on, and the money with it.

use std::collections::BTreeMap;
use std::time::Duration;

use ledger::{AccountKey, Holder, Kind};
use market::{Earned, Ending, Event, Stage, Worked};
use units::{AccountId, Asset, Credits, Money, RentalId, Timestamp};

use super::nodes::Stop;
use crate::effect::Subject;
use crate::limits::HEARD_FROM_BY;
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
        let end = before.expires_at().map_or(now, |until| until.min(now));
        self.record_days(id, end);
        for index in 0..self.node_count(id) {
            self.stop_meter(id, index, Stop::Over, now);
        }
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        rental.settled = Some(match (before, rental.stage.ending()) {
            (Stage::Running { since, .. }, Some(Ending::Cancelled | Ending::Completed))
                if rental.unfit().is_none() =>
            {
                let ran = now.since(since).as_millis();
                Settled::ByRenter { ran_millis: u64::try_from(ran).unwrap_or(u64::MAX) }
            }
            (_, _) => Settled::BySupply,
        });
        let receipt = rental.receipt().expect("it was settled just now");
        let paid = rental.paid().expect("it was settled just now");
        let project = rental.project;
        self.record(id, end, &Earned::last(&receipt, &paid));
        if paid.charged.units == 0 {
            self.release(id);
        } else {
            let purse = |holder| AccountKey { holder, asset: paid.charged.asset };
            let from = purse(Holder::Escrow(id));
            let rest = [(Holder::Fees, paid.fees), (Holder::Project(project), paid.returned)];
            let rest = rest.into_iter().filter(|(_, money)| money.units > 0);
            let mut moves = self.posts(id);
            moves.extend(rest.map(|(to, money)| Kind::Move {
                from,
                to: purse(to),
                units: money.units,
            }));
            self.move_money(&moves, Some(id))
                .expect("a receipt comes to no more than what is held");
            self.book.close(from).expect("all of the escrow was paid out");
        }
        if let (Asset::Usd, Some(known)) = (paid.charged.asset, self.projects.get_mut(&project)) {
            let left = known.granted.units().saturating_sub(paid.charged.units);
            known.granted = Credits::from_units(left);
        }
        self.changed(Subject::Project(project));
        self.refund_owed(id);
    }

    /// Gives back what is held for a rental that comes to nothing.
    fn release(&mut self, id: RentalId) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let holds = std::mem::take(&mut rental.holds);
        let voids: Vec<Kind> = holds.into_iter().map(|hold| Kind::Void { hold }).collect();
        self.move_money(&voids, Some(id)).expect("its holds are open");
    }

    /// The clock looks at a rental that runs. The end of a day is seen first; its record is made when everyone who
    /// had fallen silent by then is known, so that a supplier that broke is not paid.
    pub(crate) fn look_at_worked(&mut self, id: RentalId, now: Timestamp) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        if rental.next_record().is_none_or(|due| now < due) {
            return;
        }
        let seen = *rental.day_seen_at.get_or_insert(now);
        if now < seen.after(HEARD_FROM_BY) {
            return;
        }
        let until = rental.stage.expires_at().unwrap_or(seen);
        self.record_days(id, until.min(seen.after(Duration::from_millis(1))));
        self.changed(Subject::Rental(id));
    }

    /// Makes the records that end before `end`.
    fn record_days(&mut self, id: RentalId, end: Timestamp) {
        while let Some(rental) = self.rentals.get_mut(&id) {
            let day = rental.worked_until.map(|from| from.after(rental.terms.worked.every()));
            let Some(day) = day.filter(|day| *day < end) else { break };
            let earned = rental.firm(day);
            self.record(id, day, &earned);
        }
    }

    /// Pays for what was earned until then and was not recorded yet. What never ran has no records.
    fn record(&mut self, id: RentalId, until: Timestamp, earned: &Earned) {
        let paid = self.pay_out(id, &earned.payouts);
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let Some(from) = rental.worked_until else { return };
        let paid = Money::new(rental.terms.currency.asset(), paid);
        let record = Worked::after(&rental.worked, (from, until), earned, paid)
            .expect("what is firm is in every later sum");
        rental.worked_until = Some(record.until);
        rental.day_seen_at = None;
        rental.worked.push(record);
    }

    /// Pays suppliers what they have earned of this rental and were not paid yet. Returns what that was in all.
    fn pay_out(&mut self, id: RentalId, earned: &BTreeMap<AccountId, Money>) -> u64 {
        let Some(rental) = self.rentals.get_mut(&id) else { return 0 };
        let asset = rental.terms.currency.asset();
        let mut due: Vec<(AccountId, u64)> = Vec::new();
        for (supplier, earned) in earned {
            let paid = rental.paid_out.get(supplier).copied().unwrap_or_default();
            due.push((*supplier, earned.units.saturating_sub(paid)));
        }
        due.retain(|(_, units)| *units > 0);
        if due.is_empty() {
            return 0;
        }
        for (supplier, units) in &due {
            *rental.paid_out.entry(*supplier).or_default() += units;
        }
        let purse = |holder| AccountKey { holder, asset };
        let from = purse(Holder::Escrow(id));
        let mut moves = self.posts(id);
        let to = |supplier: AccountId| purse(Holder::Account(supplier));
        moves.extend(due.iter().map(|(who, units)| Kind::Move {
            from,
            to: to(*who),
            units: *units,
        }));
        self.move_money(&moves, Some(id)).expect("what was earned is no more than what is held");
        for (supplier, _) in &due {
            self.changed(Subject::Account(*supplier));
        }
        due.iter().map(|(_, units)| units).sum()
    }

    /// The transfers that move what is held into the escrow, if they were not made before.
    fn posts(&mut self, id: RentalId) -> Vec<Kind> {
        let Some(rental) = self.rentals.get_mut(&id) else { return Vec::new() };
        rental.escrowed = true;
        let (project, holds) = (rental.project, std::mem::take(&mut rental.holds));
        self.changed(Subject::Project(project));
        let post = |hold| {
            let units = self.book.hold(hold).expect("its holds are open").units;
            Kind::Post { hold, units }
        };
        holds.into_iter().map(post).collect()
    }
}
