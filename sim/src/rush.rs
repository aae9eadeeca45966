//! A rush: many rent what is left over, each with a bid of their own, and people on demand find no machine.

use control::{Actor, Command, FiltersRecord, OrderRecord};
use units::{Credits, RentalId, Resources};

use crate::people::Purpose;
use crate::world::{Due, World};

/// What somebody on demand has with them: more than any order here counts for.
const AT_HAND: Credits = Credits::from_units(50_000_000);

impl World {
    /// Somebody bids and takes what was bid for before; now and then somebody else wants it all.
    pub(crate) fn rush(&mut self) {
        if !self.raining {
            return;
        }
        let later = self.dice.seconds(3, 12);
        self.agenda.at(self.now.after(later), Due::Rush);
        let renter = self.dice.index(self.people.renters.len());
        if self.dice.chance(120) {
            return self.crowd_out(renter);
        }
        self.bid_for_one(renter);
        self.rent(renter);
    }

    /// An order of so many nodes with one card each, of the model of some machine.
    fn one_card_each(&mut self, nodes: u32) -> OrderRecord {
        let machine = self.dice.index(self.machines.len());
        let gpu_model = self.machines[machine].record.gpu_model.clone();
        let filters = FiltersRecord { gpu_model, ..FiltersRecord::default() };
        let each = Resources { gpus: 1, vcpus: 1, memory_mib: 1_024, disk_mib: 1_000 };
        OrderRecord { nodes, each, filters, ..OrderRecord::default() }
    }

    fn bid_for_one(&mut self, renter: usize) {
        let (account, project) =
            (self.people.renters[renter].account, self.people.renters[renter].project);
        let spot = Some(Credits::from_units(self.dice.between(200_000, 6_000_000)));
        let order = OrderRecord { spot, ..self.one_card_each(1) };
        let rental = RentalId::from_bits(self.fresh_bits());
        let command = Command::Quote { rental, project, order, hours: 1, pay: None };
        self.ask(Actor::Account(account), command, Purpose::Quote(renter));
    }

    /// Somebody with money wants more cards than are free, and says so; what is free after all is no reason to go.
    fn crowd_out(&mut self, renter: usize) {
        let (account, project) =
            (self.people.renters[renter].account, self.people.renters[renter].project);
        let (amount, note) = (AT_HAND, String::new());
        self.ask(Actor::Operator, Command::TopUp { project, amount, note }, Purpose::Other);
        let nodes = self.some_hours(1, 4);
        let order = self.one_card_each(nodes);
        self.ask(Actor::Account(account), Command::TurnedAway { project, order }, Purpose::Other);
    }
}
