//! How many machines of a lane are alike in what facets count by, so that a lane that serves an order as a whole is
//! counted without a look at its machines; and whose they are.
//!
//! Always: a tally has as many machines as its lane, and no cell of none.

use crate::block::{CERTIFICATION_BITS, COUNTRY_BITS, Entry, TIER_BITS};
use crate::ranks::Ranks;

/// The least price of each band but the first, per GPU or vCPU: six to a decade, from a tenth of a cent to a hundred
/// dollars, so that neighbors are a third apart and their bounds are numbers that people say.
pub(crate) const BAND_EDGES: [u64; 31] = {
    let (steps, mut edges, mut at, mut scale) = ([10, 15, 20, 30, 50, 70], [0; 31], 0, 100);
    while at < edges.len() {
        edges[at] = steps[at % steps.len()] * scale;
        at += 1;
        if at.is_multiple_of(steps.len()) {
            scale *= 10;
        }
    }
    edges
};
/// Bits kept for a band.
const BAND_BITS: usize = 5;
const _: () = assert!(BAND_EDGES.len() < 1 << BAND_BITS, "each band has its number");
const _: () = assert!(BAND_EDGES[0] == 1_000 && BAND_EDGES[30] == 100_000_000, "see there");
/// Bits of a tier and a set of certifications together.
pub(crate) const KIND_BITS: usize = TIER_BITS + CERTIFICATION_BITS;

/// Which country, tier, certifications and band of price a machine has, the country first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell(u32);

const _: () = assert!(COUNTRY_BITS + KIND_BITS + BAND_BITS <= 32, "a cell is one word");

impl Cell {
    pub(crate) fn of(entry: &Entry) -> Self {
        let kind = entry.tier << CERTIFICATION_BITS | entry.certifications;
        let bits = (entry.country << KIND_BITS | kind) << BAND_BITS;
        let bits = u32::try_from(bits).expect("the index keeps numbers inside their bits");
        Self(bits).at_price(entry.unit)
    }

    /// The same at another price.
    pub(crate) fn at_price(self, unit: u64) -> Self {
        let band = BAND_EDGES.partition_point(|edge| *edge <= unit);
        let band = u32::try_from(band).expect("few bands");
        Self(self.0 >> BAND_BITS << BAND_BITS | band)
    }

    #[inline]
    pub(crate) const fn country(self) -> usize {
        self.0 as usize >> (KIND_BITS + BAND_BITS)
    }

    /// The tier, and in the low bits the set of certifications.
    #[inline]
    pub(crate) const fn kind(self) -> usize {
        (self.0 as usize >> BAND_BITS) & ((1 << KIND_BITS) - 1)
    }

    #[inline]
    pub(crate) const fn band(self) -> usize {
        self.0 as usize & ((1 << BAND_BITS) - 1)
    }
}

/// How many machines are in each cell, and whose each is, in order of the cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    cells: Vec<(Cell, u32)>,
    /// The number of the supplier of each machine.
    suppliers: Ranks<(Cell, u32)>,
}

impl Tally {
    pub(crate) fn add(&mut self, cell: Cell, supplier: u32) {
        self.suppliers.insert((cell, supplier));
        match self.cells.binary_search_by_key(&cell, |(of, _)| *of) {
            Ok(at) => self.cells[at].1 += 1,
            Err(at) => self.cells.insert(at, (cell, 1)),
        }
    }

    /// Takes out one that was added.
    pub(crate) fn take(&mut self, cell: Cell, supplier: u32) {
        self.suppliers.remove((cell, supplier));
        let at = self.cells.binary_search_by_key(&cell, |(of, _)| *of);
        let at = at.expect("what leaves was counted");
        self.cells[at].1 -= 1;
        if self.cells[at].1 == 0 {
            self.cells.remove(at);
        }
    }

    pub(crate) fn cells(&self) -> &[(Cell, u32)] {
        &self.cells
    }

    /// Sets the bit of each supplier.
    pub(crate) fn mark_all(&self, seen: &mut [u64]) {
        self.suppliers.runs().flatten().for_each(|(_, supplier)| mark(*supplier, seen));
    }

    /// Sets the bit of each supplier that has a machine in a cell that passes.
    pub(crate) fn mark(&self, passes: impl Fn(Cell) -> bool, seen: &mut [u64]) {
        let (mut runs, mut run) = (self.suppliers.runs(), [].as_slice());
        for (cell, count) in &self.cells {
            let (mut left, passes) = (usize::try_from(*count).expect("a count"), passes(*cell));
            while left > 0 {
                if run.is_empty() {
                    run = runs.next().expect("each machine has its supplier");
                }
                let (here, rest) = run.split_at(left.min(run.len()));
                if passes {
                    here.iter().for_each(|(_, supplier)| mark(*supplier, seen));
                }
                (left, run) = (left - here.len(), rest);
            }
        }
    }
}

/// Sets the bit of a supplier.
#[inline]
pub(crate) fn mark(supplier: u32, seen: &mut [u64]) {
    seen[supplier as usize / 64] |= 1 << (supplier % 64);
}
