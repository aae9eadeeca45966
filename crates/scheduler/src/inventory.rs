//! The machines of the network, what is taken of each, and where orders go.

use std::collections::BTreeMap;
use std::fmt;

use units::{Credits, Resources, WorkerId};

use crate::facets::{self, Facets};
use crate::filling::{Candidate, Filling};
use crate::index::{Index, Reprice};
use crate::lanes::Lanes;
use crate::limits::OFFERS_PER_PAGE_MAX;
use crate::machine::{Held, Machine, Prices, Stand};
use crate::matcher::{Cursor, Fit, Need, Offer, Placement, Seat};
use crate::matches::{Matches, Ranking};
use crate::near::Nearby;
use crate::order::{Filters, Near, Order, Refusal, Spread};
use crate::outlook::{Foreseen, MarketOutlook};
use crate::question::Question;
use crate::survey::Survey;

/// Where more than one in so many machines have another price, all are gone through instead of each being looked up.
const REPRICED_ONE_IN: usize = 8;

/// The machines of the network, and what is taken of each.
///
/// Two are equal when their machines are, however they came to be, and what they learnt from orders.
#[derive(Clone, Default)]
pub struct Inventory {
    stands: BTreeMap<WorkerId, Stand>,
    open: usize,
    /// Holds every open machine as it is, and no other.
    index: Index,
    outlook: MarketOutlook,
}

impl PartialEq for Inventory {
    fn eq(&self, other: &Self) -> bool {
        self.stands == other.stands && self.outlook == other.outlook
    }
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inventory")
            .field("stands", &self.stands)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

/// Why seats could not be taken. Checks run in the order of these variants, seat by seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Taken {
    /// The machine is not on the network.
    #[error("{worker} is not on the network")]
    Gone {
        /// Which.
        worker: WorkerId,
    },
    /// It takes no new orders.
    #[error("{worker} takes no new orders")]
    Closed {
        /// Which.
        worker: WorkerId,
    },
    /// Some of the seat is not free, another tenant does not bear it or it that one, or its cards are not as many as
    /// its GPUs.
    #[error("a seat on {worker} is not free")]
    NotFree {
        /// Which.
        worker: WorkerId,
    },
}

impl Inventory {
    /// A machine that is new and closed, or changed facts of one that is known: what is taken of it, and
    /// whether it is open, stay.
    pub fn put(&mut self, machine: Machine) {
        let (open, held) = match self.stands.get(&machine.id) {
            Some(known) => (known.open, known.held.clone()),
            None => (false, Held::default()),
        };
        let marks = self.index.marks(&machine, &held.guests);
        let stand = Stand { machine, open, held, marks };
        if open {
            self.index.change(&self.stands[&stand.machine.id], &stand);
        }
        self.stands.insert(stand.machine.id, stand);
    }

    /// Machines have other prices, and nothing else about them changes. Of a machine named twice the last counts; an
    /// unknown one stays unknown.
    ///
    /// It is the same as [`Inventory::put`] for each of them, at a small part of the cost when they are many.
    pub fn reprice(&mut self, prices: impl IntoIterator<Item = (WorkerId, Prices)>) {
        let mut prices: Vec<(WorkerId, Prices)> = prices.into_iter().collect();
        prices.sort_by_key(|(worker, _)| *worker);
        let mut changes = Reprice::default();
        let mut change = |stand: &mut Stand, to: Prices| {
            if stand.open {
                changes.add(stand, &to);
            }
            stand.machine.prices = to;
        };
        let last = |at: usize| prices.get(at + 1).is_none_or(|next| next.0 != prices[at].0);
        let counting = (0..prices.len()).filter(|at| last(*at)).map(|at| prices[at]);
        if prices.len() < self.stands.len() / REPRICED_ONE_IN {
            for (worker, to) in counting {
                self.stands.get_mut(&worker).into_iter().for_each(|stand| change(stand, to));
            }
        } else {
            let mut counting = counting.peekable();
            for (worker, stand) in &mut self.stands {
                while counting.next_if(|(unknown, _)| unknown < worker).is_some() {}
                if let Some((_, to)) = counting.next_if(|(known, _)| known == worker) {
                    change(stand, to);
                }
            }
        }
        self.index.reprice(changes);
    }

    /// Forgets a machine with all that is taken of it; its seats need no giving back.
    pub fn remove(&mut self, worker: WorkerId) {
        self.set_open(worker, false);
        self.stands.remove(&worker);
    }

    /// Whether a machine takes new orders: it is up and not draining. An unknown machine stays unknown.
    pub fn set_open(&mut self, worker: WorkerId, open: bool) {
        let Some(stand) = self.stands.get_mut(&worker) else { return };
        match (stand.open, open) {
            (false, true) => {
                self.open += 1;
                self.index.insert(stand);
            }
            (true, false) => {
                self.open -= 1;
                self.index.remove(stand);
            }
            (false, false) | (true, true) => {}
        }
        stand.open = open;
    }

    /// Where an order goes, all of it, best machine first by [`Fit`]; or why it goes nowhere. Changes nothing.
    pub fn place(&self, order: &Order) -> Result<Placement, Refusal> {
        order.checked()?;
        let few = self.few(order);
        let question = Question::new(self, order, few.as_ref());
        self.matched(&question).map_err(|fits| {
            let survey = Survey::new(&question, &fits);
            Refusal::NoCapacity(Box::new(survey.explanation()))
        })
    }

    /// What [`Inventory::place`] answers, without the explanation: for those who ask often and tell nobody why,
    /// as a queue of waiting orders does.
    pub fn find(&self, order: &Order) -> Option<Placement> {
        order.checked().ok()?;
        let few = self.few(order);
        self.matched(&Question::new(self, order, few.as_ref())).ok()
    }

    /// Learns from an order that came, whether it was served or not: of machines of one price, those are given first
    /// by which the orders to come lose least if they are as the last ones were.
    pub fn learn(&mut self, order: &Order) {
        self.outlook.learn(order);
    }

    /// What was learnt from orders.
    pub fn outlook(&self) -> &MarketOutlook {
        &self.outlook
    }

    /// What was learnt from orders is this.
    pub fn set_outlook(&mut self, outlook: MarketOutlook) {
        self.outlook = outlook;
    }

    /// Takes seats, all or none.
    pub fn take(&mut self, seats: &[Seat]) -> Result<(), Taken> {
        for (done, seat) in seats.iter().enumerate() {
            if let Err(taken) = self.take_one(seat) {
                seats[..done].iter().rev().for_each(|seat| self.give_back(seat));
                return Err(taken);
            }
        }
        Ok(())
    }

    /// Frees a seat that was taken.
    ///
    /// # Panics
    /// When it was not: whoever keeps the seats has lost count.
    pub fn give_back(&mut self, seat: &Seat) {
        let stand = self.stands.get_mut(&seat.worker).expect("a seat is on a known machine");
        assert!(stand.held.gpus.covers(seat.gpus), "the cards of a seat were taken");
        let resources =
            stand.held.resources.checked_sub(&seat.resources).expect("what a seat has was taken");
        let gpus = stand.held.gpus.without(seat.gpus);
        let mut guests = stand.held.guests.clone();
        assert!(guests.leave(seat.tenant, seat.alone), "whose a seat is had joined its machine");
        self.index.hold(stand, Held { gpus, resources, guests });
    }

    /// A page of the machines that could serve one node, cheapest first, starting after `after`; at most
    /// [`OFFERS_PER_PAGE_MAX`] of them.
    pub fn search(
        &self,
        filters: &Filters,
        each: &Resources,
        after: Option<Cursor>,
        limit: usize,
    ) -> Vec<Offer> {
        let order = Order { nodes: 1, each: *each, filters: filters.clone(), ..Order::default() };
        let few = self.few(&order);
        let question = Question::new(self, &order, few.as_ref());
        Matches::new(&question, Ranking::Price, after)
            .take(limit.min(OFFERS_PER_PAGE_MAX))
            .map(|found| self.offer(&question.need, &found.fit))
            .collect()
    }

    /// What there is to choose from: the machines that could serve one node, counted by what they have.
    pub fn facets(&self, filters: &Filters, each: &Resources) -> Facets {
        let order = Order { filters: filters.clone(), ..Order::default() };
        facets::facets(&self.index, self.few(&order).as_ref(), filters, *each)
    }

    /// What nobody has taken of a machine, open or closed.
    pub fn free(&self, worker: WorkerId) -> Option<Resources> {
        self.stands.get(&worker).map(Stand::free)
    }

    /// What is taken of a machine.
    pub fn taken(&self, worker: WorkerId) -> Option<&Held> {
        self.stands.get(&worker).map(|stand| &stand.held)
    }

    /// The facts of a machine.
    pub fn machine(&self, worker: WorkerId) -> Option<&Machine> {
        self.stands.get(&worker).map(|stand| &stand.machine)
    }

    /// How many machines are known.
    pub fn len(&self) -> usize {
        self.stands.len()
    }

    /// Whether no machine is known.
    pub fn is_empty(&self) -> bool {
        self.stands.is_empty()
    }

    /// How many machines take new orders.
    pub fn open_len(&self) -> usize {
        self.open
    }

    /// The machines of the suppliers an order names that it may see, where they are few enough to be looked at by
    /// themselves.
    fn few(&self, order: &Order) -> Option<Lanes> {
        let workers = self.index.few_of(&order.filters.suppliers)?;
        let sees = |stand: &&Stand| {
            let guests = &stand.held.guests;
            !guests.has_alone() || guests.only() == Some(order.tenant)
        };
        Some(Index::lanes_of(workers.map(|worker| self.stand(worker)).filter(sees)))
    }

    /// Where an order goes, or every machine that fits when they are too few; none where more than their number
    /// decides.
    fn matched(&self, question: &Question) -> Result<Placement, Vec<Fit>> {
        let (order, need) = (question.order, &question.need);
        if order.minds_others() && order.near != Near::Anywhere {
            let whole = Nearby::new(question).whole().ok_or_else(Vec::new)?;
            return Ok(self.seated(question, &whole.picks));
        }
        let mut filling = Filling::new(order.nodes);
        let matches = Matches::new(question, Ranking::Fit, None);
        let model_of = |fit: &Fit| self.stand(fit.worker).machine.gpu_model.as_ref();
        for (fit, entry) in Foreseen::new(matches, (&self.outlook, order), model_of) {
            filling.add(&Candidate::new(order, fit, &entry), need);
            if filling.is_whole() {
                return Ok(self.seated(question, &filling.picks));
            }
        }
        Err(filling.picks.into_iter().map(|(fit, _)| fit).collect())
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn stand(&self, worker: WorkerId) -> &Stand {
        self.stands.get(&worker).expect("the index holds known machines only")
    }

    /// An open machine.
    pub(crate) fn open_stand(&self, worker: WorkerId) -> Option<&Stand> {
        self.stands.get(&worker).filter(|stand| stand.open)
    }

    /// The seats of so many nodes on each machine.
    fn seated(&self, question: &Question, picks: &[(Fit, u32)]) -> Placement {
        let (order, mut seats) = (question.order, Vec::new());
        for (fit, nodes) in picks {
            let mut cards = self.stand(fit.worker).free_gpus();
            for _ in 0..*nodes {
                let gpus = cards.lowest(order.each.gpus).expect("there is room for the node");
                cards = cards.without(gpus);
                seats.push(Seat {
                    worker: fit.worker,
                    gpus,
                    resources: order.each,
                    node_hour: question.need.node_hour(fit.price.units()),
                    tenant: order.tenant,
                    alone: order.alone,
                });
            }
        }
        Placement { seats }
    }

    fn offer(&self, need: &Need, fit: &Fit) -> Offer {
        let free = self.stand(fit.worker).free();
        Offer {
            worker: fit.worker,
            node_hour: need.node_hour(fit.price.units()),
            free,
            nodes: Spread::Pack.room(&free, &need.each),
            cursor: Cursor { price: Credits::from_units(fit.price.units()), worker: fit.worker },
        }
    }

    fn take_one(&mut self, seat: &Seat) -> Result<(), Taken> {
        let worker = seat.worker;
        let stand = self.stands.get_mut(&worker).ok_or(Taken::Gone { worker })?;
        if !stand.open {
            return Err(Taken::Closed { worker });
        }
        let free = stand.free_gpus().covers(seat.gpus) && stand.free().covers(&seat.resources);
        let is_welcome = stand.held.guests.admit(seat.tenant, seat.alone);
        if !free || !is_welcome || seat.gpus.len() != seat.resources.gpus {
            return Err(Taken::NotFree { worker });
        }
        let resources = stand
            .held
            .resources
            .checked_add(&seat.resources)
            .expect("no more is taken than there is");
        let gpus = stand.held.gpus.with(seat.gpus);
        let mut guests = stand.held.guests.clone();
        guests.join(seat.tenant, seat.alone);
        self.index.hold(stand, Held { gpus, resources, guests });
        Ok(())
    }
}
