//! Futures of a host: what it would still get if orders like the recent ones came.
//!
//! A future is a row of orders drawn from the recent ones. A host plays it out alone: each order that fits is taken, on
//! the tightest card. What is idle in the end, on average of all futures, is what the host loses as it stands.
//!
//! All futures are played at once, a lane each, so that each step is a few vector instructions for each card.

use super::dice::Dice;
use super::host::{CARDS_PER_HOST_MAX, Host, MODELS_MAX, Model, Models, Need, WHOLE_MILLI};
use super::recent::Recent;

/// Futures that are looked at. Twice as many cost twice the time and give away no more.
const FUTURES: usize = 16;
/// Futures that are played at once: as many as a vector register of any processor of 64 bits holds.
const LANES: usize = 8;
/// Orders of a future: the largest hosts are full after a dozen, and what they still lack then they will not get, for
/// others want it as well. Twice as many lose a tenth of a point.
const ORDERS: usize = 20;
/// Orders of a future that come as one: the largest of them is first, for a placement may choose a little.
const AT_ONCE: usize = 2;
/// The futures are drawn with it, the first number that was tried. Another one moves an allocation by a tenth of a
/// point, by a few where processors are what is scarce.
const SEED: u64 = 7;

/// Thousandths of a card in a card's millionths, for each future: a loss of all of them is exact.
const LOSS_UNIT: u32 = 1_000;
/// Each of them counts as much.
const FUTURES_EACH: u32 = 16;

const _: () = assert!(FUTURES == FUTURES_EACH as usize);
const _: () = assert!(FUTURES.is_multiple_of(LANES), "no lane is empty");
const _: () = assert!(ORDERS.is_multiple_of(AT_ONCE), "nothing comes alone");

/// What might come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Futures {
    /// One after the other, [`ORDERS`] each.
    orders: Vec<Need>,
    /// What hosts could take of it: the first is for hosts of a model that no order names.
    scripts: Vec<Script>,
    /// Models that orders name, each with its script.
    of_models: Vec<(Model, usize)>,
    /// By how many bits processors and memory are cut so that no future asks for more than a lane holds.
    cut: (u32, u32),
}

/// A number for each of some futures. True is all ones.
type Lanes = [i16; LANES];

/// Rows of steps, [`LANES`] futures each.
type Script = Vec<Vec<Step>>;

/// The next order of some futures that hosts of a model could take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    cpu: Lanes,
    memory: Lanes,
    card_milli: Lanes,
    cards: Lanes,
    /// What the least of them asks for.
    least: (i16, i16),
    /// Whether one of them is for more than one card.
    has_gangs: bool,
}

impl Step {
    /// No host has as much of anything.
    const NOTHING: Self = Self {
        cpu: [i16::MAX; LANES],
        memory: [i16::MAX; LANES],
        card_milli: [signed(WHOLE_MILLI); LANES],
        cards: [1; LANES],
        least: (i16::MAX, i16::MAX),
        has_gangs: false,
    };
}

impl Futures {
    /// Futures in which each order of `recent` comes as often as it came. Those for no card are left out: they go where
    /// cards are lost anyhow.
    pub(crate) fn like(recent: &Recent) -> Self {
        let known: u64 = recent.for_cards().map(|(_, count)| u64::from(count)).sum();
        if known == 0 {
            return Self::default();
        }
        // Evenly spread over all that came in order, so that the futures together are like what they are drawn from.
        let total = (FUTURES * ORDERS) as u64;
        let mut orders: Vec<Need> = Vec::with_capacity(FUTURES * ORDERS);
        let mut passed = 0;
        for (order, count) in recent.for_cards() {
            passed += u64::from(count);
            while (orders.len() as u64) < total
                && (2 * orders.len() as u64 + 1) * known / (2 * total) < passed
            {
                orders.push(*order);
            }
        }
        Dice::new(SEED).shuffle(&mut orders);
        for together in orders.chunks_exact_mut(AT_ONCE) {
            together
                .sort_by_key(|order| std::cmp::Reverse((order.demand_milli(), order.cpu_milli)));
        }
        Self::of(orders)
    }

    /// These futures, one after the other.
    pub(crate) fn of(orders: Vec<Need>) -> Self {
        let cut = (cut(&orders, |order| order.cpu_milli), cut(&orders, |order| order.memory_mib));
        let named = orders.iter().map(Need::models).filter(|models| *models != Models::ANY);
        let named = named.fold(Models::NONE, Models::or);
        let mut futures =
            Self { scripts: vec![script(&orders, cut, None)], orders, cut, of_models: Vec::new() };
        for model in (0..MODELS_MAX).filter_map(Model::of).filter(|model| named.contains(*model)) {
            let script = script(&futures.orders, cut, Some(model));
            let known = futures.scripts.iter().position(|known| *known == script);
            let place = known.unwrap_or_else(|| {
                futures.scripts.push(script);
                futures.scripts.len() - 1
            });
            futures.of_models.push((model, place));
        }
        futures
    }

    /// How many orders a set of futures is made of.
    pub(crate) const LENGTH: usize = FUTURES * ORDERS;

    /// The orders they are made of.
    pub(crate) fn orders(&self) -> &[Need] {
        &self.orders
    }

    /// What the host will have idle when the futures are over, on average, in millionths of a card.
    pub(crate) fn loss(&self, host: &Host) -> u32 {
        if self.orders.is_empty() {
            return host.cards.sum_milli() * LOSS_UNIT;
        }
        let script = self.script(host.model);
        let mut free = [0; CARDS_PER_HOST_MAX];
        let some = host.cards.free().iter().filter(|milli| **milli > 0);
        let count = free.iter_mut().zip(some).map(|(free, milli)| *free = signed(*milli)).count();
        let (cpu, memory) =
            (capped(host.cpu_milli >> self.cut.0), capped(host.memory_mib >> self.cut.1));
        let play = match count {
            0 => return 0,
            1 => play::<1>,
            2 => play::<2>,
            3 => play::<3>,
            4 => play::<4>,
            5 | 6 => play::<6>,
            7 | 8 => play::<8>,
            _ => play::<CARDS_PER_HOST_MAX>,
        };
        let rows = self.scripts[script].iter();
        let idle: u32 = rows.map(|steps| play(steps, cpu, memory, &free)).sum();
        idle * LOSS_UNIT / FUTURES_EACH
    }

    fn script(&self, model: Model) -> usize {
        let named = self.of_models.iter().find(|(named, _)| *named == model);
        named.map_or(0, |(_, script)| *script)
    }
}

/// By how many bits what futures ask for must be cut so that none asks for more than a lane holds.
fn cut(orders: &[Need], part: impl Fn(&Need) -> u32) -> u32 {
    let sum = |future: &[Need]| future.iter().map(|order| u64::from(part(order))).sum::<u64>();
    let most = orders.chunks_exact(ORDERS).map(sum).max().unwrap_or_default();
    // Each order is rounded up, by less than one.
    let room = u64::from(i16::MAX.unsigned_abs()) - 1 - ORDERS as u64;
    (0..u32::BITS).find(|cut| most >> cut <= room).unwrap_or(u32::BITS - 1)
}

fn script(orders: &[Need], cut: (u32, u32), model: Option<Model>) -> Script {
    orders.chunks_exact(LANES * ORDERS).map(|some| steps(some, cut, model)).collect()
}

fn steps(orders: &[Need], cut: (u32, u32), model: Option<Model>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (lane, future) in orders.chunks_exact(ORDERS).enumerate() {
        let accepts = |order: &&Need| match model {
            Some(model) => order.models().contains(model),
            None => order.models() == Models::ANY,
        };
        let fitting = future.iter().filter(accepts);
        for (place, order) in fitting.enumerate() {
            if steps.len() == place {
                steps.push(Step::NOTHING);
            }
            let step = &mut steps[place];
            step.cpu[lane] = capped(order.cpu_milli.div_ceil(1 << cut.0));
            step.memory[lane] = capped(order.memory_mib.div_ceil(1 << cut.1));
            step.card_milli[lane] = signed(order.card_milli());
            step.cards[lane] = i16::from(order.cards());
            step.least = (step.least.0.min(step.cpu[lane]), step.least.1.min(step.memory[lane]));
            step.has_gangs |= order.cards() > 1;
        }
    }
    steps
}

/// What is idle of a host after some futures, in thousandths of a card, of all together. `CARDS` of it have something
/// free.
fn play<const CARDS: usize>(
    steps: &[Step],
    cpu: i16,
    memory: i16,
    cards: &[i16; CARDS_PER_HOST_MAX],
) -> u32 {
    let has = (cpu, memory);
    let (mut cpu, mut memory) = ([cpu; LANES], [memory; LANES]);
    let mut free = [[0; LANES]; CARDS];
    for (free, milli) in free.iter_mut().zip(cards) {
        *free = [*milli; LANES];
    }
    let can = |step: &&Step| step.least.0 <= has.0 && step.least.1 <= has.1;
    for step in steps.iter().filter(can) {
        let lacks = or(less(cpu, step.cpu), less(memory, step.memory));
        let mut wanted = except(step.cards, lacks);
        let mut tightest = [i16::MAX; LANES];
        for card in &free {
            tightest = least(tightest, max_where(*card, less(*card, step.card_milli)));
        }
        let mut is_full = equal(tightest, [i16::MAX; LANES]);
        if step.has_gangs {
            let mut lacking = wanted;
            for card in &free {
                lacking = plus(lacking, equal(*card, tightest));
            }
            is_full = or(is_full, less([0; LANES], lacking));
        }
        wanted = except(wanted, is_full);
        let is_taken = less([0; LANES], wanted);
        cpu = minus(cpu, and(step.cpu, is_taken));
        memory = minus(memory, and(step.memory, is_taken));
        for card in &mut free {
            let is_taken = and(equal(*card, tightest), less([0; LANES], wanted));
            *card = minus(*card, and(step.card_milli, is_taken));
            wanted = plus(wanted, is_taken);
        }
    }
    let idle = free.into_iter().fold([0; LANES], plus);
    idle.iter().map(|milli| u32::from(milli.unsigned_abs())).sum()
}

#[inline(always)]
fn each(one: Lanes, other: Lanes, of: impl Fn(i16, i16) -> i16) -> Lanes {
    let mut lanes = [0; LANES];
    for lane in 0..LANES {
        lanes[lane] = of(one[lane], other[lane]);
    }
    lanes
}

#[inline(always)]
fn less(one: Lanes, other: Lanes) -> Lanes {
    each(one, other, |one, other| -i16::from(one < other))
}

#[inline(always)]
fn equal(one: Lanes, other: Lanes) -> Lanes {
    each(one, other, |one, other| -i16::from(one == other))
}

#[inline(always)]
fn least(one: Lanes, other: Lanes) -> Lanes {
    each(one, other, i16::min)
}

#[inline(always)]
fn and(one: Lanes, other: Lanes) -> Lanes {
    each(one, other, |one, other| one & other)
}

#[inline(always)]
fn or(one: Lanes, other: Lanes) -> Lanes {
    each(one, other, |one, other| one | other)
}

#[inline(always)]
fn except(one: Lanes, other: Lanes) -> Lanes {
    each(one, other, |one, other| one & !other)
}

#[inline(always)]
fn max_where(one: Lanes, is_so: Lanes) -> Lanes {
    each(one, is_so, |one, is_so| one | (is_so & i16::MAX))
}

#[inline(always)]
fn plus(one: Lanes, other: Lanes) -> Lanes {
    each(one, other, i16::wrapping_add)
}

#[inline(always)]
fn minus(one: Lanes, other: Lanes) -> Lanes {
    each(one, other, i16::wrapping_sub)
}

const fn signed(milli: u16) -> i16 {
    milli as i16
}

/// No host has as much as the largest number.
fn capped(amount: u32) -> i16 {
    i16::try_from(amount).unwrap_or(i16::MAX).min(i16::MAX - 1)
}
