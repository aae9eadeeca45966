//! How much of all cards any placement of given orders could give away at most, whoever decides, whatever is known.
//!
//! A relaxation: hosts of one shape are one pool of processors and memory, cards that accept the same orders one pool
//! of cards, and an order may be placed in part. Shares must fit cards whole: a card is filled by a pattern of shares.
//!
//! # Invariants
//! - The bound holds whatever the solver says. It gives prices; what these prove is added up here, in whole numbers,
//!   and prices that are wrong prove less, never too much.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use microlp::{ComparisonOp, OptimizationDirection, Problem, Solution, SolveOutcome, Variable};
use scheduler::packing::{Host, Need, WHOLE_MILLI};

use crate::replay::Story;
use crate::trace::Trace;
use crate::window::means;

/// Rounds of new patterns: some dozen are needed.
const ROUNDS_MAX: usize = 200;
/// Prices are proven in millionths of a thousandth of a card.
const SCALE: i32 = 1_000_000;
/// No price of the solver's is believed beyond that, in thousandths of a card: cards are worth a thousand.
const PRICE_MAX: f64 = 1e9;
/// A pattern that is worth less than so much more than its card, in thousandths of a card, is as good as known.
const NEAR: f64 = 1e-6;

/// Hosts that have the same.
#[derive(Clone, Copy, Debug)]
struct Shape {
    host: Host,
    hosts: u32,
    /// Which pool its cards belong to.
    pool: usize,
}

/// Orders that need the same.
#[derive(Clone, Copy, Debug)]
struct Kind {
    need: Need,
    orders: u32,
}

/// What has a price: in thousandths of a card, for one unit each.
#[derive(Clone, Debug)]
struct Prices<T> {
    /// A thousandth of a processor of each shape.
    cpu: Vec<T>,
    /// A mebibyte of each shape.
    memory: Vec<T>,
    /// A card of each pool.
    card: Vec<T>,
    /// A place for a share of each size, on a card of each pool.
    share: Vec<BTreeMap<u16, T>>,
}

/// At most so many thousandths of a card of these hosts can be given to these orders at once.
pub fn bound_milli(hosts: &[Host], orders: &[Need]) -> Result<u64> {
    let kinds = kinds(orders);
    let (shapes, pools) = shapes(hosts, &kinds);
    let relaxation = Relaxation { kinds, shapes, pools };
    let prices = relaxation.prices().context("solve the relaxation")?;
    Ok(relaxation.proven(&prices))
}

/// The bound, in percent of all cards, of all orders that had come when they had asked for each level. A level nobody
/// asked for has none.
pub fn bounds(story: &Story, levels: &[u32]) -> Result<Vec<Option<f64>>> {
    let capacity: u64 = story.hosts.iter().map(|host| u64::from(host.cards.sum_milli())).sum();
    let bound = |level: &u32| -> Result<Option<f64>> {
        let came = story.came_at(*level);
        if came == 0 {
            return Ok(None);
        }
        let milli = bound_milli(&story.hosts, &story.orders[..came])?;
        Ok(Some(100.0 * milli as f64 / capacity as f64))
    };
    levels.iter().map(bound).collect()
}

/// The bounds of all seeds' stories, on average.
pub fn mean(trace: &Trace, seeds: &[u64], levels: &[u32]) -> Result<Vec<Option<f64>>> {
    let of_seed = |seed: &u64| bounds(&Story::of(trace, *seed, levels), levels);
    let rows: Vec<Vec<Option<f64>>> = seeds.iter().map(of_seed).collect::<Result<_>>()?;
    Ok(means(&rows, levels.len()))
}

impl Story {
    /// How many orders have come when the last has come at which what was asked for rounds to that level; none if it
    /// never does.
    fn came_at(&self, level: u32) -> usize {
        let capacity: u64 = self.hosts.iter().map(|host| u64::from(host.cards.sum_milli())).sum();
        let mut asked = 0;
        let levels = self.orders.iter().map(|order| {
            asked += u64::from(order.demand_milli());
            (asked * 200 + capacity) / (2 * capacity).max(1)
        });
        let at_level = (1..).zip(levels).filter(|(_, reached)| *reached == u64::from(level));
        at_level.map(|(came, _)| came).last().unwrap_or_default()
    }
}

fn kinds(orders: &[Need]) -> Vec<Kind> {
    let mut kinds: BTreeMap<Need, u32> = BTreeMap::new();
    let with_cards = orders.iter().filter(|order| order.cards() > 0);
    with_cards.for_each(|order| *kinds.entry(*order).or_default() += 1);
    kinds.into_iter().map(|(need, orders)| Kind { need, orders }).collect()
}

/// Shapes of hosts with cards, and how many pools their cards make.
fn shapes(hosts: &[Host], kinds: &[Kind]) -> (Vec<Shape>, usize) {
    let mut pools: BTreeMap<Vec<bool>, usize> = BTreeMap::new();
    let mut shapes: BTreeMap<(u32, u32, usize, Vec<bool>), Shape> = BTreeMap::new();
    for host in hosts.iter().filter(|host| !host.cards.free().is_empty()) {
        let accepts: Vec<bool> =
            kinds.iter().map(|kind| kind.need.models().contains(host.model)).collect();
        let next = pools.len();
        let pool = *pools.entry(accepts.clone()).or_insert(next);
        let key = (host.cpu_milli, host.memory_mib, host.cards.free().len(), accepts);
        shapes.entry(key).or_insert(Shape { host: *host, hosts: 0, pool }).hosts += 1;
    }
    (shapes.into_values().collect(), pools.len())
}

struct Relaxation {
    kinds: Vec<Kind>,
    shapes: Vec<Shape>,
    pools: usize,
}

impl Relaxation {
    /// Prices of the best bound of this kind, as far as the solver finds them: the relaxation's dual, to which patterns
    /// are added while one is worth more than its card.
    fn prices(&self) -> Result<Prices<f64>> {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let variables = self.variables(&mut problem);
        self.orders_pay(&mut problem, &variables);
        let mut solution = solved(problem.solve()?)?;
        for _ in 0..ROUNDS_MAX {
            let values = variables.map(|variable| solution[*variable]);
            let mut is_known = true;
            for pool in 0..self.pools {
                let (worth, pattern) = best_pattern(&values.share[pool]);
                if worth <= values.card[pool] + NEAR {
                    continue;
                }
                is_known = false;
                let shares = pattern
                    .iter()
                    .map(|(size, times)| (variables.share[pool][size], f64::from(*times)));
                let row: Vec<(Variable, f64)> =
                    shares.chain([(variables.card[pool], -1.0)]).collect();
                solution = solved(solution.add_constraint(row, ComparisonOp::Le, 0.0)?)?;
            }
            if is_known {
                break;
            }
        }
        Ok(variables.map(|variable| solution[*variable]))
    }

    fn variables(&self, problem: &mut Problem) -> Prices<Variable> {
        let mut variable = |amount: f64| problem.add_var(amount, (0.0, f64::INFINITY));
        let of_shape = |shape: &Shape, each: u32| f64::from(shape.hosts) * f64::from(each);
        let sizes = || self.kinds.iter().map(|kind| &kind.need).filter(|need| need.is_share());
        Prices {
            cpu: self.shapes.iter().map(|s| variable(of_shape(s, s.host.cpu_milli))).collect(),
            memory: self.shapes.iter().map(|s| variable(of_shape(s, s.host.memory_mib))).collect(),
            card: (0..self.pools).map(|pool| variable(self.cards(pool) as f64)).collect(),
            share: (0..self.pools)
                .map(|_| sizes().map(|need| (need.card_milli(), variable(0.0))).collect())
                .collect(),
        }
    }

    /// What an order is worth is at most what it pays wherever it goes, and what it keeps.
    fn orders_pay(&self, problem: &mut Problem, prices: &Prices<Variable>) {
        for kind in &self.kinds {
            let keeps = problem.add_var(f64::from(kind.orders), (0.0, f64::INFINITY));
            for (shape, of) in self.where_it_fits(&kind.need) {
                let mut row = vec![
                    (keeps, 1.0),
                    (prices.cpu[shape], f64::from(kind.need.cpu_milli)),
                    (prices.memory[shape], f64::from(kind.need.memory_mib)),
                ];
                row.push(match prices.share[of.pool].get(&kind.need.card_milli()) {
                    Some(share) => (*share, 1.0),
                    None => (prices.card[of.pool], f64::from(kind.need.cards())),
                });
                problem.add_constraint(row, ComparisonOp::Ge, f64::from(kind.need.demand_milli()));
            }
        }
    }

    fn where_it_fits(&self, need: &Need) -> impl Iterator<Item = (usize, &Shape)> {
        self.shapes.iter().enumerate().filter(move |(_, shape)| shape.host.fits(need))
    }

    fn cards(&self, pool: usize) -> u64 {
        let of_pool = self.shapes.iter().filter(|shape| shape.pool == pool);
        of_pool.map(|shape| u64::from(shape.hosts) * shape.host.cards.free().len() as u64).sum()
    }

    /// What these prices prove, whatever they are: everything there is at its price, and of each order what it is worth
    /// above all that it would pay where it pays least.
    fn proven(&self, prices: &Prices<f64>) -> u64 {
        let mut prices = prices.map(|price| scaled(*price));
        for pool in 0..self.pools {
            let (worth, _) = best_pattern(&prices.share[pool]);
            prices.card[pool] = prices.card[pool].max(worth);
        }
        let of_hosts = (0..).zip(&self.shapes).map(|(place, shape): (usize, &Shape)| {
            let host = i128::from(shape.host.cpu_milli) * prices.cpu[place]
                + i128::from(shape.host.memory_mib) * prices.memory[place];
            host * i128::from(shape.hosts)
        });
        let of_cards = (0..self.pools).map(|pool| i128::from(self.cards(pool)) * prices.card[pool]);
        let of_orders = self.kinds.iter().map(|kind| {
            let keeps = self.where_it_fits(&kind.need).map(|(place, shape)| {
                let cards = match prices.share[shape.pool].get(&kind.need.card_milli()) {
                    Some(share) => *share,
                    None => prices.card[shape.pool] * i128::from(kind.need.cards()),
                };
                i128::from(kind.need.demand_milli()) * i128::from(SCALE)
                    - i128::from(kind.need.cpu_milli) * prices.cpu[place]
                    - i128::from(kind.need.memory_mib) * prices.memory[place]
                    - cards
            });
            i128::from(kind.orders) * keeps.max().unwrap_or_default().max(0)
        });
        let sum: i128 = of_hosts.chain(of_cards).chain(of_orders).sum();
        u64::try_from(sum / i128::from(SCALE)).expect("hosts have less than that")
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is far below the largest number")]
fn scaled(price: f64) -> i128 {
    (price.clamp(0.0, PRICE_MAX) * f64::from(SCALE)).round() as i128
}

fn solved(outcome: SolveOutcome) -> Result<Solution> {
    match outcome {
        SolveOutcome::Solution(solution) => Ok(solution),
        SolveOutcome::Interrupted(_) => bail!("the solver stopped, though nothing limits it"),
    }
}

impl<T> Prices<T> {
    fn map<U>(&self, to: impl Fn(&T) -> U) -> Prices<U> {
        let all = |prices: &Vec<T>| prices.iter().map(&to).collect();
        let share = |sizes: &BTreeMap<u16, T>| {
            sizes.iter().map(|(size, price)| (*size, to(price))).collect()
        };
        Prices {
            cpu: all(&self.cpu),
            memory: all(&self.memory),
            card: all(&self.card),
            share: self.share.iter().map(share).collect(),
        }
    }
}

/// The shares that fit on one card and are worth most together, and how often each is among them.
fn best_pattern<T: Copy + Default + PartialOrd + std::ops::Add<Output = T>>(
    prices: &BTreeMap<u16, T>,
) -> (T, BTreeMap<u16, u32>) {
    let whole = usize::from(WHOLE_MILLI);
    // The best of each room, and the share that came to it last.
    let mut best: Vec<(T, Option<u16>)> = vec![(T::default(), None); whole + 1];
    for room in 1..=whole {
        best[room] = (best[room - 1].0, None);
        for (size, price) in prices.range(..=u16::try_from(room).unwrap_or(WHOLE_MILLI)) {
            let worth = best[room - usize::from(*size)].0 + *price;
            if worth > best[room].0 {
                best[room] = (worth, Some(*size));
            }
        }
    }
    let mut pattern = BTreeMap::new();
    let mut room = whole;
    while room > 0 {
        match best[room].1 {
            Some(size) => {
                *pattern.entry(size).or_default() += 1;
                room -= usize::from(size);
            }
            None => room -= 1,
        }
    }
    (best[whole].0, pattern)
}
