//! What the brain is to be told: the owner's orders, what was verified, and what strangers say, each in a queue of its
//! own.
//!
//! # Invariants
//! - Every queue has an end. Orders wait for room; notes are lost where there is none, and will be said again by what
//!   caused them.
//! - No queue keeps another from being read: each gives some of what it holds each time.
//! - When the brain is gone, nobody waits for it, and nothing is kept for it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh::Note;

use crate::engine::Order;

/// How many orders wait.
const ORDERS_MAX: usize = 128;
/// How many notes wait of what was verified, or is about the owner's own frames: 8 MB at most, each with a
/// super-packet.
const NOTES_MAX: usize = 128;
/// How many messages wait that anybody may have sent: 300 bytes each.
const STRANGERS_MAX: usize = 256;
/// How many of those the brain is told at a time: handshakes cost most of what it does, some milliseconds together.
const STRANGERS_TOGETHER: usize = 16;

/// What the brain is to be told.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queues: Mutex<Queues>,
    news: Condvar,
    room: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    orders: VecDeque<Order>,
    notes: VecDeque<Note>,
    strangers: VecDeque<Note>,
    closed: bool,
}

/// What the brain is told at a time. Kept from time to time for its memory.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) orders: VecDeque<Order>,
    pub(crate) notes: VecDeque<Note>,
}

/// The brain is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl Inbox {
    /// Puts in an order, waiting for room.
    pub(crate) fn order(&self, order: Order) -> Result<(), Gone> {
        let mut queues = self.lock();
        while queues.orders.len() >= ORDERS_MAX && !queues.closed {
            queues = self.room.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
        if queues.closed {
            return Err(Gone);
        }
        queues.orders.push_back(order);
        self.news.notify_one();
        Ok(())
    }

    /// Puts in a note, if there is room.
    pub(crate) fn note(&self, note: Note) {
        let mut queues = self.lock();
        let (queue, most) = match note.is_strangers() {
            true => (&mut queues.strangers, STRANGERS_MAX),
            false => (&mut queues.notes, NOTES_MAX),
        };
        if queue.len() < most {
            queue.push_back(note);
            if !queues.closed {
                self.news.notify_one();
            }
        }
    }

    /// Takes some of what is there, waiting for it so long at most.
    pub(crate) fn take(&self, patience: Duration, told: &mut Told) {
        let queues = self.lock();
        let (mut queues, _) = self
            .news
            .wait_timeout_while(queues, patience, |queues| queues.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut queues.orders, &mut told.orders);
        std::mem::swap(&mut queues.notes, &mut told.notes);
        let strangers = queues.strangers.len().min(STRANGERS_TOGETHER);
        told.notes.extend(queues.strangers.drain(..strangers));
        self.room.notify_all();
    }

    /// The brain is gone.
    pub(crate) fn close(&self) {
        let mut queues = self.lock();
        // Who waits for an answer to an order learns that none comes.
        *queues = Queues { closed: true, ..Queues::default() };
        self.room.notify_all();
    }

    /// Queues are whole between any two calls.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.notes.is_empty() && self.strangers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mesh::Way;

    use super::*;

    fn stranger() -> Note {
        Note::Handshake { from: Way::Direct(([192, 0, 2, 1], 1).into()), message: vec![0; 148] }
    }

    fn own() -> Note {
        Note::Confirmed(7)
    }

    #[test]
    fn a_flood_of_strangers_keeps_out_neither_orders_nor_what_was_verified() {
        let (inbox, mut told) = (Inbox::default(), Told::default());
        (0..10_000).for_each(|_| inbox.note(stranger()));
        inbox.note(own());
        assert_eq!(inbox.order(Order::SetGuard(None)), Ok(()));
        inbox.take(Duration::ZERO, &mut told);
        assert_eq!((told.orders.len(), told.notes.len()), (1, 1 + STRANGERS_TOGETHER));
        assert_eq!(told.notes.front(), Some(&own()), "what was verified is first");
        let mut rest = 0;
        loop {
            let mut told = Told::default();
            inbox.take(Duration::ZERO, &mut told);
            rest += told.notes.len();
            if told.notes.is_empty() {
                break;
            }
        }
        assert_eq!(rest, STRANGERS_MAX - STRANGERS_TOGETHER);
    }

    #[test]
    fn a_flood_of_notes_leaves_room_for_strangers() {
        let (inbox, mut told) = (Inbox::default(), Told::default());
        (0..10_000).for_each(|_| inbox.note(own()));
        inbox.note(stranger());
        inbox.take(Duration::ZERO, &mut told);
        assert_eq!(told.notes.len(), NOTES_MAX + 1);
    }

    #[test]
    fn orders_wait_for_room_and_nobody_waits_for_a_brain_that_is_gone() {
        let inbox = Arc::new(Inbox::default());
        let telling = std::thread::spawn({
            let inbox = inbox.clone();
            move || (0..3 * ORDERS_MAX).map(|_| inbox.order(Order::SetGuard(None))).collect()
        });
        let mut seen = 0;
        while seen < 3 * ORDERS_MAX {
            let mut told = Told::default();
            inbox.take(Duration::from_secs(60), &mut told);
            assert!(told.orders.len() <= ORDERS_MAX);
            seen += told.orders.len();
        }
        let all: Vec<Result<(), Gone>> = telling.join().expect("all were told");
        assert!(all.iter().all(Result::is_ok));
        inbox.close();
        assert_eq!(inbox.order(Order::SetGuard(None)), Err(Gone));
    }
}
