//! What every story begins with: a coin, suppliers with staked machines, and somebody with dollars.

use control::{Actor, Command, MachineRecord, OrderRecord, Purse};
use units::{AccountId, Coins, HOUR, Hour, MINUTE, Money, WorkerId};

use crate::economy::network::Network;
use crate::economy::renter::{Manner, Wish, order};
use crate::economy::supplier::Class;

/// Units of a coin.
pub(super) const COIN: u64 = 100_000_000;

/// A network on which a story is played.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) network: Network,
}

impl Stage {
    /// The coin is born as an hour begins; its schedule begins with that month.
    pub(super) fn at(hour: &str) -> Self {
        let hour: Hour = hour.parse().expect("an hour, written here");
        let mut network = Network::new(hour.start());
        network.must(Actor::Operator, Command::Genesis { first_month: hour.month() });
        Self { network }
    }

    pub(super) fn new() -> Self {
        Self::at("2025-06-01T00")
    }

    /// An account with so many coins.
    pub(super) fn holder(&mut self, name: &str, coins: u64) -> AccountId {
        let account = self.network.open_account(name);
        let money = Money::from(Coins::from_units(coins * COIN));
        let to = Purse::Account(account);
        if coins > 0 {
            let command = Command::Transfer { from: Purse::Treasury, to, money };
            self.network.must(Actor::Operator, command);
        }
        account
    }

    /// A machine of an account, with all that it needs at stake.
    pub(super) fn machine(&mut self, account: AccountId, machine: MachineRecord) -> WorkerId {
        let worker = self.network.join(account, machine);
        let coins = self.network.control.worker(worker).expect("it joined").listing.stake_needed;
        self.network.must(Actor::Account(account), Command::Stake { worker, coins });
        worker
    }

    /// So many suppliers with a machine each.
    pub(super) fn suppliers(&mut self, class: Class, count: usize) -> Vec<(AccountId, WorkerId)> {
        let one = |index| {
            let account = self.holder(&format!("{}-{index}", class.text()), 100_000);
            (account, self.machine(account, class.machine(country())))
        };
        (0..count).map(one).collect()
    }

    pub(super) fn hours(&mut self, hours: u32) {
        self.network.pass(HOUR * hours);
    }

    /// Until a block that was open as the hour began is closed.
    pub(super) fn settle(&mut self) {
        self.network.pass(MINUTE * 2);
    }

    /// What blocks have paid an account and it has not claimed, in units.
    pub(super) fn earned(&self, account: AccountId) -> u128 {
        u128::from(self.network.control.economy().accruals.account_total(account).units())
    }

    /// What is at stake on a machine.
    pub(super) fn stake_of(&self, worker: WorkerId) -> Coins {
        self.network.control.economy().stakes.have(worker, self.network.now)
    }
}

pub(super) fn country() -> units::Country {
    "DE".parse().expect("two letters")
}

/// An order for a part of a machine.
pub(super) fn wanted(class: Class, parts: u32) -> OrderRecord {
    let wish = Wish { class, manner: Manner::Short, parts, hours: 1, bid: None };
    order(&wish, &std::collections::BTreeSet::new())
}

/// Coins with four decimals.
pub(super) fn coins(units: u128) -> String {
    format!("{}.{:04} IO", units / u128::from(COIN), units % u128::from(COIN) / 10_000)
}

/// A share of a whole in percent with three decimals.
pub(super) fn percent(part: u128, whole: u128) -> String {
    let thousandths = part * 100_000 / whole.max(1);
    format!("{}.{:03} %", thousandths / 1_000, thousandths % 1_000)
}
