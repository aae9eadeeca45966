//! Proofs of machines, as everyone may see them: what was asked, what came of it, and where it stands in the log.

use serde::{Deserialize, Serialize};
use units::{AccountId, BlobId, Hour, RentalId, WorkerId};
use utoipa::ToSchema;

use crate::Time;

/// What whoever proves must know of whoever verifies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BinaryView {
    /// Versions of the protocol that are spoken: `docs/reference/proofs.md`.
    pub versions: Vec<u8>,
    /// The verifier's ed25519 key, in hexadecimal: the network's own.
    pub verifier: String,
    /// Bytes of the longest message there is.
    pub message_bytes_max: u64,
    /// Bytes of the openings of one task, at most.
    pub openings_bytes_max: u64,
    /// Seconds for which a challenge is waited for, at most.
    pub wait_secs_max: u64,
    /// Seconds within which all cards of a machine must take up what is asked of them at one time.
    pub join_secs: u64,
}

/// A candidate for a puzzle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PuzzleRequest {
    /// 32 bytes, in hexadecimal.
    pub seed: String,
    /// Which of its puzzles.
    pub index: u16,
    /// Leading zero bits that are asked for.
    pub bits: u8,
    /// The candidate.
    pub number: u64,
}

/// What a candidate is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PuzzleAnswer {
    /// Zero bits its hash begins with.
    pub leading_zeros: u32,
    /// Whether these are enough.
    pub solves: bool,
}

/// What came of one task of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofTask {
    /// `puzzle`, `matmul` or `memory`.
    pub kind: String,
    /// `pass`, `slow`, `fail` or `inconclusive`.
    pub outcome: String,
    /// Why, as a word that does not change.
    pub reason: String,
    /// Why, for people.
    pub why: String,
    /// Microseconds that counted.
    pub elapsed_us: u64,
    /// Microseconds that were allowed for it.
    pub limit_us: u64,
    /// Hashes per second, of a puzzle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_rate: Option<u64>,
    /// Operations per second, of a matmul.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations_per_second: Option<u64>,
    /// Bytes per second, of a memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Bytes that were filled, of a memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// A proof that came to a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofView {
    /// The session, in hexadecimal: the proof's id.
    pub session: String,
    /// The machine.
    pub worker: WorkerId,
    /// The rental in which it was given, at the renter's wish. Such a proof counts for that rental only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rental: Option<RentalId>,
    /// SHA-256 of the card's UUID, or of `cpu`.
    pub card: BlobId,
    /// The hour it counts for: a block's id.
    pub hour: Hour,
    /// When its challenge was given.
    pub asked_at: Time,
    /// When its verdict was.
    pub sealed_at: Time,
    /// `pass`, `slow`, `fail` or `inconclusive`.
    pub status: String,
    /// Why, as a word that does not change.
    pub reason: String,
    /// Why, for people.
    pub why: String,
    /// Hashes per second of its puzzle, if it came so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_rate: Option<u64>,
    /// What was asked, and what came of each.
    pub tasks: Vec<ProofTask>,
    /// Its place in the log, from 0.
    pub index: u64,
    /// SHA-256 of its transcript.
    pub transcript: BlobId,
}

/// What a machine's proofs came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PowSummary {
    /// The machine.
    pub worker: WorkerId,
    /// How the last one ended, `succeeded` or `failed`; absent if none counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_challenge_status: Option<String>,
    /// Proofs of the last 30 days that passed.
    pub pow_jobs_passed: u64,
    /// Proofs of the last 30 days that were wrong, or too slow.
    pub pow_jobs_failed: u64,
    /// Proofs of the last 30 days that came to nothing: nobody is blamed for them.
    pub pow_jobs_inconclusive: u64,
}

/// The log as it is now, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogHead {
    /// Entries.
    pub size: u64,
    /// The root of its tree.
    pub root: BlobId,
    /// ed25519, over `K("iog proof 1 log", size ‖ root)`, in hexadecimal.
    pub signature: String,
    /// The key that signed, in hexadecimal: the network's own.
    pub public_key: String,
}

/// Entries of the log, one after another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogEntries {
    /// The place of the first.
    pub from: u64,
    /// Their bytes, in hexadecimal.
    pub entries: Vec<String>,
    /// The place to go on from; absent at the end of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// That a longer log begins with a shorter one (RFC 9162, section 2.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogConsistency {
    /// Entries of the shorter one.
    pub from: u64,
    /// Its root.
    pub from_root: BlobId,
    /// Entries of the longer one.
    pub to: u64,
    /// Its root.
    pub to_root: BlobId,
    /// The hashes that show it.
    pub path: Vec<BlobId>,
}

/// A proof, and that it is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofInLog {
    /// What it is.
    pub proof: ProofView,
    /// Its entry's bytes, in hexadecimal: a leaf of the log.
    pub entry: String,
    /// The log as it is now.
    pub head: LogHead,
    /// The hashes that lead from the entry to the root, the nearest first (RFC 9162, section 2.1.3).
    pub path: Vec<BlobId>,
    /// Whether its transcript is still kept.
    pub has_transcript: bool,
}

/// What veils the owner in a session's transcript. Only the owner is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofOwner {
    /// The session, in hexadecimal.
    pub session: String,
    /// Whose the machine is.
    pub account: AccountId,
    /// What the verifier mixed in, in hexadecimal.
    pub salt: String,
    /// What the challenge says of its owner, in hexadecimal: the first 16 bytes of
    /// `K("iog proof 1 owner", salt ‖ account ‖ session)`.
    pub owner: String,
}
