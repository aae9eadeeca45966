//! Bytes between a visitor and a service: counted, and ended when nothing moves.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use trunk::Stream;

use super::limits::CHUNK_BYTES;
use super::metrics::{DoorMetrics, OpenStream};
use crate::opener::Entry;

/// When bytes last moved on a connection. Clones tell each other.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    begun: Instant,
    /// Milliseconds after the beginning.
    last: Arc<AtomicU64>,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), last: Arc::default() }
    }

    pub(crate) fn touch(&self) {
        let passed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    /// Ends when no bytes moved for this long.
    pub(crate) async fn quiet_for(&self, span: Duration) {
        loop {
            let until =
                self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed)) + span;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// What the bytes of a stream are counted into.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) activity: Activity,
    pub(crate) to_service: Counter,
    pub(crate) to_visitor: Counter,
    pub(crate) open: OpenStream,
    pub(crate) entry: Entry,
    pub(crate) metrics: DoorMetrics,
}

/// A stream that was opened for a visitor, with its meter.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) stream: Stream,
    pub(crate) meter: Meter,
}

impl Opened {
    /// The stream, metered.
    pub(crate) fn metered(self) -> Metered<Stream> {
        let Meter { activity, to_service, to_visitor, open, .. } = self.meter;
        Metered { inner: self.stream, read: to_visitor, written: to_service, activity, _open: open }
    }

    /// Writes to the service, and counts it.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        self.meter.to_service.inc_by(u64::try_from(bytes.len()).expect("a length fits"));
        self.meter.activity.touch();
        Ok(())
    }

    /// Reads from the service what has come, and counts it.
    pub(crate) async fn read_more(&mut self, held: &mut Vec<u8>) -> io::Result<usize> {
        let some = read_more(&mut self.stream, held).await?;
        self.meter.to_visitor.inc_by(u64::try_from(some).expect("a length fits"));
        self.meter.activity.touch();
        Ok(some)
    }

    /// Carries bytes both ways until both ends are done, one breaks, or nothing moved for `quiet`. Tells whether it
    /// was the last.
    pub(crate) async fn carry<V>(self, visitor: V, quiet: Duration) -> bool
    where
        V: AsyncRead + AsyncWrite + Unpin,
    {
        let Meter { activity, to_service, to_visitor, open, .. } = self.meter;
        let quiet = activity.quiet_for(quiet);
        let activity = activity.clone();
        let visitor = Metered {
            inner: visitor,
            read: to_service,
            written: to_visitor,
            activity,
            _open: open,
        };
        tokio::select! {
            // What broke, broke: who was on either end sees it for themselves.
            _ = trunk::carry(visitor, self.stream) => false,
            () = quiet => true,
        }
    }

    /// As [`Opened::carry`], for a bare connection: it goes by the shortest way there is, and the system looks whether
    /// the visitor still lives.
    pub(crate) async fn carry_tcp(self, visitor: TcpStream) {
        let carried = trunk::carry_tcp(visitor, self.stream).await;
        self.meter.to_service.inc_by(carried.sent);
        self.meter.to_visitor.inc_by(carried.received);
        self.meter.metrics.carried(self.meter.entry, carried.way);
    }
}

/// A connection or stream whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    inner: S,
    read: Counter,
    written: Counter,
    activity: Activity,
    _open: OpenStream,
}

impl<S> Metered<S> {
    fn moved(&self, bytes: usize, counter: &Counter) {
        counter.inc_by(u64::try_from(bytes).expect("a length fits"));
        self.activity.touch();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, into))?;
        self.moved(into.filled().len() - before, &self.read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let some = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
        self.moved(some, &self.written);
        Poll::Ready(Ok(some))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Reads once, and adds what came to `held`; 0 at the end. While it waits it holds no buffer, so that a connection
/// costs nothing while nobody says anything.
pub(crate) async fn read_more<R: AsyncRead + Unpin>(
    from: &mut R,
    held: &mut Vec<u8>,
) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut piece = [0; CHUNK_BYTES];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut *from).poll_read(cx, &mut piece))?;
        held.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    })
    .await
}
