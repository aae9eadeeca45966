//! What ends, soonest first, looked for no further than it is asked for.

use units::Timestamp;

use super::limits::{ENDS_LOOKED_AT_MAX, ENDS_PLAYED_MAX};
use super::plan::Running;
use super::room::Room;

/// Something that ends, and gives back what it has.
#[derive(Debug)]
pub(crate) struct End<'a, Seats> {
    pub(crate) at: Timestamp,
    pub(crate) seats: &'a Seats,
    /// When it is told to end: its place among what runs, and when it would have ended by itself.
    pub(crate) told: Option<(usize, Timestamp)>,
}

/// The spot rentals that may be told to go: who goes first at first, and when they would be gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) at: Timestamp,
    pub(crate) places: &'a [usize],
}

/// Ends that could be of use to an order: of what runs, of what starts in this pass, and of spot rentals that are told
/// to go.
pub(crate) struct Ends<'a, R: Room> {
    ask: &'a R::Ask,
    running: &'a [Running<R::Seats>],
    looked_at: usize,
    played: usize,
    /// The next of what runs that ends by itself.
    next: Option<&'a Running<R::Seats>>,
    started: Vec<&'a (Timestamp, R::Seats)>,
    told: Option<Told<'a>>,
    told_played: usize,
}

impl<'a, R: Room> Ends<'a, R> {
    pub(crate) fn new(
        ask: &'a R::Ask,
        running: &'a [Running<R::Seats>],
        started: &'a [(Timestamp, R::Seats)],
        told: Option<Told<'a>>,
    ) -> Self {
        let mut started: Vec<&(Timestamp, R::Seats)> = started.iter().collect();
        // The soonest is taken from the end.
        started.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Self { ask, running, looked_at: 0, played: 0, next: None, started, told, told_played: 0 }
    }

    /// Of those that end at the same moment, who is told to goes last.
    pub(crate) fn next(&mut self, room: &R) -> Option<End<'a, R::Seats>> {
        let by_itself = self.peek(room).map(|running| running.ends);
        let started = self.started.last().map(|(at, _)| *at);
        let told = self.peek_told(room).map(|_| self.told.map(|told| told.at)).unwrap_or_default();
        let at = by_itself.into_iter().chain(started).chain(told).min()?;
        if by_itself == Some(at) {
            self.played += 1;
            let Running { seats, .. } = self.next.take()?;
            return Some(End { at, seats, told: None });
        }
        if started == Some(at) {
            let (_, seats) = self.started.pop()?;
            return Some(End { at, seats, told: None });
        }
        let place = self.peek_told(room)?;
        self.told_played += 1;
        self.pass_over();
        let running = &self.running[place];
        Some(End { at, seats: &running.seats, told: Some((place, running.ends)) })
    }

    /// When the last ends that were looked at are, if not all were.
    pub(crate) fn cut_at(&self) -> Option<Timestamp> {
        let is_cut = self.looked_at < self.running.len();
        let last = self.looked_at.checked_sub(1).map(|last| self.running[last].ends);
        if is_cut { last } else { None }
    }

    fn peek(&mut self, room: &R) -> Option<&'a Running<R::Seats>> {
        while self.next.is_none() {
            if self.looked_at == ENDS_LOOKED_AT_MAX || self.played == ENDS_PLAYED_MAX {
                return None;
            }
            let running = self.running.get(self.looked_at)?;
            self.looked_at += 1;
            let is_told =
                running.reclaim.is_some() && self.told.is_some_and(|told| told.at < running.ends);
            if !is_told && room.helps(self.ask, &running.seats) {
                self.next = Some(running);
            }
        }
        self.next
    }

    fn peek_told(&mut self, room: &R) -> Option<usize> {
        while self.told_played < ENDS_PLAYED_MAX {
            let place = *self.told?.places.first()?;
            if room.helps(self.ask, &self.running[place].seats) {
                return Some(place);
            }
            self.pass_over();
        }
        None
    }

    fn pass_over(&mut self) {
        if let Some(told) = &mut self.told {
            told.places = &told.places[1..];
        }
    }
}
