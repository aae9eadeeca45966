//! One opened round, checked: all that a thread needs to do it, and nothing that another could change.

use super::field::Element;
use super::sums::RowsTimes;
use super::{ROW_OF_A, ROW_OF_B, asked, leaf_of_bytes, plain, row_of_a};
use crate::bytes::{Malformed, Reader};
use crate::prf::derive;
use crate::task::{Matmul, Task};
use crate::tree::climb;

/// Why the openings of a round are refused. Checks run in the order of these variants, each for all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// They are not as long as what was asked for: a message with them is not good.
    #[error("the openings of a round: {0}")]
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

/// A round whose rows are opened: what its openings are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    log_n: u8,
    number: u16,
    seed: [u8; 32],
    root: [u8; 32],
    rows: Vec<u32>,
    secret: [u8; 32],
}

/// The rounds that this selection opens, in order, each with the secret vector that `secret` gives for it.
///
/// `None` unless the task is within its bounds and there is a seed and a root for each of its rounds.
pub fn briefs(
    task: &Matmul,
    selection: &[u8; 32],
    seeds: &[[u8; 32]],
    roots: &[[u8; 32]],
    secret: impl Fn(u16) -> [u8; 32],
) -> Option<Vec<Round>> {
    Task::Matmul(*task).check().ok()?;
    let count = usize::from(task.rounds);
    if (seeds.len(), roots.len()) != (count, count) {
        return None;
    }
    let brief = |(number, rows): (u16, Vec<u32>)| Round {
        log_n: task.log_n,
        number,
        seed: seeds[usize::from(number)],
        root: roots[usize::from(number)],
        rows,
        secret: secret(number),
    };
    Some(asked(task, selection).into_iter().map(brief).collect())
}

/// What a secret vector of a round is made of, in a session with this σ, or by whoever drew 32 bytes of their own.
pub fn secret(sigma: &[u8; 32], task: u8, round: u16) -> [u8; 32] {
    derive("iog proof 1 secret", &[sigma, &[task], &u32::from(round).to_le_bytes()])
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

impl Round {
    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The seed of its matrices.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The rows that are opened, in order.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Bytes of its openings.
    pub fn openings_bytes(&self) -> usize {
        self.rows.len() * (4 * self.n() + 32 * usize::from(self.log_n))
    }

    /// Whether these bytes open its rows, and the rows are those of the product.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, openings: &[u8]) -> Result<(), Wrong> {
        let opened = self.read(openings)?;
        self.check_paths(&opened)?;
        let w = plain::vector(&self.secret, self.n());
        let times =
            |label, rows, vector| RowsTimes { seed: &self.seed, label, rows, vector }.sums();
        let all: Vec<u32> = (0..1 << self.log_n).collect();
        let s = times(ROW_OF_B, &all, &w);
        let sums = times(ROW_OF_A, &self.rows, &s);
        let is_product =
            |(opened, sum): &(&Opened<'_>, &Element)| plain::dot(opened.entries(), &w) == **sum;
        self.refuse(opened.iter().zip(&sums).find(|row| !is_product(row)).map(|(row, _)| row))
    }

    /// The same, as slowly as it is written on the protocol's page.
    ///
    /// # Errors
    /// The same.
    pub fn check_plainly(&self, openings: &[u8]) -> Result<(), Wrong> {
        let opened = self.read(openings)?;
        self.check_paths(&opened)?;
        let w = plain::vector(&self.secret, self.n());
        let s = plain::b_times(&self.seed, &w);
        let is_product = |opened: &&Opened<'_>| {
            let a = row_of_a(&self.seed, self.n(), opened.row).into_iter().map(i32::from);
            plain::dot(opened.entries(), &w) == plain::dot(a, &s)
        };
        self.refuse(opened.iter().find(|opened| !is_product(opened)))
    }

    fn n(&self) -> usize {
        1 << self.log_n
    }

    fn read<'a>(&self, openings: &'a [u8]) -> Result<Vec<Opened<'a>>, Malformed> {
        let mut reader = Reader::new(openings);
        let mut opened = Vec::with_capacity(self.rows.len());
        for &row in &self.rows {
            let entries = reader.take(4 * self.n())?;
            let path = reader.take(32 * usize::from(self.log_n))?.as_chunks().0;
            opened.push(Opened { row, entries, path });
        }
        reader.end()?;
        Ok(opened)
    }

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

    fn refuse(&self, wrong: Option<&Opened<'_>>) -> Result<(), Wrong> {
        match wrong {
            None => Ok(()),
            Some(opened) => Err(Wrong::Product { round: self.number, row: opened.row }),
        }
    }
}
