//! What is asked of cards on the first day, and how long it may take.
//!
//! - Every round is opened, with one row of each where there are many: who leaves out a whole product is always asked
//!   for a row of it. There are 64 rows or more in all.
//! - A session of a card costs a verifier about 30 ms of one core, so that two cores check a hundred thousand twice an
//!   hour: matrices have 2^13 rows at most, and four walkers are opened, whose legs are as short as the bound of their
//!   ends allows.
//! - A walk is so long that its limit stands for about half of the bandwidth of the slowest card of the class, by its
//!   data sheet, and that neither a host's memory nor any card that makes blocks anew keeps up with it. Which faster
//!   card it is is for its fingerprint to say.

use units::DeviceKind;

use super::{Class, MemoryPlan};
use crate::task::{Matmul, Puzzle};

/// Ten puzzles, as io.net hands them out.
const PUZZLE: Puzzle = Puzzle { bits: 20, count: 10, limit_ms: 20_000 };

/// 64 products of 2^12 rows, a row of each opened.
const PRODUCTS: Matmul =
    Matmul { log_n: 12, rounds: 64, checked: 64, rows: 1, limit_ms: 4_000, answer_ms: 20_000 };

/// Nine tenths of the memory, walked through by 2^14 walkers.
const WALKS: MemoryPlan = MemoryPlan {
    share_bp: 9_000,
    mix: 1_400,
    log_walkers: 14,
    legs: 32,
    steps: 64,
    opened: 4,
    fill_ms_per_gib: 2_000,
    walk_ms: 1_500,
    answer_ms: 10_000,
};

/// A processor of two cores multiplies 2^9 rows in some milliseconds.
pub(super) const CPU: Class = Class {
    kind: DeviceKind::Cpu,
    vram_from_mib: 0,
    puzzle: Some(Puzzle { bits: 14, ..PUZZLE }),
    matmul: Some(Matmul { log_n: 9, rounds: 8, checked: 8, rows: 8, limit_ms: 20_000, ..PRODUCTS }),
    memory: None,
    proof_ms: 10_000,
};

/// A `GeForce` of the 20 series: 50 TOPS of bytes at least, 300 GB/s.
pub(super) const SMALL: Class = Class {
    kind: DeviceKind::Gpu,
    vram_from_mib: 0,
    puzzle: Some(PUZZLE),
    matmul: Some(PRODUCTS),
    memory: Some(WALKS),
    proof_ms: 25_000,
};

/// 24 GiB and more: 200 TOPS, 600 GB/s.
pub(super) const LARGE: Class = Class {
    vram_from_mib: 22_000,
    matmul: Some(Matmul { log_n: 13, ..PRODUCTS }),
    memory: Some(MemoryPlan { mix: 1_768, legs: 64, steps: 48, fill_ms_per_gib: 500, ..WALKS }),
    ..SMALL
};

/// 80 GB and more: 600 TOPS, 2 TB/s.
pub(super) const DATA_CENTER: Class = Class {
    vram_from_mib: 78_000,
    matmul: Some(Matmul { log_n: 13, rounds: 128, checked: 128, limit_ms: 2_000, ..PRODUCTS }),
    memory: Some(MemoryPlan { mix: 336, legs: 64, steps: 288, fill_ms_per_gib: 200, ..WALKS }),
    proof_ms: 20_000,
    ..SMALL
};
