//! What the auditor believes of prices: where each machine's stood an hour ago, and how far it may have gone since.

use std::collections::BTreeMap;
use std::sync::Arc;

use control::{Body, Command, Control, Rental, Worker};
use market::PriceKey;
use units::{Credits, Hour, WorkerId};

use super::Belief;
use super::terms::whole;
use crate::broken::{Invariant, Step, must};

const WHOLE_BP: u128 = 10_000;
/// How far rounding may bring a price off its bound: shares are rounded down, once before a step and once after.
const ROUNDED: u128 = 2;

/// What machines cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Prices {
    of: BTreeMap<WorkerId, Price>,
    /// The version of the rules, and the hour that was observed, when all were looked at.
    looked: (u32, Option<Hour>),
}

/// What an hour of one card of a machine costs, in units.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Price {
    on_demand: u128,
    spot: u128,
    base: u128,
    version: u32,
    key: Arc<PriceKey>,
}

impl Price {
    fn of(control: &Control, worker: &Worker) -> Option<Self> {
        let quote = control.worker_price(worker)?;
        Some(Self {
            on_demand: quote.price.units().into(),
            spot: quote.spot_price.units().into(),
            base: worker.priced.base.units().into(),
            version: control.version().number,
            key: worker.priced.key.clone()?,
        })
    }
}

impl Belief {
    /// Looks at prices whenever they may have moved: as hours end, rules change, and machines come or change.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_prices(&mut self, control: &Control, body: &Body) -> Step {
        let now = (control.version().number, control.economy().market.hour);
        let before = std::mem::replace(&mut self.prices.looked, now);
        if before != now {
            let stepped = before.1 != now.1;
            return control
                .workers()
                .try_for_each(|(id, worker)| self.see_price(control, id, worker, stepped));
        }
        match &body.command {
            Command::Join { worker, .. }
            | Command::ChangeMachine { worker, .. }
            | Command::SealProof { worker, .. }
            | Command::Attest { worker, .. }
            | Command::MeasureConnection { worker, .. } => {
                let Some(known) = control.worker(*worker) else { return Ok(()) };
                self.see_price(control, *worker, known, false)
            }
            // Attestations end, and with them what machines are certified as.
            Command::Wake {} => control
                .workers()
                .try_for_each(|(id, worker)| self.see_price(control, id, worker, false)),
            Command::Retire { worker } => {
                self.prices.of.remove(worker);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn see_price(
        &mut self,
        control: &Control,
        id: WorkerId,
        worker: &Worker,
        stepped: bool,
    ) -> Step {
        let Some(price) = Price::of(control, worker) else {
            self.prices.of.remove(&id);
            return Ok(());
        };
        let before = self.prices.of.insert(id, price.clone());
        let rules = &control.parameters().pricing;
        let share = |of: u128, bp: u16| of * u128::from(bp) / WHOLE_BP;
        let (floor, ceiling) =
            (share(price.base, rules.floor_bp), share(price.base, rules.ceiling_bp));
        let within = floor <= price.on_demand && price.on_demand <= ceiling.max(floor);
        let least = share(price.on_demand, 10_000 - rules.spot_discount_max_bp);
        let dearest = share(price.on_demand, 10_000 - rules.spot_discount_min_bp);
        let dearest = dearest.max(share(price.base, rules.spot_floor_bp)) + ROUNDED;
        let spot =
            least <= price.spot + ROUNDED && price.spot <= price.on_demand && price.spot <= dearest;
        must(within && spot, Invariant::Prices, || {
            format!("{id} costs {price:?}, from {floor} to {ceiling}")
        })?;
        let same = |before: &Price| {
            before.version == price.version && before.key == price.key && before.base == price.base
        };
        // What nobody has offered has no price of its own: it follows its model's, from no hour to the next.
        let is_offered = control.economy().market.pricing.keys().any(|key| *key == *price.key);
        let Some(before) = before.filter(same).filter(|_| is_offered) else { return Ok(()) };
        let old = before.on_demand;
        let rise = if stepped { share(old + ROUNDED, rules.rise_max_bp) + ROUNDED } else { 0 };
        let fall = if stepped { share(old + ROUNDED, rules.fall_max_bp) + ROUNDED } else { 0 };
        let new = price.on_demand;
        self.tale.price_steps += u64::from(new != old);
        let is_small = new <= (old + rise).max(floor) && new + fall >= old.min(ceiling);
        must(is_small, Invariant::Prices, || {
            format!("{id} cost {old} and costs {new}, {rise} up or {fall} down at most")
        })
    }

    /// Whether a card of a rental's machines costs more as spot than a bid.
    pub(super) fn costs_more(&self, rental: &Rental, bid: Credits) -> bool {
        let prices = rental.nodes.iter().filter_map(|node| self.prices.of.get(&node.seat.worker));
        prices.map(|price| price.spot).max().is_some_and(|spot| spot > u128::from(bid.units()))
    }

    /// What is quoted is what the machines cost at this moment.
    pub(super) fn is_price_of_now(&self, control: &Control, rental: &Rental) -> Step {
        let order = &rental.order;
        let costs = |node: &control::Node| {
            let worker = control.worker(node.seat.worker)?;
            if order.each.gpus == 0 {
                let thread = u128::from(worker.priced.vcpu_hour.units());
                return Some(thread * u128::from(order.each.vcpus));
            }
            let price = self.prices.of.get(&node.seat.worker)?;
            let card = if order.spot.is_some() { price.spot } else { price.on_demand };
            Some(card * u128::from(order.each.gpus))
        };
        let factor = if order.spot.is_some() { 10_000 } else { rental.terms.duration_bp };
        for (node, hour) in rental.nodes.iter().zip(&rental.terms.node_hours) {
            let cost = costs(node).map(|cost| whole(cost * u128::from(factor) / WHOLE_BP));
            let bid = order.spot.map(|bid| bid.units().saturating_mul(order.each.gpus.into()));
            let paid = bid.is_none_or(|bid| hour.units() <= bid);
            must(cost.map(Credits::from_units) == Some(*hour) && paid, Invariant::Prices, || {
                format!("{} is quoted {hour} for {cost:?} of {bid:?}: {node:?}", rental.id)
            })?;
        }
        Ok(())
    }
}
