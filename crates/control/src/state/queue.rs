//! Orders that wait for machines, and where each of them stands.
//!
//! # Invariants
//! - An order that waits becomes one rental, lapses, or is left: one of the three, once.
//! - What is served has the bits of its order for an id, so that nothing can be served twice.
//! - Who waits is bounded, in all and by project.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use scheduler::queue::{Amounts, Why};
use scheduler::{Explanation, Seat};
use serde::{Deserialize, Serialize};
use units::{Asset, Money, Name, OrderId, ProjectId, RentalId, Timestamp};

use crate::command::Booking;
use crate::limits::{
    ENDED_KEPT_FOR, ORDERS_TRIED_AT_LEAST_EVERY, ORDERS_TRIED_EVERY, ORDERS_WAITING_MAX,
    ORDERS_WAITING_OF_PROJECT_MAX,
};
use crate::record::OrderRecord;
use crate::refusal::Refusal;
use crate::state::Control;

/// An order that waits, or did until not long ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedOrder {
    /// Its id.
    pub id: OrderId,
    /// Who will pay.
    pub project: ProjectId,
    /// What for.
    pub order: OrderRecord,
    /// For how many hours.
    pub hours: u32,
    /// What it will be paid in.
    pub pay: Asset,
    /// What the rental will be called.
    pub name: Name,
    /// When it came.
    pub since: Timestamp,
    /// The place in the journal at which it came: of two that came in one moment, this says which was first.
    pub arrival: u64,
    /// Until when it waits at most.
    pub until: Timestamp,
    /// Where it stands.
    pub stage: QueuedStage,
    /// Whether spot rentals were told to go for it: that happens once.
    pub has_reclaimed: bool,
    /// Its place in the line when it was tried last, from 1; none while it is passed over.
    pub place: Option<u32>,
    /// When it starts at the earliest, as far as that was known when it was tried last.
    pub earliest: Option<Timestamp>,
}

/// Room that is kept for the first order that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptRoom {
    /// For which.
    pub(crate) order: OrderId,
    /// When it starts, if what runs ends by then.
    pub(crate) from: Timestamp,
    /// Where; nowhere in particular if that lies too far ahead.
    pub(crate) seats: Vec<Seat>,
}

/// Where an order stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueuedStage {
    /// It waits.
    Waiting {
        /// Why it was not served when it was tried last.
        obstacle: Obstacle,
    },
    /// It became a rental.
    Served {
        /// When.
        at: Timestamp,
    },
    /// It waited in vain until its time was over.
    Lapsed {
        /// When.
        at: Timestamp,
    },
    /// Its renter waits no longer.
    Left {
        /// When.
        at: Timestamp,
    },
}

/// Why an order was not served when it was tried last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// It was not tried yet.
    Untried,
    /// It is the first in line, and what gets free is kept for it.
    First,
    /// The same, and spot rentals were told to make room for it.
    Reclaiming {
        /// How many.
        rentals: usize,
    },
    /// There is no room for it beside what is kept for another.
    Behind {
        /// For which.
        first: OrderId,
    },
    /// It would find no room if everything ended of which an end is known.
    NoRoom,
    /// So many were tried before it that it was not.
    Many,
    /// Machines are there, and the money is not: it is passed over.
    Money {
        /// What was there.
        available: Money,
        /// What it takes.
        wanted: Money,
    },
    /// Machines are there, and something else is in the way: it is passed over.
    Refused {
        /// In words for the renter.
        why: String,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untried => f.write_str("it is being looked at"),
            Self::First => write!(f, "{}", Why::<OrderId>::First),
            Self::Reclaiming { rentals } => {
                write!(f, "{}", Why::<OrderId>::Reclaiming { rentals: *rentals })
            }
            Self::Behind { first } => write!(f, "{}", Why::Behind { first: *first }),
            Self::NoRoom => write!(f, "{}", Why::<OrderId>::NoSuchRoom),
            Self::Many => write!(f, "{}", Why::<OrderId>::NotLookedAt),
            Self::Money { available, wanted } => {
                let refusal = Refusal::Insufficient { available: *available, wanted: *wanted };
                write!(f, "passed over: {refusal}")
            }
            Self::Refused { why } => write!(f, "passed over: {why}"),
        }
    }
}

impl From<Why<OrderId>> for Obstacle {
    fn from(why: Why<OrderId>) -> Self {
        match why {
            Why::First => Self::First,
            Why::Reclaiming { rentals } => Self::Reclaiming { rentals },
            Why::Behind { first } => Self::Behind { first },
            Why::NoSuchRoom => Self::NoRoom,
            Why::NotLookedAt => Self::Many,
        }
    }
}

impl QueuedOrder {
    /// The rental that it becomes.
    pub const fn rental(&self) -> RentalId {
        RentalId::from_bits(self.id.bits())
    }

    pub(crate) fn booking(&self) -> Booking {
        let Self { project, order, hours, pay, .. } = self;
        Booking { project: *project, order: order.clone(), hours: *hours, pay: *pay }
    }

    /// Whether it waits.
    pub const fn waits(&self) -> bool {
        matches!(self.stage, QueuedStage::Waiting { .. })
    }

    /// When something about it is due: its time is over, or it is forgotten.
    fn due(&self) -> Timestamp {
        match self.stage {
            QueuedStage::Waiting { .. } => self.until,
            QueuedStage::Served { at } | QueuedStage::Lapsed { at } | QueuedStage::Left { at } => {
                at.after(ENDED_KEPT_FOR)
            }
        }
    }
}

impl QueuedStage {
    /// In a word.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Served { .. } => "served",
            Self::Lapsed { .. } => "lapsed",
            Self::Left { .. } => "left",
        }
    }

    /// When it ended, if it did.
    pub const fn ended_at(&self) -> Option<Timestamp> {
        match self {
            Self::Waiting { .. } => None,
            Self::Served { at } | Self::Lapsed { at } | Self::Left { at } => Some(*at),
        }
    }
}

/// Every order that waits, and those that ended not long ago.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    orders: BTreeMap<OrderId, QueuedOrder>,
    /// Whether anything that could serve an order has changed since they were tried.
    stirred: bool,
    /// Whether that may be more than seats that got free: machines that came, prices that moved.
    renewed: bool,
    /// When they were tried last.
    tried_at: Timestamp,
    /// When all of them were, whatever stood in their way before.
    all_tried_at: Timestamp,
    /// All that machines on offer have, as it was then.
    #[serde(with = "amounts")]
    pub(crate) whole: Amounts,
    /// Room that is kept for the first that does not fit. A snapshot has it beside: seats are written there.
    #[serde(skip)]
    kept: Option<KeptRoom>,
    /// Those that wait, as they came. Follows from the orders.
    #[serde(skip)]
    line: BTreeMap<u64, OrderId>,
    /// How many of a project wait. Follows from the orders.
    #[serde(skip)]
    of_project: BTreeMap<ProjectId, usize>,
    /// When something is due. Follows from the orders.
    #[serde(skip)]
    due: BTreeSet<(Timestamp, OrderId)>,
}

impl Queue {
    pub(crate) fn order(&self, id: OrderId) -> Option<&QueuedOrder> {
        self.orders.get(&id)
    }

    pub(crate) fn orders(&self) -> impl Iterator<Item = &QueuedOrder> {
        self.orders.values()
    }

    /// Those that wait, as they came.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &QueuedOrder> {
        self.line.values().filter_map(|id| self.orders.get(id))
    }

    pub(crate) fn waiting_len(&self) -> usize {
        self.line.len()
    }

    pub(crate) fn waiting_of(&self, project: ProjectId) -> usize {
        self.of_project.get(&project).copied().unwrap_or_default()
    }

    /// Seats or money that could serve an order got free.
    pub(crate) fn stir(&mut self) {
        self.stirred |= !self.line.is_empty();
    }

    /// Machines came or changed, or prices moved.
    pub(crate) fn renew(&mut self) {
        self.stir();
        self.renewed |= !self.line.is_empty();
    }

    /// When an order's time is over next, or one is forgotten.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// When orders are tried next.
    pub(crate) fn try_at(&self) -> Option<Timestamp> {
        let pause = if self.stirred { ORDERS_TRIED_EVERY } else { ORDERS_TRIED_AT_LEAST_EVERY };
        (!self.line.is_empty()).then(|| self.tried_at.after(pause))
    }

    /// They are being tried; what changes from now on is seen the next time. Returns whether all are to be tried.
    pub(crate) fn begin_to_try(&mut self, now: Timestamp, all_at_least_every: Duration) -> bool {
        let is_due = now >= self.all_tried_at.after(all_at_least_every);
        let is_whole = self.renewed || is_due;
        if is_whole {
            self.all_tried_at = now;
        }
        self.stirred = false;
        self.renewed = false;
        self.tried_at = now;
        is_whole
    }

    pub(crate) const fn kept(&self) -> Option<&KeptRoom> {
        self.kept.as_ref()
    }

    pub(crate) fn keep(&mut self, kept: Option<KeptRoom>) {
        self.kept = kept;
    }

    /// Where an order stands in the line, and when it starts at the earliest.
    pub(crate) fn told(&mut self, id: OrderId, place: Option<u32>, earliest: Option<Timestamp>) {
        if let Some(order) = self.orders.get_mut(&id) {
            (order.place, order.earliest) = (place, earliest);
        }
    }

    /// An order begins to wait.
    pub(crate) fn push(&mut self, order: QueuedOrder) {
        self.index(&order);
        self.orders.insert(order.id, order);
        self.stirred = true;
    }

    /// Where an order stands is something else now. Returns whether it was another thing before.
    pub(crate) fn set_stage(&mut self, id: OrderId, stage: QueuedStage) -> bool {
        let Some(mut order) = self.orders.remove(&id) else { return false };
        self.unindex(&order);
        let is_other = order.stage != stage;
        order.stage = stage;
        if !order.waits() {
            (order.place, order.earliest) = (None, None);
            if self.kept.as_ref().is_some_and(|kept| kept.order == id) {
                self.kept = None;
            }
        }
        self.index(&order);
        self.orders.insert(id, order);
        is_other
    }

    /// Spot rentals were told to go for this order.
    pub(crate) fn has_reclaimed(&mut self, id: OrderId) {
        if let Some(order) = self.orders.get_mut(&id) {
            order.has_reclaimed = true;
        }
    }

    /// The next order of which something is due by `now`.
    pub(crate) fn next_due(&self, now: Timestamp) -> Option<OrderId> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    pub(crate) fn forget(&mut self, id: OrderId) {
        if let Some(order) = self.orders.remove(&id) {
            self.unindex(&order);
        }
    }

    fn index(&mut self, order: &QueuedOrder) {
        self.due.insert((order.due(), order.id));
        if order.waits() {
            self.line.insert(order.arrival, order.id);
            *self.of_project.entry(order.project).or_default() += 1;
        }
    }

    fn unindex(&mut self, order: &QueuedOrder) {
        self.due.remove(&(order.due(), order.id));
        if !order.waits() {
            return;
        }
        self.line.remove(&order.arrival);
        if let Some(count) = self.of_project.get_mut(&order.project) {
            *count -= 1;
            if *count == 0 {
                self.of_project.remove(&order.project);
            }
        }
    }

    /// What was read back, with what follows from it.
    ///
    /// # Errors
    /// What does not add up.
    pub(crate) fn derived(mut self, kept: Option<KeptRoom>) -> Result<Self, &'static str> {
        for order in std::mem::take(&mut self.orders).into_values() {
            if order.waits() && self.line.contains_key(&order.arrival) {
                return Err("two orders came at once");
            }
            if order.until < order.since {
                return Err("an order waits until before it came");
            }
            self.index(&order);
            self.orders.insert(order.id, order);
        }
        let of_project = self.of_project.values().max().copied().unwrap_or_default();
        if self.line.len() > ORDERS_WAITING_MAX || of_project > ORDERS_WAITING_OF_PROJECT_MAX {
            return Err("more orders wait than may");
        }
        let waits = |kept: &KeptRoom| self.orders.get(&kept.order).is_some_and(QueuedOrder::waits);
        if !kept.as_ref().is_none_or(waits) {
            return Err("room is kept for an order that does not wait");
        }
        self.kept = kept;
        Ok(self)
    }
}

/// What is told to those who wait. Nothing here changes anything.
impl Control {
    /// Its place in the line, from 1, while it waits and is not passed over.
    pub fn place_in_queue(&self, id: OrderId) -> Option<u32> {
        self.queue.order(id)?.place
    }

    /// When it starts at the earliest, where that is known.
    pub fn earliest_start(&self, id: OrderId) -> Option<Timestamp> {
        self.queue.order(id)?.earliest
    }

    /// For which order room is kept, from when on, and which.
    pub fn room_kept(&self) -> Option<(OrderId, Timestamp, &[Seat])> {
        self.queue.kept().map(|kept| (kept.order, kept.from, kept.seats.as_slice()))
    }

    /// What the matcher says of it at this moment, while machines are what it lacks.
    pub fn why_it_waits(&self, id: OrderId) -> Option<Box<Explanation>> {
        let queued = self.queue.order(id).filter(|order| order.waits())?;
        use scheduler::Refusal::{NoCapacity, NothingAsked, TooManyNodes};
        match self.inventory.place(&self.asked_for(&queued.booking())) {
            Err(NoCapacity(explanation)) => Some(explanation),
            Ok(_) | Err(NothingAsked | TooManyNodes { .. }) => None,
        }
    }
}

/// Amounts as they are written down.
mod amounts {
    use scheduler::queue::{Amounts, KINDS};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(amounts: &Amounts, out: S) -> Result<S::Ok, S::Error> {
        amounts.0.serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Amounts, D::Error> {
        <[u64; KINDS]>::deserialize(input).map(Amounts)
    }
}
