//! A fiftieth of the network, played hour by hour: suppliers, renters, holders and the market for coins around the real
//! control plane.

use std::collections::{BTreeMap, BTreeSet};

use control::{Actor, Command};
use market::Stage;
use units::{
    AccountId, Asset, Hour, MINUTE, Month as Calendar, OfferId, ProjectId, RentalId, Timestamp,
    WorkerId,
};

use super::bourse::{Bourse, Day};
use super::deeds::open_suppliers;
use super::holder::{CoStaker, Holder, grant_all};
use super::network::Network;
use super::renter::{self, Manner, order, wish};
use super::sample::Sample;
use super::season;
use super::supplier::{Class, Month, Supplier};
use crate::dice::Dice;

/// One in so many of the network's machines and coins' dollars is played: a coin is worth a fiftieth, and fifty times
/// as many are staked for a machine, so that what a machine earns and risks in dollars is what it would be.
pub(super) const SCALE: u64 = 50;
/// What a coin is worth at genesis, in millionths of a dollar, of the whole network's.
const FIRST_MICROS: u64 = 1_000_000;
/// Renters look for machines so often, in hours.
const LOOK_HOURS: usize = 6;
/// Renters.
const RENTERS: usize = 12;
/// Co-stakers.
const CO_STAKERS: usize = 6;
/// Part of the renters that pay in coins, in thousandths.
const IN_COINS: u64 = 300;

/// The town.
#[derive(Clone, Debug)]
pub(super) struct Town {
    pub(super) network: Network,
    pub(super) bourse: Bourse,
    pub(super) suppliers: Vec<Supplier>,
    /// What happened since the last month was closed.
    pub(super) sample: Sample,
    /// Quotes in coins that were refused for want of a rate.
    pub(super) no_rate: u64,
    first: Hour,
    pub(super) holders: Vec<Holder>,
    pub(super) co_stakers: Vec<CoStaker>,
    renters: Vec<(ProjectId, AccountId)>,
    processors: BTreeSet<AccountId>,
    running: BTreeMap<RentalId, renter::Wish>,
    /// Offers to co-stake that are not over.
    pub(super) offers: BTreeSet<OfferId>,
    dark: bool,
    /// What sources said last.
    sources: Vec<(&'static str, u64)>,
    /// Sells coins to the exchange.
    maker: AccountId,
    pub(super) dice: Dice,
}

impl Town {
    /// The day before the first block.
    pub(super) fn new(seed: u64) -> Self {
        let first = Calendar::new(2024, 7).expect("a month of the calendar").first_hour();
        let mut network = Network::new(first.start());
        let stake = 200 * SCALE;
        network.patch(&format!(
            r#"{{"stakes":{{"stake_per_unit":"{stake}"}},"pricing":{{"thick_cards":12}}}}"#
        ));
        network.must(Actor::Operator, Command::Genesis { first_month: first.month() });
        let holders = grant_all(&mut network);
        let mut dice = Dice::new(seed);
        let suppliers = open_suppliers(&mut network, &mut dice);
        let processors = suppliers.iter().filter(|it| it.class == Class::Processor);
        let processors = processors.map(|it| it.account).collect();
        let renters = (0..RENTERS).map(|index| {
            let account = network.open_account(&format!("renter-{index}"));
            (network.open_project(account, &format!("renter-{index}")), account)
        });
        let renters = renters.collect();
        let maker = network.open_account("maker");
        let co_stakers = (0..CO_STAKERS)
            .map(|index| CoStaker { account: network.open_account(&format!("co-staker-{index}")) })
            .collect();
        let mut town = Self {
            network,
            bourse: Bourse::new(FIRST_MICROS / SCALE, seed ^ 0xb0),
            suppliers,
            sample: Sample::default(),
            no_rate: 0,
            first,
            holders,
            co_stakers,
            renters,
            processors,
            running: BTreeMap::new(),
            offers: BTreeSet::new(),
            dark: false,
            sources: Vec::new(),
            maker,
            dice,
        };
        town.open();
        town
    }

    /// The first coins are sold, and the first machines staked.
    fn open(&mut self) {
        for holder in self.holders.clone() {
            holder.month(&mut self.network, &mut self.bourse, u128::MAX);
        }
        for index in 0..self.suppliers.len() {
            let class = self.suppliers[index].class;
            let before = self.suppliers[..index].iter().filter(|it| it.class == class).count();
            if before < class.many().2 {
                self.grow(index);
            }
        }
        // What is sold and bought before there is a market moves none.
        (self.bourse.bought, self.bourse.sold) = (0, 0);
    }

    fn hours(&self) -> u64 {
        u64::from(self.network.hour().since(self.first))
    }

    /// Plays until a month is over and its last block is closed, and says what it came to.
    pub(super) fn month(&mut self, month: Calendar) -> Sample {
        let (start, end) = (month.first_hour(), month.later(1).first_hour());
        for at in (start.number()..end.number()).step_by(LOOK_HOURS) {
            self.told(at);
            self.network.until(Hour::from_number(at).start().after(MINUTE));
            let hour = self.hours();
            self.power(season::is_dark(hour));
            if hour.is_multiple_of(24) {
                self.day(hour);
            }
            self.look(hour);
        }
        self.network.until(end.start().after(MINUTE));
        let months = self.suppliers_month(month);
        let sample = self.closed(month);
        self.act(&months);
        sample
    }

    /// A minute before midnight sources speak, so that what is set aside at midnight finds a rate; and whoever has
    /// coins sells them for what was set aside the night before.
    fn told(&mut self, at: u32) {
        let start = Hour::from_number(at).start();
        if !at.is_multiple_of(24) || start <= self.network.now.after(MINUTE) {
            return;
        }
        self.network.until(Timestamp::from_millis(start.millis() - 60_000));
        self.sources = self.bourse.told(at / 24);
        self.network.told_rates(&self.sources);
        self.bourse.bought += self.network.make_market(self.maker);
    }

    /// A day: accidents, the coin's price, and what sources say of it.
    fn day(&mut self, hour: u64) {
        let parts = self.network.supply();
        let revenue = self.running_dollars() * 24 * 365;
        let mood = u128::from(season::mood(hour));
        self.bourse.day(&Day { revenue, circulating: parts.circulating, mood });
        // A machine trips over its cable: it is back within the day, or its rentals are lost.
        let machines = self.machines();
        if !self.dark
            && self.dice.once_in(5)
            && let Some(worker) = self.dice.pick(&machines).copied()
        {
            self.network.silent(worker);
            let away = u32::try_from(self.dice.between(2, 90)).expect("a few");
            self.network.pass(MINUTE * away);
            self.network.up(worker);
        }
    }

    pub(super) fn machines(&self) -> Vec<WorkerId> {
        self.suppliers.iter().flat_map(|supplier| supplier.machines.iter().copied()).collect()
    }

    /// What the machines of a region do when its power goes and comes.
    fn power(&mut self, dark: bool) {
        if self.dark == dark {
            return;
        }
        self.dark = dark;
        let north = "FI".parse().expect("two letters");
        let there = self.suppliers.iter().filter(|supplier| supplier.country == north);
        let machines: Vec<WorkerId> =
            there.flat_map(|it| it.machines.iter().chain(&it.leaving)).copied().collect();
        for worker in machines {
            if dark { self.network.silent(worker) } else { self.network.up(worker) }
        }
    }

    /// What rentals that run come to in an hour, in millionths of a dollar.
    fn running_dollars(&self) -> u128 {
        let known = self.running.keys().filter_map(|id| self.network.control.rental(*id));
        known.map(|rental| u128::from(rental.terms.hourly().map_or(0, |it| it.units()))).sum()
    }

    /// Renters look: what runs is counted, and what is missing is rented.
    fn look(&mut self, hour: u64) {
        let control = &self.network.control;
        let runs = |id: &RentalId| {
            control.rental(*id).is_some_and(|it| matches!(it.stage, Stage::Running { .. }))
        };
        self.running.retain(|id, _| runs(id));
        for class in Class::ALL {
            let price = self.price_permille(class);
            let wanted = renter::wanted(class, hour, price);
            for (manner, wanted) in Manner::ALL.into_iter().zip(wanted) {
                self.fill(class, manner, wanted);
            }
        }
        self.observe();
        self.observe_spot();
    }

    /// Notes how much is rented of how much there is.
    fn observe(&mut self) {
        for class in Class::ALL {
            let rented: u32 =
                self.running.values().filter(|wish| wish.class == class).map(|it| it.parts).sum();
            let machines =
                self.suppliers.iter().filter(|it| it.class == class).map(|it| it.machines.len());
            let there =
                u64::try_from(machines.sum::<usize>()).expect("a few") * u64::from(class.parts());
            let sums = &mut self.sample.classes[class.index()];
            sums.rented += u64::from(rented);
            sums.there += there;
        }
    }

    /// Notes what spot rentals cost against what they would cost on demand.
    fn observe_spot(&mut self) {
        for class in Class::ALL {
            let Some((price, _)) = self.price(class) else { continue };
            let spot = self
                .running
                .iter()
                .filter(|(_, wish)| wish.class == class && wish.manner == Manner::Spot);
            let known = spot.filter_map(|(id, wish)| {
                let hourly = self.network.control.rental(*id)?.terms.hourly().ok()?;
                Some((u64::from(wish.parts), hourly.units()))
            });
            let (parts, cost) =
                known.fold((0, 0), |(parts, cost), (more, hourly)| (parts + more, cost + hourly));
            let sums = &mut self.sample.classes[class.index()].spot;
            sums.rented += parts;
            sums.cost += cost;
            sums.on_demand += parts * price;
        }
    }

    fn fill(&mut self, class: Class, manner: Manner, wanted: u64) {
        let same = self.running.values().filter(|it| it.class == class && it.manner == manner);
        let mut running: u64 = same.map(|it| u64::from(it.parts)).sum();
        while running < wanted {
            let Some(mut wish) = wish(class, manner, wanted - running, &mut self.dice) else {
                return;
            };
            running += u64::from(wish.parts);
            if manner == Manner::Spot {
                // Whoever bids too little waits.
                wish.bid = self.price(class).map(|prices| renter::bid(prices, &mut self.dice));
                let _ = self.rent(&wish);
            } else if !self.rent_or_insist(&wish) {
                self.sample.refused += 1;
                return;
            }
        }
    }

    /// On demand: whoever finds no machine may have the one of a spot rental.
    fn rent_or_insist(&mut self, wish: &renter::Wish) -> bool {
        let Err(renter) = self.rent(wish) else { return true };
        self.network.turned_away(renter, order(wish, &self.processors));
        self.rent(wish).is_ok()
    }

    /// Somebody rents what is wished for; else says who it was that could not.
    fn rent(&mut self, wish: &renter::Wish) -> Result<(), (ProjectId, AccountId)> {
        let (project, owner) = *self.dice.pick(&self.renters).expect("there are renters");
        let order = order(wish, &self.processors);
        let mut pay = self.dice.chance(IN_COINS).then_some(Asset::Io);
        if pay.is_some() {
            self.network.told_rates(&self.sources);
            if self.network.control.rate(self.network.now).is_err() {
                self.no_rate += 1;
                pay = None;
            }
        }
        let before = self.network.supply().outside;
        let rented = self.network.rent((project, owner), order, wish.hours, pay);
        self.bourse.bought += before.saturating_sub(self.network.supply().outside);
        let id = rented.map_err(|_| (project, owner))?;
        self.running.insert(id, *wish);
        Ok(())
    }

    /// What a part of a class costs against its base price, in thousandths.
    pub(super) fn price_permille(&self, class: Class) -> u64 {
        self.price(class).map_or(1_000, |(price, base)| price * 1_000 / base.max(1))
    }

    /// What an hour of a card costs now and at rest, in millionths of a dollar.
    pub(super) fn price(&self, class: Class) -> Option<(u64, u64)> {
        class.model()?;
        let country = "DE".parse().expect("two letters");
        let quote = self.network.control.price_of(&class.machine(country))?;
        let registry = &self.network.control.parameters().registry;
        let base = registry.hour(&registry.classify(class.model()?, 0));
        Some((quote.price.units(), base.units()))
    }

    /// What the month brought each supplier, who takes the dollars out and claims the coins.
    fn suppliers_month(&mut self, month: Calendar) -> Vec<Month> {
        let hours = u128::from(month.hours());
        let paid = std::mem::take(&mut self.network.paid);
        let by_spot = std::mem::take(&mut self.network.paid_by_spot);
        [self.sample.wanted_back, self.sample.outbid] =
            std::mem::take(&mut self.network.told_to_go);
        let earned = std::mem::take(&mut self.network.watch.paid);
        let micros = u128::from(self.bourse.micros);
        let worth = |units: u128| units * micros / 100_000_000;
        let dollars = |(usd, coins): (u64, u64)| u128::from(usd) + worth(u128::from(coins));
        let month = |supplier: &Supplier| {
            let machines = supplier.machines.iter();
            let rewards = machines.filter_map(|worker| earned.get(worker)).copied().sum();
            let running = u128::try_from(supplier.machines.len()).expect("a few");
            let each = u128::from(supplier.class.cost_hour() * supplier.cost / 1_000);
            Month {
                rewards: worth(rewards),
                rentals: dollars(paid.get(&supplier.account).copied().unwrap_or_default()),
                cost: running * each * hours,
            }
        };
        let months: Vec<Month> = self.suppliers.iter().map(month).collect();
        for (supplier, month) in self.suppliers.iter().zip(&months) {
            let sums = &mut self.sample.classes[supplier.class.index()];
            sums.rewards += month.rewards;
            sums.rentals += month.rentals;
            sums.cost += month.cost;
            let spot = by_spot.get(&supplier.account).copied().unwrap_or_default();
            sums.spot.income += dollars(spot);
        }
        months
    }
}
