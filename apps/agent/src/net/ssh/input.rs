//! What visitors have sent and programs have not read yet.
//!
//! The library gives a channel more window for whatever arrives, read or not, and what serves a connection must never
//! wait for a program: it would neither send the program's output nor hear that the visitor takes more. So what is not
//! read is kept here, and when it is too much no more is read of the visitor's connection while programs read on.
//!
//! When they do not, a little more is: behind its input may be the visitor's word that it took some output, or its
//! end.
//!
//! # Invariants
//! - Whose programs read nothing holds up no other visitor, but when many do at once.
//! - What is kept of all visitors of a node is bounded.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// What one connection keeps while its programs read, in bytes: as much as they read in a moment.
const OF_ONE: usize = 8 << 20;
/// What it keeps at most. More than is ever on the way.
const OF_ONE_MAX: usize = 64 << 20;
/// How much more is read when programs have read nothing for so long.
const MORE: usize = 1 << 20;
const AFTER: Duration = Duration::from_millis(200);
/// Who sends more than is kept to programs that read nothing for so long is gone, for all that can be told.
const STUCK_MAX: Duration = Duration::from_secs(600);

/// What is kept of all visitors of a node.
#[derive(Debug)]
pub(super) struct Shared {
    /// What is kept while programs read; as much again when they do not.
    max: usize,
    bytes: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

/// What is kept of one connection.
#[derive(Debug)]
pub(super) struct Input {
    shared: Arc<Shared>,
    bytes: AtomicUsize,
    /// Pieces that programs took.
    taken: AtomicUsize,
}

/// A piece that is kept, until it is dropped.
#[derive(Debug)]
pub(super) struct Piece {
    input: Arc<Input>,
    /// What came.
    pub(super) bytes: Vec<u8>,
}

impl Shared {
    /// So many bytes at most.
    pub(super) fn new(max: usize) -> Self {
        Self { max, bytes: AtomicUsize::new(0), waiting: Mutex::default() }
    }
}

impl Input {
    /// Of one more connection.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, bytes: AtomicUsize::new(0), taken: AtomicUsize::new(0) }
    }

    /// Keeps what came.
    pub(super) fn keep(self: &Arc<Self>, bytes: Vec<u8>) -> Piece {
        self.bytes.fetch_add(bytes.len(), Ordering::AcqRel);
        self.shared.bytes.fetch_add(bytes.len(), Ordering::AcqRel);
        Piece { input: self.clone(), bytes }
    }

    fn is_beyond(&self, of_one: usize, of_all: usize) -> bool {
        self.bytes.load(Ordering::Acquire) >= of_one
            || self.shared.bytes.load(Ordering::Acquire) >= of_all
    }

    /// Whether there is room though programs read nothing.
    fn takes_more(&self) -> bool {
        !self.is_beyond(OF_ONE_MAX, self.shared.max.saturating_mul(2))
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at under the lock: who makes room takes it after that.
        if self.is_beyond(OF_ONE, self.shared.max) {
            waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let Input { shared, bytes, taken } = self.input.as_ref();
        taken.fetch_add(1, Ordering::AcqRel);
        bytes.fetch_sub(self.bytes.len(), Ordering::AcqRel);
        shared.bytes.fetch_sub(self.bytes.len(), Ordering::AcqRel);
        let waiting =
            std::mem::take(&mut *shared.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// A connection of which less is read while too much of it is kept.
#[derive(Debug)]
pub(super) struct Braked<S> {
    inner: S,
    input: Arc<Input>,
    /// How much may be read all the same.
    more: usize,
    braked: Option<Brake>,
}

/// Since when nothing is read.
#[derive(Debug)]
struct Brake {
    since: Instant,
    /// What programs had taken then.
    taken: usize,
    again: Pin<Box<Sleep>>,
}

impl<S> Braked<S> {
    /// This connection, of which this is kept.
    pub(super) fn new(inner: S, input: Arc<Input>) -> Self {
        Self { inner, input, more: 0, braked: None }
    }

    /// Waits until something may be read.
    fn poll_brake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.input.poll_room(cx).is_ready() {
                (self.more, self.braked) = (0, None);
                return Poll::Ready(Ok(()));
            }
            if self.more > 0 {
                return Poll::Ready(Ok(()));
            }
            let taken = self.input.taken.load(Ordering::Acquire);
            let (since, again) = (Instant::now(), || Box::pin(sleep(AFTER)));
            let brake = self.braked.get_or_insert_with(|| Brake { since, taken, again: again() });
            if brake.again.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            brake.again = again();
            if brake.taken != taken {
                (brake.since, brake.taken) = (since, taken);
            } else if self.input.takes_more() {
                self.more = MORE;
            } else if brake.since.elapsed() > STUCK_MAX {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Braked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_brake(cx))?;
        let before = into.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, into);
        self.more = self.more.saturating_sub(into.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Braked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_nothing_is_read_no_more_and_all_together_are_bounded() {
        let shared = Arc::new(Shared::new(2 * OF_ONE));
        let [first, second, third] = [(); 3].map(|()| Arc::new(Input::new(shared.clone())));
        let mut cx = Context::from_waker(Waker::noop());
        let mut has_room = |input: &Input| input.poll_room(&mut cx).is_ready();
        let piece = first.keep(vec![0; OF_ONE]);
        assert!(!has_room(&first) && has_room(&second) && has_room(&third));
        let other = second.keep(vec![0; OF_ONE]);
        assert!(!has_room(&third), "all of them keep too much");
        assert!(third.takes_more());
        let more = third.keep(vec![0; 2 * OF_ONE]);
        assert!(!third.takes_more());
        drop((piece, more));
        assert!(has_room(&first) && !has_room(&second) && has_room(&third));
        drop(other);
        assert_eq!(shared.bytes.load(Ordering::Acquire), 0);
    }
}
