//! Opened walks, checked: their paths lead to the root, and they end where the verifier's own walk ends.
//!
//! Of a leg the prover tells some states on the way. It need not have told them before: each part of the leg is walked
//! again, from one state to exactly the next, so that they are the walk or are refused. What they are for is that a
//! verifier walks the parts side by side, at the price of one.

use super::lanes::TOGETHER;
use super::{Block, End, LANES, Leg, WORDS, Walker, advance, asked, asked_of, block, leaf};
use crate::bytes::{Malformed, Reader};
use crate::limits::LEG_PARTS;
use crate::task::Memory;
use crate::tree::climb;

/// What is wrong with opened walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// They have not the length they must have.
    #[error(transparent)]
    Bytes(#[from] Malformed),
    /// A path leads elsewhere.
    #[error("walker {walker} is not in the tree that was committed to")]
    Path {
        /// The walker.
        walker: u32,
    },
    /// A walk ends elsewhere.
    #[error("walker {walker} did not walk where it had to")]
    Walk {
        /// The walker.
        walker: u32,
    },
}

/// The walks that are opened, and what their openings must show. Stands alone: any thread can do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walks {
    memory: Memory,
    fill: [u8; 32],
    walk: [u8; 32],
    root: [u8; 32],
    selection: [u8; 32],
    walkers: Vec<u32>,
}

/// A walk as it was opened.
struct Opened<'a> {
    walker: u32,
    ends: Vec<End>,
    path: &'a [[u8; 32]],
    stations: Vec<Block>,
}

/// A part of a leg.
struct Part {
    /// The walker.
    of: u32,
    /// Its state at the beginning, and how many steps it goes.
    walk: (Walker, u32),
    due: Due,
}

/// Where a part has to lead.
enum Due {
    State(Box<Block>),
    End(End),
}

impl Due {
    fn is(&self, walker: &Walker) -> bool {
        match self {
            Self::State(state) => *walker.state() == **state,
            Self::End(end) => walker.end() == *end,
        }
    }
}

impl Walks {
    /// The walks that a selection opens.
    pub fn new(
        memory: Memory,
        selection: &[u8; 32],
        fill: [u8; 32],
        walk: [u8; 32],
        root: [u8; 32],
    ) -> Self {
        let walkers = asked(&memory, selection);
        Self { memory, fill, walk, root, selection: *selection, walkers }
    }

    /// The walkers that are opened, in order.
    pub fn walkers(&self) -> &[u32] {
        &self.walkers
    }

    /// Bytes of their openings.
    pub fn openings_bytes(&self) -> usize {
        self.walkers.len() * self.opening_bytes()
    }

    fn opening_bytes(&self) -> usize {
        self.memory.openings_bytes() / usize::from(self.memory.opened).max(1)
    }

    /// Whether these bytes open them, and they are the walks.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, openings: &[u8]) -> Result<(), Wrong> {
        let opened = self.read(openings)?;
        self.check_paths(&opened)?;
        let legs_together = TOGETHER / LEG_PARTS as usize;
        opened.chunks(legs_together).try_for_each(|opened| self.check_legs(opened))
    }

    /// The same, one walk at a time.
    ///
    /// # Errors
    /// The same.
    pub fn check_plainly(&self, openings: &[u8]) -> Result<(), Wrong> {
        let opened = self.read(openings)?;
        self.check_paths(&opened)?;
        match opened.iter().find(|opened| !self.is_walked(opened)) {
            None => Ok(()),
            Some(Opened { walker, .. }) => Err(Wrong::Walk { walker: *walker }),
        }
    }

    fn check_paths(&self, opened: &[Opened<'_>]) -> Result<(), Wrong> {
        let leads_away = |opened: &&Opened<'_>| {
            climb(leaf(&opened.ends, opened.walker), opened.walker, opened.path) != self.root
        };
        match opened.iter().find(leads_away) {
            None => Ok(()),
            Some(Opened { walker, .. }) => Err(Wrong::Path { walker: *walker }),
        }
    }

    /// Walks all parts of these legs side by side: each must lead to where the next begins, the last to the end.
    fn check_legs(&self, opened: &[Opened<'_>]) -> Result<(), Wrong> {
        let parts: Vec<Part> = opened.iter().flat_map(|opened| self.parts(opened)).collect();
        let mut walks: Vec<_> = parts.iter().map(|part| part.walk.clone()).collect();
        advance(&self.fill, &self.memory, &mut walks);
        let leads = |(part, (walker, _)): &(&Part, &(Walker, u32))| part.due.is(walker);
        match parts.iter().zip(&walks).find(|walked| !leads(walked)) {
            None => Ok(()),
            Some((part, _)) => Err(Wrong::Walk { walker: part.of }),
        }
    }

    /// The parts of the leg that is asked of an opened walk.
    fn parts(&self, opened: &Opened<'_>) -> Vec<Part> {
        let (leg, end) = self.asked_of(opened);
        let mut walker = Walker::new(&leg.key, leg.walker);
        let mut left = self.memory.steps;
        let mut parts = Vec::new();
        for station in &opened.stations {
            let next = Walker::of_state(*station);
            let walk = (std::mem::replace(&mut walker, next), self.memory.part_steps());
            left -= walk.1;
            parts.push(Part { of: leg.walker, walk, due: Due::State(Box::new(*station)) });
        }
        parts.push(Part { of: leg.walker, walk: (walker, left), due: Due::End(end) });
        parts
    }

    fn is_walked(&self, opened: &Opened<'_>) -> bool {
        let parts = self.parts(opened);
        parts.into_iter().all(|Part { walk: (mut walker, steps), due, .. }| {
            for _ in 0..steps {
                walker.step(&block(&self.fill, self.memory.mix, walker.place(self.memory.blocks)));
            }
            due.is(&walker)
        })
    }

    /// The leg of an opened walk that is walked again, and where it has to end.
    fn asked_of(&self, opened: &Opened<'_>) -> (Leg, End) {
        let Opened { walker, ends, .. } = opened;
        asked_of(&self.memory, &self.selection, &self.walk, (*walker, ends))
    }

    fn read<'a>(&self, openings: &'a [u8]) -> Result<Vec<Opened<'a>>, Malformed> {
        let mut reader = Reader::new(openings);
        let mut opened = Vec::with_capacity(self.walkers.len());
        for &walker in &self.walkers {
            let mut ends = vec![[0; LANES]; self.memory.legs.into()];
            for word in ends.as_flattened_mut() {
                *word = reader.u32()?;
            }
            let path = reader.take(32 * usize::from(self.memory.log_walkers))?.as_chunks().0;
            let mut stations = vec![[0; WORDS]; self.memory.stations() as usize];
            for word in stations.as_flattened_mut() {
                *word = reader.u32()?;
            }
            opened.push(Opened { walker, ends, path, stations });
        }
        reader.end()?;
        Ok(opened)
    }
}
