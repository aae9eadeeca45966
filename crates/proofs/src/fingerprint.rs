//! Which model a card is, from what was measured of it: a probability for each model, never a plain yes.
//!
//! A throttled card is slower in everything by about one factor, and a weaker card is slower in some things more than
//! in others. So a model says, of each rate, its median and its spread, and all rates of a card share one more factor:
//! what they have in ratio to each other counts for more than how large they are.
//!
//! # Invariants
//! - What a machine says of itself moves a probability by no more than [`REPORTED_WEIGHT_MAX`] natural logarithms.
//! - A card that holds more than a model has is not that model, however fast it is.
//! - Probabilities sum to at most one; what is missing is the chance that it is no model of the list.
//!
//! Nothing here is money, and floats are used: a verdict of a proof never depends on them.

mod measure;
mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use units::DeviceKind;
use utoipa::ToSchema;

use crate::limits::{BLOCK_BYTES, LOG_N_MAX, LOG_N_MIN, MIX_MAX, MIX_MIN};

pub use measure::measured;
pub use verdict::{Verdict, verdict};

/// The version of references that this reads.
pub const VERSION: u32 = 1;
/// Models of a reference: as many as a registry may have.
pub const MODELS_MAX: usize = 1_000;
/// How much all that a machine says of itself may count, as a natural logarithm: less than one standard deviation of
/// anything measured.
pub const REPORTED_WEIGHT_MAX: f64 = 0.5;
/// Said and expected agree within this share.
const REPORTED_AGREES: f64 = 0.05;
/// How far, in natural logarithms, rates of all cards lie apart: what is expected of a card that nobody knows.
const UNKNOWN_SPREAD: f64 = 1.5;
/// How surely a card cannot hold more than it has: a hundredth more is ten deviations.
const MEMORY_SPREAD: f64 = 0.001;
/// Memory that a driver reports and the one that is sold differ by less.
const MEMORY_SLACK: f64 = 1.01;

/// The reference that comes with this version: bounds from data sheets, derated.
const BUILT_IN: &str = include_str!("../data/fingerprints.json");

/// Something that is measured by a proof, per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Rate {
    /// Operations on bytes in products of matrices with `2^log_n` rows, hashing included.
    Matmul {
        /// The size.
        log_n: u8,
    },
    /// Rounds of mixing while memory is filled: of 16 words each, 64 × `mix` for a block.
    Mix,
    /// Hashes of puzzles.
    Puzzle,
    /// Bytes read while walking.
    Walk,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matmul { log_n } => write!(f, "matmul-{log_n}"),
            Self::Mix => f.write_str("mix"),
            Self::Puzzle => f.write_str("puzzle"),
            Self::Walk => f.write_str("walk"),
        }
    }
}

/// A word that names no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of matmul-8 to matmul-16, mix, puzzle, walk")]
pub struct NotARate(String);

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        match text {
            "mix" => Ok(Self::Mix),
            "puzzle" => Ok(Self::Puzzle),
            "walk" => Ok(Self::Walk),
            other => (LOG_N_MIN..=LOG_N_MAX)
                .map(|log_n| Self::Matmul { log_n })
                .find(|rate| rate.to_string() == other)
                .ok_or_else(|| NotARate(other.to_owned())),
        }
    }
}

impl TryFrom<String> for Rate {
    type Error = NotARate;

    fn try_from(text: String) -> Result<Self, NotARate> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

/// A log-normal distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogNormal {
    /// Half of all are above.
    pub median: f64,
    /// The standard deviation of the natural logarithm: 0.1 is about a tenth up or down.
    pub spread: f64,
}

impl LogNormal {
    fn holds(&self) -> bool {
        let good = |number: f64| number.is_finite() && number > 0.0;
        good(self.median) && good(self.spread)
    }
}

/// What a data sheet promises at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Operations per second on dense 8-bit integers: a multiplication and an addition are two.
    pub int8_ops: f64,
    /// Operations per second on 32-bit integers: multiprocessors × lanes × clock.
    pub int32_ops: f64,
    /// Bytes per second from memory.
    pub memory_bytes: f64,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its key in the registry of models: `h100-80gb-hbm3`.
    pub model: String,
    /// Whether it is a card or a processor.
    pub kind: DeviceKind,
    /// Memory of a card, in mebibytes; 0 where it is not the card's own.
    pub memory_mib: u64,
    /// What its data sheet promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// What was measured on cards that are known to be of this model: goes before what follows from the data sheet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, LogNormal>)]
    pub measured: BTreeMap<Rate, LogNormal>,
    /// What its driver says of it, by name: `sm_count`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reported: BTreeMap<String, f64>,
}

/// What is known of all models. Whoever publishes it signs its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FingerprintReference)]
pub struct Reference {
    /// The version of its form.
    pub version: u32,
    /// Counts up with each edition.
    pub edition: u32,
    /// Where the figures are from, in words.
    pub sources: Vec<String>,
    /// The factor that all rates of a card share, as the standard deviation of its natural logarithm.
    pub shared_spread: f64,
    /// How likely a card is none of these models, before anything is measured.
    pub unknown_share: f64,
    /// What is reached of a data sheet's bound.
    #[schema(value_type = BTreeMap<String, LogNormal>)]
    pub derating: BTreeMap<Rate, LogNormal>,
    /// Classes of cards by the least memory, in mebibytes, the smallest first.
    pub classes: Vec<(String, u64)>,
    /// The models.
    pub models: Vec<Model>,
}

/// A reference that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// It cannot be read.
    #[error("the reference cannot be read: {0}")]
    Text(String),
    /// It has another version.
    #[error("the reference has version {found}, and {VERSION} is known")]
    Version {
        /// Its version.
        found: u32,
    },
    /// It has too many models, or a model twice.
    #[error(
        "the reference has {models} models, of {names} names: at most {MODELS_MAX}, and each once"
    )]
    Models {
        /// How many.
        models: usize,
        /// How many names.
        names: usize,
    },
    /// A number is none, or below zero.
    #[error("{of} has a figure that is not above zero")]
    Figure {
        /// Whose.
        of: String,
    },
}

/// What was measured of a card, or of a processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What it was measured as: cards are compared with cards.
    pub kind: DeviceKind,
    /// Rates, each the best of a session that was passed.
    #[schema(value_type = BTreeMap<String, f64>)]
    pub rates: BTreeMap<Rate, f64>,
    /// The largest memory that was filled and walked through, in mebibytes.
    pub filled_mib: Option<u64>,
    /// What the machine says of itself, by name. Counts for little.
    #[serde(default)]
    pub reported: BTreeMap<String, f64>,
}

/// Operations on 32-bit integers in a round of mixing: 16 additions, 16 exclusive ors, 16 rotations.
const OPS_OF_MIXING: f64 = 48.0;
/// Cells of a block.
const CELLS: f64 = 64.0;
/// The same in a hash of a puzzle: seven rounds of eight functions of 14, and 16 at the end.
const OPS_OF_HASH: f64 = 800.0;

impl Bounds {
    /// The mixing at which making a block takes so many times what reading it takes, at least, by these bounds: what
    /// [`crate::Memory::mix`] should be for this model. Half of it is left to whoever finds a better kernel.
    pub fn mix(&self, times: f64) -> u16 {
        let operations = times * self.int32_ops * BLOCK_BYTES as f64 / self.memory_bytes;
        let rounds = operations / (CELLS * OPS_OF_MIXING);
        let even = 2.0 * (rounds / 2.0).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between the bounds, which are small"
        )]
        let mix = even.clamp(MIX_MIN.into(), MIX_MAX.into()) as u16;
        mix
    }

    fn of(&self, rate: Rate) -> f64 {
        match rate {
            Rate::Matmul { .. } => self.int8_ops,
            Rate::Mix => self.int32_ops / OPS_OF_MIXING,
            Rate::Puzzle => self.int32_ops / OPS_OF_HASH,
            Rate::Walk => self.memory_bytes,
        }
    }
}

impl Reference {
    /// The reference of this version of the program.
    pub fn built_in() -> Self {
        Self::read(BUILT_IN).expect("a test reads it")
    }

    /// Reads a reference.
    ///
    /// # Errors
    /// If it is none, or a figure in it is nonsense.
    pub fn read(text: &str) -> Result<Self, BadReference> {
        let read: Result<Self, _> = serde_json::from_str(text);
        let reference = read.map_err(|error| BadReference::Text(error.to_string()))?;
        reference.check()?;
        Ok(reference)
    }

    /// Whether it can be used.
    ///
    /// # Errors
    /// The first thing in it that cannot.
    pub fn check(&self) -> Result<(), BadReference> {
        if self.version != VERSION {
            return Err(BadReference::Version { found: self.version });
        }
        let names: std::collections::BTreeSet<_> =
            self.models.iter().map(|row| &row.model).collect();
        let (models, names) = (self.models.len(), names.len());
        if models > MODELS_MAX || names != models {
            return Err(BadReference::Models { models, names });
        }
        let share = LogNormal { median: self.unknown_share, spread: self.shared_spread };
        let of = |of: &str| BadReference::Figure { of: of.to_owned() };
        if !share.holds() || self.unknown_share >= 1.0 {
            return Err(of("the reference"));
        }
        if !self.derating.values().all(LogNormal::holds) {
            return Err(of("the derating"));
        }
        self.models.iter().find(|row| !row.holds()).map_or(Ok(()), |row| Err(of(&row.model)))
    }

    /// The row of a model.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|row| row.model == name)
    }

    /// What a rate of a model is like: as measured, or else as its data sheet and the derating give it.
    pub fn expected(&self, model: &Model, rate: Rate) -> Option<LogNormal> {
        let derated = || {
            let (bounds, derating) = (model.bounds.as_ref()?, self.derating.get(&rate)?);
            Some(LogNormal { median: bounds.of(rate) * derating.median, ..*derating })
        };
        model.measured.get(&rate).copied().or_else(derated)
    }

    fn of_kind(&self, kind: DeviceKind) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(move |row| row.kind == kind)
    }

    /// What a rate of a card is like that is no model of the list.
    fn anywhere(&self, kind: DeviceKind, rate: Rate) -> Option<LogNormal> {
        let all = self.of_kind(kind).filter_map(|row| self.expected(row, rate));
        let (sum, count) =
            all.fold((0.0, 0.0), |(sum, count), of| (sum + of.median.ln(), count + 1.0));
        (count > 0.0).then(|| LogNormal { median: f64::exp(sum / count), spread: UNKNOWN_SPREAD })
    }
}

impl Model {
    fn holds(&self) -> bool {
        let good = |number: f64| number.is_finite() && number > 0.0;
        let bounds = self.bounds.is_none_or(|bounds| {
            [bounds.int8_ops, bounds.int32_ops, bounds.memory_bytes].into_iter().all(good)
        });
        bounds && self.measured.values().all(LogNormal::holds)
    }
}

/// The logarithm of how likely these deviations are together: each with its own spread, all with a shared factor.
///
/// The covariance is a diagonal and one vector, so its inverse and determinant are sums (Sherman and Morrison).
fn together(deviations: &[(f64, f64)], shared: f64) -> f64 {
    let (mut squares, mut sum, mut weight, mut logs) = (0.0, 0.0, 0.0, 0.0);
    for (off, spread) in deviations {
        let precision = 1.0 / (spread * spread);
        squares += off * off * precision;
        sum += off * precision;
        weight += precision;
        logs -= precision.ln();
    }
    let shared = shared * shared;
    let whole = 1.0 + shared * weight;
    -0.5 * (squares - shared * sum * sum / whole + logs + whole.ln())
}

impl Measured {
    /// Rates that are numbers, and that the reference knows of.
    fn usable<'a>(
        &'a self,
        reference: &'a Reference,
    ) -> impl Iterator<Item = (Rate, f64, LogNormal)> + 'a {
        let good = |value: &f64| value.is_finite() && *value > 0.0;
        let known = move |(rate, value): (&Rate, &f64)| {
            Some((*rate, value.ln(), reference.anywhere(self.kind, *rate)?))
        };
        self.rates.iter().filter(move |(_, value)| good(value)).filter_map(known)
    }

    /// How likely this is of a model, as a logarithm; a rate that is not known of it says nothing.
    fn of(&self, model: &Model, reference: &Reference) -> f64 {
        let deviations: Vec<_> = self
            .usable(reference)
            .map(|(rate, log, anywhere)| {
                let of = reference.expected(model, rate).unwrap_or(anywhere);
                (log - of.median.ln(), of.spread)
            })
            .collect();
        let memory = self.memory(model.memory_mib);
        together(&deviations, reference.shared_spread) + memory + self.says(model)
    }

    /// The same of a card that is no model of the list.
    fn of_none(&self, reference: &Reference) -> f64 {
        let off = |(_, log, anywhere): (Rate, f64, LogNormal)| {
            (log - anywhere.median.ln(), anywhere.spread)
        };
        let deviations: Vec<_> = self.usable(reference).map(off).collect();
        let largest = reference.of_kind(self.kind).map(|row| row.memory_mib).max().unwrap_or(0);
        let memory = self.filled_mib.unwrap_or(0).max(largest);
        together(&deviations, reference.shared_spread) + self.memory(memory)
    }

    /// Any part of a memory may have been filled, but hardly more than all.
    fn memory(&self, memory_mib: u64) -> f64 {
        let (Some(filled), 1..) = (self.filled_mib, memory_mib) else { return 0.0 };
        let (filled, memory) = (filled as f64, memory_mib as f64 * MEMORY_SLACK);
        let beyond = (filled / memory).ln().max(0.0) / MEMORY_SPREAD;
        -memory.ln() - 0.5 * beyond * beyond
    }

    /// What it says of itself: each word that does not agree takes its share of the little it may count.
    fn says(&self, model: &Model) -> f64 {
        if model.reported.is_empty() {
            return 0.0;
        }
        let agrees = |name: &String, expected: &f64| {
            self.reported
                .get(name)
                .is_none_or(|said| (said / expected - 1.0).abs() < REPORTED_AGREES)
        };
        let wrong = model.reported.iter().filter(|(name, expected)| !agrees(name, expected));
        -REPORTED_WEIGHT_MAX * wrong.count() as f64 / model.reported.len() as f64
    }
}

/// How likely each model of its kind is, the likeliest first. What they lack to one is the chance that it is none.
pub fn likelihoods<'a>(measured: &Measured, reference: &'a Reference) -> Vec<(&'a str, f64)> {
    let of_none = measured.of_none(reference) + reference.unknown_share.ln();
    let rows = reference.of_kind(measured.kind);
    let each = ((1.0 - reference.unknown_share) / rows.count().max(1) as f64).ln();
    let logs: Vec<(&str, f64)> = reference
        .of_kind(measured.kind)
        .map(|row| (row.model.as_str(), measured.of(row, reference) + each))
        .collect();
    let top = logs.iter().map(|(_, log)| *log).fold(of_none, f64::max);
    let sum: f64 =
        logs.iter().map(|(_, log)| (log - top).exp()).sum::<f64>() + (of_none - top).exp();
    let mut likely: Vec<_> =
        logs.into_iter().map(|(model, log)| (model, (log - top).exp() / sum)).collect();
    likely.sort_by(|(left, a), (right, b)| b.total_cmp(a).then(left.cmp(right)));
    likely
}

#[cfg(test)]
mod tests;
