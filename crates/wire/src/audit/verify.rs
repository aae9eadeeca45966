//! Reading a log, line by line: is it what was written?

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use units::{BlobId, Timestamp};

use super::chain::{Head, Line, Seal, begin, bind, finish, sealed};
use super::limits::{LINE_BYTES_MAX, SEGMENT_LINES_MAX};
use super::record::Record;
use crate::paper::NodeKey;

/// Reads a log whose end is not known yet.
#[derive(Clone, Debug)]
pub struct Verifier {
    node: Option<NodeKey>,
    verified: Verified,
    open: Option<Open>,
    line: u64,
}

#[derive(Clone, Debug)]
struct Open {
    number: u64,
    opened: Timestamp,
    chain: [u8; 32],
    records: u64,
}

/// What a log came to, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The node whose log it is; none before its first line.
    pub node: Option<NodeKey>,
    /// The number of the first segment; others may have been before.
    pub first: u64,
    /// The number of the segment that comes next.
    pub next: u64,
    /// What the next segment calls the last.
    pub previous: [u8; 32],
    /// How many segments are sealed.
    pub segments: u64,
    /// Records that are sealed.
    pub sealed: u64,
    /// Records behind the last seal: they could still be changed.
    pub unsealed: u64,
    /// Records that could not be written, as the log says.
    pub lost: u64,
}

/// Where a log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Broken {
    /// Counted from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
}

/// Why a line cannot stand where it does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is too long.
    #[error("longer than 8192 bytes")]
    TooLong,
    /// It is not a line of a log.
    #[error("not a line of a log: {why}")]
    NotALine {
        /// Where it ceases to be one.
        why: String,
    },
    /// A record or a seal outside of a segment, or a segment in a segment.
    #[error("{found} where {expected} belongs")]
    OutOfPlace {
        /// What stands there.
        found: &'static str,
        /// What could.
        expected: &'static str,
    },
    /// A segment that does not follow the one before.
    #[error("segment {found} where segment {expected} follows: something is missing or moved")]
    Number {
        /// What stands there.
        found: u64,
        /// What follows.
        expected: u64,
    },
    /// A segment that calls the one before by another name.
    #[error("the segment before is not the one that this one follows")]
    Previous,
    /// It is another node's.
    #[error("written by {found}")]
    Node {
        /// By whom.
        found: NodeKey,
    },
    /// The seal does not fit the lines before it.
    #[error(
        "the seal does not fit the lines of its segment: something was changed, added, or taken out"
    )]
    Chain,
    /// The seal is not the node's.
    #[error("the seal is not signed by the node's key")]
    Signature,
    /// A segment with more records than one may have.
    #[error("more than 4096 records in one segment")]
    TooMany,
    /// It was sealed before it was opened.
    #[error("sealed before it was opened")]
    Time,
}

impl Verifier {
    /// Reads a log of this node; of whichever wrote its first line, if none is named.
    pub fn new(node: Option<NodeKey>) -> Self {
        Self { node, verified: Verified::default(), open: None, line: 0 }
    }

    /// Reads the next line, without its newline, and hands out its record if it has one. The record counts when the log
    /// turns out to be sealed behind it.
    ///
    /// # Errors
    /// If the line cannot stand there. What comes after it says nothing.
    pub fn line(&mut self, text: &str) -> Result<Option<Record>, Broken> {
        self.line += 1;
        self.read(text).map_err(|reason| Broken { line: self.line, reason })
    }

    /// What is sealed of what was read.
    pub const fn so_far(&self) -> &Verified {
        &self.verified
    }

    /// What the log came to.
    pub fn finish(self) -> Verified {
        let unsealed = self.open.map_or(0, |open| open.records);
        Verified { unsealed, ..self.verified }
    }

    fn read(&mut self, text: &str) -> Result<Option<Record>, Reason> {
        if text.len() > LINE_BYTES_MAX {
            return Err(Reason::TooLong);
        }
        let line = serde_json::from_str(text)
            .map_err(|why: serde_json::Error| Reason::NotALine { why: why.to_string() })?;
        match (line, self.open.take()) {
            (Line::Segment(head), None) => self.head(&head, text).map(|()| None),
            (Line::Record(record), Some(mut open)) => {
                if open.records >= SEGMENT_LINES_MAX {
                    return Err(Reason::TooMany);
                }
                (open.chain, open.records) = (bind(&open.chain, text), open.records + 1);
                self.open = Some(open);
                if let Record::Lost(count) = &record {
                    self.verified.lost = self.verified.lost.saturating_add(*count);
                }
                Ok(Some(record))
            }
            (Line::Seal(seal), Some(open)) => self.seal(&seal, &open).map(|()| None),
            (Line::Segment(_), Some(_)) => {
                Err(Reason::OutOfPlace { found: "a segment", expected: "a record or a seal" })
            }
            (Line::Record(_), None) => {
                Err(Reason::OutOfPlace { found: "a record", expected: "a segment" })
            }
            (Line::Seal(_), None) => {
                Err(Reason::OutOfPlace { found: "a seal", expected: "a segment" })
            }
        }
    }

    fn head(&mut self, head: &Head, text: &str) -> Result<(), Reason> {
        if self.node.is_some_and(|node| node != head.node) {
            return Err(Reason::Node { found: head.node });
        }
        if self.verified.node.is_none() {
            self.node = Some(head.node);
            self.verified.node = Some(head.node);
            self.verified.first = head.number;
        } else if head.number != self.verified.next {
            return Err(Reason::Number { found: head.number, expected: self.verified.next });
        } else if head.previous != BlobId::from_sha256(self.verified.previous) {
            return Err(Reason::Previous);
        }
        if head.number == 0 && head.previous != BlobId::from_sha256([0; 32]) {
            return Err(Reason::Previous);
        }
        let opened = head.opened.0;
        self.open = Some(Open { number: head.number, opened, chain: begin(text), records: 0 });
        Ok(())
    }

    fn seal(&mut self, seal: &Seal, open: &Open) -> Result<(), Reason> {
        let is_of_segment = (seal.number, seal.records) == (open.number, open.records);
        if !is_of_segment || seal.chain != BlobId::from_sha256(open.chain) {
            return Err(Reason::Chain);
        }
        if seal.sealed.0 < open.opened {
            return Err(Reason::Time);
        }
        let digest = sealed(&open.chain, open.number, open.records, seal.sealed.0);
        let signature = self.signature(&digest, seal).ok_or(Reason::Signature)?;
        self.verified.previous = finish(&digest, &signature);
        self.verified.next = open.number.saturating_add(1);
        self.verified.segments += 1;
        self.verified.sealed += open.records;
        Ok(())
    }

    fn signature(&self, digest: &[u8; 32], seal: &Seal) -> Option<[u8; 64]> {
        let key = VerifyingKey::from_bytes(&self.node?.0).ok()?;
        let bytes = HEXLOWER.decode(seal.signature.as_bytes()).ok()?;
        let signature = <[u8; 64]>::try_from(bytes).ok()?;
        key.verify_strict(digest, &Signature::from_bytes(&signature)).ok()?;
        Some(signature)
    }
}
