//! When something is learnt from the orders that came.

/// Orders after which something can be said of those to come. It is said early: what is put anywhere while nothing is
/// known stays in the way, and a first lesson at 50 orders loses a quarter of a percent of all cards, at 200 a whole
/// one.
const FIRST_LESSON: u64 = 5;
/// Orders between two lessons at most: half of those that are remembered. Until then, a lesson is when there are half
/// as many again.
const LESSON_EVERY: u64 = 2_000;

/// How many orders came, and at which the next lesson is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lessons {
    pub(crate) came: u64,
    pub(crate) next: u64,
}

impl Default for Lessons {
    fn default() -> Self {
        Self { came: 0, next: FIRST_LESSON }
    }
}

impl Lessons {
    /// One more order came. Whether something is to be learnt.
    pub(crate) fn is_due(&mut self) -> bool {
        self.came += 1;
        let is_due = self.came >= self.next;
        if is_due {
            self.next = self.came + (self.came / 2).clamp(1, LESSON_EVERY);
        }
        is_due
    }
}
