//! The thread that lets out what shrouds hold back, and what they add, each at its moment.
//!
//! It sleeps until the next moment of any of them, or until a thread that carries tells it of an earlier one. Without
//! a peer whose cover needs it, it never wakes.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::Duration;

use mesh::cover::Step;
use mesh::{Note, PeerId};
use units::Timestamp;

use crate::clock::Clock;
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::showcase::Viewer;

/// How long it sleeps where nothing is due: the system may have forgotten a word that it was to be woken by.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Wakes the pacer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wake(Arc<OnceLock<Thread>>);

/// Lets out what is due.
#[derive(Debug)]
pub(crate) struct Pacer {
    pub(crate) viewer: Viewer,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) clock: Clock,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) wake: Wake,
}

impl Wake {
    /// Something may be due earlier than was planned.
    pub(crate) fn up(&self) {
        // Before it has begun it has nothing planned.
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}

impl Pacer {
    /// Until stopped.
    pub(crate) fn run(mut self) {
        // Only this thread sets it.
        let _set = self.wake.0.set(thread::current());
        while !self.stop.load(Relaxed) {
            let next = self.let_out();
            let now = self.clock.now();
            let span = next.map_or(SLEEP_MAX, |at| at.since(now));
            if !span.is_zero() {
                thread::park_timeout(span.min(SLEEP_MAX));
            }
        }
    }

    /// Sends what is due, and says when there is more.
    fn let_out(&mut self) -> Option<Timestamp> {
        let Self { viewer, outbox, inbox, clock, .. } = self;
        // What was to wake it is looked at anyway.
        let mut note = |note: Note| inbox.note(note);
        let plane = viewer.look();
        let mut next = None;
        for (peer, shroud) in plane.shrouds() {
            loop {
                let now = clock.now();
                let steps = shroud.on_wake(now);
                if steps.is_empty() {
                    break;
                }
                for step in steps {
                    match step {
                        Step::Frame(frame) => outbox.put_released(plane, &frame, now, &mut note),
                        Step::Decoy => {
                            outbox.send(now, &mut note);
                            send_decoy(outbox, plane, peer, now);
                        }
                    }
                }
                outbox.send(now, &mut note);
            }
            next = [next, shroud.plan()].into_iter().flatten().min();
        }
        next
    }
}

fn send_decoy(outbox: &Outbox, plane: &mesh::Plane, peer: PeerId, now: Timestamp) {
    if let Some((to, datagram)) = plane.decoy(peer, now) {
        outbox.send_message(to, &datagram);
    }
}
