//! Policies by name, and what they reach on average.

use anyhow::{Result, bail};
use scheduler::packing::{BestFit, Chance, DotProduct, Foresight, Gradient};

use crate::replay::{Story, replay};
use crate::trace::Trace;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// Any host.
    Random,
    /// Least product of what is free and what is asked for.
    DotProduct,
    /// Least left over.
    BestFit,
    /// Fragmentation gradient descent, the best that was published. It is told the mix of tasks in advance.
    Gradient,
    /// Ours. It is told nothing.
    Foresight,
}

impl Contestant {
    /// All of them, the published ones first.
    pub const ALL: [Self; 5] =
        [Self::Random, Self::DotProduct, Self::BestFit, Self::Gradient, Self::Foresight];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::DotProduct => "dot-product",
            Self::BestFit => "best-fit",
            Self::Gradient => "fgd",
            Self::Foresight => "foresight",
        }
    }

    /// Who has that name.
    pub fn of(name: &str) -> Result<Self> {
        let Some(contestant) = Self::ALL.into_iter().find(|contestant| contestant.name() == name)
        else {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            bail!("{name:?} is no policy: there are {}", names.join(", "));
        };
        Ok(contestant)
    }

    /// What it gives away in one story, in percent for each level.
    pub fn play(self, trace: &Trace, seed: u64, levels: &[u32]) -> Vec<Option<f64>> {
        let story = Story::of(trace, seed, levels);
        match self {
            Self::Random => replay(&story, Chance::new(seed), levels),
            Self::DotProduct => replay(&story, DotProduct, levels),
            Self::BestFit => replay(&story, BestFit, levels),
            Self::Gradient => replay(&story, Gradient::of(&trace.tasks), levels),
            Self::Foresight => replay(&story, Foresight::new(), levels),
        }
    }

    /// What it gives away on average over all seeds, in percent for each level.
    pub fn mean(self, trace: &Trace, seeds: &[u64], levels: &[u32]) -> Vec<Option<f64>> {
        let stories: Vec<Vec<Option<f64>>> =
            seeds.iter().map(|seed| self.play(trace, *seed, levels)).collect();
        let mean = |level: usize| {
            let known: Vec<f64> = stories.iter().filter_map(|story| story[level]).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        };
        (0..levels.len()).map(mean).collect()
    }
}
