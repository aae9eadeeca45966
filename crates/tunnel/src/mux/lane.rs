//! One stream of a line: what waits to go out, what came in, and how both directions end.

use std::collections::VecDeque;

use super::{Gone, Read};
use crate::code::Code;
use crate::frame::{Broken, Frame};
use crate::limits::{PAYLOAD_MAX, UNSENT_MAX, WINDOW_FIRST, WINDOW_MAX};
use crate::ticket::TicketId;

/// The most credit that may be outstanding: who grants more does not keep a window.
const CREDIT_MAX: u32 = 2 * WINDOW_MAX;

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing more comes.
    Finish,
    /// The rest comes on the connection of this ticket.
    Move(TicketId),
}

/// How far a direction that goes out is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    Open,
    /// It ends so once all that waits has gone.
    Ending(Ending),
    Ended(Ending),
}

/// One stream.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) is_accepted: bool,
    pub(super) is_forgotten: bool,
    pub(super) is_queued: bool,
    pub(super) broken: Option<Code>,
    unsent: VecDeque<u8>,
    /// What we may send.
    credit: u32,
    out: Out,
    is_writer_waiting: bool,
    unread: VecDeque<u8>,
    /// What the other side may still send.
    granted: u32,
    /// What was read since credit was last given.
    consumed: u32,
    window: u32,
    /// How the direction that comes in ended.
    ended: Option<Ending>,
    is_reader_waiting: bool,
}

impl Lane {
    pub(super) fn new(is_accepted: bool) -> Self {
        Self {
            is_accepted,
            is_forgotten: false,
            is_queued: false,
            broken: None,
            unsent: VecDeque::new(),
            credit: WINDOW_FIRST,
            out: Out::Open,
            is_writer_waiting: false,
            unread: VecDeque::new(),
            granted: WINDOW_FIRST,
            consumed: 0,
            window: WINDOW_FIRST,
            ended: None,
            is_reader_waiting: false,
        }
    }

    pub(super) fn window(&self) -> u32 {
        self.window
    }

    /// Whether both directions are over.
    pub(super) fn is_over(&self) -> bool {
        let is_out_over = match self.out {
            Out::Ended(_) => true,
            Out::Open | Out::Ending(_) => false,
        };
        self.broken.is_some() || (is_out_over && self.ended.is_some())
    }

    /// Whether both directions are over once what waits has gone.
    pub(super) fn is_ending(&self) -> bool {
        self.out != Out::Open && self.ended.is_some()
    }

    /// Nobody uses it any more: nothing that came is read.
    pub(super) fn forget(&mut self) {
        self.is_forgotten = true;
        self.unread = VecDeque::new();
    }

    /// Whether something that was handed over still goes out though nobody uses the stream: what its user ended goes as
    /// soon as there is credit, and what its user broke off as far as there is credit now.
    pub(super) fn has_last_words(&self) -> bool {
        let waits = match self.out {
            Out::Open => !self.unsent.is_empty() && self.credit > 0,
            Out::Ending(_) => true,
            Out::Ended(_) => false,
        };
        self.broken.is_none() && waits
    }

    /// Whether something can go out.
    pub(super) fn is_due(&self) -> bool {
        if self.broken.is_some() {
            return false;
        }
        match (self.unsent.is_empty(), self.out) {
            (false, _) => self.credit > 0,
            (true, Out::Ending(_)) => true,
            (true, Out::Open | Out::Ended(_)) => false,
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<usize, Gone> {
        if let Some(code) = self.broken {
            return Err(Gone::Stream(code));
        }
        if self.out != Out::Open {
            return Err(Gone::Ended);
        }
        let taken = bytes.len().min(UNSENT_MAX - self.unsent.len());
        self.unsent.extend(&bytes[..taken]);
        self.is_writer_waiting = taken == 0 && !bytes.is_empty();
        Ok(taken)
    }

    pub(super) fn end(&mut self, ending: Ending) {
        if self.out == Out::Open {
            self.out = Out::Ending(ending);
        }
    }

    /// Writes its next frame. Returns whether its writer, who waits, has room.
    pub(super) fn write(&mut self, number: u32, is_relay: bool, out: &mut Vec<u8>) -> bool {
        if self.unsent.is_empty() {
            if let Out::Ending(ending) = self.out {
                self.out = Out::Ended(ending);
                let frame = match (ending, is_relay) {
                    (Ending::Finish, _) => Frame::Finish,
                    (Ending::Move(ticket), true) => Frame::Move(ticket),
                    (Ending::Move(ticket), false) => Frame::Moved(ticket),
                };
                frame.write(number, out);
            }
            return false;
        }
        let most = PAYLOAD_MAX.min(self.credit as usize);
        // One of the two halves of the ring, so that nothing is copied twice.
        let (first, _) = self.unsent.as_slices();
        let many = first.len().min(most);
        Frame::Data(&first[..many]).write(number, out);
        self.unsent.drain(..many);
        self.credit -= u32::try_from(many).unwrap_or(self.credit);
        if self.unsent.is_empty() {
            // A stream that says nothing takes no room.
            self.unsent = VecDeque::new();
        }
        std::mem::take(&mut self.is_writer_waiting)
    }

    pub(super) fn on_credit(&mut self, number: u32, bytes: u32) -> Result<(), Broken> {
        let credit = self.credit.checked_add(bytes).filter(|credit| *credit <= CREDIT_MAX);
        self.credit = credit.ok_or(Broken::BeyondReason(number))?;
        Ok(())
    }

    /// So many bytes are about to come.
    pub(super) fn on_data(&mut self, number: u32, bytes: u16) -> Result<(), Broken> {
        if self.ended.is_some() {
            return Err(Broken::AfterEnd(number));
        }
        let granted = self.granted.checked_sub(u32::from(bytes));
        self.granted = granted.ok_or(Broken::BeyondCredit(number))?;
        Ok(())
    }

    /// These are some of them. Returns whether its reader, who waits, can go on.
    pub(super) fn on_bytes(&mut self, bytes: &[u8]) -> bool {
        if self.is_forgotten {
            return false;
        }
        self.unread.extend(bytes);
        !bytes.is_empty() && std::mem::take(&mut self.is_reader_waiting)
    }

    /// The direction that comes in is over. Returns whether its reader, who waits, can go on.
    pub(super) fn on_end(&mut self, number: u32, ending: Ending) -> Result<bool, Broken> {
        if self.ended.is_some() {
            return Err(Broken::AfterEnd(number));
        }
        self.ended = Some(ending);
        Ok(std::mem::take(&mut self.is_reader_waiting))
    }

    /// Whether the direction that goes out was moved to this ticket.
    pub(super) fn is_moved_to(&self, ticket: TicketId) -> bool {
        let to = Ending::Move(ticket);
        self.out == Out::Ending(to) || self.out == Out::Ended(to)
    }

    pub(super) fn on_broken(&mut self, code: Code) {
        self.broken = Some(code);
        self.unsent = VecDeque::new();
    }

    pub(super) fn read(&mut self, into: &mut [u8]) -> Read {
        // What came before the end is read before it, also when the end is a break.
        if self.unread.is_empty() {
            return match (self.ended, self.broken) {
                (Some(Ending::Finish), _) => Read::End,
                (_, Some(code)) => Read::Broken(code),
                (Some(Ending::Move(ticket)), None) => Read::Elsewhere(ticket),
                (None, None) => {
                    self.is_reader_waiting = true;
                    Read::Wait
                }
            };
        }
        let (first, second) = self.unread.as_slices();
        let from_first = first.len().min(into.len());
        into[..from_first].copy_from_slice(&first[..from_first]);
        let from_second = second.len().min(into.len() - from_first);
        into[from_first..from_first + from_second].copy_from_slice(&second[..from_second]);
        let many = from_first + from_second;
        self.unread.drain(..many);
        self.consumed = self.consumed.saturating_add(u32::try_from(many).unwrap_or(u32::MAX));
        if self.unread.is_empty() {
            self.unread = VecDeque::new();
        }
        Read::Bytes(many)
    }

    /// The credit to give, and how much of it is a wider window; nothing until half a window was read. A window widens
    /// by what was read, as long as nothing waits to be read: then it may be the window that holds the sender back.
    pub(super) fn grant(&mut self, room: u32) -> Option<(u32, u32)> {
        if self.consumed < self.window / 2 || self.ended.is_some() || self.broken.is_some() {
            return None;
        }
        let most = room.min(WINDOW_MAX - self.window);
        let wider = if self.unread.is_empty() { self.consumed.min(most) } else { 0 };
        let credit = std::mem::take(&mut self.consumed) + wider;
        self.window += wider;
        self.granted += credit;
        Some((credit, wider))
    }

    pub(super) fn audit(&self) {
        let unread = u32::try_from(self.unread.len()).expect("it is no longer than the window");
        assert!(
            self.granted + unread + self.consumed <= self.window,
            "a window holds all that was granted"
        );
        assert!(self.unsent.len() <= UNSENT_MAX, "what waits keeps its limit");
        assert!(self.credit <= CREDIT_MAX, "credit keeps its limit");
    }
}
