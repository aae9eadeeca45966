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

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// What one connection keeps while its programs read, in bytes: as much as they read in a moment.
const OF_ONE: usize = 8 << 20;
/// What it keeps at most. More than is ever on the way.
const OF_ONE_MAX: usize = 64 << 20;
/// What a piece takes beside what came: its place in a queue, and in the heap. Without it, single bytes would take many
/// times what is counted.
const OF_PIECE: usize = 64;
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
    /// The number of the next connection.
    next: AtomicU64,
    /// Who waits for room: one for each connection, however often it asks.
    waiting: Mutex<BTreeMap<u64, Waker>>,
}

/// What is kept of one connection.
#[derive(Debug)]
pub(super) struct Input {
    shared: Arc<Shared>,
    number: u64,
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
        let (bytes, next) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { max, bytes, next, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Input {
    /// Of one more connection.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        Self { shared, number, bytes: AtomicUsize::new(0), taken: AtomicUsize::new(0) }
    }

    /// Keeps what came.
    pub(super) fn keep(self: &Arc<Self>, bytes: Vec<u8>) -> Piece {
        let piece = Piece { input: self.clone(), bytes };
        self.bytes.fetch_add(piece.takes(), Ordering::AcqRel);
        self.shared.bytes.fetch_add(piece.takes(), Ordering::AcqRel);
        piece
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
        let mut waiting = self.shared.waiting();
        // Looked at under the lock: who makes room takes it after that.
        if !self.is_beyond(OF_ONE, self.shared.max) {
            return Poll::Ready(());
        }
        let before = waiting.insert(self.number, cx.waker().clone());
        // What a waker leads to may end with it, and take the lock.
        drop(waiting);
        drop(before);
        Poll::Pending
    }

    /// Wakes who may go on now that so much is kept no more.
    fn wake(&self, takes: usize, (of_one, of_all): (usize, usize)) {
        let is_room_made = |before: usize, max: usize| before >= max && before - takes < max;
        let mut woken = BTreeMap::new();
        if is_room_made(of_all, self.shared.max) {
            woken = std::mem::take(&mut *self.shared.waiting());
        } else if is_room_made(of_one, OF_ONE) {
            let mine = self.shared.waiting().remove(&self.number);
            woken.extend(mine.map(|waker| (self.number, waker)));
        }
        woken.into_values().for_each(Waker::wake);
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let waker = self.shared.waiting().remove(&self.number);
        drop(waker);
    }
}

impl Piece {
    /// How much memory it takes.
    fn takes(&self) -> usize {
        self.bytes.len() + OF_PIECE
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let (takes, input) = (self.takes(), self.input.as_ref());
        input.taken.fetch_add(1, Ordering::AcqRel);
        let of_one = input.bytes.fetch_sub(takes, Ordering::AcqRel);
        let of_all = input.shared.bytes.fetch_sub(takes, Ordering::AcqRel);
        input.wake(takes, (of_one, of_all));
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
    use std::task::Wake;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

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

    #[test]
    fn many_small_pieces_count_for_what_they_take() {
        let shared = Arc::new(Shared::new(OF_ONE_MAX));
        let input = Arc::new(Input::new(shared.clone()));
        let mut cx = Context::from_waker(Waker::noop());
        let (mut pieces, mut before_brake) = (Vec::new(), 0);
        while pieces.len() < 1_100_000 && input.takes_more() {
            pieces.push(input.keep(vec![0]));
            before_brake += usize::from(input.poll_room(&mut cx).is_ready());
        }
        assert_eq!(before_brake, OF_ONE / (1 + OF_PIECE));
        assert_eq!(pieces.len(), OF_ONE_MAX / (1 + OF_PIECE) + 1);
        drop(pieces);
        assert_eq!(shared.bytes.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_braked_connection_waits_once_and_is_woken_when_there_is_room() {
        let shared = Arc::new(Shared::new(3 * OF_ONE));
        let [first, second] = [(); 2].map(|()| Arc::new(Input::new(shared.clone())));
        let [of_first, of_second] = [(); 2].map(|()| Arc::new(Woken::default()));
        let ask = |input: &Input, woken: &Arc<Woken>| {
            let waker = Waker::from(woken.clone());
            input.poll_room(&mut Context::from_waker(&waker)).is_ready()
        };
        let count = || [&of_first, &of_second].map(|woken| woken.0.load(Ordering::Acquire));
        let mut kept: Vec<Piece> = (0..4).map(|_| first.keep(vec![0; OF_ONE / 2])).collect();
        let other = second.keep(vec![0; OF_ONE]);
        for _ in 0..1_000 {
            assert!(!ask(&first, &Arc::default()) && !ask(&second, &of_second));
        }
        assert!(!ask(&first, &of_first));
        assert_eq!(shared.waiting().len(), 2);
        kept.truncate(2);
        assert_eq!(count(), [1, 1], "all together have room again");
        assert!(!ask(&first, &of_first) && !ask(&second, &of_second));
        kept.truncate(1);
        assert_eq!(count(), [2, 1], "only the first has more room");
        assert!(ask(&first, &of_first));
        drop(other);
        assert_eq!(count(), [2, 2]);
        let piece = second.keep(vec![0; OF_ONE]);
        assert!(!ask(&second, &of_second));
        drop((piece, second));
        assert!(shared.waiting().is_empty());
    }

    #[test]
    fn who_is_gone_waits_no_more() {
        let shared = Arc::new(Shared::new(OF_ONE));
        let [here, gone] = [(); 2].map(|()| Arc::new(Input::new(shared.clone())));
        let _kept = here.keep(vec![0; OF_ONE]);
        assert!(gone.poll_room(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(gone);
        assert!(shared.waiting().is_empty());
    }
}
