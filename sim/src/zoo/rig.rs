//! A prover's device: real bytes for the small tasks, right ones or bent ones, and a model's time for the real tasks.

use std::cell::Cell;
use std::rc::Rc;

use proofs::matmul::plain::{product, times};
use proofs::matmul::{Seeds, leaf, row_of_a, row_of_b};
use proofs::{Device, DeviceFault, Memory, Puzzle, Task, memory, puzzle};

use super::card::{Pace, about};
use crate::dice::Dice;

/// Microseconds of a session, shared by all who take part.
pub(super) type Clock = Rc<Cell<u64>>;

pub(super) fn pass(clock: &Clock, micros: u64) {
    clock.set(clock.get() + micros);
}

/// What a device computes in place of what it should.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bytes {
    /// What it should.
    Right,
    /// The sums of rows times the sums of columns, divided by the size.
    RankOne,
    /// The product, as a float of so many bits keeps it.
    Rounded(u32),
    /// The product of entries without their low four bits.
    Nibbles,
    /// So many rows of each product are left out.
    SkipsRows(usize),
    /// A product is left out so often, in thousandths.
    SkipsRounds(u64),
    /// By the recurrence that holds for entries that follow from the sum of their places.
    Hankel,
    /// Commits to nothing, and computes what is asked for afterwards.
    Late,
    /// The matrices of the first session it ever saw.
    Stale,
    /// Opens nothing.
    OpensNothing,
    /// Opens one row again and again.
    OpensOne,
    /// Opens what was asked for in another order.
    OpensAround,
    /// So often a leg is not walked, in thousandths.
    SkipsLegs(u64),
    /// Rows to which something is added that the verifier's vector does not see, made of σ.
    Blind([u8; 32]),
}

/// What it does when it sees that it would not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nerve {
    /// Answers all the same.
    Steady,
    /// Says that its driver failed.
    BreaksOff,
}

/// The device.
#[derive(Debug)]
pub(super) struct Rig<'a> {
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    pub(super) dice: &'a mut Dice,
    pub(super) bytes: Bytes,
    pub(super) nerve: Nerve,
    /// The first seeds it ever saw, for whoever computes beforehand.
    pub(super) stale: Option<Seeds>,
    /// Whether the card is at work elsewhere, or gone: it says so at once.
    pub(super) is_away: bool,
    made: Vec<Made>,
    rounds: u16,
    limit_us: u64,
    begun: u64,
    fill: [u8; 32],
}

/// A product as it was committed to.
#[derive(Debug)]
struct Made {
    seeds: Seeds,
    rows: Vec<Vec<i32>>,
    wrong: Vec<bool>,
}

impl<'a> Rig<'a> {
    pub(super) fn new(clock: Clock, pace: Pace, dice: &'a mut Dice) -> Self {
        Self {
            clock,
            pace,
            dice,
            bytes: Bytes::Right,
            nerve: Nerve::Steady,
            stale: None,
            is_away: false,
            made: Vec::new(),
            rounds: 1,
            limit_us: 0,
            begun: 0,
            fill: [0; 32],
        }
    }

    fn make(&mut self, seeds: &Seeds, n: usize) -> Made {
        let right = |rows| Made { seeds: *seeds, rows, wrong: vec![false; n] };
        let wrong = |rows| Made { seeds: *seeds, rows, wrong: vec![true; n] };
        match self.bytes {
            Bytes::Right
            | Bytes::OpensNothing
            | Bytes::OpensOne
            | Bytes::OpensAround
            | Bytes::SkipsLegs(_) => right(product(seeds, n)),
            Bytes::RankOne => wrong(rank_one(seeds, n)),
            Bytes::Rounded(bits) => wrong(rounded(product(seeds, n), bits)),
            Bytes::Nibbles => wrong(nibbles(seeds, n)),
            Bytes::SkipsRows(count) => {
                let mut made = right(product(seeds, n));
                let first = self.dice.index(n);
                // An odd step meets every row of a power of two.
                for row in (0..count).map(|number| (first + 37 * number) % n) {
                    made.rows[row].fill(0);
                    made.wrong[row] = true;
                }
                made
            }
            Bytes::SkipsRounds(permille) if self.dice.chance(permille) => {
                wrong(vec![vec![0; n]; n])
            }
            Bytes::SkipsRounds(_) => right(product(seeds, n)),
            Bytes::Hankel => wrong(hankel(seeds, n)),
            Bytes::Late => wrong(vec![vec![0; n]; n]),
            Bytes::Stale => wrong(product(&self.stale.unwrap_or(*seeds), n)),
            Bytes::Blind(sigma) => {
                let mut rows = product(seeds, n);
                super::blind::bend(&mut rows, &sigma);
                wrong(rows)
            }
        }
    }

    /// How much of a product's time it spends, in thousandths.
    fn effort(&self, made: &Made) -> u64 {
        match self.bytes {
            Bytes::RankOne | Bytes::Hankel | Bytes::Late => 5,
            Bytes::Nibbles => 500,
            Bytes::SkipsRounds(_) if made.wrong.first() == Some(&true) => 5,
            Bytes::SkipsRows(count) => 1_000 - 1_000 * count as u64 / made.rows.len() as u64,
            Bytes::Stale => 20,
            Bytes::Right
            | Bytes::Rounded(_)
            | Bytes::SkipsRounds(_)
            | Bytes::OpensNothing
            | Bytes::OpensOne
            | Bytes::OpensAround
            | Bytes::SkipsLegs(_)
            | Bytes::Blind(_) => 1_000,
        }
    }

    /// Which rows it opens when it is asked for these.
    fn opened(&self, mut asked: Vec<usize>) -> Vec<usize> {
        if self.bytes == Bytes::OpensNothing {
            asked.clear();
        }
        if self.bytes == Bytes::OpensOne {
            asked = vec![asked[0]; asked.len()];
        }
        if self.bytes == Bytes::OpensAround {
            asked.reverse();
        }
        asked
    }

    fn broke() -> DeviceFault {
        DeviceFault::Driver("the card has fallen off the bus".to_owned())
    }
}

impl Device for Rig<'_> {
    fn name(&self) -> String {
        "of the zoo".to_owned()
    }

    fn prepare(&mut self, tasks: &[Task]) -> Result<(), DeviceFault> {
        if self.is_away {
            return Err(Self::broke());
        }
        for task in tasks {
            if let Task::Matmul(matmul) = task {
                self.rounds = matmul.rounds;
                self.limit_us = u64::from(matmul.limit_ms) * 1_000;
            }
        }
        Ok(())
    }

    fn solve(&mut self, seed: &[u8; 32], asked: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
        pass(&self.clock, about(self.pace.puzzle, self.dice));
        let number = |index| puzzle::solve(seed, index, asked.bits, 0..).unwrap_or(0);
        Ok((0..asked.count).map(number).collect())
    }

    fn multiply(
        &mut self,
        seeds: &Seeds,
        log_n: u8,
        round: u16,
    ) -> Result<Vec<[u8; 32]>, DeviceFault> {
        if round == 0 {
            self.begun = self.clock.get();
            self.stale = self.stale.or(Some(*seeds));
        }
        let made = self.make(seeds, 1 << log_n);
        let whole = about(self.pace.products / f64::from(self.rounds), self.dice);
        pass(&self.clock, whole * self.effort(&made) / 1_000);
        let is_late = self.clock.get() - self.begun > self.limit_us;
        if self.nerve == Nerve::BreaksOff && round + 1 == self.rounds && is_late {
            return Err(Self::broke());
        }
        let leaves = (0_u32..).zip(&made.rows).map(|(index, row)| leaf(row, index, round));
        let leaves = leaves.collect();
        self.made.push(made);
        Ok(leaves)
    }

    fn rows(&mut self, seeds: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault> {
        let made = self.made.iter().find(|made| made.seeds == *seeds).ok_or_else(Self::broke)?;
        let places: Vec<usize> = rows.iter().map(|row| *row as usize).collect();
        if self.nerve == Nerve::BreaksOff && places.iter().any(|row| made.wrong[*row]) {
            return Err(Self::broke());
        }
        if self.bytes == Bytes::Late {
            let right = product(seeds, 1 << log_n);
            return Ok(places.iter().flat_map(|row| right[*row].clone()).collect());
        }
        let places = self.opened(places);
        Ok(places.iter().flat_map(|row| made.rows[*row].clone()).collect())
    }

    fn fill(&mut self, fill: &[u8; 32], _: &Memory) -> Result<(), DeviceFault> {
        self.fill = *fill;
        pass(&self.clock, about(self.pace.fill, self.dice));
        Ok(())
    }

    fn walk(&mut self, walk: &[u8; 32], asked: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault> {
        let skipped = if let Bytes::SkipsLegs(permille) = self.bytes { permille } else { 0 };
        let seconds = self.pace.walk * (1_000 - skipped) as f64 / 1_000.0;
        let took = about(seconds, self.dice);
        pass(&self.clock, took);
        if self.nerve == Nerve::BreaksOff && took > u64::from(asked.walk_ms) * 1_000 {
            return Err(Self::broke());
        }
        let walkers = 0..1_u32 << asked.log_walkers;
        let mut ends: Vec<_> =
            walkers.flat_map(|walker| memory::walk(&self.fill, walk, asked, walker)).collect();
        for end in &mut ends {
            if self.dice.chance(skipped) {
                *end = [7; 32];
            }
        }
        Ok(ends)
    }
}

fn indices(n: usize) -> std::ops::Range<u32> {
    0..u32::try_from(n).expect("matrices of the zoo are small")
}

fn rank_one(seeds: &Seeds, n: usize) -> Vec<Vec<i32>> {
    let sum = |row: Vec<i8>| row.into_iter().map(i64::from).sum::<i64>();
    let rows: Vec<i64> = indices(n).map(|row| sum(row_of_a(&seeds.left, n, row))).collect();
    let mut columns = vec![0_i64; n];
    for row in indices(n) {
        for (sum, entry) in columns.iter_mut().zip(row_of_b(&seeds.right, n, row)) {
            *sum += i64::from(entry);
        }
    }
    let entry = |row: i64, column: &i64| {
        i32::try_from(row * column / n as i64).expect("sums of a few bytes")
    };
    rows.iter().map(|row| columns.iter().map(|column| entry(*row, column)).collect()).collect()
}

/// As a float keeps it that has so many bits.
fn rounded(mut rows: Vec<Vec<i32>>, bits: u32) -> Vec<Vec<i32>> {
    for entry in rows.iter_mut().flatten() {
        let used = 32 - entry.unsigned_abs().leading_zeros();
        let lost = used.saturating_sub(bits);
        *entry = (*entry >> lost) << lost;
    }
    rows
}

fn nibbles(seeds: &Seeds, n: usize) -> Vec<Vec<i32>> {
    let coarse = |row: Vec<i8>| row.into_iter().map(|entry| entry & !15).collect::<Vec<i8>>();
    let b: Vec<Vec<i8>> = indices(n).map(|row| coarse(row_of_b(&seeds.right, n, row))).collect();
    indices(n).map(|row| times(&coarse(row_of_a(&seeds.left, n, row)), &b)).collect()
}

/// C[i+1][j+1] = C[i][j] − f(i) g(j) + f(i+n) g(j+n), with f and g read off the edges of the matrices.
fn hankel(seeds: &Seeds, n: usize) -> Vec<Vec<i32>> {
    let (first, last) = (0, u32::try_from(n - 1).expect("small"));
    let [mut f, f_tail] = [first, last].map(|row| row_of_a(&seeds.left, n, row));
    let [mut g, g_tail] = [first, last].map(|row| row_of_b(&seeds.right, n, row));
    f.extend(f_tail);
    g.extend(g_tail);
    let whole = |from: &[i8], with: &[i8]| -> i32 {
        from.iter().zip(with).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
    };
    let mut rows = vec![vec![0_i32; n]; n];
    for j in 0..n {
        rows[0][j] = whole(&f[..n], &g[j..j + n]);
    }
    for i in 1..n {
        rows[i][0] = whole(&f[i..i + n], &g[..n]);
        for j in 1..n {
            let gone = i32::from(f[i - 1]) * i32::from(g[j - 1]);
            let came = i32::from(f[i - 1 + n]) * i32::from(g[j - 1 + n]);
            rows[i][j] = rows[i - 1][j - 1] - gone + came;
        }
    }
    rows
}
