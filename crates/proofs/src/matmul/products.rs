//! Opened products, checked: all that a thread needs to do it, and nothing that another could change.

use std::cell::LazyCell;

use super::field::Element;
use super::sums::RowsTimes;
use super::{ROW_OF_A, ROW_OF_B, asked, leaf_of_bytes, plain, row_of_a};
use crate::bytes::{Malformed, Reader};
use crate::prf::derive;
use crate::task::{Matmul, Task};
use crate::tree::climb;

/// Why openings are refused. First comes the length of all, then each round upward: its paths, then its products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// They are not as long as what was asked for: a message with them is not good.
    #[error("the openings of products: {0}")]
    Length(#[from] Malformed),
    /// Reason 3.
    #[error("row {row} of round {round} does not lead to the root")]
    Path {
        /// The round.
        round: u16,
        /// The first such row.
        row: u32,
    },
    /// Reason 4.
    #[error("row {row} of round {round} is not the product")]
    Product {
        /// The round.
        round: u16,
        /// The first such row.
        row: u32,
    },
}

/// The products of a task whose rows are opened, and what those are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Products {
    task: Matmul,
    right: [u8; 32],
    secret: [u8; 32],
    rounds: Vec<Round>,
}

/// A round that is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Its number.
    pub number: u16,
    /// The seed of its left matrix.
    pub left: [u8; 32],
    /// What its rows were committed to by.
    pub root: [u8; 32],
    /// The rows that are opened, in order.
    pub rows: Vec<u32>,
}

/// What the secret vector of a task is made of, in a session with this σ, or by whoever drew 32 bytes of their own.
pub fn secret(sigma: &[u8; 32], task: u8) -> [u8; 32] {
    derive("iog proof 1 secret", &[sigma, &[task]])
}

/// A row as it was opened.
struct Opened<'a> {
    row: u32,
    entries: &'a [u8],
    path: &'a [[u8; 32]],
}

impl Opened<'_> {
    fn entries(&self) -> impl Iterator<Item = i32> {
        self.entries.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes))
    }
}

impl Products {
    /// What this selection opens of a task, in order, to be checked with the vector of this secret.
    ///
    /// `None` unless the task is within its bounds and there is a seed and a root for each of its rounds.
    pub fn new(
        task: &Matmul,
        selection: &[u8; 32],
        seeds: &[[u8; 32]],
        roots: &[[u8; 32]],
        secret: [u8; 32],
    ) -> Option<Self> {
        Task::Matmul(*task).check().ok()?;
        let count = usize::from(task.rounds);
        if (seeds.len(), roots.len()) != (count, count) {
            return None;
        }
        let round = |(number, rows): (u16, Vec<u32>)| {
            let (left, root) = (seeds[usize::from(number)], roots[usize::from(number)]);
            Round { number, left, root, rows }
        };
        let rounds = asked(task, selection).into_iter().map(round).collect();
        Some(Self { task: *task, right: seeds[0], secret, rounds })
    }

    /// The rounds that are opened, in order.
    pub fn rounds(&self) -> &[Round] {
        &self.rounds
    }

    /// Bytes of all openings.
    pub fn openings_bytes(&self) -> usize {
        self.task.openings_bytes()
    }

    /// Whether these bytes open the rows, and the rows are those of the products.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, openings: &[u8]) -> Result<(), Wrong> {
        self.check_by(openings, |w| {
            let all: Vec<_> = (0..1 << self.task.log_n).map(|row| (self.right, row)).collect();
            let s = RowsTimes { label: ROW_OF_B, rows: &all, vector: w }.sums();
            let of_round =
                |round: &Round| round.rows.iter().map(|row| (round.left, *row)).collect::<Vec<_>>();
            let opened: Vec<_> = self.rounds.iter().flat_map(of_round).collect();
            RowsTimes { label: ROW_OF_A, rows: &opened, vector: &s }.sums()
        })
    }

    /// The same, as slowly as it is written on the protocol's page.
    ///
    /// # Errors
    /// The same.
    pub fn check_plainly(&self, openings: &[u8]) -> Result<(), Wrong> {
        self.check_by(openings, |w| {
            let s = plain::b_times(&self.right, w);
            let sum = |left: &[u8; 32], row: &u32| {
                let a = row_of_a(left, self.n(), *row).into_iter().map(i32::from);
                plain::dot(a, &s)
            };
            let of_round = |round: &Round| {
                round.rows.iter().map(|row| sum(&round.left, row)).collect::<Vec<_>>()
            };
            self.rounds.iter().flat_map(of_round).collect()
        })
    }

    /// Checks with what opened rows times the secret vector must be, one sum after another, as `sums` makes them of
    /// that vector once the first round's paths hold.
    fn check_by(
        &self,
        openings: &[u8],
        sums: impl FnOnce(&[Element]) -> Vec<Element>,
    ) -> Result<(), Wrong> {
        let opened = self.read(openings)?;
        let vector_and_sums = LazyCell::new(|| {
            let w = plain::vector(&self.secret, self.n());
            let sums = sums(&w);
            (w, sums)
        });
        let mut at = 0;
        for (round, rows) in self.rounds.iter().zip(&opened) {
            round.check_paths(rows)?;
            let (w, sums) = &*vector_and_sums;
            round.check_products(rows, w, &sums[at..])?;
            at += rows.len();
        }
        Ok(())
    }

    fn n(&self) -> usize {
        self.task.n()
    }

    fn read<'a>(&self, openings: &'a [u8]) -> Result<Vec<Vec<Opened<'a>>>, Malformed> {
        let mut reader = Reader::new(openings);
        let mut row = |row: &u32| {
            let entries = reader.take(4 * self.n())?;
            let path = reader.take(32 * usize::from(self.task.log_n))?.as_chunks().0;
            Ok(Opened { row: *row, entries, path })
        };
        let mut of_round = |round: &Round| round.rows.iter().map(&mut row).collect();
        let opened = self.rounds.iter().map(&mut of_round).collect::<Result<_, Malformed>>()?;
        reader.end()?;
        Ok(opened)
    }
}

impl Round {
    fn check_paths(&self, opened: &[Opened<'_>]) -> Result<(), Wrong> {
        let leads_away = |opened: &&Opened<'_>| {
            let leaf = leaf_of_bytes(opened.entries, opened.row, self.number);
            climb(leaf, opened.row, opened.path) != self.root
        };
        match opened.iter().find(leads_away) {
            None => Ok(()),
            Some(opened) => Err(Wrong::Path { round: self.number, row: opened.row }),
        }
    }

    /// Compares rows times `w` with as many of the sums, from the first on.
    fn check_products(
        &self,
        opened: &[Opened<'_>],
        w: &[Element],
        sums: &[Element],
    ) -> Result<(), Wrong> {
        let is_other =
            |(opened, sum): &(&Opened<'_>, &Element)| plain::dot(opened.entries(), w) != **sum;
        match opened.iter().zip(sums).find(is_other) {
            None => Ok(()),
            Some((opened, _)) => Err(Wrong::Product { round: self.number, row: opened.row }),
        }
    }
}
