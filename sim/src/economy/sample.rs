//! What a month came to, and a year of them.

use control::Control;
use ledger::Holder;
use rewards::supply::{Parts, Supply};
use units::{Asset, Coins, Month, Timestamp};

use super::network::Network;
use super::town::Town;
use super::watch::CAP;

/// One class of suppliers over a span. Money in millionths of a dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OfClass {
    /// What blocks paid, at the price of the day it was counted on.
    pub(super) rewards: u128,
    /// What rentals paid.
    pub(super) rentals: u128,
    /// What running costs came to.
    pub(super) cost: u128,
    /// Parts that were rented and parts that were there, summed over the times somebody looked.
    pub(super) rented: u64,
    pub(super) there: u64,
    pub(super) spot: Spot,
    /// Machines at the end.
    pub(super) machines: u64,
}

/// What of a class was rented as spot over a span. Money in millionths of a dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spot {
    /// What it paid.
    pub(super) income: u128,
    /// Parts, summed over the times somebody looked.
    pub(super) rented: u64,
    /// What an hour of them cost, and what it would have cost on demand, summed likewise.
    pub(super) cost: u64,
    pub(super) on_demand: u64,
}

impl Spot {
    const fn add(&mut self, before: &Self) {
        self.income += before.income;
        self.rented += before.rented;
        self.cost += before.cost;
        self.on_demand += before.on_demand;
    }
}

/// Where all coins are, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Where {
    /// What exists: genesis and what was emitted, less what was burned.
    pub(super) total: u128,
    pub(super) circulating: u128,
    pub(super) emitted: u128,
    pub(super) burned: u128,
    /// On machines, cooling down and locked among it.
    pub(super) staked: u128,
    /// In the safety module.
    pub(super) safety: u128,
    pub(super) unvested: u128,
    pub(super) treasury: u128,
    /// Outside the network.
    pub(super) outside: u128,
}

/// A month, or what months came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// The month that it ends with.
    pub(super) month: Option<Month>,
    pub(super) coins: Where,
    /// What a coin was worth at the end, in millionths of a dollar.
    pub(super) micros: u64,
    /// What an hour of a card cost at the end, by class, in millionths of a dollar.
    pub(super) prices: [u64; 3],
    pub(super) classes: [OfClass; 3],
    /// Wishes that found no machine.
    pub(super) refused: u64,
    /// Spot rentals that had to go because others paid more: for the cards on demand, and as the spot price rose.
    pub(super) wanted_back: u64,
    pub(super) outbid: u64,
    /// What was released of genesis by the end, by class.
    pub(super) released: [u128; 5],
    /// What the network kept of rentals in all, in units of dollars.
    pub(super) fees: u64,
}

impl Sample {
    /// This and what came after it.
    pub(super) fn then(mut self, next: &Self) -> Self {
        let mut all = *next;
        all.refused += self.refused;
        all.wanted_back += self.wanted_back;
        all.outbid += self.outbid;
        for (sum, before) in all.classes.iter_mut().zip(&mut self.classes) {
            sum.rewards += before.rewards;
            sum.rentals += before.rentals;
            sum.cost += before.cost;
            sum.rented += before.rented;
            sum.there += before.there;
            sum.spot.add(&before.spot);
        }
        all
    }

    /// Utilisation of a class, in thousandths.
    pub(super) fn utilisation(&self, class: usize) -> u64 {
        let of = &self.classes[class];
        of.rented * 1_000 / of.there.max(1)
    }

    /// The part of a class's rented hours that was spot, in thousandths.
    pub(super) fn spot_share(&self, class: usize) -> u64 {
        let of = &self.classes[class];
        of.spot.rented * 1_000 / of.rented.max(1)
    }

    /// What spot cost of what it would have cost on demand, in thousandths; nothing where there was none.
    pub(super) fn spot_price(&self, class: usize) -> u64 {
        let of = &self.classes[class].spot;
        of.cost * 1_000 / of.on_demand.max(1)
    }

    /// What rentals paid to all suppliers, in millionths of a dollar.
    pub(super) fn rentals(&self) -> u128 {
        self.classes.iter().map(|class| class.rentals).sum()
    }
}

/// Where the coins of a network are.
pub(super) fn coins(control: &Control, now: Timestamp) -> Where {
    let economy = control.economy();
    let purse = |holder| control.available(holder, Asset::Io).units;
    let released = economy
        .grants
        .values()
        .map(|grant| grant.coins.checked_sub(grant.released(now)).map_or(0, Coins::units));
    let parts = Parts {
        cap: control.parameters().emission.cap,
        genesis: control.parameters().emission.genesis,
        emitted: economy.blocks.emitted,
        burned: Coins::from_units(purse(Holder::Burned)),
        unvested: Coins::from_units(released.sum()),
        treasury: Coins::from_units(purse(Holder::Treasury)),
        staked: Coins::from_units(purse(Holder::Stakes) + purse(Holder::SafetyModule)),
    };
    let supply = Supply::of(&parts).expect("the parts fit under the cap");
    let units = |coins: Coins| u128::from(coins.units());
    Where {
        total: units(supply.total),
        circulating: units(supply.circulating),
        emitted: units(parts.emitted),
        burned: units(parts.burned),
        staked: u128::from(purse(Holder::Stakes)),
        safety: u128::from(purse(Holder::SafetyModule)),
        unvested: units(parts.unvested),
        treasury: units(parts.treasury),
        outside: outside(control),
    }
}

/// Coins outside, in units.
pub(super) fn outside(control: &Control) -> u128 {
    CAP - super::watch::inside(control)
}

impl Network {
    pub(super) fn supply(&self) -> Where {
        coins(&self.control, self.now)
    }

    /// What the safety module brings in a year, in ten-thousandths; much while nobody is there.
    pub(super) fn safety_yield_bp(&self) -> u128 {
        let basis = self.control.economy().stakes.safety.yield_basis(self.now);
        basis.yearly_bp().map_or(u128::MAX, u128::from)
    }
}

impl Town {
    /// Ends a month's sample and begins the next.
    pub(super) fn closed(&mut self, month: Month) -> Sample {
        let mut sample = std::mem::take(&mut self.sample);
        sample.month = Some(month);
        sample.coins = self.network.supply();
        sample.micros = self.bourse.micros;
        for class in super::supplier::Class::ALL {
            let machines = self.suppliers.iter().filter(|it| it.class == class);
            let count = machines.map(|it| it.machines.len()).sum::<usize>();
            sample.classes[class.index()].machines = u64::try_from(count).expect("a few");
            sample.prices[class.index()] = self.price(class).map_or(0, |(price, _)| price);
        }
        let released = self.holders.iter().map(|holder| holder.released(&self.network));
        for (sum, released) in sample.released.iter_mut().zip(released) {
            *sum = released;
        }
        sample.fees = self.network.control.available(Holder::Fees, Asset::Usd).units;
        sample
    }
}
