//! What comes in: bytes, cut anywhere, to frames, to what they mean.

use units::Timestamp;

use super::lane::{Ending, Lane};
use super::{Event, Mux, Side, StreamId};
use crate::code::Code;
use crate::frame::{Broken, Frame, HEAD_BYTES, Head, MAY_SKIP, Open, kind};
use crate::limits::ANSWERS_MAX;
use crate::ticket::TicketId;

/// Where in a frame we are.
#[derive(Debug, Default)]
pub(super) enum Parser {
    /// At its start.
    #[default]
    Start,
    /// In its head: so many bytes of it.
    InHead([u8; HEAD_BYTES], usize),
    /// In a payload that is understood when it is whole.
    InWords(Head, Vec<u8>),
    /// In data, of which so many bytes are missing.
    InData(u32, usize),
    /// In what is passed over, of which so many bytes are missing.
    InSkipped(usize),
}

impl Mux {
    /// Takes what came in, cut anywhere.
    ///
    /// # Errors
    /// If the other side broke the protocol. The line is of no more use.
    pub fn on_bytes(&mut self, mut bytes: &[u8], now: Timestamp) -> Result<(), Broken> {
        self.heard = self.heard.max(now);
        self.asked = None;
        while !bytes.is_empty() {
            bytes = self.step(bytes)?;
        }
        if self.answers > ANSWERS_MAX {
            return Err(Broken::Flood);
        }
        Ok(())
    }

    /// Takes some of them, and returns the rest.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Broken> {
        match std::mem::take(&mut self.parser) {
            Parser::Start => {
                self.parser = Parser::InHead([0; HEAD_BYTES], 0);
                Ok(bytes)
            }
            Parser::InHead(mut head, mut have) => {
                let (taken, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - have));
                head[have..have + taken.len()].copy_from_slice(taken);
                have += taken.len();
                self.parser = match have {
                    HEAD_BYTES => self.on_head(Head::read(head))?,
                    _ => Parser::InHead(head, have),
                };
                Ok(rest)
            }
            Parser::InWords(head, mut payload) => {
                let missing = usize::from(head.length) - payload.len();
                let (taken, rest) = bytes.split_at(bytes.len().min(missing));
                payload.extend_from_slice(taken);
                match payload.len() == usize::from(head.length) {
                    true => self.on_words(head, &payload)?,
                    false => self.parser = Parser::InWords(head, payload),
                }
                Ok(rest)
            }
            Parser::InData(number, missing) => {
                let (taken, rest) = bytes.split_at(bytes.len().min(missing));
                if let Some(lane) = self.lanes.get_mut(&number)
                    && lane.broken.is_none()
                    && lane.on_bytes(taken)
                {
                    self.events.push_back(Event::Readable(StreamId(number)));
                }
                self.parser = match missing - taken.len() {
                    0 => Parser::Start,
                    missing => Parser::InData(number, missing),
                };
                Ok(rest)
            }
            Parser::InSkipped(missing) => {
                let (taken, rest) = bytes.split_at(bytes.len().min(missing));
                self.parser = match missing - taken.len() {
                    0 => Parser::Start,
                    missing => Parser::InSkipped(missing),
                };
                Ok(rest)
            }
        }
    }

    fn on_head(&mut self, head: Head) -> Result<Parser, Broken> {
        head.check()?;
        let length = usize::from(head.length);
        if head.kind > kind::LAST && head.flags & MAY_SKIP != 0 {
            return Ok(if length == 0 { Parser::Start } else { Parser::InSkipped(length) });
        }
        self.is_in_turn(head.kind)?;
        if head.kind == kind::DATA {
            if let Some(lane) = self.lane(head.stream)? {
                lane.on_data(head.stream, head.length)?;
                self.is_stirred = true;
            }
            return Ok(if length == 0 {
                Parser::Start
            } else {
                Parser::InData(head.stream, length)
            });
        }
        if length == 0 {
            self.on_words(head, &[])?;
            return Ok(Parser::Start);
        }
        // Made as long as what comes, not as what is said to come.
        Ok(Parser::InWords(head, Vec::new()))
    }

    /// Whether the other side may say this, and may say it yet.
    fn is_in_turn(&self, kind: u8) -> Result<(), Broken> {
        let of_node =
            matches!(kind, kind::HELLO | kind::SERVE | kind::WITHDRAW | kind::MOVED | kind::RECORD);
        let of_relay = matches!(
            kind,
            kind::WELCOME
                | kind::SERVED
                | kind::REFUSED
                | kind::MOVE
                | kind::SPARE
                | kind::DRAIN
                | kind::TURNED
        );
        let is_in_turn = match (self.settings.side, self.is_greeted) {
            (Side::Node, false) => matches!(kind, kind::WELCOME | kind::TURNED),
            (Side::Node, true) => !of_node && kind != kind::WELCOME,
            (Side::Relay, false) => kind == kind::HELLO,
            (Side::Relay, true) => !of_relay,
        };
        match is_in_turn {
            true => Ok(()),
            false => Err(Broken::OutOfTurn(kind)),
        }
    }

    /// The lane of this number; none if it is over. A number that was never opened breaks the line.
    fn lane(&mut self, number: u32) -> Result<Option<&mut Lane>, Broken> {
        let is_ours = number % 2 == self.next % 2;
        let was = if is_ours { number < self.next } else { number <= self.theirs };
        if number == 0 || !was {
            return Err(Broken::NotItsNumber(number));
        }
        Ok(self.lanes.get_mut(&number))
    }

    fn on_words(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        let number = head.stream;
        let event = match Frame::read(head.kind, payload)? {
            Frame::Hello(hello) => {
                self.is_greeted = true;
                Event::Hello(hello)
            }
            Frame::Welcome(welcome) => {
                self.is_greeted = true;
                Event::Welcome(welcome)
            }
            Frame::Serve(service) => Event::Serve(service),
            Frame::Served(served) => Event::Served(served),
            Frame::Refused { name, code, why } => Event::Refused(name, code, why),
            Frame::Withdraw(name) => Event::Withdraw(name),
            Frame::Turned { code, why } => Event::Turned(code, why),
            Frame::Spare { is_plain, tickets } => Event::Spare(is_plain, tickets),
            Frame::Drain(seconds) => Event::Drain(seconds),
            Frame::Signal { peer, body } => Event::Signal(peer, body),
            Frame::Packet { peer, body } => Event::Packet(peer, body),
            Frame::Ping(token) => {
                // Of several questions at once the last is answered.
                self.pong = Some(token);
                return Ok(());
            }
            Frame::Pong(0) => {
                self.measure();
                return Ok(());
            }
            Frame::Pong(token) => Event::Pong(token),
            Frame::Record { traffic, is_whole } => {
                self.lane(number)?;
                Event::Record(StreamId(number), traffic, is_whole)
            }
            Frame::Open(open) => return self.on_open(number, open),
            Frame::Accept => return self.on_accept(number),
            Frame::Credit(bytes) => {
                if let Some(lane) = self.lane(number)? {
                    lane.on_credit(number, bytes)?;
                    self.queue(number);
                }
                return Ok(());
            }
            Frame::Finish => return self.on_end(number, Ending::Finish),
            Frame::Move(ticket) => return self.on_end(number, Ending::Move(ticket)),
            Frame::Moved(ticket) => return self.on_moved(number, ticket),
            Frame::Reset(code) => return self.on_reset(number, code),
            // Data is not gathered.
            Frame::Data(_) => return Err(Broken::Malformed(head.kind)),
        };
        self.events.push_back(event);
        Ok(())
    }

    fn on_open(&mut self, number: u32, open: Open) -> Result<(), Broken> {
        let is_ours = number % 2 == self.next % 2;
        if is_ours || number <= self.theirs || number == 0 {
            return Err(Broken::NotItsNumber(number));
        }
        self.theirs = number;
        if self.lanes.len() >= self.settings.streams_max as usize {
            self.answer_on(number, &Frame::Reset(Code::Limit));
            return Ok(());
        }
        self.is_stirred = true;
        self.lanes.insert(number, Lane::new(false));
        self.events.push_back(Event::Opened(StreamId(number), open));
        Ok(())
    }

    fn on_accept(&mut self, number: u32) -> Result<(), Broken> {
        let is_ours = number % 2 == self.next % 2;
        let Some(lane) = self.lane(number)? else { return Ok(()) };
        if lane.is_accepted || !is_ours {
            return Err(Broken::OutOfTurn(kind::ACCEPT));
        }
        lane.is_accepted = true;
        self.events.push_back(Event::Accepted(StreamId(number)));
        Ok(())
    }

    fn on_end(&mut self, number: u32, ending: Ending) -> Result<(), Broken> {
        let Some(lane) = self.lane(number)? else { return Ok(()) };
        if lane.broken.is_none() && lane.on_end(number, ending)? {
            self.events.push_back(Event::Readable(StreamId(number)));
        }
        if lane_is_done(self.lanes.get(&number)) {
            drop(self.remove(number));
        }
        Ok(())
    }

    fn on_moved(&mut self, number: u32, ticket: TicketId) -> Result<(), Broken> {
        match self.lane(number)? {
            Some(lane) if lane.broken.is_none() && !lane.is_moved_to(ticket) => {
                Err(Broken::OutOfTurn(kind::MOVED))
            }
            Some(_) => self.on_end(number, Ending::Move(ticket)),
            None => Ok(()),
        }
    }

    fn on_reset(&mut self, number: u32, code: Code) -> Result<(), Broken> {
        let Some(lane) = self.lane(number)? else { return Ok(()) };
        if lane.broken.is_some() {
            return Ok(());
        }
        lane.on_broken(code);
        if lane.is_forgotten {
            drop(self.remove(number));
            return Ok(());
        }
        self.events.push_back(Event::Closed(StreamId(number), code));
        Ok(())
    }
}

fn lane_is_done(lane: Option<&Lane>) -> bool {
    lane.is_some_and(|lane| lane.is_forgotten && lane.is_over())
}
