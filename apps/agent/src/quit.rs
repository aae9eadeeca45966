//! Says to every thread of the agent that it is over, also to those that sleep.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Said once, heard by all who hold a clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quit(Arc<(Mutex<bool>, Condvar)>);

impl Quit {
    /// Says it.
    pub(crate) fn say(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether it was said.
    pub(crate) fn is_said(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for this long, or until it is said. Returns whether it was said.
    pub(crate) fn wait(&self, span: Duration) -> bool {
        let until = Instant::now() + span;
        let mut said = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*said {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            said = self.0.1.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
