//! A line as its users see it: streams are opened, taken, and refused here.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tunnel::{
    Code, Event, Frame, Gone, Mux, Open, Service, Side, StreamId, Ticket, TicketId, Traffic,
};

use crate::clock::now;
use crate::own::Own;
use crate::spare::{Dedicated, Spares};
use crate::stream::Stream;

/// A line to a relay, or to a node. Cloned, it is the same line; it ends when its [`crate::Driver`] does.
#[derive(Clone)]
pub struct Line(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) spares: Spares,
    pub(crate) own: Arc<Own>,
}

/// A mux, and who waits for what.
///
/// This is the one brain that is shared under a lock: a task of its own would cost every read and write of a stream a
/// hop over a channel, which is most of what a short request costs.
pub(crate) struct State {
    pub(crate) mux: Mux,
    pub(crate) seats: BTreeMap<StreamId, Seat>,
    pub(crate) driver: Option<Waker>,
    pub(crate) is_over: bool,
}

/// Who waits at a stream.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    pub(crate) opener: Option<Waker>,
    pub(crate) answer: Option<Result<(), Code>>,
}

/// Why a stream was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// The other side refused it.
    #[error("{0}")]
    Refused(Code),
    /// This side has as many open as may be.
    #[error("too many streams are open on the line")]
    Full,
    /// The line is over.
    #[error("the line broke")]
    Broke,
}

impl Shared {
    pub(crate) fn new(mux: Mux) -> Self {
        let spares = Spares::default();
        if mux.side() == Side::Node {
            spares.is_chosen_for();
        }
        let state = State { mux, seats: BTreeMap::new(), driver: None, is_over: false };
        Self { state: Mutex::new(state), spares, own: Arc::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the mux as it was between two calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the mux, and wakes the driver if something is to go out.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut State) -> T) -> T {
        let (result, driver) = {
            let mut state = self.lock();
            let result = call(&mut state);
            let driver = if state.mux.has_output() { state.driver.take() } else { None };
            (result, driver)
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }
}

impl State {
    /// Takes an event that is about a stream that is open, and gathers whom it wakes; gives back any other.
    pub(crate) fn route(&mut self, event: Event, wakes: &mut Vec<Waker>) -> Option<Event> {
        match event {
            Event::Readable(stream) => {
                wakes.extend(self.seat(stream).and_then(|seat| seat.reader.take()))
            }
            Event::Writable(stream) => {
                wakes.extend(self.seat(stream).and_then(|seat| seat.writer.take()))
            }
            Event::Accepted(stream) => self.answer(stream, Ok(()), wakes),
            Event::Closed(stream, code) => {
                self.answer(stream, Err(code), wakes);
                if let Some(seat) = self.seat(stream) {
                    wakes.extend(seat.reader.take());
                    wakes.extend(seat.writer.take());
                }
            }
            Event::Hello(_)
            | Event::Welcome(_)
            | Event::Serve(_)
            | Event::Served(_)
            | Event::Refused(..)
            | Event::Withdraw(_)
            | Event::Opened(..)
            | Event::Spare(..)
            | Event::Turned(..)
            | Event::Drain(_)
            | Event::Signal(..)
            | Event::Packet(..)
            | Event::Pong(_)
            | Event::Record(..) => return Some(event),
        }
        None
    }

    fn seat(&mut self, stream: StreamId) -> Option<&mut Seat> {
        self.seats.get_mut(&stream)
    }

    fn answer(&mut self, stream: StreamId, answer: Result<(), Code>, wakes: &mut Vec<Waker>) {
        if let Some(seat) = self.seat(stream) {
            seat.answer.get_or_insert(answer);
            wakes.extend(seat.opener.take());
        }
    }

    /// Wakes everybody: it is over.
    pub(crate) fn end(&mut self) -> Vec<Waker> {
        self.is_over = true;
        let seats = std::mem::take(&mut self.seats);
        seats
            .into_values()
            .flat_map(|seat| [seat.reader, seat.writer, seat.opener])
            .flatten()
            .collect()
    }
}

impl Line {
    /// Opens a stream, and waits until the other side has taken it. The service is only to say whether the stream
    /// may leave TLS when it is bulk.
    ///
    /// # Errors
    /// If the other side, or this one, takes no more; or the line is over.
    pub async fn open(&self, open: &Open, service: Option<&Service>) -> Result<Stream, Unopened> {
        let stream = self.0.with(|state| {
            if state.is_over {
                return Err(Unopened::Broke);
            }
            let stream = state.mux.open(open).map_err(|gone| match gone {
                Gone::Full => Unopened::Full,
                Gone::Stream(_) | Gone::Ended | Gone::Exhausted => Unopened::Broke,
            })?;
            state.seats.insert(stream, Seat::default());
            Ok(stream)
        })?;
        let is_plain = service.is_some_and(|service| service.is_plain_allowed);
        // Who stops waiting lets go of the stream with it.
        let opened = Stream::of_line(self.0.clone(), stream, is_plain);
        let answer = poll_fn(|cx| {
            let mut state = self.0.lock();
            let Some(seat) = state.seats.get_mut(&stream) else { return Poll::Ready(None) };
            if seat.answer.is_none() {
                seat.opener = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(seat.answer)
        });
        match answer.await {
            Some(Ok(())) => Ok(opened),
            Some(Err(code)) => Err(Unopened::Refused(code)),
            None => Err(Unopened::Broke),
        }
    }

    /// A stream that the other side opened. It is the caller's to [`Line::accept`] or [`Line::refuse`].
    pub fn take(&self, stream: StreamId) -> Stream {
        self.0.with(|state| {
            if !state.is_over {
                state.seats.insert(stream, Seat::default());
            }
        });
        Stream::of_line(self.0.clone(), stream, false)
    }

    /// Tells the other side that its stream is taken.
    pub fn accept(&self, stream: StreamId) {
        self.0.with(|state| state.mux.accept(stream));
    }

    /// Refuses a stream that the other side opened.
    pub fn refuse(&self, stream: StreamId, code: Code) {
        self.0.with(|state| state.mux.reset(stream, code));
    }

    /// Says something that is about no stream.
    pub fn say(&self, frame: &Frame<'_>) {
        self.0.with(|state| state.mux.say(frame));
    }

    /// Answers something that the other side said. Who makes us answer more than it takes is cut off.
    pub fn answer(&self, frame: &Frame<'_>) {
        self.0.with(|state| state.mux.answer(frame));
    }

    /// Says something to another node. Returns whether there was room; else it is lost.
    pub fn signal(&self, frame: &Frame<'_>) -> bool {
        self.0.with(|state| state.mux.signal(frame))
    }

    /// Says what a stream came to.
    pub fn record(&self, stream: StreamId, traffic: Traffic, is_whole: bool) {
        self.0.with(|state| state.mux.record(stream, traffic, is_whole));
    }

    /// Streams that may be open at a time, from now on.
    pub fn set_streams_max(&self, streams_max: u32) {
        self.0.with(|state| state.mux.set_streams_max(streams_max));
    }

    /// A relay: whether this ticket was told on this line, and not shown before.
    pub fn redeem(&self, shown: &Ticket, is_plain: bool) -> bool {
        self.0.spares.redeem(shown, is_plain, now())
    }

    /// A relay: a dedicated connection, whose ticket was redeemed, waits for a stream.
    pub fn keep_spare(&self, id: TicketId, dedicated: Dedicated) {
        self.0.spares.put(id, dedicated, now());
    }

    /// A node: says these words on a new dedicated connection, which then waits for the relay to choose it.
    ///
    /// # Errors
    /// If the connection broke.
    pub fn offer_spare(&self, id: TicketId, dedicated: Dedicated, words: &[u8]) -> io::Result<()> {
        self.0.spares.offer(id, dedicated, words, now())
    }

    /// Streams that are not over.
    pub fn streams(&self) -> usize {
        self.0.lock().mux.streams()
    }

    /// Whether the line is over.
    pub fn is_over(&self) -> bool {
        self.0.lock().is_over
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}
