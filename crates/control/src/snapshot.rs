//! The state as bytes, so that a restart need not replay the whole journal.
//!
//! No promise to anyone: a snapshot of another [`SNAPSHOT_FORMAT`] is passed over, and the journal is replayed
//! instead. What can be derived is left out: the inventory follows from the machines and the seats, the agenda from
//! the rentals.
//!
//! # Invariants
//! - A snapshot read back is equal to the state it was made of.
//! - What does not add up does not become a state: a snapshot comes from a disk.

mod foreign;
mod parts;

use units::WorkerId;

use crate::state::Control;

/// Grows with every change of what a snapshot looks like.
pub const SNAPSHOT_FORMAT: u32 = 12;

/// Why bytes are not a state.
#[derive(Debug, thiserror::Error)]
pub enum NotAState {
    /// They are not JSON of the expected shape.
    #[error("the snapshot cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// Its book does not add up.
    #[error("the snapshot's book does not add up")]
    Book(#[from] ledger::NotABook),
    /// Its economy does not add up.
    #[error("the snapshot's economy does not add up: {0}")]
    Economy(String),
    /// A machine is in a trial that is not there, or in which it is not.
    #[error("the snapshot's trials do not fit its machines: {0}")]
    Trials(WorkerId),
    /// Its waiting orders do not add up.
    #[error("the snapshot's waiting orders do not add up: {0}")]
    Queue(&'static str),
    /// Two rentals hold the same card, or a rental holds what no machine has.
    #[error("the snapshot's rentals do not fit its machines")]
    Seats(#[from] scheduler::Taken),
}

impl Control {
    /// The state as bytes. Effects that were not taken yet are not part of it.
    pub fn snapshot(&self) -> Vec<u8> {
        serde_json::to_vec(&parts::Parts::of(self)).expect("a state is plain data")
    }

    /// The state that these are the bytes of.
    ///
    /// # Errors
    /// The first thing by which they are not.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, NotAState> {
        serde_json::from_slice::<parts::Parts>(bytes)?.into_control()
    }
}
