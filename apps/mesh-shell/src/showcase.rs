//! Where the brain shows the newest picture and the threads look: a number to see whether it is new, a lock to take it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mesh::Plane;

/// The newest picture.
#[derive(Debug, Default)]
pub(crate) struct Showcase {
    edition: AtomicU64,
    plane: Mutex<Arc<Plane>>,
}

/// One thread's copy of it.
#[derive(Debug)]
pub(crate) struct Viewer {
    showcase: Arc<Showcase>,
    edition: u64,
    plane: Arc<Plane>,
}

impl Showcase {
    /// Shows a newer picture.
    pub(crate) fn publish(&self, plane: Arc<Plane>) {
        *self.plane.lock().unwrap_or_else(PoisonError::into_inner) = plane;
        // After the picture: who sees the number finds the picture, or a newer one.
        self.edition.fetch_add(1, Ordering::Release);
    }
}

impl Viewer {
    pub(crate) fn new(showcase: Arc<Showcase>) -> Self {
        Self { showcase, edition: 0, plane: Arc::default() }
    }

    /// The newest picture. Costs one read of memory when nothing changed.
    pub(crate) fn look(&mut self) -> &Plane {
        let edition = self.showcase.edition.load(Ordering::Acquire);
        if edition != self.edition {
            self.plane = self.showcase.plane.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.edition = edition;
        }
        &self.plane
    }
}
