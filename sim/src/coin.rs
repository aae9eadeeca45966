//! What people do with money: bring it in, pass it on, change it, take it out, and reach for what is not there.

use control::{Actor, Command, Purse};
use units::{Asset, Hour, Money};

use crate::people::Purpose;
use crate::world::{Due, World};

const ASSETS: [Asset; 3] = [Asset::Usd, Asset::Usdc, Asset::Io];

impl World {
    /// The operator brings the coin into the world, fills purses, and tidies up.
    pub(crate) fn bank(&mut self) {
        if !self.raining || !self.plan.coin {
            return;
        }
        let later = self.dice.seconds(5, 40);
        self.agenda.at(self.now.after(later), Due::Bank);
        let (operator, to) = (Actor::Operator, self.any_purse());
        match self.dice.between(0, 9) {
            0..=1 => self.bring_in(to),
            2 => self.bring_in(Purse::Exchange),
            3..=4 => {
                let (from, money) = (Purse::Treasury, self.some(Asset::Io));
                self.ask(operator, Command::Transfer { from, to, money }, Purpose::Other);
            }
            5 => {
                let (from, to, money) = (Purse::Treasury, Purse::Exchange, self.some(Asset::Io));
                self.ask(operator, Command::Transfer { from, to, money }, Purpose::Other);
            }
            6 => {
                let from = *self.dice.pick(&[Purse::Fees, Purse::Exchange]).expect("two");
                let money = self.some_of_any();
                self.ask(operator, Command::Transfer { from, to, money }, Purpose::Other);
            }
            7 => {
                let purse = *self.dice.pick(&[Purse::Fees, Purse::Treasury]).expect("two");
                self.convert(operator, purse, Purpose::Other);
            }
            8..=9 if self.dice.chance(700) => {
                let account = self.any_account();
                let money = Money::new(Asset::Io, self.dice.between(1, 50_000) * 100_000_000);
                let (from, to) = (Purse::Treasury, Purse::Account(account));
                self.ask(operator, Command::Transfer { from, to, money }, Purpose::Other);
            }
            8 => self.convert(operator, Purse::Exchange, Purpose::Theft),
            _ => self.genesis(),
        }
    }

    /// The coin's beginning; that it has one already is no reason not to try.
    pub(crate) fn genesis(&mut self) {
        let months = ["2024-07", "2025-06", "2025-07", "2030-01"];
        // Who works for hours on end is to be paid for some of them.
        let among = if self.plan.novelties.toil { &months[..2] } else { &months[..] };
        let month = self.dice.pick(among).expect("some");
        let first_month = month.parse().expect("a month is well formed");
        self.ask(Actor::Operator, Command::Genesis { first_month }, Purpose::Other);
    }

    /// Money arrives from outside: coins only if some have left before.
    fn bring_in(&mut self, to: Purse) {
        let money = if self.plan.giants && self.dice.chance(300) {
            Money::new(*self.dice.pick(&ASSETS).expect("three"), u64::MAX / 3)
        } else {
            self.some_of_any()
        };
        let command = Command::Deposit { to, money, reference: "0x5eed".to_owned() };
        self.ask(Actor::Operator, command, Purpose::Other);
    }

    /// A renter or a supplier does something with what they have, or have not.
    pub(crate) fn spend(&mut self, renter: usize) {
        if !self.plan.coin {
            return;
        }
        let known = &self.people.renters[renter];
        let (own, project) = (known.account, known.project);
        let supplier = self.dice.pick(&self.people.suppliers).copied().unwrap_or(own);
        let account = if self.dice.chance(400) { supplier } else { own };
        let purse = if account == own && self.dice.chance(500) {
            Purse::Project(project)
        } else {
            Purse::Account(account)
        };
        let (by, to) = (Actor::Account(account), self.any_purse());
        match self.dice.between(0, 9) {
            0..=3 => {
                let money = self.some_of_any();
                self.ask(by, Command::Transfer { from: purse, to, money }, Purpose::Other);
            }
            4..=6 => self.convert(by, purse, Purpose::Other),
            7 => {
                let (money, to) = (self.some_of_any(), "0xabc".to_owned());
                self.ask(by, Command::Withdraw { account, money, to }, Purpose::Other);
            }
            _ => self.reach_for_more(by, purse),
        }
    }

    fn convert(&mut self, by: Actor, purse: Purse, purpose: Purpose) {
        let give = self.some_of_any();
        let take = *self.dice.pick(&ASSETS).expect("three");
        let at_least = if self.dice.chance(700) { 0 } else { self.some(take).units };
        let until = self.server_clock().after(self.dice.millis(0, 60_000)).millis();
        let quoted_until_millis = self.dice.chance(400).then_some(until);
        let command = Command::Convert { purse, give, take, at_least, quoted_until_millis };
        self.ask(by, command, purpose);
    }

    /// What must be refused, whoever tries: more than there is, nothing, from others, to oneself.
    fn reach_for_more(&mut self, by: Actor, purse: Purse) {
        let asset = *self.dice.pick(&ASSETS).expect("three");
        let (all, money) = (Money::new(asset, u64::MAX), Money::new(asset, 1));
        let next = |account| Actor::Account(account) == by;
        let other =
            self.people.suppliers.iter().chain(self.people.renters.iter().map(|it| &it.account));
        let other = other.copied().find(|account| !next(*account));
        let Some(victim) = other else { return };
        let (from, to) = (Purse::Account(victim), "0xabc".to_owned());
        let command = match self.dice.between(0, 7) {
            0 => Command::Transfer { from: purse, to: Purse::Fees, money: all },
            1 => Command::Transfer { from: purse, to: purse, money },
            2 => Command::Transfer { from: purse, to: from, money: Money::new(asset, 0) },
            3 => Command::Transfer { from: Purse::Treasury, to: purse, money },
            4 => Command::Transfer { from, to: purse, money },
            5 => Command::Withdraw { account: victim, money, to },
            6 => Command::Deposit { to: purse, money, reference: String::new() },
            _ => Command::Convert {
                purse: Purse::Exchange,
                give: money,
                take: asset,
                at_least: 0,
                quoted_until_millis: None,
            },
        };
        self.ask(by, command, Purpose::Theft);
    }

    fn any_purse(&mut self) -> Purse {
        let renter = &self.people.renters[self.dice.index(self.people.renters.len())];
        let (account, project) = (renter.account, renter.project);
        let supplier = self.dice.pick(&self.people.suppliers).copied().unwrap_or(account);
        match self.dice.between(0, 9) {
            0..=4 => Purse::Project(project),
            5..=6 => Purse::Account(account),
            7 => Purse::Account(supplier),
            8 => Purse::Treasury,
            _ => Purse::Exchange,
        }
    }

    fn some_of_any(&mut self) -> Money {
        let asset = *self.dice.pick(&ASSETS).expect("three");
        self.some(asset)
    }

    /// An amount somebody might have: from one unit to thousands of dollars.
    fn some(&mut self, asset: Asset) -> Money {
        let most = *self.dice.pick(&[10, 1_000_000, 100_000_000, 5_000_000_000]).expect("four");
        let scale = if asset == Asset::Io { 1_000 } else { 1 };
        Money::new(asset, self.dice.between(1, most * scale))
    }

    /// An hour for new parameters: at once, soon, or too late.
    pub(crate) fn some_hour(&mut self) -> Option<Hour> {
        let hour = Hour::of(self.server_clock());
        match self.dice.between(0, 9) {
            0..=4 => None,
            5..=6 => Some(hour),
            7..=8 => Some(hour.next()),
            _ => Some(Hour::from_number(hour.number() - 1)),
        }
    }
}
