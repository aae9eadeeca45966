//! Matrices on a card: B whole, and kept for all rounds of a task; A and the product in bands of rows that are hashed,
//! or read, and then overwritten.

use proofs::DeviceFault;
use proofs::matmul::Seeds;
use proofs::prf::words;

use super::Cut;
use super::driver::{Arg, Driver, groups};
use super::fault;
use super::kernel::Kernel;

/// Rows and columns that a group multiplies: `TILE` of `matmul.c`.
const TILE: u32 = 128;
/// Entries of a chunk of BLAKE3.
const CHUNK: u32 = 256;
/// Bytes of a block of ChaCha, as a power of two.
const LOG_BLOCK: u8 = 6;

/// Buffers for matrices of one size.
pub(crate) struct Matrices<B> {
    log_n: u8,
    /// Rows of a band, a multiple of a tile and a divisor of `n`.
    band: u32,
    /// The seed that `b` was made of.
    made: Option<[u8; 32]>,
    rows: B,
    a: B,
    b: B,
    product: B,
    cvs: [B; 2],
    leaves: B,
}

/// Bytes of each buffer, in the order of the fields.
struct Sizes {
    band: u32,
    rows: u64,
    a: u64,
    b: u64,
    product: u64,
    cvs: [u64; 2],
    leaves: u64,
}

impl Sizes {
    fn of(log_n: u8, cut: Cut) -> Self {
        let n = 1_u64 << log_n;
        let fit = (cut.product_bytes_max / (4 * n)).max(1).ilog2();
        let band = (1_u64 << fit).clamp(TILE.into(), n);
        let cvs = band * (n / u64::from(CHUNK)) * 32;
        Self {
            band: u32::try_from(band).expect("at most the rows of a matrix"),
            rows: 4 * n,
            a: band * n,
            b: n * n,
            product: 4 * band * n,
            cvs: [cvs, cvs / 2],
            leaves: 32 * n,
        }
    }
}

/// Bytes that matrices need on a card.
pub(crate) fn bytes(log_n: u8, cut: Cut) -> u64 {
    let Sizes { rows, a, b, product, cvs: [cvs, half], leaves, .. } = Sizes::of(log_n, cut);
    rows + a + b + product + cvs + half + leaves
}

impl<B> Matrices<B> {
    /// Room for matrices of 2^`log_n` rows.
    pub(crate) fn new<D: Driver<Buffer = B>>(
        driver: &D,
        log_n: u8,
        cut: Cut,
    ) -> Result<Self, DeviceFault> {
        let sizes = Sizes::of(log_n, cut);
        Ok(Self {
            log_n,
            band: sizes.band,
            made: None,
            rows: driver.allocate(sizes.rows)?,
            a: driver.allocate(sizes.a)?,
            b: driver.allocate(sizes.b)?,
            product: driver.allocate(sizes.product)?,
            cvs: [driver.allocate(sizes.cvs[0])?, driver.allocate(sizes.cvs[1])?],
            leaves: driver.allocate(sizes.leaves)?,
        })
    }

    /// Which size they have.
    pub(crate) fn log_n(&self) -> u8 {
        self.log_n
    }

    fn n(&self) -> u32 {
        1 << self.log_n
    }

    /// The leaves of all rows of a product.
    pub(crate) fn leaves<D: Driver<Buffer = B>>(
        &mut self,
        driver: &D,
        multiply: Kernel,
        seeds: &Seeds,
        round: u16,
    ) -> Result<Vec<[u8; 32]>, DeviceFault> {
        self.make_b(driver, &seeds.right)?;
        let all: Vec<_> = (0..self.n()).collect();
        driver.write(&mut self.rows, &all)?;
        for first in (0..self.n()).step_by(self.band as usize) {
            self.multiply(driver, multiply, &seeds.left, [first, self.band])?;
            self.hash(driver, first, round)?;
        }
        let mut hashes = vec![0; self.n() as usize * 8];
        driver.read(&self.leaves, &mut hashes)?;
        Ok(hashes.as_chunks::<8>().0.iter().map(bytes_of).collect())
    }

    /// Rows of a product, one after another.
    pub(crate) fn rows<D: Driver<Buffer = B>>(
        &mut self,
        driver: &D,
        multiply: Kernel,
        seeds: &Seeds,
        rows: &[u32],
    ) -> Result<Vec<i32>, DeviceFault> {
        if rows.iter().any(|row| *row >= self.n()) {
            return Err(fault("a row is asked for that the matrix does not have"));
        }
        self.make_b(driver, &seeds.right)?;
        let mut entries = Vec::with_capacity(rows.len() * self.n() as usize);
        for band in rows.chunks(self.band as usize) {
            let tiles = u32::try_from(band.len()).expect("at most a band").div_ceil(TILE);
            // What the last tile has beyond the rows is row 0 over and over.
            let mut list = band.to_vec();
            list.resize((tiles * TILE) as usize, 0);
            driver.write(&mut self.rows, &list)?;
            self.multiply(driver, multiply, &seeds.left, [0, tiles * TILE])?;
            let mut product = vec![0; band.len() * self.n() as usize];
            driver.read(&self.product, &mut product)?;
            entries.extend(product.into_iter().map(u32::cast_signed));
        }
        Ok(entries)
    }

    fn make_b<D: Driver<Buffer = B>>(
        &mut self,
        driver: &D,
        right: &[u8; 32],
    ) -> Result<(), DeviceFault> {
        if self.made == Some(*right) {
            return Ok(());
        }
        self.made = None;
        let log_blocks = self.log_n - LOG_BLOCK;
        let items = (self.n() / 4) << log_blocks;
        let args = [
            Arg::Buffer(&self.b),
            Arg::Word(log_blocks.into()),
            Arg::Word(items),
            Arg::Key(words(right)),
        ];
        driver.launch(Kernel::MakeB, groups(Kernel::MakeB, items), &args)?;
        self.made = Some(*right);
        Ok(())
    }

    /// Makes `count` rows of A, those listed from `first` on, and multiplies them.
    fn multiply<D: Driver<Buffer = B>>(
        &self,
        driver: &D,
        kernel: Kernel,
        left: &[u8; 32],
        [first, count]: [u32; 2],
    ) -> Result<(), DeviceFault> {
        let log_blocks = self.log_n - LOG_BLOCK;
        let items = count << log_blocks;
        let args = [
            Arg::Buffer(&self.a),
            Arg::Buffer(&self.rows),
            Arg::Word(first),
            Arg::Word(log_blocks.into()),
            Arg::Word(items),
            Arg::Key(words(left)),
        ];
        driver.launch(Kernel::MakeA, groups(Kernel::MakeA, items), &args)?;
        let args = [
            Arg::Buffer(&self.a),
            Arg::Buffer(&self.b),
            Arg::Buffer(&self.product),
            Arg::Word(self.n()),
        ];
        driver.launch(kernel, [count / TILE, self.n() / TILE], &args)
    }

    /// Hashes a band of the product to the leaves from `first` on.
    fn hash<D: Driver<Buffer = B>>(
        &self,
        driver: &D,
        first: u32,
        round: u16,
    ) -> Result<(), DeviceFault> {
        let chunks = self.n() / CHUNK;
        let mut total = self.band * chunks;
        let [mut cvs, mut other] = self.cvs.each_ref();
        let args =
            [Arg::Buffer(&self.product), Arg::Buffer(cvs), Arg::Word(chunks), Arg::Word(total)];
        driver.launch(Kernel::HashChunks, groups(Kernel::HashChunks, total), &args)?;
        while total > self.band {
            total /= 2;
            let args = [Arg::Buffer(cvs), Arg::Buffer(other), Arg::Word(total)];
            driver.launch(Kernel::HashParents, groups(Kernel::HashParents, total), &args)?;
            (cvs, other) = (other, cvs);
        }
        let args = [
            Arg::Buffer(cvs),
            Arg::Buffer(&self.leaves),
            Arg::Word(chunks),
            Arg::Word(first),
            Arg::Word(round.into()),
            Arg::Word(self.band),
        ];
        driver.launch(Kernel::HashLeaves, groups(Kernel::HashLeaves, self.band), &args)
    }
}

fn bytes_of(words: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *to = word.to_le_bytes();
    }
    bytes
}
