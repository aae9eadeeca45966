//! What goes out: words first, and then a frame of each stream in turn.

use super::{Event, Mux, Side, StreamId};
use crate::code::Code;
use crate::frame::Frame;

impl Mux {
    /// Whether [`Mux::fill`] has something to write.
    pub fn has_output(&self) -> bool {
        self.pong.is_some() || !self.words.is_empty() || !self.due.is_empty()
    }

    /// Writes what goes out next, until `out` is `enough` bytes long, or a frame longer.
    pub fn fill(&mut self, out: &mut Vec<u8>, enough: usize) {
        self.is_stirred |= self.is_opening || !self.due.is_empty();
        self.is_opening = false;
        if let Some(token) = self.pong.take() {
            self.say(&Frame::Pong(token));
        }
        if !self.words.is_empty() {
            out.append(&mut self.words);
            self.words = Vec::new();
            (self.signals, self.answers) = (0, 0);
        }
        while out.len() < enough {
            let Some(number) = self.due.pop_front() else { return };
            self.write_lane(number, out);
        }
    }

    fn write_lane(&mut self, number: u32, out: &mut Vec<u8>) {
        let is_relay = self.settings.side == Side::Relay;
        // A stream that is gone has nothing due.
        let Some(lane) = self.lanes.get_mut(&number) else { return };
        lane.is_queued = false;
        if !lane.is_due() {
            return;
        }
        if lane.write(number, is_relay, out) {
            self.events.push_back(Event::Writable(StreamId(number)));
        }
        match (lane.is_forgotten, lane.is_over()) {
            (true, true) => drop(self.remove(number)),
            (true, false) if !lane.is_ending() && !lane.has_last_words() => {
                self.reset(StreamId(number), Code::BrokenOff);
            }
            (true | false, _) => self.queue(number),
        }
    }
}
