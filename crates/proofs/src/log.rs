//! The log of proofs: one entry for each session that came to a verdict, and one for each record of time-lock, in a
//! tree that only grows.
//!
//! Whoever verifies appends, and publishes the tree's [`Head`] signed. From then on an entry cannot be changed, nor
//! left out, without two heads that contradict each other. The tree is that of RFC 9162 ([`merkle`]); its leaves are
//! the bytes of entries.
//!
//! # Invariants
//! - An entry has one encoding: what reads back, writes the same bytes.
//! - An entry says enough to find the transcript, and to tell a wrong one from it; it holds no address and no name.

use data_encoding::HEXLOWER;
use merkle::{Roots, leaf_hash};
use units::{BlobId, WorkerId};

use crate::bytes::{Malformed, Reader};
use crate::limits::TASKS_MAX;
use crate::message::{Body, Message};
use crate::verdict::{Judged, Verdict};

mod lock;

pub use lock::{Leaf, LockEntry};
pub use merkle::{Full, consistency, inclusion, root, verify, verify_consistency};

const MAGIC: [u8; 4] = *b"IOGL";
const VERSION: u8 = 1;

/// What the log says of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The session.
    pub session: [u8; 16],
    /// The machine.
    pub worker: WorkerId,
    /// SHA-256 of the card's UUID, or of `cpu`.
    pub card: [u8; 32],
    /// The hour it was proved for, in hours since 1970.
    pub hour: u64,
    /// When the verdict was given, by the verifier's clock, in milliseconds since 1970.
    pub sealed_ms: u64,
    /// SHA-256 of the transcript's bytes: its name, wherever it is kept.
    pub transcript: BlobId,
    /// The hash of the challenge, as messages are hashed.
    pub challenge: [u8; 32],
    /// BLAKE3 of all roots that were committed to, one after another.
    pub roots: [u8; 32],
    /// BLAKE3 of all openings, one after another.
    pub openings: [u8; 32],
    /// The key that verified.
    pub verifier: [u8; 32],
    /// What everything the verifier chose follows from.
    pub sigma: [u8; 32],
    /// What came of each task.
    pub tasks: Vec<Judged>,
}

/// Why there is no entry for a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEntry {
    /// It cannot be read.
    #[error("the transcript cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// It does not begin with a challenge and end with a verdict.
    #[error("the transcript does not begin with a challenge and end with a verdict")]
    Torn,
}

impl Entry {
    /// The entry for a transcript. It is not re-checked here: `transcript::recheck` does that.
    ///
    /// # Errors
    /// If it is none.
    pub fn of(transcript: &[u8], sealed_ms: u64) -> Result<Self, NoEntry> {
        let (mut roots, mut openings) = (blake3::Hasher::new(), blake3::Hasher::new());
        let (mut first, mut last) = (None, None);
        let mut left = transcript;
        while !left.is_empty() {
            let (message, rest) = Message::split(left)?;
            left = rest;
            if let Body::Root { root, .. } = &message.body {
                roots.update(root);
            }
            if let Body::Openings { bytes, .. } = &message.body {
                openings.update(bytes);
            }
            last = Some(message.clone());
            first = first.or(Some(message));
        }
        let (Some(first), Some(last)) = (first, last) else { return Err(NoEntry::Torn) };
        let (Body::Challenge(challenge), Body::Verdict(verdict)) = (first.body, last.body) else {
            return Err(NoEntry::Torn);
        };
        let Verdict { sigma, tasks, .. } = verdict;
        Ok(Self {
            session: first.session,
            worker: challenge.worker,
            card: challenge.card,
            hour: challenge.hour,
            sealed_ms,
            transcript: sha256(transcript),
            challenge: first.hash,
            roots: *roots.finalize().as_bytes(),
            openings: *openings.finalize().as_bytes(),
            verifier: challenge.verifier,
            sigma,
            tasks,
        })
    }

    /// Its bytes: a leaf of the tree.
    pub fn bytes(&self) -> Vec<u8> {
        let mut to = Vec::new();
        to.extend(MAGIC);
        to.push(VERSION);
        to.extend(self.session);
        to.extend(self.worker.bits().to_be_bytes());
        to.extend(self.card);
        to.extend(self.hour.to_le_bytes());
        to.extend(self.sealed_ms.to_le_bytes());
        to.extend(self.transcript.sha256());
        to.extend(self.challenge);
        to.extend(self.roots);
        to.extend(self.openings);
        to.extend(self.verifier);
        to.extend(self.sigma);
        to.push(u8::try_from(self.tasks.len()).expect("a session has few tasks"));
        self.tasks.iter().for_each(|task| task.write(&mut to));
        to
    }

    /// Reads what [`Entry::bytes`] wrote.
    ///
    /// # Errors
    /// If the bytes are not exactly an entry of a version that is known.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let magic: [u8; 4] = from.array()?;
        let value = u32::from_le_bytes(magic).into();
        if magic != MAGIC {
            return Err(Malformed::Unknown { what: "an entry's beginning", value });
        }
        let version = from.u8()?;
        if version != VERSION {
            return Err(Malformed::Unknown { what: "an entry's version", value: version.into() });
        }
        let mut entry = Self {
            session: from.array()?,
            worker: WorkerId::from_bits(u128::from_be_bytes(from.array()?)),
            card: from.array()?,
            hour: from.u64()?,
            sealed_ms: from.u64()?,
            transcript: BlobId::from_sha256(from.array()?),
            challenge: from.array()?,
            roots: from.array()?,
            openings: from.array()?,
            verifier: from.array()?,
            sigma: from.array()?,
            tasks: Vec::new(),
        };
        let count = from.u8()?;
        if usize::from(count) > TASKS_MAX {
            return Err(Malformed::Unknown { what: "a number of tasks", value: count.into() });
        }
        for _ in 0..count {
            entry.tasks.push(Judged::read(&mut from)?);
        }
        from.end()?;
        Ok(entry)
    }

    /// Its hash in the tree.
    pub fn leaf(&self) -> BlobId {
        leaf_hash(&self.bytes())
    }
}

/// As text it is its bytes in hexadecimal: there is one encoding, and it is that of the leaf.
impl serde::Serialize for Entry {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&HEXLOWER.encode(&self.bytes()))
    }
}

impl<'de> serde::Deserialize<'de> for Entry {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(D::Error::custom)?;
        Self::read(&bytes).map_err(D::Error::custom)
    }
}

fn sha256(bytes: &[u8]) -> BlobId {
    use sha2::Digest as _;
    BlobId::from_sha256(sha2::Sha256::digest(bytes).into())
}

/// What is published of the log: how long it is, and what it commits to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// The tree's root.
    pub root: BlobId,
}

impl Head {
    /// What is signed of it: `K("iog proof 1 log", size ‖ root)`.
    pub fn digest(&self) -> [u8; 32] {
        crate::prf::derive("iog proof 1 log", &[&self.size.to_le_bytes(), self.root.sha256()])
    }
}

/// Who writes the log: it keeps a hash for each doubling, and tells which hashes must be stored for proofs.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writer {
    roots: Roots,
}

impl Writer {
    /// Appends an entry: its place, and the full subtrees it completes, its own leaf first. Stored by height and
    /// index, they answer [`inclusion`] and [`consistency`].
    pub fn append(&mut self, entry: &Entry) -> (u64, Vec<Full>) {
        self.append_leaf(entry.leaf())
    }

    /// As [`Writer::append`], of a record of time-lock.
    pub fn append_lock(&mut self, entry: &LockEntry) -> (u64, Vec<Full>) {
        self.append_leaf(leaf_hash(&entry.bytes()))
    }

    fn append_leaf(&mut self, leaf: BlobId) -> (u64, Vec<Full>) {
        let (place, mut stored) = (self.roots.len(), Vec::new());
        self.roots.append(leaf, |full| stored.push(full));
        (place, stored)
    }

    /// The log as it is now.
    pub fn head(&self) -> Head {
        Head { size: self.roots.len(), root: self.roots.root() }
    }

    /// Whether entries can have made it: after reading it from outside.
    pub fn adds_up(&self) -> bool {
        self.roots.adds_up()
    }
}

#[cfg(test)]
mod tests;
