//! What a prover is asked to do: the parameters of each kind of task, and their bounds.

use crate::bytes::{Malformed, Reader};
use crate::limits::{
    BLOCK_BYTES, BLOCKS_MAX, CHECKED_MAX, ENDS_MAX, LEG_PARTS, LEGS_MAX, LOG_N_MAX, LOG_N_MIN,
    LOG_WALKERS_MAX, MIX_MAX, MIX_MIN, MIXED_BLOCKS_MAX, OPENED_MAX, OPENINGS_BYTES_MAX,
    PUZZLE_BITS_MAX, PUZZLES_MAX, ROUNDS_MAX, ROWS_MAX, STEPS_MAX, WALKED_BLOCKS_MAX,
};

/// Numbers that hash to leading zeros.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Puzzle {
    /// Leading zero bits.
    pub bits: u8,
    /// How many puzzles.
    pub count: u16,
    /// From Start to Solved, in milliseconds.
    pub limit_ms: u32,
}

/// A chain of exact matrix products.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Matmul {
    /// Matrices have 2^`log_n` rows.
    pub log_n: u8,
    /// Products, one after another.
    pub rounds: u16,
    /// Products that are opened.
    pub checked: u8,
    /// Rows opened in each of those.
    pub rows: u16,
    /// From Start to the last root, in milliseconds.
    pub limit_ms: u32,
    /// From Ask to Openings, in milliseconds.
    pub answer_ms: u32,
}

/// Memory that is filled and walked through.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Blocks of 4 KiB.
    pub blocks: u64,
    /// Rounds of mixing in each cell of a block.
    pub mix: u16,
    /// 2^`log_walkers` walkers.
    pub log_walkers: u8,
    /// Legs of each walk: at the end of each a walker says where it is, so that any leg can be checked alone.
    pub legs: u16,
    /// Steps of a leg.
    pub steps: u32,
    /// Walkers that are opened, with one leg of each.
    pub opened: u16,
    /// From Start to Filled, in milliseconds.
    pub fill_ms: u32,
    /// From Walk to Root, in milliseconds.
    pub walk_ms: u32,
    /// From Ask to Openings, in milliseconds.
    pub answer_ms: u32,
}

/// One thing to do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// A rate of hashes.
    Puzzle(Puzzle),
    /// A rate of products.
    Matmul(Matmul),
    /// That memory is there, and how fast it is.
    Memory(Memory),
}

/// A task out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {task} with {field} {value}: it must be {must}")]
pub struct BadTask {
    /// The kind of task.
    pub task: &'static str,
    /// The field.
    pub field: &'static str,
    /// What it holds.
    pub value: u64,
    /// What it may hold.
    pub must: &'static str,
}

type Bound = (&'static str, u64, bool, &'static str);

fn within(task: &'static str, bounds: &[Bound]) -> Result<(), BadTask> {
    bounds
        .iter()
        .find(|(_, _, holds, _)| !holds)
        .map_or(Ok(()), |&(field, value, _, must)| Err(BadTask { task, field, value, must }))
}

impl Puzzle {
    /// Hashes that its solution takes on average.
    pub fn hashes(&self) -> u64 {
        u64::from(self.count) << self.bits
    }

    fn check(&self) -> Result<(), BadTask> {
        let Self { bits, count, .. } = *self;
        within(
            "puzzle",
            &[
                ("bits", bits.into(), (1..=PUZZLE_BITS_MAX).contains(&bits), "1 to 48"),
                ("count", count.into(), (1..=PUZZLES_MAX).contains(&count), "1 to 64"),
            ],
        )
    }
}

impl Matmul {
    /// Rows of a matrix, and entries of a row.
    pub fn n(&self) -> usize {
        1 << self.log_n
    }

    /// Bytes of a row that is opened, and of its path.
    pub fn row_bytes(&self) -> usize {
        4 * self.n() + 32 * usize::from(self.log_n)
    }

    /// Bytes of what is opened: rows and their paths.
    pub fn openings_bytes(&self) -> usize {
        usize::from(self.checked) * usize::from(self.rows) * self.row_bytes()
    }

    /// Operations of the whole task: a multiplication and an addition are two.
    pub fn operations(&self) -> u64 {
        (2 << (3 * u32::from(self.log_n))) * u64::from(self.rounds)
    }

    fn check(&self) -> Result<(), BadTask> {
        let Self { log_n, rounds, checked, rows, .. } = *self;
        let log_n_holds = (LOG_N_MIN..=LOG_N_MAX).contains(&log_n);
        let size = if log_n_holds { self.openings_bytes() } else { 0 };
        within(
            "matmul",
            &[
                ("log_n", log_n.into(), log_n_holds, "8 to 16"),
                ("rounds", rounds.into(), (1..=ROUNDS_MAX).contains(&rounds), "1 to 1024"),
                (
                    "checked",
                    checked.into(),
                    (1..=CHECKED_MAX).contains(&checked) && u16::from(checked) <= rounds,
                    "1 to 128, and at most the rounds",
                ),
                (
                    "rows",
                    rows.into(),
                    (1..=ROWS_MAX).contains(&rows)
                        && (!log_n_holds || usize::from(rows) <= self.n()),
                    "1 to 1024, and at most those of a matrix",
                ),
                ("openings", size as u64, size <= OPENINGS_BYTES_MAX, "at most 64 MiB"),
            ],
        )
    }
}

impl Memory {
    /// How many walk.
    pub fn walkers(&self) -> usize {
        1 << self.log_walkers
    }

    /// Bytes that are filled.
    pub fn bytes(&self) -> u64 {
        self.blocks * 4096
    }

    /// Bytes that all walkers read.
    pub fn walked_bytes(&self) -> u64 {
        (u64::from(self.legs) * u64::from(self.steps) * 4096) << self.log_walkers
    }

    /// Steps of a part of an opened leg; the last part may have fewer.
    pub fn part_steps(&self) -> u32 {
        self.steps.div_ceil(LEG_PARTS).max(1)
    }

    /// States on the way through an opened leg that are told with it: one between any two parts.
    pub fn stations(&self) -> u32 {
        self.steps.div_ceil(self.part_steps()).saturating_sub(1)
    }

    /// Bytes of what is opened: the ends of all legs, their paths, and the states on the way through one leg of each.
    pub fn openings_bytes(&self) -> usize {
        let ends = 128 * usize::from(self.legs);
        let stations = BLOCK_BYTES * self.stations() as usize;
        usize::from(self.opened) * (ends + 32 * usize::from(self.log_walkers) + stations)
    }

    fn check(&self) -> Result<(), BadTask> {
        let Self { blocks, mix, log_walkers, legs, steps, opened, .. } = *self;
        let walkers_hold = log_walkers <= LOG_WALKERS_MAX;
        let walked = u64::from(opened) * u64::from(steps);
        let mixed = walked * u64::from(mix);
        let ends = if walkers_hold { u64::from(legs) << log_walkers } else { 0 };
        within(
            "memory",
            &[
                ("blocks", blocks, (1..=BLOCKS_MAX).contains(&blocks), "1 to 2^28"),
                (
                    "mix",
                    mix.into(),
                    (MIX_MIN..=MIX_MAX).contains(&mix) && mix.is_multiple_of(2),
                    "8 to 4096, and even",
                ),
                ("log_walkers", log_walkers.into(), walkers_hold, "0 to 16"),
                ("legs", legs.into(), (1..=LEGS_MAX).contains(&legs), "1 to 256"),
                ("walkers × legs", ends, ends <= ENDS_MAX, "at most 2^20"),
                ("steps", steps.into(), (1..=STEPS_MAX).contains(&steps), "1 to 65536"),
                (
                    "opened",
                    opened.into(),
                    (1..=OPENED_MAX).contains(&opened)
                        && (!walkers_hold || usize::from(opened) <= self.walkers()),
                    "1 to 1024, and at most the walkers",
                ),
                ("opened × steps", walked, walked <= WALKED_BLOCKS_MAX, "at most 65536"),
                ("opened × steps × mix", mixed, mixed <= MIXED_BLOCKS_MAX, "at most 2^24"),
            ],
        )
    }
}

impl Task {
    /// Whether it may be asked for.
    ///
    /// # Errors
    /// The first field that is out of bounds.
    pub fn check(&self) -> Result<(), BadTask> {
        match self {
            Self::Puzzle(puzzle) => puzzle.check(),
            Self::Matmul(matmul) => matmul.check(),
            Self::Memory(memory) => memory.check(),
        }
    }

    /// How long a prover may take for what is timed, in milliseconds.
    pub fn limit_ms(&self) -> u64 {
        match self {
            Self::Puzzle(puzzle) => puzzle.limit_ms.into(),
            Self::Matmul(matmul) => matmul.limit_ms.into(),
            Self::Memory(memory) => u64::from(memory.fill_ms) + u64::from(memory.walk_ms),
        }
    }

    /// Bytes of what a prover opens; 0 for a task without openings.
    pub fn openings_bytes(&self) -> usize {
        match self {
            Self::Puzzle(_) => 0,
            Self::Matmul(matmul) => matmul.openings_bytes(),
            Self::Memory(memory) => memory.openings_bytes(),
        }
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        match *self {
            Self::Puzzle(Puzzle { bits, count, limit_ms }) => {
                to.extend([1, bits]);
                to.extend(count.to_le_bytes());
                to.extend(limit_ms.to_le_bytes());
            }
            Self::Matmul(Matmul { log_n, rounds, checked, rows, limit_ms, answer_ms }) => {
                to.extend([2, log_n]);
                to.extend(rounds.to_le_bytes());
                to.push(checked);
                to.extend(rows.to_le_bytes());
                to.extend(limit_ms.to_le_bytes());
                to.extend(answer_ms.to_le_bytes());
            }
            Self::Memory(memory) => {
                to.push(3);
                to.extend(memory.blocks.to_le_bytes());
                to.extend(memory.mix.to_le_bytes());
                to.push(memory.log_walkers);
                to.extend(memory.legs.to_le_bytes());
                to.extend(memory.steps.to_le_bytes());
                to.extend(memory.opened.to_le_bytes());
                to.extend(memory.fill_ms.to_le_bytes());
                to.extend(memory.walk_ms.to_le_bytes());
                to.extend(memory.answer_ms.to_le_bytes());
            }
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.u8()? {
            1 => Ok(Self::Puzzle(Puzzle {
                bits: from.u8()?,
                count: from.u16()?,
                limit_ms: from.u32()?,
            })),
            2 => Ok(Self::Matmul(Matmul {
                log_n: from.u8()?,
                rounds: from.u16()?,
                checked: from.u8()?,
                rows: from.u16()?,
                limit_ms: from.u32()?,
                answer_ms: from.u32()?,
            })),
            3 => Ok(Self::Memory(Memory {
                blocks: from.u64()?,
                mix: from.u16()?,
                log_walkers: from.u8()?,
                legs: from.u16()?,
                steps: from.u32()?,
                opened: from.u16()?,
                fill_ms: from.u32()?,
                walk_ms: from.u32()?,
                answer_ms: from.u32()?,
            })),
            kind => Err(Malformed::Unknown { what: "a task's kind", value: kind.into() }),
        }
    }
}
