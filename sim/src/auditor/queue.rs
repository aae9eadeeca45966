//! What the auditor believes of orders that wait: each becomes one rental, lapses or is left, and none is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use control::{Body, Command, Control, Node, OrderRecord, QueuedStage, Rental};
use ledger::Holder;
use market::Stage;
use stakes::votes::Switch;
use units::{Asset, HOUR, OrderId, ProjectId, Timestamp, WorkerId};

use super::Belief;
use super::rentals::View;
use super::terms::{asset, held};
use crate::broken::{Broken, Invariant, Step, must};

/// How long an order for which room is kept may find room and wait on: two tries, a second apart.
const SEEN_WITHIN: Duration = Duration::from_secs(2);

/// An order as it was last seen.
#[derive(Clone, Debug)]
struct Waits {
    project: ProjectId,
    order: OrderRecord,
    hours: u32,
    pay: Asset,
    until: Timestamp,
    /// When it was served, lapsed or was left, and which of them.
    over: Option<(Timestamp, &'static str)>,
    has_reclaimed: bool,
    /// Since when it has found room.
    fits_since: Option<Timestamp>,
}

/// Every order that the auditor has heard of and that is not forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    known: BTreeMap<OrderId, Waits>,
    /// Those that this entry serves and whose rentals were not seen yet.
    served_now: BTreeSet<OrderId>,
    /// The project for which this entry tells spot rentals to go.
    reclaims_for: Option<ProjectId>,
    reclaimed_at: BTreeMap<ProjectId, Timestamp>,
    /// From when on cards were kept after the entry before this one, and which of which machine.
    kept: Option<(Timestamp, Vec<(WorkerId, u64)>)>,
}

impl Orders {
    /// For whom this entry tells spot rentals to go, if it is for an order that waits.
    pub(super) const fn reclaims_for(&self) -> Option<ProjectId> {
        self.reclaims_for
    }

    /// Orders that still wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = OrderId> {
        self.known.iter().filter(|(_, order)| order.over.is_none()).map(|(id, _)| *id)
    }
}

impl Belief {
    /// Where each order stands after this entry.
    pub(super) fn see_orders(&mut self, control: &Control, body: &Body) -> Step {
        self.hear_of_orders(body)?;
        self.orders.reclaims_for = None;
        let at = self.at;
        let is_clock = matches!(body.command, Command::Wake {});
        let wakes = control.wake_at();
        for (id, order) in &mut self.orders.known {
            let said = control.queued(*id);
            let broken = |what: &str| Broken {
                invariant: Invariant::Orders,
                seen: format!("{id} {what} at {at:?}: {order:?}, {said:?} by {:?}", body.command),
            };
            match (order.over, said.map(|said| &said.stage)) {
                (None, Some(QueuedStage::Waiting { .. })) => {
                    let in_time = at < order.until || !is_clock;
                    let is_woken = wakes.is_some_and(|wakes| wakes <= order.until);
                    if !in_time || !is_woken {
                        return Err(broken("waits past its time"));
                    }
                }
                (None, Some(QueuedStage::Served { .. })) if is_clock && at < order.until => {
                    order.over = Some((at, "served"));
                    self.orders.served_now.insert(*id);
                    self.tale.served += 1;
                }
                (None, Some(QueuedStage::Lapsed { .. })) if is_clock && order.until <= at => {
                    order.over = Some((at, "lapsed"));
                    self.tale.lapsed += 1;
                }
                (Some((_, how)), Some(stage)) if how == stage.text() => {}
                (Some((over, _)), None) if over.after(HOUR) <= at => {}
                (None | Some(_), _) => return Err(broken("stands where it may not")),
            }
            if said.is_some_and(|said| said.has_reclaimed) && !order.has_reclaimed {
                order.has_reclaimed = true;
                self.orders.reclaims_for = Some(order.project);
            }
        }
        self.orders.known.retain(|id, _| control.queued(*id).is_some());
        let unheard = control.queued_orders().find(|it| !self.orders.known.contains_key(&it.id));
        must(unheard.is_none(), Invariant::Orders, || format!("{unheard:?} was never told"))?;
        self.reclaims_once_an_hour()?;
        self.first_is_served(control, is_clock)
    }

    fn hear_of_orders(&mut self, body: &Body) -> Step {
        if let Command::Leave { waiting } = body.command
            && let Some(order) = self.orders.known.get_mut(&waiting)
        {
            order.over.get_or_insert((self.at, "left"));
        }
        let Command::Wait { waiting, project, order, hours, pay, until_millis, .. } = &body.command
        else {
            return Ok(());
        };
        let waits = Waits {
            project: *project,
            order: order.clone(),
            hours: *hours,
            pay: pay.unwrap_or(Asset::Usd),
            until: Timestamp::from_millis(*until_millis),
            over: None,
            has_reclaimed: false,
            fits_since: None,
        };
        let before = self.orders.known.insert(*waiting, waits);
        must(before.is_none(), Invariant::Orders, || format!("{waiting} was told twice"))
    }

    /// No project has spot rentals told to go twice in an hour by orders that wait.
    fn reclaims_once_an_hour(&mut self) -> Step {
        let Some(project) = self.orders.reclaims_for else { return Ok(()) };
        let before = self.orders.reclaimed_at.insert(project, self.at);
        must(before.is_none_or(|before| before.after(HOUR) <= self.at), Invariant::Notice, || {
            format!("{project} reclaims at {before:?} and at {:?}", self.at)
        })
    }

    /// The one for whom room is kept is served as soon as it finds room and can pay: nobody takes it first.
    fn first_is_served(&mut self, control: &Control, is_clock: bool) -> Step {
        let (at, braked) = (self.at, self.is_braked(Switch::NewRentals));
        let first = control.room_kept().map(|(order, ..)| order);
        for (id, order) in &mut self.orders.known {
            let finds_room = Some(*id) == first && !braked && control.why_it_waits(*id).is_none();
            if !finds_room || order.over.is_some() {
                order.fits_since = None;
                continue;
            }
            let since = *order.fits_since.get_or_insert(at);
            must(!is_clock || at < since.after(SEEN_WITHIN), Invariant::Orders, || {
                format!("{id} finds room since {since:?}, and waits at {at:?}: {order:?}")
            })?;
        }
        Ok(())
    }

    /// A rental that nobody quoted is that of an order which is served in this entry: on the terms of the moment, and
    /// paid.
    pub(super) fn see_served(&mut self, control: &Control, rental: &Rental) -> Step {
        let id = OrderId::from_bits(rental.id.bits());
        let order = self.orders.known.get(&id).filter(|_| self.orders.served_now.contains(&id));
        let Some(order) = order.cloned() else {
            let seen = format!("{} was never quoted", rental.id);
            return Err(Broken { invariant: Invariant::Authority, seen });
        };
        self.orders.served_now.remove(&id);
        let is_asked = rental.project == order.project && rental.order == order.order;
        let is_taken = matches!(rental.stage, Stage::Deploying { .. }) && rental.name.is_some();
        must(is_asked && is_taken, Invariant::Promise, || {
            format!("{id} asked for {order:?} and got {rental:?}")
        })?;
        self.on_terms_of_now(control, rental, (order.hours, order.pay))?;
        self.rentals.insert(rental.id, View::new(rental));
        self.promise(control, rental)?;
        let project = Holder::Project(rental.project);
        let money = held(&rental.terms);
        if let Some(view) = self.rentals.get_mut(&rental.id) {
            view.held = money;
        }
        self.touched.insert(rental.id);
        let machines: Vec<_> = rental.nodes.iter().map(|node| node.seat.worker).collect();
        self.network_is_taken(control, rental.id, &machines)?;
        self.money.hold(asset(&rental.terms), project, Holder::Escrow(rental.id), money)
    }

    /// Who takes a quote takes no card that is kept for who waited longer, unless it is gone before.
    pub(super) fn takes_nothing_kept(&self, rental: &Rental) -> Step {
        let Some((from, cards)) = &self.orders.kept else { return Ok(()) };
        let is_kept = |node: &Node| {
            let seat = &node.seat;
            cards
                .iter()
                .any(|(worker, cards)| *worker == seat.worker && cards & seat.gpus.bits() != 0)
        };
        let is_gone = self.at.after(HOUR * rental.terms.hours) <= *from;
        must(is_gone || !rental.nodes.iter().any(is_kept), Invariant::Orders, || {
            format!("{} takes at {:?} what is kept from {from:?}: {cards:?}", rental.id, self.at)
        })
    }

    /// Every order that was served has its rental; and what is kept from here on.
    pub(super) fn served_are_rented(&mut self, control: &Control) -> Step {
        self.orders.kept = control.room_kept().map(|(_, from, seats)| {
            (from, seats.iter().map(|seat| (seat.worker, seat.gpus.bits())).collect())
        });
        let without = self.orders.served_now.first();
        must(without.is_none(), Invariant::Orders, || format!("{without:?} has no rental"))
    }
}
