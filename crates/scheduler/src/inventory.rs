//! The machines of the network, what is taken of each, and where orders go.

use std::collections::BTreeMap;
use std::fmt;

use units::{Credits, Resources, WorkerId};

use crate::facets::{self, Facets};
use crate::index::{Index, Reprice};
use crate::lanes::Lanes;
use crate::limits::OFFERS_PER_PAGE_MAX;
use crate::machine::{Held, Machine, Prices, Stand};
use crate::matcher::{Cursor, Fit, Need, Offer, Placement, Seat};
use crate::matches::{Matches, Ranking};
use crate::order::{Filters, Order, Refusal, Spread};
use crate::question::Question;
use crate::survey::Survey;

/// Where more than one in so many machines have another price, all are gone through instead of each being looked up.
const REPRICED_ONE_IN: usize = 8;

/// The machines of the network, and what is taken of each.
///
/// Two are equal when their machines are, however they came to be.
#[derive(Clone, Default)]
pub struct Inventory {
    stands: BTreeMap<WorkerId, Stand>,
    open: usize,
    /// Holds every open machine as it is, and no other.
    index: Index,
}

impl PartialEq for Inventory {
    fn eq(&self, other: &Self) -> bool {
        self.stands == other.stands
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
        let marks = self.index.marks(&machine);
        let (open, held) = match self.stands.get(&machine.id) {
            Some(known) => (known.open, known.held.clone()),
            None => (false, Held::default()),
        };
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
        let few = self.few(&order.filters);
        let question = Question::new(&self.index, order, few.as_ref());
        self.matched(&question).map_err(|fits| {
            let survey = Survey::new(self, &question, few.as_ref(), &fits);
            Refusal::NoCapacity(Box::new(survey.explanation()))
        })
    }

    /// What [`Inventory::place`] answers, without the explanation: for those who ask often and tell nobody why,
    /// as a queue of waiting orders does.
    pub fn find(&self, order: &Order) -> Option<Placement> {
        order.checked().ok()?;
        let few = self.few(&order.filters);
        self.matched(&Question::new(&self.index, order, few.as_ref())).ok()
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
        hold(&mut self.index, stand, Held { gpus, resources, guests });
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
        let few = self.few(filters);
        let question = Question::new(&self.index, &order, few.as_ref());
        Matches::new(question.lanes(), &question.sieve, Ranking::Price, after)
            .take(limit.min(OFFERS_PER_PAGE_MAX))
            .map(|fit| self.offer(&question.need, &fit))
            .collect()
    }

    /// What there is to choose from: the machines that could serve one node, counted by what they have.
    pub fn facets(&self, filters: &Filters, each: &Resources) -> Facets {
        facets::facets(&self.index, self.few(filters).as_ref(), filters, *each)
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

    /// The machines of the suppliers an order names, where they are few enough to be looked at by themselves.
    fn few(&self, filters: &Filters) -> Option<Lanes> {
        let workers = self.index.few_of(&filters.suppliers)?;
        Some(Index::lanes_of(workers.map(|worker| self.stand(worker))))
    }

    /// Where an order goes, or every machine that fits when they are too few.
    fn matched(&self, question: &Question) -> Result<Placement, Vec<Fit>> {
        let nodes = usize::try_from(question.order.nodes).expect("a small number");
        let (mut seats, mut fits) = (Vec::new(), Vec::new());
        for fit in Matches::new(question.lanes(), &question.sieve, Ranking::Fit, None) {
            self.seat(&mut seats, question.order, &question.need, &fit);
            if seats.len() == nodes {
                return Ok(Placement { seats });
            }
            fits.push(fit);
        }
        Err(fits)
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn stand(&self, worker: WorkerId) -> &Stand {
        self.stands.get(&worker).expect("the index holds known machines only")
    }

    /// As many seats on the machine as fit it and are still wanted.
    fn seat(&self, seats: &mut Vec<Seat>, order: &Order, need: &Need, fit: &Fit) {
        let stand = self.stand(fit.worker);
        let node_hour = need.node_hour(fit.price.units());
        let left = order.nodes - u32::try_from(seats.len()).expect("at most the nodes asked for");
        let mut cards = stand.free_gpus();
        for _ in 0..order.spread.room(&stand.free(), &order.each).min(left) {
            let gpus = cards.lowest(order.each.gpus).expect("there is room for the node");
            cards = cards.without(gpus);
            seats.push(Seat {
                worker: fit.worker,
                gpus,
                resources: order.each,
                node_hour,
                tenant: order.tenant,
                alone: order.alone,
            });
        }
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
        hold(&mut self.index, stand, Held { gpus, resources, guests });
        Ok(())
    }
}

/// Changes what is taken of a machine, and its place in the index with it.
fn hold(index: &mut Index, stand: &mut Stand, held: Held) {
    if stand.open {
        index.hold(stand, held);
    } else {
        stand.held = held;
    }
}
