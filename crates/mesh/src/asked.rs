//! Which questions for a session wait for an answer, as the threads that carry packets may know it.
//!
//! Who answers must name the question's index, 32 random bits: what names none is a stranger's, and costs the brain
//! nothing. A table of [`PLACES`], each for the newest question that falls there: who has another's place asks again.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::message::Index;

/// Four times as many as peers are asked at a time where there are a thousand.
const PLACES: u32 = 4096;

/// Indices of questions; 0 where there is none.
pub(crate) struct Asked(Box<[AtomicU32]>);

impl Default for Asked {
    fn default() -> Self {
        Self((0..PLACES).map(|_| AtomicU32::new(0)).collect())
    }
}

impl Asked {
    pub(crate) fn insert(&self, index: Index) {
        self.place(index).store(index, Relaxed);
    }

    pub(crate) fn remove(&self, index: Index) {
        // The brain alone writes: nothing comes between.
        let place = self.place(index);
        if place.load(Relaxed) == index {
            place.store(0, Relaxed);
        }
    }

    pub(crate) fn contains(&self, index: Index) -> bool {
        index != 0 && self.place(index).load(Relaxed) == index
    }

    fn place(&self, index: Index) -> &AtomicU32 {
        &self.0[(index % PLACES) as usize]
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.0.iter().filter(|place| place.load(Relaxed) != 0).count();
        f.debug_struct("Asked").field("waiting", &waiting).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_and_not_answered_is_there() {
        let asked = Asked::default();
        assert!(!asked.contains(0) && !asked.contains(7));
        asked.insert(7);
        assert!(asked.contains(7) && !asked.contains(7 + PLACES));
        asked.remove(7 + PLACES);
        assert!(asked.contains(7));
        asked.remove(7);
        assert!(!asked.contains(7));
    }
}
