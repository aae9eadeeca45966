//! What is scarce: models that orders insist on, and room for gangs of whole cards of one host.
//!
//! Both are priced alike: what will be asked for until all hosts are full, if orders go on as they did, over what is
//! left of it. A price is in thousandths of what it is the price of.

use std::collections::BTreeMap;

use super::host::{Host, MODELS_MAX, Models, Need};
use super::policy::GANGS_MAX;

/// A price of one: what is lost is lost to somebody who would have had it.
const ONE: u64 = 1_000;
/// Nothing is wanted more often than this much too often, in thousandths.
const MODEL_PRESSURE_MAX: u64 = 4 * ONE;
/// The same for gangs, whose prices are of its square, so that they rise late and steeply.
const GANG_PRESSURE_MAX: u64 = 10 * ONE;
/// A gang that finds no room is not lost whole: its cards go to others. So its price is a tenth of what it would be.
const GANG_PART: u64 = 10;

/// A size of gangs: whole cards of one host, with what comes with them on average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gang {
    cards: u8,
    cpu_milli: u32,
    memory_mib: u32,
    /// What part of all cards is asked for in this size, in thousandths.
    share: u64,
    price: u64,
    /// How many cards there is room for.
    room: u64,
}

/// Prices, and what they follow from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prices {
    gangs: Vec<Gang>,
    /// What part of all cards is asked for by those who insist on some models, in thousandths.
    wanted: BTreeMap<Models, u64>,
    of_models: [i64; MODELS_MAX as usize],
    /// What is free of each model, in thousandths of a card.
    free: [u64; MODELS_MAX as usize],
}

impl Default for Prices {
    fn default() -> Self {
        Self::none()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    orders: u64,
    demand_milli: u64,
    cpu_milli: u64,
    memory_mib: u64,
}

impl Asked {
    fn add(&mut self, order: &Need, count: u64) {
        self.orders += count;
        self.demand_milli += u64::from(order.demand_milli()) * count;
        self.cpu_milli += u64::from(order.cpu_milli) * count;
        self.memory_mib += u64::from(order.memory_mib) * count;
    }
}

impl Prices {
    pub(crate) fn none() -> Self {
        Self {
            gangs: Vec::new(),
            wanted: BTreeMap::new(),
            of_models: [0; MODELS_MAX as usize],
            free: [0; MODELS_MAX as usize],
        }
    }

    /// Prices for hosts like these while orders are like the recent ones.
    pub(crate) fn of<'a>(recent: impl Iterator<Item = (&'a Need, u32)>, hosts: &[Host]) -> Self {
        let mut by_size: BTreeMap<u8, Asked> = BTreeMap::new();
        let mut by_models: BTreeMap<Models, Asked> = BTreeMap::new();
        let mut all = Asked::default();
        for (order, count) in recent {
            let count = u64::from(count);
            all.add(order, count);
            if order.cards() > 1 {
                by_size.entry(order.cards()).or_default().add(order, count);
            }
            if order.models() != Models::ANY {
                by_models.entry(order.models()).or_default().add(order, count);
            }
        }
        let share = |asked: &Asked| asked.demand_milli * ONE / all.demand_milli.max(1);
        let wanted = by_models.iter().map(|(models, asked)| (*models, share(asked))).collect();
        let mut sizes: Vec<(u8, Asked)> = by_size.into_iter().collect();
        sizes.sort_by_key(|(cards, asked)| std::cmp::Reverse((asked.demand_milli, *cards)));
        sizes.truncate(GANGS_MAX);
        let gang = |(cards, asked): &(u8, Asked)| Gang {
            cards: *cards,
            cpu_milli: mean(asked.cpu_milli, asked.orders),
            memory_mib: mean(asked.memory_mib, asked.orders),
            share: share(asked),
            price: 0,
            room: 0,
        };
        let mut prices = Self { gangs: sizes.iter().map(gang).collect(), wanted, ..Self::none() };
        hosts.iter().for_each(|host| prices.count(host, u64::wrapping_add));
        prices.follow();
        prices
    }

    /// Prices of gangs for whoever does not know all hosts: as if as much were asked for as is left. Three times that
    /// gives away half a point less of all cards.
    pub(crate) fn supposing<'a>(orders: impl Iterator<Item = (&'a Need, u32)>) -> Self {
        let mut prices = Self::of(orders, &[]);
        for gang in &mut prices.gangs {
            gang.price = gang.share / GANG_PART;
        }
        prices
    }

    /// A host is another.
    pub(crate) fn on_change(&mut self, before: &Host, after: &Host) {
        self.count(before, u64::wrapping_sub);
        self.count(after, u64::wrapping_add);
    }

    fn count(&mut self, host: &Host, into: impl Fn(u64, u64) -> u64) {
        let free = &mut self.free[host.model.index()];
        *free = into(*free, u64::from(host.cards.sum_milli()));
        let untouched = host.cards.untouched();
        for gang in &mut self.gangs {
            let room = gang.room(untouched, host.cpu_milli, host.memory_mib);
            gang.room = into(gang.room, u64::from(room));
        }
    }

    /// Follows what is left of the hosts.
    pub(crate) fn follow(&mut self) {
        let all: u64 = self.free.iter().sum();
        for gang in &mut self.gangs {
            let pressure = pressure(gang.share * all, gang.room * ONE).min(GANG_PRESSURE_MAX);
            gang.price = gang.share * pressure / ONE * pressure / ONE / GANG_PART;
        }
        self.follow_models(all);
    }

    fn follow_models(&mut self, all: u64) {
        let free = &self.free;
        self.of_models = [0; MODELS_MAX as usize];
        for (models, share) in &self.wanted {
            let among = |number: &usize| models.contains_number(*number);
            let left = (0..free.len()).filter(among).map(|number| free[number]).sum();
            let pressure = pressure(share * all, left).min(MODEL_PRESSURE_MAX);
            let pressure = i64::try_from(pressure).expect("it is bounded");
            (0..free.len()).filter(among).for_each(|number| self.of_models[number] += pressure);
        }
    }

    /// How many cards of each priced size of gangs the host has room for.
    #[inline]
    pub(crate) fn room(&self, untouched: u8, cpu_milli: u32, memory_mib: u32) -> [u8; GANGS_MAX] {
        let mut room = [0; GANGS_MAX];
        for (room, gang) in room.iter_mut().zip(&self.gangs) {
            *room = gang.room(untouched, cpu_milli, memory_mib);
        }
        room
    }

    /// The price of taking that much of a host's model, in millionths of a card.
    #[inline]
    pub(crate) fn of_model(&self, host: &Host, demand_milli: u32) -> i64 {
        self.of_models[host.model.index()] * i64::from(demand_milli)
    }

    /// The price of that many cards of each size for which there is room no longer, in millionths of a card.
    #[inline]
    pub(crate) fn of_gangs(&self, lost: &[u8; GANGS_MAX]) -> i64 {
        if *lost == [0; GANGS_MAX] {
            return 0;
        }
        let each =
            self.gangs.iter().zip(lost).map(|(gang, lost)| gang.price * u64::from(*lost) * ONE);
        i64::try_from(each.sum::<u64>()).expect("pressures are bounded")
    }
}

impl Gang {
    /// How many of a host's cards could be in gangs of this size.
    fn room(&self, untouched: u8, cpu_milli: u32, memory_mib: u32) -> u8 {
        if untouched < self.cards {
            return 0;
        }
        let by_cards = u32::from(untouched / self.cards);
        let by_cpu = cpu_milli.checked_div(self.cpu_milli).unwrap_or(by_cards);
        let by_memory = memory_mib.checked_div(self.memory_mib).unwrap_or(by_cards);
        let gangs =
            u8::try_from(by_cards.min(by_cpu).min(by_memory)).expect("a host has few cards");
        gangs * self.cards
    }
}

/// How many times what is left will be wanted, in thousandths. One card more is left than there is, so that nothing
/// is divided by nothing.
fn pressure(wanted: u64, left: u64) -> u64 {
    wanted / (left + ONE)
}

fn mean(sum: u64, count: u64) -> u32 {
    u32::try_from(sum / count.max(1)).expect("no mean is above the largest")
}
