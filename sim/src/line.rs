//! Renters who wait in line for machines, and those who leave it.

use control::{Actor, Command};
use units::{AccountId, OrderId};

use crate::habits::name;
use crate::people::Purpose;
use crate::world::World;

impl World {
    /// Waits for machines, or waits no longer; now and then takes somebody else's place away, or tries to.
    pub(crate) fn wait_in_line(&mut self, renter: usize) {
        let other = (renter + 1) % self.people.renters.len();
        let leaves = match self.dice.between(0, 9) {
            0..=6 => None,
            7..=8 => Some((renter, Purpose::Other)),
            _ => Some((other, Purpose::Theft)),
        };
        let account = self.people.renters[renter].account;
        if let Some((whose, purpose)) = leaves {
            let orders = &self.people.renters[whose].orders;
            let Some(waiting) = self.dice.pick(orders).copied() else { return };
            return self.ask(Actor::Account(account), Command::Leave { waiting }, purpose);
        }
        let Command::Quote { project, order, hours, pay, .. } = self.some_quote(renter) else {
            return;
        };
        let minutes = self.dice.between(1, 20);
        let command = Command::Wait {
            waiting: OrderId::from_bits(self.fresh_bits()),
            project,
            order,
            hours,
            pay,
            name: name("waited"),
            until_millis: self.now.millis() + minutes * 60_000,
        };
        self.ask(Actor::Account(account), command, Purpose::Wait(renter));
    }

    /// Nobody waits any longer.
    pub(crate) fn leave_all(&mut self) {
        let renters = self.people.renters.iter();
        let waiting = renters.flat_map(|it| it.orders.iter().map(|order| (it.account, *order)));
        let waiting: Vec<(AccountId, OrderId)> = waiting.collect();
        for (account, waiting) in waiting {
            self.ask(Actor::Account(account), Command::Leave { waiting }, Purpose::Other);
        }
    }
}
