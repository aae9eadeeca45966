//! What the log says of a record of time-lock: that it was handed over, by whom, and what it hashes to.
//!
//! Whose the rental was is not said: the record's own bytes are for those whom it concerns.

use units::{BlobId, WorkerId};

use super::Entry;
use crate::bytes::{Malformed, Reader};

const MAGIC: [u8; 4] = *b"IOGR";
const VERSION: u8 = 1;

/// What the log says of a record of time-lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockEntry {
    /// The machine.
    pub worker: WorkerId,
    /// The hour it is of, in hours since 1970.
    pub hour: u64,
    /// When it was handed over, by the control plane's clock, in milliseconds since 1970.
    pub kept_ms: u64,
    /// SHA-256 of its bytes: its name, wherever it is kept.
    pub record: BlobId,
    /// Its hash, which the next record of the span names.
    pub hash: [u8; 32],
}

impl LockEntry {
    /// Its bytes: a leaf of the tree.
    pub fn bytes(&self) -> Vec<u8> {
        let mut to = Vec::new();
        to.extend(MAGIC);
        to.push(VERSION);
        to.extend(self.worker.bits().to_be_bytes());
        to.extend(self.hour.to_le_bytes());
        to.extend(self.kept_ms.to_le_bytes());
        to.extend(self.record.sha256());
        to.extend(self.hash);
        to
    }

    /// Reads what [`LockEntry::bytes`] wrote.
    ///
    /// # Errors
    /// If the bytes are not exactly such an entry of a version that is known.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let magic: [u8; 4] = from.array()?;
        if magic != MAGIC {
            let value = u32::from_le_bytes(magic).into();
            return Err(Malformed::Unknown { what: "an entry's beginning", value });
        }
        let version = from.u8()?;
        if version != VERSION {
            return Err(Malformed::Unknown { what: "an entry's version", value: version.into() });
        }
        let entry = Self {
            worker: WorkerId::from_bits(u128::from_be_bytes(from.array()?)),
            hour: from.u64()?,
            kept_ms: from.u64()?,
            record: BlobId::from_sha256(from.array()?),
            hash: from.array()?,
        };
        from.end()?;
        Ok(entry)
    }
}

/// Any entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// A session that came to a verdict.
    Proof(Box<Entry>),
    /// A record of time-lock.
    Lock(LockEntry),
}

impl Leaf {
    /// Reads an entry of whichever kind.
    ///
    /// # Errors
    /// If it is of none.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.starts_with(&MAGIC) {
            LockEntry::read(bytes).map(Self::Lock)
        } else {
            Entry::read(bytes).map(Box::new).map(Self::Proof)
        }
    }
}
