//! What a GPU signs: one SPDM 1.1 exchange, as bytes.
//!
//! ```text
//! request   11 e0 01 ff | nonce 32 | slot 1                                   37 bytes
//! response  11 60 00 slot | blocks 1 | record length 3 | blocks × 55
//!           | responder nonce 32 | opaque length 2 | opaque | signature 96
//! block     index 1 | specification 1 | size 2 | type 1 | size 2 | SHA-384 48
//! opaque    (type 2 | size 2 | value)*
//! ```
//!
//! Numbers are little-endian. The signature is over everything before it, the request included.
//!
//! # Invariants
//! - Every byte is accounted for: nothing is skipped, and nothing may follow the signature.
//! - A [`Report`] that exists is well-formed. Whether it is *true* is for [`crate::verify`] to say.

use std::collections::BTreeMap;
use std::fmt;

use p384::ecdsa::signature::hazmat::PrehashVerifier;
use p384::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha384};

use crate::limits::{MEASUREMENTS_MAX, REPORT_BYTES_MAX};
use crate::opaque::{self, BadOpaque, Opaque};

/// Bytes of a SHA-384 digest: a measurement, and the identity of firmware.
pub const DIGEST_BYTES: usize = 48;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 32;
/// Bytes of an ECDSA signature on P-384, as r and s side by side.
pub const SIGNATURE_BYTES: usize = 96;

/// SPDM 1.1 `GET_MEASUREMENTS`: signed, every block.
const REQUEST_HEADER: [u8; 4] = [0x11, 0xe0, 0x01, 0xff];
/// SPDM 1.1 `MEASUREMENTS`, in answer to a request for every block.
const RESPONSE_HEADER: [u8; 3] = [0x11, 0x60, 0x00];
/// Specification, outer size 51, digest of immutable or mutable firmware, inner size 48: one shape for every block.
const BLOCK_HEADER: [u8; 6] = [0x01, 51, 0, 0x01, 48, 0];
const BLOCK_BYTES: usize = 1 + BLOCK_HEADER.len() + DIGEST_BYTES;

/// What a GPU said about itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// What the verifier asked with.
    pub nonce: [u8; NONCE_BYTES],
    /// What the device added of its own.
    pub responder_nonce: [u8; NONCE_BYTES],
    /// SHA-384 digests of firmware and state by index, counted from zero as NVIDIA's manifests count.
    pub measurements: BTreeMap<u8, [u8; DIGEST_BYTES]>,
    /// Versions, board, and modes.
    pub opaque: Opaque,
    /// SHA-384 of all that is signed.
    pub digest: [u8; DIGEST_BYTES],
    /// ECDSA on P-384: r, then s.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// Why bytes are not a report. Offsets count from the first byte of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAReport {
    /// More bytes than any report has.
    #[error("it has {bytes} bytes, and no report has more than {REPORT_BYTES_MAX}")]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// The bytes end within a field.
    #[error("it ends at byte {at}, within the {field}")]
    Short {
        /// Where the bytes end.
        at: usize,
        /// What was being read.
        field: &'static str,
    },
    /// A field that has one right value has another.
    #[error("the {field} at byte {at} is not what SPDM 1.1 and NVIDIA's profile say")]
    Unexpected {
        /// Where the field starts.
        at: usize,
        /// Which field.
        field: &'static str,
    },
    /// The record's length is not that of its blocks.
    #[error("the record says {said} bytes and its {blocks} blocks have {are}")]
    RecordLength {
        /// How many blocks the response says it has.
        blocks: usize,
        /// The length that is written.
        said: usize,
        /// The length that so many blocks have.
        are: usize,
    },
    /// No measurement, or more than a device has.
    #[error("it has {blocks} measurements, and a report has 1 to {MEASUREMENTS_MAX}")]
    Blocks {
        /// How many the response says it has.
        blocks: usize,
    },
    /// Blocks are not numbered from one upward without gaps.
    #[error("measurement block {expected} is numbered {found}")]
    BlockOrder {
        /// Which number comes next.
        expected: u8,
        /// Which number is there.
        found: u8,
    },
    /// The opaque part does not read.
    #[error("its opaque data does not read: {0}")]
    Opaque(BadOpaque),
    /// Bytes after the signature.
    #[error("{bytes} bytes follow the signature")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// Reads a report as the GPU's driver hands it out.
///
/// # Errors
/// Why the bytes are not a report. They never panic, and nothing is allocated by a length they claim.
pub fn parse(bytes: &[u8]) -> Result<Report, NotAReport> {
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(NotAReport::TooLong { bytes: bytes.len() });
    }
    let mut reader = Reader { bytes, at: 0 };
    let (nonce, slot) = request(&mut reader)?;
    let measurements = measurements(&mut reader, slot)?;
    let responder_nonce = reader.array("responder's nonce")?;
    let opaque_length = usize::from(u16::from_le_bytes(reader.array("opaque length")?));
    let opaque = opaque::parse(reader.take(opaque_length, "opaque data")?);
    let opaque = opaque.map_err(NotAReport::Opaque)?;
    let signed = reader.at;
    let signature = reader.array("signature")?;
    match bytes.len() - reader.at {
        0 => {}
        left => return Err(NotAReport::Trailing { bytes: left }),
    }
    let digest = Sha384::digest(&bytes[..signed]).into();
    Ok(Report { nonce, responder_nonce, measurements, opaque, digest, signature })
}

fn request(reader: &mut Reader<'_>) -> Result<([u8; NONCE_BYTES], u8), NotAReport> {
    reader.expect(&REQUEST_HEADER, "request header")?;
    let nonce = reader.array("nonce")?;
    let at = reader.at;
    let [slot] = reader.array("slot")?;
    // SPDM has eight slots for chains; the upper bits of the byte are reserved and zero.
    if slot > 7 {
        return Err(NotAReport::Unexpected { at, field: "slot" });
    }
    Ok((nonce, slot))
}

fn measurements(
    reader: &mut Reader<'_>,
    slot: u8,
) -> Result<BTreeMap<u8, [u8; DIGEST_BYTES]>, NotAReport> {
    reader.expect(&RESPONSE_HEADER, "response header")?;
    reader.expect(&[slot], "response slot")?;
    let [blocks] = reader.array("number of blocks")?;
    let [low, middle, high] = reader.array("record length")?;
    let said = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
    if blocks == 0 || usize::from(blocks) > MEASUREMENTS_MAX {
        return Err(NotAReport::Blocks { blocks: usize::from(blocks) });
    }
    let are = usize::from(blocks) * BLOCK_BYTES;
    if said != are {
        return Err(NotAReport::RecordLength { blocks: usize::from(blocks), said, are });
    }
    (0..blocks).map(|index| Ok((index, block(reader, index + 1)?))).collect()
}

fn block(reader: &mut Reader<'_>, expected: u8) -> Result<[u8; DIGEST_BYTES], NotAReport> {
    let [found] = reader.array("block index")?;
    if found != expected {
        return Err(NotAReport::BlockOrder { expected, found });
    }
    reader.expect(&BLOCK_HEADER, "block header")?;
    reader.array("measurement")
}

/// Reads forward, knows where it is, and never past the end.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], NotAReport> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(NotAReport::Short { at: self.bytes.len(), field });
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], NotAReport> {
        let taken = self.take(N, field)?;
        Ok(taken.try_into().expect("as many bytes were taken as the array has"))
    }

    fn expect(&mut self, expected: &[u8], field: &'static str) -> Result<(), NotAReport> {
        let at = self.at;
        match self.take(expected.len(), field)? == expected {
            true => Ok(()),
            false => Err(NotAReport::Unexpected { at, field }),
        }
    }
}

impl Report {
    /// Whether `key` signed this report.
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let signature = Signature::from_slice(&self.signature);
        signature.is_ok_and(|signature| key.verify_prehash(&self.digest, &signature).is_ok())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        f.debug_struct("Report")
            .field("nonce", &hex(&self.nonce))
            .field("measurements", &self.measurements.len())
            .field("opaque", &self.opaque)
            .field("digest", &hex(&self.digest))
            .finish_non_exhaustive()
    }
}
