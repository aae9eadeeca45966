//! Proofs of machines in the read tables, and what is shown of them.
//!
//! A sealed session is one row by its place in the log, which belongs to its machine; a pointer to it by its id, and
//! one by how it ended; and the hashes of the log's tree that it completed. So any page of the log, and any proof about
//! it, is read without a walk over the rest.

use control::Sealed;
use data_encoding::HEXLOWER;
use proofs::log::Entry;
use proofs::{Judged, Outcome, Reason, Task};
use serde::{Deserialize, Serialize};
use units::{BlobId, Hour, RentalId, WorkerId};
use wire::{ProofTask, ProofView, Time};

use super::{NETWORK, json};
use crate::journal::Row;

/// Sealed sessions, by their place in the log; each belongs to its machine.
pub(crate) const PROOF_ROWS: &str = "proof";
/// Places in the log, by session.
pub(crate) const PROOF_SESSION_ROWS: &str = "proof-session";
/// When each session was sealed, by its place in the log; each belongs to its machine and how it ended.
pub(crate) const PROOF_OUTCOME_ROWS: &str = "proof-outcome";
/// Places in the log of what was proved in a rental, by place; each belongs to the rental.
pub(crate) const PROOF_RENTAL_ROWS: &str = "proof-rental";
/// Roots of full subtrees of the log, by height and index.
pub(crate) const PROOF_NODE_ROWS: &str = "proof-node";

/// A sealed session as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProofRow {
    /// Its place in the log, from 0.
    pub(crate) index: u64,
    /// When its challenge was given.
    pub(crate) at: Time,
    /// What was asked.
    pub(crate) tasks: Vec<Task>,
    /// What the log says.
    pub(crate) entry: Entry,
    /// The rental in which it was given, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rental: Option<RentalId>,
}

/// What a sealed session is kept under: in the order of the log.
pub(crate) fn proof_id(index: u64) -> String {
    format!("{index:016x}")
}

/// The place that an id stands for.
pub(crate) fn proof_index(id: &str) -> Option<u64> {
    (id.len() == 16).then(|| u64::from_str_radix(id, 16).ok()).flatten()
}

/// What a subtree's root is kept under.
pub(crate) fn node_id(height: u32, index: u64) -> String {
    format!("{height:02x}/{index:016x}")
}

/// To whom rows by outcome belong: the machine, and how its sessions ended.
pub(crate) fn outcome_owner(worker: WorkerId, outcome: &str) -> String {
    format!("{worker}/{outcome}")
}

/// The rows of a session that was just sealed.
pub(crate) fn proof_rows(sealed: &Sealed) -> Vec<Row> {
    let Sealed { index, at, tasks, entry, rental, nodes } = sealed;
    let id = proof_id(*index);
    let outcome = proofs::worst(&entry.tasks).to_string();
    let sealed_at = Time(units::Timestamp::from_millis(entry.sealed_ms));
    let session = HEXLOWER.encode(&entry.session);
    let row = |kind, id: String, owner: String, body| Row { kind, id, owner, body: Some(body) };
    let whole = ProofRow {
        index: *index,
        at: Time(*at),
        tasks: tasks.clone(),
        entry: entry.clone(),
        rental: *rental,
    };
    let network = || NETWORK.to_owned();
    let own = [
        row(PROOF_ROWS, id.clone(), entry.worker.to_string(), json(&whole)),
        row(PROOF_SESSION_ROWS, session, network(), json(index)),
        row(
            PROOF_OUTCOME_ROWS,
            id.clone(),
            outcome_owner(entry.worker, &outcome),
            json(&sealed_at),
        ),
    ];
    let node = |full: &proofs::log::Full| {
        row(PROOF_NODE_ROWS, node_id(full.height, full.index), network(), json(&full.hash))
    };
    let canary =
        |rental: &RentalId| row(PROOF_RENTAL_ROWS, id.clone(), rental.to_string(), json(index));
    let canary = rental.as_ref().map(canary);
    own.into_iter().chain(canary).chain(nodes.iter().map(node)).collect()
}

/// A session's row read back.
pub(crate) fn proof_row(body: &[u8]) -> Option<ProofRow> {
    serde_json::from_slice(body).ok()
}

/// A subtree's root read back.
pub(crate) fn node_hash(body: &[u8]) -> Option<BlobId> {
    serde_json::from_slice(body).ok()
}

/// A reason as a word.
fn word(reason: Reason) -> String {
    let word = serde_json::to_value(reason).ok();
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A sealed session, as everyone may see it.
pub(crate) fn proof(row: &ProofRow) -> ProofView {
    let ProofRow { index, at, tasks, entry, rental } = row;
    let outcome = proofs::worst(&entry.tasks);
    let reason = entry.tasks.iter().find(|judged| judged.outcome() == outcome);
    let reason = reason.map_or(Reason::None, |judged| judged.reason);
    let tasks: Vec<ProofTask> =
        tasks.iter().zip(&entry.tasks).map(|(task, judged)| proof_task(task, judged)).collect();
    ProofView {
        session: HEXLOWER.encode(&entry.session),
        worker: entry.worker,
        rental: *rental,
        card: BlobId::from_sha256(entry.card),
        hour: Hour::from_number(u32::try_from(entry.hour).unwrap_or(u32::MAX)),
        asked_at: *at,
        sealed_at: Time(units::Timestamp::from_millis(entry.sealed_ms)),
        status: outcome.to_string(),
        reason: word(reason),
        why: reason.to_string(),
        hash_rate: tasks.iter().find_map(|task| task.hash_rate),
        tasks,
        index: *index,
        transcript: entry.transcript,
    }
}

fn proof_task(task: &Task, judged: &Judged) -> ProofTask {
    let rate = Some(judged.rate).filter(|rate| *rate > 0);
    let (kind, limit_ms) = match task {
        Task::Puzzle(puzzle) => ("puzzle", puzzle.limit_ms),
        Task::Matmul(matmul) => ("matmul", matmul.limit_ms),
        Task::Memory(memory) => ("memory", memory.walk_ms),
    };
    let only = |of: &str| rate.filter(|_| kind == of);
    ProofTask {
        kind: kind.to_owned(),
        outcome: judged.outcome().to_string(),
        reason: word(judged.reason),
        why: judged.reason.to_string(),
        elapsed_us: judged.elapsed_us,
        limit_us: u64::from(limit_ms) * 1_000,
        hash_rate: only("puzzle"),
        operations_per_second: only("matmul"),
        bytes_per_second: only("memory"),
        memory_bytes: match task {
            Task::Memory(memory) => Some(memory.bytes()),
            Task::Puzzle(_) | Task::Matmul(_) => None,
        },
    }
}

/// The outcomes there are, as they are written.
pub(crate) fn outcomes() -> [String; 4] {
    [Outcome::Pass, Outcome::Slow, Outcome::Fail, Outcome::Inconclusive]
        .map(|outcome| outcome.to_string())
}
