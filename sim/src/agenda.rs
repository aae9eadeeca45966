//! What is due, and when: the one clock of a simulated network.

use std::collections::BTreeMap;

use units::Timestamp;

/// Ties are broken by the order of asking, so a run never depends on chance or a hash.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    due: BTreeMap<(Timestamp, u64), T>,
    asked: u64,
}

impl<T> Agenda<T> {
    pub(crate) const fn new() -> Self {
        Self { due: BTreeMap::new(), asked: 0 }
    }

    pub(crate) fn at(&mut self, when: Timestamp, what: T) {
        self.due.insert((when, self.asked), what);
        self.asked += 1;
    }

    /// Moves to the next thing due. A year of silence costs nothing.
    pub(crate) fn advance(&mut self) -> Option<(Timestamp, T)> {
        let ((when, _), what) = self.due.pop_first()?;
        Some((when, what))
    }

    /// How many things are due.
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_first_comes_first() {
        let at = Timestamp::from_millis;
        let mut agenda = Agenda::new();
        for (when, what) in [(2, 'c'), (1, 'a'), (2, 'd'), (1, 'b')] {
            agenda.at(at(when), what);
        }
        let order: String = std::iter::from_fn(|| agenda.advance()).map(|(_, what)| what).collect();
        assert_eq!(order, "abcd");
    }
}
