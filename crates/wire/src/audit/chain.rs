//! Writing a log: each line is bound to all before it, and every segment is signed.

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};
use units::{BlobId, Timestamp};

use super::limits::{SEGMENT_LINES_MAX, SEGMENT_OPEN_MAX};
use super::record::Record;
use crate::Time;
use crate::paper::NodeKey;

/// What every line of a log is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Line {
    Segment(Head),
    Record(Record),
    Seal(Seal),
}

/// How a segment begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) node: NodeKey,
    pub(super) previous: BlobId,
    pub(super) opened: Time,
}

/// How a segment ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seal {
    pub(super) number: u64,
    pub(super) records: u64,
    pub(super) chain: BlobId,
    pub(super) sealed: Time,
    pub(super) signature: String,
}

/// A log that is being written. It hands out lines without their newlines; whoever has it writes them down in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLog {
    node: NodeKey,
    /// Of the segment that is open, or comes next.
    number: u64,
    /// What the last segment came to.
    previous: [u8; 32],
    open: Option<Open>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    since: Timestamp,
    chain: [u8; 32],
    records: u64,
}

impl AuditLog {
    /// A new log of a node.
    pub const fn new(node: NodeKey) -> Self {
        Self { node, number: 0, previous: [0; 32], open: None }
    }

    /// A log that goes on behind its last segment that was sealed: see [`super::Verified`].
    pub const fn resume(node: NodeKey, next: u64, previous: [u8; 32]) -> Self {
        Self { node, number: next, previous, open: None }
    }

    /// The lines for a record: the first of a segment comes with its head.
    pub fn record(&mut self, record: Record, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        if self.open.is_none() {
            let head = Head {
                number: self.number,
                node: self.node,
                previous: BlobId::from_sha256(self.previous),
                opened: Time(now),
            };
            let line = written(&Line::Segment(head));
            let chain = begin(&line);
            self.open = Some(Open { since: now, chain, records: 0 });
            lines.push(line);
        }
        let line = written(&Line::Record(record));
        if let Some(open) = &mut self.open {
            open.chain = bind(&open.chain, &line);
            open.records += 1;
        }
        lines.push(line);
        lines
    }

    /// Whether the open segment should be sealed.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.open.as_ref().is_some_and(|open| {
            open.records >= SEGMENT_LINES_MAX || open.since.after(SEGMENT_OPEN_MAX) <= now
        })
    }

    /// The line that seals the open segment, if one is open.
    pub fn seal(&mut self, key: &SigningKey, now: Timestamp) -> Option<String> {
        let open = self.open.take()?;
        let digest = sealed(&open.chain, self.number, open.records, now);
        let signature = key.sign(&digest).to_bytes();
        let seal = Seal {
            number: self.number,
            records: open.records,
            chain: BlobId::from_sha256(open.chain),
            sealed: Time(now),
            signature: HEXLOWER.encode(&signature),
        };
        self.previous = finish(&digest, &signature);
        self.number += 1;
        Some(written(&Line::Seal(seal)))
    }
}

fn written(line: &Line) -> String {
    serde_json::to_string(line).expect("a line has no maps and no numbers that JSON lacks")
}

fn derive(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hash.update(part);
    }
    *hash.finalize().as_bytes()
}

/// The chain behind a segment's head.
pub(super) fn begin(head: &str) -> [u8; 32] {
    derive("iog audit 1 segment", &[head.as_bytes()])
}

/// The chain behind a record's line.
pub(super) fn bind(chain: &[u8; 32], line: &str) -> [u8; 32] {
    derive("iog audit 1 line", &[chain, line.as_bytes()])
}

/// What is signed.
pub(super) fn sealed(chain: &[u8; 32], number: u64, records: u64, at: Timestamp) -> [u8; 32] {
    let numbers = [number.to_le_bytes(), records.to_le_bytes(), at.millis().to_le_bytes()];
    derive("iog audit 1 seal", &[chain, numbers.as_flattened()])
}

/// What the next segment calls this one.
pub(super) fn finish(digest: &[u8; 32], signature: &[u8; 64]) -> [u8; 32] {
    derive("iog audit 1 next", &[digest, signature])
}
