//! Visitors who have not logged in yet.
//!
//! # Invariants
//! - However many come, so many wait: one more shows out whoever has waited longest, so that strangers who hold their
//!   places keep nobody out who logs in at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The places.
#[derive(Debug)]
pub(super) struct Strangers {
    max: usize,
    waiting: Mutex<VecDeque<Arc<CancellationToken>>>,
}

/// A stranger who has a place, until this is dropped.
#[derive(Debug)]
pub(super) struct Stranger {
    strangers: Arc<Strangers>,
    shown_out: Arc<CancellationToken>,
}

impl Strangers {
    /// So many places.
    pub(super) fn new(max: usize) -> Self {
        Self { max, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Arc<CancellationToken>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody comes.
    pub(super) fn enter(self: &Arc<Self>) -> Stranger {
        let shown_out = Arc::new(CancellationToken::new());
        let mut waiting = self.waiting();
        waiting.push_back(shown_out.clone());
        if waiting.len() > self.max
            && let Some(longest) = waiting.pop_front()
        {
            longest.cancel();
        }
        drop(waiting);
        Stranger { strangers: self.clone(), shown_out }
    }
}

impl Stranger {
    /// Waits until the place is another's.
    pub(super) async fn is_shown_out(&self) {
        self.shown_out.cancelled().await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.waiting().retain(|other| !Arc::ptr_eq(other, &self.shown_out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_there_are_places_shows_out_who_waited_longest() {
        let strangers = Arc::new(Strangers::new(2));
        let [first, second] = [(); 2].map(|()| strangers.enter());
        drop(second);
        let third = strangers.enter();
        let is_out = |stranger: &Stranger| stranger.shown_out.is_cancelled();
        assert!(!is_out(&first) && !is_out(&third));
        let fourth = strangers.enter();
        assert!(is_out(&first) && !is_out(&third) && !is_out(&fourth));
        drop((first, third, fourth));
        assert_eq!(strangers.waiting().len(), 0);
    }
}
