//! Moves bytes between a connection and a line's mux, and hands its owner what is about no stream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep, sleep_until};
use tunnel::{Broken, Event, Mux, Settings};
use units::Timestamp;

use crate::alive::Connection;
use crate::clock::now;
use crate::line::{Line, Shared};

/// What goes out at a time: four records of TLS, and one system call.
const BATCH: usize = 64 << 10;
/// What is read at a time.
const PIECE: usize = 32 << 10;
/// Reads before others have their turn.
const READS_MAX: usize = 16;
/// How often it is looked whether something moves on connections of its own, while there are any.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// Why a line is over.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The other side closed it.
    #[error("the other side closed the line")]
    Closed,
    /// The other side broke the protocol, or says nothing.
    #[error("the other side broke the protocol: {0}")]
    Broken(#[from] Broken),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// Drives a line. It does nothing unless [`Driver::next`] is awaited, and the line ends with it.
pub struct Driver<C> {
    connection: C,
    shared: Arc<Shared>,
    out: Vec<u8>,
    gone: usize,
    is_to_flush: bool,
    alarm: Pin<Box<Sleep>>,
    /// What the alarm is set to.
    alarm_at: Timestamp,
    /// When there is something to do next.
    due_at: Timestamp,
    patience: Duration,
    /// What had moved on connections of their own when it was last looked.
    moved: u64,
    news: VecDeque<Event>,
    wakes: Vec<Waker>,
}

impl<C: Connection> Driver<C> {
    /// A line over this connection, and what drives it.
    pub fn new(connection: C, settings: Settings) -> (Line, Self) {
        let begun = now();
        let mux = Mux::new(settings, begun);
        let (due_at, patience) = (mux.wake_at(), mux.patience());
        connection.set_patience(patience);
        connection.look_after();
        let shared = Arc::new(Shared::new(mux));
        let driver = Self {
            connection,
            shared: shared.clone(),
            out: Vec::new(),
            gone: 0,
            is_to_flush: false,
            alarm: Box::pin(sleep_until(Instant::now())),
            alarm_at: begun,
            due_at,
            patience,
            moved: 0,
            news: VecDeque::new(),
            wakes: Vec::new(),
        };
        (Line(shared), driver)
    }

    /// Drives the line until there is something for its owner. May be dropped and called again.
    ///
    /// # Errors
    /// When the line is over.
    pub async fn next(&mut self) -> Result<Event, Fault> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Drives the line until all that was said has gone out.
    ///
    /// # Errors
    /// When the line is over.
    pub async fn flush(&mut self) -> Result<(), Fault> {
        poll_fn(|cx| self.poll_out(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
        for _ in 0..READS_MAX {
            if let Some(event) = self.news.pop_front() {
                return Poll::Ready(Ok(event));
            }
            if let Poll::Ready(Err(fault)) = self.poll_out(cx) {
                return Poll::Ready(Err(fault));
            }
            if self.poll_in(cx)?.is_pending() && self.news.is_empty() {
                return self.poll_alarm(cx);
            }
        }
        // There is more to read, but others are to have their turn.
        cx.waker().wake_by_ref();
        match self.news.pop_front() {
            Some(event) => Poll::Ready(Ok(event)),
            None => Poll::Pending,
        }
    }

    /// Writes until nothing is left to say.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        loop {
            if self.gone == self.out.len() {
                self.refill(cx.waker());
            }
            if self.out.is_empty() {
                if self.is_to_flush {
                    ready!(Pin::new(&mut self.connection).poll_flush(cx))?;
                    self.is_to_flush = false;
                }
                return Poll::Ready(Ok(()));
            }
            let rest = &self.out[self.gone..];
            let many = ready!(Pin::new(&mut self.connection).poll_write(cx, rest))?;
            if many == 0 {
                return Poll::Ready(Err(Fault::Closed));
            }
            self.gone += many;
            self.is_to_flush = true;
        }
    }

    /// Takes from the mux what goes out next.
    fn refill(&mut self, waker: &Waker) {
        self.out.clear();
        self.gone = 0;
        let mut state = self.shared.lock();
        state.mux.fill(&mut self.out, BATCH);
        self.due_at = state.mux.wake_at();
        while let Some(event) = state.mux.next_event() {
            self.news.extend(state.route(event, &mut self.wakes));
        }
        if self.out.is_empty() {
            // A line that says nothing takes no room.
            self.out = Vec::new();
            match &mut state.driver {
                Some(driver) => driver.clone_from(waker),
                driver @ None => *driver = Some(waker.clone()),
            }
        }
        drop(state);
        self.wakes.drain(..).for_each(Waker::wake);
    }

    /// Reads once.
    fn poll_in(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Fault> {
        let mut piece = [MaybeUninit::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        match Pin::new(&mut self.connection).poll_read(cx, &mut piece) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(read) => read?,
        }
        if piece.filled().is_empty() {
            return Err(Fault::Closed);
        }
        let mut state = self.shared.lock();
        let result = state.mux.on_bytes(piece.filled(), now());
        self.due_at = state.mux.wake_at();
        let patience = state.mux.patience();
        while let Some(event) = state.mux.next_event() {
            self.news.extend(state.route(event, &mut self.wakes));
        }
        drop(state);
        self.wakes.drain(..).for_each(Waker::wake);
        if patience != self.patience {
            self.patience = patience;
            self.connection.set_patience(patience);
        }
        result?;
        Ok(Poll::Ready(()))
    }

    /// Asks after a quiet line, in time.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
        // What is due later than the alarm is found out when it goes off: it need not be set anew for every byte.
        if self.due_at < self.alarm_at {
            self.set_alarm(now());
        }
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let time = now();
            let moved = self.shared.own.moved();
            let mut state = self.shared.lock();
            if std::mem::replace(&mut self.moved, moved) != moved {
                state.mux.stir();
            }
            state.mux.on_wake(time)?;
            let is_to_say = state.mux.has_output();
            self.due_at = state.mux.wake_at();
            drop(state);
            self.shared.spares.prune(time);
            self.set_alarm(time);
            if is_to_say && let Poll::Ready(Err(fault)) = self.poll_out(cx) {
                return Poll::Ready(Err(fault));
            }
        }
    }

    fn set_alarm(&mut self, time: Timestamp) {
        let mut wait = self.due_at.since(time).max(Duration::from_millis(1));
        if self.shared.own.any() {
            wait = wait.min(LOOK_EVERY);
        }
        self.alarm_at = time.after(wait);
        self.alarm.as_mut().reset(Instant::now() + wait);
    }
}

impl<C> Drop for Driver<C> {
    fn drop(&mut self) {
        let wakes = self.shared.lock().end();
        wakes.into_iter().for_each(Waker::wake);
        self.shared.spares.close();
        self.shared.own.end();
    }
}

impl<C> std::fmt::Debug for Driver<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Driver")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use ed25519_dalek::SigningKey;
    use tokio::net::TcpListener;
    use tokio_rustls::{TlsAcceptor, TlsStream};
    use tunnel::limits::{PATIENCE_MIN, PATIENCE_UNKNOWN};
    use tunnel::{Frame, Side, Welcome};
    use wire::paper::NodeKey;

    use super::*;
    use crate::{Dial, Peeked, relay_tls};

    fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    /// Drives a line until its path was measured, and on until that of all that are `left` was: each answers the other.
    async fn measured<C: Connection>(mut driver: Driver<C>, left: &Cell<usize>) -> Driver<C> {
        let mut is_known = false;
        while left.get() > 0 {
            let until = tokio::time::timeout(Duration::from_millis(20), driver.next());
            if let Ok(event) = until.await {
                panic!("{event:?}");
            }
            if driver.patience != PATIENCE_UNKNOWN && !is_known {
                is_known = true;
                left.set(left.get() - 1);
            }
        }
        driver
    }

    #[tokio::test]
    async fn both_ends_know_soon_how_long_their_path_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = NodeKey(key(1).verifying_key().to_bytes());
        let dial = Dial { key: key(2), relay, address: listener.local_addr().unwrap() };
        let relay = async {
            let (tcp, from) = listener.accept().await.unwrap();
            let tls = TlsAcceptor::from(relay_tls(&key(1)).unwrap());
            let tls = TlsStream::Server(tls.accept(Peeked::new(tcp)).await.unwrap());
            let (line, mut driver) =
                Driver::new(tls, Settings { side: Side::Relay, streams_max: 9 });
            let Event::Hello(_) = driver.next().await.unwrap() else { panic!("no greeting") };
            let (session, time) = ([0; 16], now());
            let welcome = Welcome { session, streams_max: 9, observed: from, time, udp: None };
            line.say(&Frame::Welcome(welcome));
            driver.flush().await.unwrap();
            driver
        };
        let (driver, dialed) = tokio::join!(relay, dial.line(vec![1]));
        let dialed = dialed.unwrap();
        let left = Cell::new(2);
        let both = async { tokio::join!(measured(driver, &left), measured(dialed.driver, &left)) };
        let (relay, node) = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
        assert_eq!((relay.patience, node.patience), (PATIENCE_MIN, PATIENCE_MIN));
    }
}
