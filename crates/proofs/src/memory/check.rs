//! Opened walks, checked: their paths lead to the root, and they end where the verifier's own walk ends.

use super::{End, LANES, Leg, asked, asked_leg, ends, key_after, leaf, leg};
use crate::bytes::{Malformed, Reader};
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
        let memory = &self.memory;
        4 * LANES * usize::from(memory.legs) + 32 * usize::from(memory.log_walkers)
    }

    /// Whether these bytes open them, and they are the walks.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, openings: &[u8]) -> Result<(), Wrong> {
        self.check_by(openings, |legs| ends(&self.fill, &self.memory, legs))
    }

    /// The same, one walk at a time.
    ///
    /// # Errors
    /// The same.
    pub fn check_plainly(&self, openings: &[u8]) -> Result<(), Wrong> {
        self.check_by(openings, |legs| {
            legs.iter().map(|walked| leg(&self.fill, &self.memory, *walked)).collect()
        })
    }

    /// The same in parts, each with its openings, for as many threads: all are right if each part is. The openings
    /// must have the length of all.
    ///
    /// # Errors
    /// If they do not.
    pub fn parts<'a>(
        &self,
        openings: &'a [u8],
        count: usize,
    ) -> Result<Vec<(Self, &'a [u8])>, Malformed> {
        let mut reader = Reader::new(openings);
        let each = self.walkers.len().div_ceil(count.max(1)).max(1);
        let mut parts = Vec::new();
        for walkers in self.walkers.chunks(each) {
            let part = Self { walkers: walkers.to_vec(), ..*self };
            let openings = reader.take(part.openings_bytes())?;
            parts.push((part, openings));
        }
        reader.end()?;
        Ok(parts)
    }

    fn check_by(&self, openings: &[u8], ends: impl Fn(&[Leg]) -> Vec<End>) -> Result<(), Wrong> {
        let opened = self.read(openings)?;
        let leads_away = |opened: &&Opened<'_>| {
            climb(leaf(&opened.ends, opened.walker), opened.walker, opened.path) != self.root
        };
        if let Some(Opened { walker, .. }) = opened.iter().find(leads_away) {
            return Err(Wrong::Path { walker: *walker });
        }
        let asked = opened.iter().map(|opened| self.asked_of(opened));
        let (legs, due): (Vec<Leg>, Vec<End>) = asked.unzip();
        let wrong = legs.iter().zip(due).zip(ends(&legs)).find(|((_, due), end)| due != end);
        match wrong {
            None => Ok(()),
            Some(((leg, _), _)) => Err(Wrong::Walk { walker: leg.walker }),
        }
    }

    /// The leg of an opened walk that is walked again, and where it has to end.
    fn asked_of(&self, opened: &Opened<'_>) -> (Leg, End) {
        let walker = opened.walker;
        let number = asked_leg(&self.memory, &self.selection, walker);
        let before = number.checked_sub(1).and_then(|before| opened.ends.get(before));
        let key = before.map_or(self.walk, key_after);
        (Leg { walker, key }, opened.ends.get(number).copied().unwrap_or([0; LANES]))
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
            opened.push(Opened { walker, ends, path });
        }
        reader.end()?;
        Ok(opened)
    }
}
