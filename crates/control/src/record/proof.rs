//! A proof session that came to a verdict, as whoever verified it says.

use proofs::Task;
use proofs::log::Entry;
use serde::{Deserialize, Serialize};
use units::{RentalId, SlashId, Timestamp};

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
    /// The rental in whose container it was given, if it was. Such a proof speaks for or against a rental: whoever is
    /// in the container could answer wrongly on purpose, so it counts neither for nor against the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rental: Option<RentalId>,
    /// What the measured rates say that the card is, if enough was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<FingerprintRecord>,
    /// The id that a slash gets if the verdict opens one. Without it, none is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slash: Option<SlashId>,
}

/// What the measured rates of a card say that it is, as [`proofs::fingerprint`] judged them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FingerprintRecord {
    /// The key in the registry of the model that the machine says it has.
    pub claimed: String,
    /// The key of the model that it was measured to be: the claimed one where the claim is consistent with the
    /// measurements; none where they are like no model of the reference.
    pub model: Option<String>,
    /// How likely that model is, in ten-thousandths; 0 without one.
    pub probability_bp: u16,
    /// Whether it is slower than the claimed one.
    pub slower: bool,
}

/// Which proof was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofSaid {
    /// A test cluster with other newcomers.
    Cluster,
    /// A proof of work.
    Work,
    /// A test of the cards' memory.
    Vram,
}

/// What came of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictRecord {
    /// Which.
    pub proof: ProofSaid,
    /// When its task was given.
    pub at: Timestamp,
    /// Whether it was right and in time.
    pub passed: bool,
    /// What its owner should know of it.
    pub note: String,
}
