//! A card as a model of time: how long it takes for what its class is asked, by the rates of the fingerprints.
//!
//! What is played is small, so that a story takes milliseconds; what it takes is reckoned for what is really asked.
//!
//! # Invariants
//! - Bytes are computed in full for the small task; only time is a model.

use proofs::fingerprint::{Measured, Rate, Reference};
use proofs::{Judged, Matmul, Memory, Puzzle, Task};
use units::DeviceKind;

use crate::dice::Dice;

/// Integer operations of a round of mixing.
const OPS_OF_MIXING: f64 = 48.0;
/// Cells of a block.
const CELLS: f64 = 64.0;
/// Bytes of a block.
const BLOCK: f64 = 4096.0;
/// What products of small matrices reach of the data sheet, where the reference does not say.
const SMALL_MATMUL: f64 = 0.15;
/// Operations per second of a processor of two cores, as measured; `docs/benchmarks.md`.
pub(super) const PROCESSOR_OPS: f64 = 1.2e11;
/// Hashes per second of the same.
const PROCESSOR_HASHES: f64 = 1.0e7;
/// Its memory, in bytes per second.
const PROCESSOR_BYTES: f64 = 2.0e10;

/// Where blocks come from that are not in the card's memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Missing {
    /// They are made anew, with all the card's integer units.
    Made,
    /// They lie behind a link of so many bytes per second, and are split by words.
    Behind(f64),
}

/// A card, or what stands in for one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Card {
    /// Its row in the reference of fingerprints; `processor` for two cores.
    pub(super) model: &'static str,
    /// Its memory in mebibytes, where it is not the model's.
    pub(super) memory_mib: Option<u64>,
    /// What it reaches of its model's rates, in thousandths.
    pub(super) permille: u64,
    /// Where blocks come from that it has no room for.
    pub(super) missing: Missing,
}

impl Card {
    pub(super) const fn new(model: &'static str) -> Self {
        Self { model, memory_mib: None, permille: 1_000, missing: Missing::Made }
    }

    /// What it does of something per second.
    fn rate(self, reference: &Reference, rate: Rate) -> f64 {
        let whole = match reference.model(self.model) {
            Some(row) => reference.expected(row, rate).map_or_else(
                || row.bounds.map_or(PROCESSOR_OPS, |bounds| bounds.int8_ops * SMALL_MATMUL),
                |expected| expected.median,
            ),
            None => match rate {
                Rate::Matmul { .. } => PROCESSOR_OPS,
                Rate::Mix => PROCESSOR_OPS / OPS_OF_MIXING,
                Rate::Puzzle => PROCESSOR_HASHES,
                Rate::Walk => PROCESSOR_BYTES,
            },
        };
        whole * self.permille as f64 / 1_000.0
    }

    /// Rounds of mixing per second of whoever tries his best: all integer units, and the multipliers beside them where
    /// they stand apart.
    fn best_mix(self, reference: &Reference) -> f64 {
        let bounds = reference.model(self.model).and_then(|row| row.bounds);
        // With 128 lanes in a multiprocessor, additions have no other place to go.
        let beside = if self.model == "rtx-5090" { 1.0 } else { 2.0 };
        bounds.map_or(PROCESSOR_OPS, |bounds| bounds.int32_ops * beside) / OPS_OF_MIXING
    }

    fn memory_mib(self, reference: &Reference) -> u64 {
        let of_model = reference.model(self.model).map_or(0, |row| row.memory_mib);
        self.memory_mib.unwrap_or(of_model)
    }

    /// The share of what is asked to be filled for which it has no room.
    fn missing_share(self, reference: &Reference, asked: &Memory) -> f64 {
        let has = self.memory_mib(reference) as f64 * 1_048_576.0;
        (1.0 - has / asked.bytes() as f64).max(0.0)
    }

    fn walk_seconds(self, reference: &Reference, asked: &Memory) -> f64 {
        let (bytes, missing) = (asked.walked_bytes() as f64, self.missing_share(reference, asked));
        let own = bytes * (1.0 - missing) / self.rate(reference, Rate::Walk);
        let other = match self.missing {
            Missing::Made => {
                let blocks = self.best_mix(reference) / (CELLS * f64::from(asked.mix));
                bytes / BLOCK * missing / blocks
            }
            // The state has as many words as a block: split by words, a step sends a share f (1 − f) of one.
            Missing::Behind(link) => bytes * missing * (1.0 - missing).max(0.5) / link,
        };
        own.max(other)
    }

    /// How long it takes for each part of what is asked, in microseconds.
    pub(super) fn pace(self, reference: &Reference, asked: &[Task]) -> Pace {
        let mut pace = Pace::default();
        for task in asked {
            match task {
                Task::Puzzle(puzzle) => {
                    pace.puzzle = puzzle.hashes() as f64 / self.rate(reference, Rate::Puzzle);
                }
                Task::Matmul(matmul) => {
                    let rate = Rate::Matmul { log_n: matmul.log_n };
                    pace.products = matmul.operations() as f64 / self.rate(reference, rate);
                }
                Task::Memory(memory) => {
                    let kept = 1.0 - self.missing_share(reference, memory);
                    let rounds = memory.blocks as f64 * CELLS * f64::from(memory.mix) * kept;
                    pace.fill = rounds / self.rate(reference, Rate::Mix);
                    pace.walk = self.walk_seconds(reference, memory);
                }
            }
        }
        pace
    }
}

/// How long a card takes for each part of what is asked, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    pub(super) puzzle: f64,
    pub(super) products: f64,
    pub(super) fill: f64,
    pub(super) walk: f64,
}

/// A time around this one, by a few percent; microseconds.
pub(super) fn about(seconds: f64, dice: &mut Dice) -> u64 {
    let factor = dice.between(970, 1_050);
    micros(seconds) * factor / 1_000
}

fn micros(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "hours at most, and never below zero"
    )]
    let micros = (seconds.clamp(0.0, 1e5) * 1e6) as u64;
    micros
}

/// What is asked of a class, and the small tasks that are played in its place: limits are the same.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) real: Vec<Task>,
    pub(super) played: Vec<Task>,
}

impl Asked {
    /// `rounds` products are played for all of them.
    pub(super) fn new(real: Vec<Task>, rounds: u16) -> Self {
        let played = real.iter().map(|task| small(task, rounds)).collect();
        Self { real, played }
    }

    /// What a verdict on the small tasks says of a card, had it been the real ones; `fill_us` is how long it filled.
    pub(super) fn measured(&self, judged: &[Judged], fill_us: Option<u64>) -> Measured {
        let kind = if self.real.iter().any(|task| matches!(task, Task::Memory(_))) {
            DeviceKind::Gpu
        } else {
            DeviceKind::Cpu
        };
        let mut measured = Measured {
            kind,
            rates: std::collections::BTreeMap::new(),
            filled_mib: None,
            reported: std::collections::BTreeMap::new(),
        };
        for (task, judged) in self.real.iter().zip(judged) {
            let per_second = |count: u64| count as f64 * 1e6 / judged.elapsed_us.max(1) as f64;
            match task {
                // A card solves the puzzles in a millisecond: what is measured is the network.
                Task::Puzzle(_) => {}
                Task::Matmul(matmul) => {
                    let rate = Rate::Matmul { log_n: matmul.log_n };
                    measured.rates.insert(rate, per_second(matmul.operations()));
                }
                Task::Memory(memory) => {
                    measured.rates.insert(Rate::Walk, per_second(memory.walked_bytes()));
                    measured.filled_mib = Some(memory.bytes() >> 20);
                    if let Some(fill_us) = fill_us {
                        let rounds = memory.blocks as f64 * CELLS * f64::from(memory.mix);
                        measured.rates.insert(Rate::Mix, rounds * 1e6 / fill_us.max(1) as f64);
                    }
                }
            }
        }
        measured
    }
}

fn small(task: &Task, rounds: u16) -> Task {
    match *task {
        Task::Puzzle(puzzle) => Task::Puzzle(Puzzle { bits: 4, count: 2, ..puzzle }),
        Task::Matmul(matmul) => {
            let checked = matmul.checked.min(u8::try_from(rounds).unwrap_or(u8::MAX));
            let rows = matmul.rows * u16::from(matmul.checked) / u16::from(checked);
            Task::Matmul(Matmul { log_n: 8, rounds, checked, rows, ..matmul })
        }
        Task::Memory(memory) => {
            Task::Memory(Memory { blocks: 64, mix: 8, log_walkers: 7, legs: 2, steps: 2, ..memory })
        }
    }
}
