//! A card as a device that proves: which buffers, which kernels, in which order, whatever driver carries them out.
//!
//! # Invariants
//! - A card is handed out only after it gave the same bytes as the reference, for every kernel it will use.
//! - One kind of task at a time has memory on the card: a challenge's tasks come one after another.
//! - No launch has more to do than a band of rows, a GiB of blocks, or a leg of walks: a card that also draws a screen
//!   goes on drawing it.

mod check;
pub(crate) mod driver;
pub(crate) mod kernel;
mod matrices;
mod spread;

#[cfg(test)]
mod tests;

use proofs::limits::{LOG_N_MAX, LOG_N_MIN};
use proofs::matmul::Seeds;
use proofs::prf::words;
use proofs::{Device, DeviceFault, Matmul, Memory, Puzzle, Task};

use self::driver::{Arg, Driver, groups, mib};
use self::kernel::Kernel;
use self::matrices::Matrices;
use self::spread::Spread;

/// Bytes of the rows of a product that are on the card at a time: enough to keep it busy, and little beside a matrix.
const PRODUCT_BYTES_MAX: u64 = 512 << 20;
/// Bits of the numbers that one launch tries, at least and at most: some milliseconds of a fast card.
const TRIED_BITS: (u8, u8) = (14, 24);
/// A puzzle takes `2^bits` numbers on average; one that takes `e^-256` times as many has no solution.
const TRIED_TIMES_MAX: u64 = 256;

/// How work is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Bytes of a product's rows at a time.
    pub(crate) product_bytes_max: u64,
    /// Bytes of an allocation, at most.
    pub(crate) part_bytes_max: u64,
}

/// What is on the card.
enum Room<B> {
    Empty,
    Matrices(Matrices<B>),
    Spread(Spread<B>),
}

/// A card behind its driver.
pub(crate) struct Card<D: Driver> {
    driver: D,
    multiply: Kernel,
    cut: Cut,
    room: Room<D::Buffer>,
}

impl<D: Driver> Card<D> {
    /// The card, if it computes what the reference does; `multiply` is the kernel that it multiplies with.
    pub(crate) fn open(driver: D, multiply: Kernel) -> Result<Self, DeviceFault> {
        let part_bytes_max = driver.allocation_bytes_max()?;
        let cut = Cut { product_bytes_max: PRODUCT_BYTES_MAX, part_bytes_max };
        let mut card = Self { driver, multiply, cut: check::CUT, room: Room::Empty };
        check::check(&mut card)?;
        card.cut = cut;
        card.room = Room::Empty;
        Ok(card)
    }

    /// Room for matrices of 2^`log_n` rows, and what multiplies in it.
    fn matrices(
        &mut self,
        log_n: u8,
    ) -> Result<(&D, Kernel, &mut Matrices<D::Buffer>), DeviceFault> {
        if !(LOG_N_MIN..=LOG_N_MAX).contains(&log_n) {
            return Err(fault(&format!("there are no matrices of 2^{log_n} rows")));
        }
        let fits = matches!(&self.room, Room::Matrices(matrices) if matrices.log_n() == log_n);
        if !fits {
            self.room = Room::Empty;
            self.room = Room::Matrices(Matrices::new(&self.driver, log_n, self.cut)?);
        }
        match &mut self.room {
            Room::Matrices(matrices) => Ok((&self.driver, self.multiply, matrices)),
            Room::Empty | Room::Spread(_) => Err(fault("its matrices are gone")),
        }
    }

    /// Room for a memory, and the driver to fill it with.
    fn spread(&mut self, memory: &Memory) -> Result<(&D, &Spread<D::Buffer>), DeviceFault> {
        check_bounds(&Task::Memory(*memory))?;
        let fits = matches!(&self.room, Room::Spread(spread) if spread.fits(memory));
        if !fits {
            self.room = Room::Empty;
            self.room = Room::Spread(Spread::new(&self.driver, memory, self.cut)?);
        }
        match &self.room {
            Room::Spread(spread) => Ok((&self.driver, spread)),
            Room::Empty | Room::Matrices(_) => Err(fault("its memory is gone")),
        }
    }

    /// The smallest number that solves puzzle `index`.
    fn solve_one(
        &self,
        seed: &[u8; 32],
        index: u16,
        bits: u8,
        found: &mut D::Buffer,
    ) -> Result<u64, DeviceFault> {
        let tried = bits.saturating_add(2).clamp(TRIED_BITS.0, TRIED_BITS.1);
        let launches = (TRIED_TIMES_MAX << bits >> tried).max(1);
        for launch in 0..launches {
            let first = launch << tried;
            self.driver.write(found, &[u32::MAX])?;
            let args = [
                Arg::Buffer(found),
                Arg::Long(first),
                Arg::Word(index.into()),
                Arg::Word(bits.into()),
                Arg::Key(words(seed)),
            ];
            self.driver.launch(Kernel::Solve, groups(Kernel::Solve, 1 << tried), &args)?;
            let mut answer = [0];
            self.driver.read(found, &mut answer)?;
            if answer[0] != u32::MAX {
                return Ok(first + u64::from(answer[0]));
            }
        }
        Err(fault(&format!("no number solves puzzle {index}")))
    }
}

/// Something that a driver should have done.
pub(crate) fn fault(what: &str) -> DeviceFault {
    DeviceFault::Driver(what.to_owned())
}

/// Refuses a task whose sizes would not be sizes.
fn check_bounds(task: &Task) -> Result<(), DeviceFault> {
    task.check().map_err(|bad| DeviceFault::Driver(bad.to_string()))
}

/// A UUID in its five groups.
pub(crate) fn uuid_text(bytes: [u8; 16]) -> String {
    let hex = bytes.map(|byte| format!("{byte:02x}")).concat();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

impl<D: Driver> Device for Card<D> {
    fn name(&self) -> String {
        self.driver.name()
    }

    fn prepare(&mut self, tasks: &[Task]) -> Result<(), DeviceFault> {
        self.room = Room::Empty;
        let free = self.driver.free_bytes()?;
        for task in tasks {
            check_bounds(task)?;
            let needed = match task {
                Task::Puzzle(_) => 0,
                Task::Matmul(Matmul { log_n, .. }) => matrices::bytes(*log_n, self.cut),
                Task::Memory(memory) => spread::bytes(memory),
            };
            if needed > free {
                return Err(DeviceFault::Memory { needed_mib: mib(needed), free_mib: mib(free) });
            }
        }
        let first = tasks.iter().find(|task| !matches!(task, Task::Puzzle(_)));
        match first {
            Some(Task::Matmul(Matmul { log_n, .. })) => self.matrices(*log_n).map(|_| ()),
            Some(Task::Memory(memory)) => self.spread(memory).map(|_| ()),
            Some(Task::Puzzle(_)) | None => Ok(()),
        }
    }

    fn solve(&mut self, seed: &[u8; 32], puzzle: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
        check_bounds(&Task::Puzzle(*puzzle))?;
        let mut found = self.driver.allocate(4)?;
        (0..puzzle.count)
            .map(|index| self.solve_one(seed, index, puzzle.bits, &mut found))
            .collect()
    }

    fn multiply(
        &mut self,
        seeds: &Seeds,
        log_n: u8,
        round: u16,
    ) -> Result<Vec<[u8; 32]>, DeviceFault> {
        let (driver, kernel, matrices) = self.matrices(log_n)?;
        matrices.leaves(driver, kernel, seeds, round)
    }

    fn rows(&mut self, seeds: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault> {
        let (driver, kernel, matrices) = self.matrices(log_n)?;
        matrices.rows(driver, kernel, seeds, rows)
    }

    fn fill(&mut self, fill: &[u8; 32], memory: &Memory) -> Result<(), DeviceFault> {
        let (driver, spread) = self.spread(memory)?;
        spread.fill(driver, fill, memory.mix)
    }

    fn walk(&mut self, walk: &[u8; 32], memory: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault> {
        match &self.room {
            Room::Spread(spread) if spread.fits(memory) => {
                spread.walk(&self.driver, walk, memory.steps)
            }
            Room::Empty | Room::Matrices(_) | Room::Spread(_) => {
                Err(fault("nothing was filled before the walk"))
            }
        }
    }
}
