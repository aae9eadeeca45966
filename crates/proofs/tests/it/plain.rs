//! A device that computes as the protocol's page reads: slow, and right.

use proofs::matmul::Seeds;
use proofs::matmul::plain::product;
use proofs::{Device, DeviceFault, Memory, Puzzle, Task, matmul, memory, puzzle};

/// The reference as a device. It remembers one product.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    fill: [u8; 32],
    last: Option<(Seeds, Vec<Vec<i32>>)>,
}

impl Plain {
    /// The product of a round.
    pub(crate) fn product(&mut self, seeds: &Seeds, n: usize) -> Vec<Vec<i32>> {
        match &self.last {
            Some((of, product)) if of == seeds => product.clone(),
            _ => {
                let made = product(seeds, n);
                self.last = Some((*seeds, made.clone()));
                made
            }
        }
    }
}

/// The leaves of a product.
pub(crate) fn leaves(product: &[Vec<i32>], round: u16) -> Vec<[u8; 32]> {
    (0..).zip(product).map(|(index, row)| matmul::leaf(row, index, round)).collect()
}

/// These rows of a product, one after another.
pub(crate) fn pick(product: &[Vec<i32>], rows: &[u32]) -> Vec<i32> {
    rows.iter().flat_map(|row| product[usize::try_from(*row).unwrap()].clone()).collect()
}

impl Device for Plain {
    fn name(&self) -> String {
        "reference".to_owned()
    }

    fn prepare(&mut self, _: &[Task]) -> Result<(), DeviceFault> {
        Ok(())
    }

    fn solve(&mut self, seed: &[u8; 32], puzzle: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
        let number = |index| puzzle::solve(seed, index, puzzle.bits, 0..).unwrap();
        Ok((0..puzzle.count).map(number).collect())
    }

    fn multiply(
        &mut self,
        seeds: &Seeds,
        log_n: u8,
        round: u16,
    ) -> Result<Vec<[u8; 32]>, DeviceFault> {
        Ok(leaves(&self.product(seeds, 1 << log_n), round))
    }

    fn rows(&mut self, seeds: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault> {
        Ok(pick(&self.product(seeds, 1 << log_n), rows))
    }

    fn fill(&mut self, fill: &[u8; 32], _: &Memory) -> Result<(), DeviceFault> {
        self.fill = *fill;
        Ok(())
    }

    fn walk(&mut self, walk: &[u8; 32], memory: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault> {
        let walkers = 0..1_u32 << memory.log_walkers;
        Ok(walkers.flat_map(|walker| memory::walk(&self.fill, walk, memory, walker)).collect())
    }
}
