//! A proof session that came to a verdict, as whoever verified it says.

use proofs::Task;
use proofs::log::Entry;
use serde::{Deserialize, Serialize};
use units::Timestamp;

/// A sealed session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedRecord {
    /// When the challenge was given: a proof counts for the hour it was asked in.
    pub at: Timestamp,
    /// How many cards of the machine are challenged at that time: all of them have to pass.
    pub cards: u32,
    /// What was asked.
    pub tasks: Vec<Task>,
    /// What the public log says of it.
    pub entry: Entry,
}
