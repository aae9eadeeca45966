//! The network between people, machines and the control plane: late, lost, doubled, overtaken, cut.

use std::time::Duration;

use crate::dice::Dice;
use crate::plan::Plan;

/// How long a copy may be stuck, in milliseconds: long enough to arrive after a restart.
const CLOGGED_MAX: u64 = 90_000;

/// What the network does to messages now.
#[derive(Debug)]
pub(crate) struct Weather {
    lost: u64,
    doubled: u64,
    latency_max: u64,
    /// Whether the second of two copies may be stuck somewhere for long.
    clogs: bool,
    /// By machine: whether nothing of what it sends arrives, and whether nothing reaches it.
    cuts: Vec<(bool, bool)>,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    FromMachine(usize),
    ToMachine(usize),
    /// Between a person and the control plane.
    Person,
}

impl Weather {
    pub(crate) const fn new(plan: &Plan) -> Self {
        let Plan { lost, doubled, latency_max, clogs, .. } = *plan;
        Self { lost, doubled, latency_max, clogs, cuts: Vec::new() }
    }

    pub(crate) fn know(&mut self, machine: usize) {
        if self.cuts.len() <= machine {
            self.cuts.resize(machine + 1, (false, false));
        }
    }

    /// After how long a message arrives: once, twice or never.
    pub(crate) fn fate(&self, way: Way, dice: &mut Dice) -> [Option<Duration>; 2] {
        let cut = match way {
            Way::FromMachine(machine) => self.cuts[machine].0,
            Way::ToMachine(machine) => self.cuts[machine].1,
            Way::Person => false,
        };
        if cut || dice.chance(self.lost) {
            return [None, None];
        }
        let once = dice.millis(1, self.latency_max);
        let clogged = if self.clogs { dice.millis(0, CLOGGED_MAX) } else { dice.millis(1, 4) };
        let twice = dice.chance(self.doubled).then_some(once + clogged);
        [Some(once), twice]
    }

    /// Cuts a machine off: what it sends, what it is sent, or both.
    pub(crate) fn cut(&mut self, machine: usize, from: bool, to: bool) {
        self.cuts[machine] = (from, to);
    }

    /// The sky clears.
    pub(crate) fn stop(&mut self) {
        (self.lost, self.doubled, self.clogs) = (0, 0, false);
        self.latency_max = self.latency_max.min(40);
        self.cuts.fill((false, false));
    }
}
