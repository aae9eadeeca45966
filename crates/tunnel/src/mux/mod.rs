//! One end of a line: many streams over one connection, each with credit of its own.
//!
//! A side sends of a stream only what the other granted ([`WINDOW_FIRST`] at first); credit comes back as bytes are
//! read, and grows for who reads as fast as bytes come ([`WINDOW_MAX`]). Streams with something to send take turns,
//! a frame each.
//!
//! # Invariants
//! - What was granted of a stream is on its way, unread, or read and not granted again yet: together its window.
//! - A stream is forgotten once both directions are over and its user let go, and at once when it is broken off.
//! - Bytes of a stream that is unknown because it is over are passed over; of one that never was they break the line.

mod incoming;
mod lane;
mod outgoing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use units::Timestamp;

use crate::code::Code;
use crate::frame::{Broken, Frame, Open};
use crate::greeting::{Hello, Welcome};
use crate::limits::{
    ANSWER_WITHIN, ANSWERS_MAX, PATIENCE_MIN, PATIENCE_UNKNOWN, PROBE_AFTER, QUIET_NODE,
    QUIET_RELAY, SIGNALS_HELD_MAX, WINDOW_FIRST, WINDOW_MAX, WINDOWS_GROWN_MAX,
};
use crate::record::Traffic;
use crate::service::{Served, Service};
use crate::ticket::{Ticket, TicketId};
use incoming::Parser;
use lane::{Ending, Lane};

/// Which end of a line this is. A relay opens streams of even numbers, a node those of odd ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that dialed.
    Node,
    /// The one that was dialed.
    Relay,
}

/// How a line is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which end this is.
    pub side: Side,
    /// Streams that may be open at a time, of both sides together.
    pub streams_max: u32,
}

/// A stream's number on its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// What came in, in order. All of it is taken after each call that returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node says who it is, or shows a new pass.
    Hello(Hello),
    /// The relay let us in.
    Welcome(Welcome),
    /// The node offers a service.
    Serve(Service),
    /// The relay took our service.
    Served(Served),
    /// The relay refused our service.
    Refused(crate::name::ServiceName, Code, String),
    /// The node withdraws a service.
    Withdraw(crate::name::ServiceName),
    /// The other side opened a stream: accept or refuse it.
    Opened(StreamId, Open),
    /// The other side took our stream.
    Accepted(StreamId),
    /// A stream whose reader was told to wait has something to read.
    Readable(StreamId),
    /// A stream whose writer was told to wait has room.
    Writable(StreamId),
    /// A stream was refused or broken off.
    Closed(StreamId, Code),
    /// The relay wants connections of their own, one for each ticket.
    Spare(bool, Vec<Ticket>),
    /// The relay does not let us in, or no longer.
    Turned(Code, String),
    /// The relay goes away in so many seconds.
    Drain(u32),
    /// A signal for, or from, the node of this key.
    Signal([u8; 32], Vec<u8>),
    /// A packet for, or from, the node of this key.
    Packet([u8; 32], Vec<u8>),
    /// The answer to [`Mux::ping`].
    Pong(u64),
    /// What a stream came to, as the node saw it.
    Record(StreamId, Traffic, bool),
}

/// What there is to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes were read.
    Bytes(usize),
    /// Nothing yet; [`Event::Readable`] will say.
    Wait,
    /// Nothing more ever.
    End,
    /// The rest comes on the connection of this ticket.
    Elsewhere(TicketId),
    /// It was broken off.
    Broken(Code),
}

/// Why a stream is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// It was broken off, or never was.
    #[error("the stream is gone: {0}")]
    Stream(Code),
    /// Its writer said that nothing more comes, or that it comes elsewhere.
    #[error("the stream takes no more")]
    Ended,
    /// As many streams are open as may be.
    #[error("too many streams are open")]
    Full,
    /// All numbers are used up: the line is to be renewed.
    #[error("the line has opened all streams that it can")]
    Exhausted,
}

/// One end of a line.
#[derive(Debug)]
pub struct Mux {
    settings: Settings,
    parser: Parser,
    is_greeted: bool,
    lanes: BTreeMap<u32, Lane>,
    /// Lanes with something to send and the credit for it, each once, in turn.
    due: VecDeque<u32>,
    /// Frames that go before all data, written.
    words: Vec<u8>,
    /// How many bytes of them are signals and packets.
    signals: usize,
    /// How many are answers to what the other side said.
    answers: usize,
    pong: Option<u64>,
    events: VecDeque<Event>,
    /// The number of the next stream that this side opens.
    next: u32,
    /// The highest number that the other side opened.
    theirs: u32,
    /// By how much windows have grown together.
    grown: u32,
    heard: Timestamp,
    asked: Option<Timestamp>,
    /// When the question was put that measures the path.
    measuring: Option<Timestamp>,
    /// How long questions and answers took of late.
    round_trip: Option<Duration>,
    /// Whether a stream moved since the last question: if the line falls silent now, somebody waits.
    is_stirred: bool,
    /// Whether a stream is about to be opened.
    is_opening: bool,
}

impl Mux {
    /// One end of a new line.
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        let next = match settings.side {
            Side::Node => 1,
            Side::Relay => 2,
        };
        Self {
            settings,
            parser: Parser::default(),
            is_greeted: false,
            lanes: BTreeMap::new(),
            due: VecDeque::new(),
            words: Vec::new(),
            signals: 0,
            answers: 0,
            pong: None,
            events: VecDeque::new(),
            next,
            theirs: 0,
            grown: 0,
            heard: now,
            asked: None,
            measuring: None,
            round_trip: None,
            // The first question measures the path.
            is_stirred: true,
            is_opening: false,
        }
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.settings.side
    }

    /// What came in, the oldest first.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Streams that are not over.
    pub fn streams(&self) -> usize {
        self.lanes.len()
    }

    /// Streams that may be open at a time, from now on.
    pub fn set_streams_max(&mut self, streams_max: u32) {
        self.settings.streams_max = streams_max;
    }

    /// Says something that is about no stream: a greeting, a service, tickets, a farewell.
    pub fn say(&mut self, frame: &Frame<'_>) {
        frame.write(0, &mut self.words);
    }

    /// Says something to another node. Returns whether there was room; else it is lost.
    pub fn signal(&mut self, frame: &Frame<'_>) -> bool {
        let before = self.words.len();
        if self.signals >= SIGNALS_HELD_MAX {
            return false;
        }
        self.say(frame);
        self.signals += self.words.len() - before;
        true
    }

    /// Answers something that the other side said. Who makes us answer more than it takes is cut off.
    pub fn answer(&mut self, frame: &Frame<'_>) {
        self.answer_on(0, frame);
    }

    fn answer_on(&mut self, number: u32, frame: &Frame<'_>) {
        let before = self.words.len();
        frame.write(number, &mut self.words);
        self.answers += self.words.len() - before;
    }

    /// Asks whether the other side is there: [`Event::Pong`] with the same token.
    pub fn ping(&mut self, token: u64) {
        self.say(&Frame::Ping(token));
    }

    /// Says what a stream of this line came to.
    pub fn record(&mut self, stream: StreamId, traffic: Traffic, is_whole: bool) {
        Frame::Record { traffic, is_whole }.write(stream.0, &mut self.words);
    }

    /// Opens a stream. What is sent before it is taken waits at the other side.
    ///
    /// # Errors
    /// If no more can be opened.
    pub fn open(&mut self, open: &Open) -> Result<StreamId, Gone> {
        // A side that takes nothing of what it is told gets nothing more to do.
        let is_stuck = self.words.len() >= ANSWERS_MAX;
        if is_stuck || self.lanes.len() >= self.settings.streams_max as usize {
            return Err(Gone::Full);
        }
        let number = self.next;
        self.next = number.checked_add(2).ok_or(Gone::Exhausted)?;
        self.lanes.insert(number, Lane::new(false));
        self.is_opening = true;
        Frame::Open(open.clone()).write(number, &mut self.words);
        Ok(StreamId(number))
    }

    /// Takes a stream that the other side opened.
    pub fn accept(&mut self, stream: StreamId) {
        if let Some(lane) = self.lanes.get_mut(&stream.0)
            && !lane.is_accepted
        {
            lane.is_accepted = true;
            Frame::Accept.write(stream.0, &mut self.words);
        }
    }

    /// Refuses a stream, or breaks it off.
    pub fn reset(&mut self, stream: StreamId, code: Code) {
        if let Some(lane) = self.remove(stream.0)
            && lane.broken.is_none()
        {
            Frame::Reset(code).write(stream.0, &mut self.words);
        }
    }

    /// Hands over bytes, as many as there is room for. 0: none; [`Event::Writable`] will say.
    ///
    /// # Errors
    /// If the stream takes no more.
    pub fn send(&mut self, stream: StreamId, bytes: &[u8]) -> Result<usize, Gone> {
        let lane = self.lanes.get_mut(&stream.0).ok_or(Gone::Stream(Code::BrokenOff))?;
        let taken = lane.send(bytes)?;
        self.queue(stream.0);
        Ok(taken)
    }

    /// Nothing more comes this way.
    pub fn finish(&mut self, stream: StreamId) {
        self.end(stream, Ending::Finish);
    }

    /// What is sent after this comes on the connection of this ticket. What was handed over before still goes here.
    pub fn move_to(&mut self, stream: StreamId, ticket: TicketId) {
        self.end(stream, Ending::Move(ticket));
    }

    fn end(&mut self, stream: StreamId, ending: Ending) {
        if let Some(lane) = self.lanes.get_mut(&stream.0) {
            lane.end(ending);
            self.queue(stream.0);
        }
    }

    /// Reads what has come.
    pub fn read(&mut self, stream: StreamId, into: &mut [u8]) -> Read {
        let Some(lane) = self.lanes.get_mut(&stream.0) else {
            return Read::Broken(Code::BrokenOff);
        };
        let read = lane.read(into);
        if let Read::Bytes(_) = read {
            let room = WINDOWS_GROWN_MAX - self.grown;
            if let Some((credit, grown)) = lane.grant(room) {
                self.grown += grown;
                Frame::Credit(credit).write(stream.0, &mut self.words);
            }
        }
        read
    }

    /// The user of the stream lets go of it. If a direction is not over, it is broken off, once what was handed over
    /// has gone.
    pub fn forget(&mut self, stream: StreamId) {
        let Some(lane) = self.lanes.get_mut(&stream.0) else { return };
        lane.forget();
        match (lane.is_over(), lane.is_ending() || lane.has_last_words()) {
            (true, _) => drop(self.remove(stream.0)),
            (false, true) => {}
            (false, false) => self.reset(stream, Code::BrokenOff),
        }
    }

    fn remove(&mut self, number: u32) -> Option<Lane> {
        let lane = self.lanes.remove(&number)?;
        self.grown -= lane.window() - WINDOW_FIRST;
        Some(lane)
    }

    fn queue(&mut self, number: u32) {
        if let Some(lane) = self.lanes.get_mut(&number)
            && lane.is_due()
            && !lane.is_queued
        {
            lane.is_queued = true;
            self.due.push_back(number);
        }
    }

    /// When [`Mux::on_wake`] next has something to do.
    pub fn wake_at(&self) -> Timestamp {
        let quiet = match self.settings.side {
            Side::Node => QUIET_NODE,
            Side::Relay => QUIET_RELAY,
        };
        // Before the greeting nothing else may be said.
        match (self.asked, self.is_stirred && self.is_greeted) {
            (Some(asked), _) => asked.after(ANSWER_WITHIN),
            // How long the path is is asked at once.
            (None, true) if self.round_trip.is_none() && self.measuring.is_none() => self.heard,
            (None, true) => self.heard.after(PROBE_AFTER),
            (None, false) => self.heard.after(quiet),
        }
    }

    /// A stream moves on a connection of its own: if the line falls silent now, somebody waits.
    pub fn stir(&mut self) {
        self.is_stirred = true;
    }

    /// How long what was sent may stay unacknowledged by the other system before its path counts as cut: four round
    /// trips, and not so little that losses look like cuts.
    pub fn patience(&self) -> Duration {
        self.round_trip.map_or(PATIENCE_UNKNOWN, |round_trip| {
            (round_trip * 4).clamp(PATIENCE_MIN, ANSWER_WITHIN)
        })
    }

    /// The answer to [`Mux::on_wake`]'s question has come.
    fn measure(&mut self) {
        let Some(asked) = self.measuring.take() else { return };
        let took = self.heard.since(asked);
        // As TCP does it (RFC 6298, 2.3).
        let before = self.round_trip.unwrap_or(took);
        self.round_trip = Some((before * 7 + took) / 8);
    }

    /// Asks after a line that is quiet, and gives up on one that does not answer.
    ///
    /// # Errors
    /// If the other side is silent.
    pub fn on_wake(&mut self, now: Timestamp) -> Result<(), Broken> {
        if now < self.wake_at() {
            return Ok(());
        }
        if self.asked.is_some() {
            return Err(Broken::Silent);
        }
        self.asked = Some(now);
        self.measuring = Some(now);
        self.is_stirred = false;
        self.ping(0);
        Ok(())
    }

    /// Whether everything adds up; for tests.
    #[doc(hidden)]
    pub fn audit(&self) {
        assert!(self.lanes.len() <= self.settings.streams_max as usize, "streams keep their limit");
        let grown: u32 = self.lanes.values().map(|lane| lane.window() - WINDOW_FIRST).sum();
        assert_eq!(grown, self.grown, "windows grew together by what is booked");
        assert!(grown <= WINDOWS_GROWN_MAX, "windows keep their limit");
        for (number, lane) in &self.lanes {
            lane.audit();
            assert!(lane.window() <= WINDOW_MAX, "a window keeps its limit");
            assert_eq!(
                lane.is_queued,
                self.due.contains(number),
                "a lane with something due is queued"
            );
        }
    }
}
