//! Streams of a line that have connections of their own: they end with the line.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What a line knows of its streams elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Own {
    cut: CancellationToken,
    streams: AtomicUsize,
    /// Grows whenever something moves.
    moved: AtomicU64,
}

impl Own {
    /// The line is over.
    pub(crate) fn end(&self) {
        self.cut.cancel();
    }

    /// Whether there are any.
    pub(crate) fn any(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    /// Another number than before if something moved meanwhile.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

/// What ties a stream on a connection of its own to its line. Dropped, the stream is over.
pub(crate) struct Tie {
    own: Arc<Own>,
    /// One for who reads and one for who writes: each wakes its own.
    cuts: [Pin<Box<WaitForCancellationFutureOwned>>; 2],
}

impl Tie {
    pub(crate) fn new(own: &Arc<Own>) -> Self {
        own.streams.fetch_add(1, Ordering::Relaxed);
        let cut = || Box::pin(own.cut.clone().cancelled_owned());
        Self { own: own.clone(), cuts: [cut(), cut()] }
    }

    /// Something moved.
    pub(crate) fn stir(&self) {
        self.own.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the line is over; if not, its end wakes who asked last to read, or to write.
    pub(crate) fn is_cut(&mut self, cx: &mut Context<'_>, is_writer: bool) -> bool {
        let cut = &mut self.cuts[usize::from(is_writer)];
        self.own.cut.is_cancelled() || cut.as_mut().poll(cx) == Poll::Ready(())
    }

    /// Ends when the line does.
    pub(crate) async fn cut(&self) {
        self.own.cut.cancelled().await;
    }
}

impl Drop for Tie {
    fn drop(&mut self) {
        self.own.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
