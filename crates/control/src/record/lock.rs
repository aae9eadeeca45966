//! Records of time-lock, as whoever checked them says, and what disturbs a node meanwhile.

use proofs::lock::Summary;
use serde::{Deserialize, Serialize};
use units::{BlobId, Hour, RentalId, SlashId, Timestamp};

use super::Digest;

/// What disturbs a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisturbedBy {
    /// Somebody else is on its cards.
    Foreign,
    /// One of its cards does not answer.
    CardLost,
}

impl DisturbedBy {
    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::CardLost => "card-lost",
        }
    }
}

/// That a node is not its renter's alone, as its machine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisturbedRecord {
    /// By what.
    pub why: DisturbedBy,
    /// Since when, by the machine's clock.
    pub since: Timestamp,
}

/// A record of time-lock: signed by the machine's key, and judged by the rules of the moment it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockRecord {
    /// SHA-256 of its bytes: its name, wherever it is kept.
    pub record: BlobId,
    /// Its hash, which the next record of the span names.
    pub hash: Digest,
    /// The rental, if it is of one; else it is of what is idle.
    pub rental: Option<RentalId>,
    /// The node's place in the rental; 0 in a record of what is idle.
    pub node: u32,
    /// How many records of the span came before.
    pub part: u32,
    /// The hash of the one before; zeros in the first.
    pub previous: Digest,
    /// The hour it is of.
    pub hour: Hour,
    /// When it began, by the machine's clock.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Whether its span was over then.
    pub over: bool,
    /// How many cards it is about.
    pub cards: u8,
    /// What it says, by the minute.
    pub summary: Summary,
    /// Who should not have been there, in words; empty if nobody was.
    pub strangers: String,
    /// When it came.
    pub kept: Timestamp,
    /// The id that a slash gets if the record opens one.
    pub slash: SlashId,
}
