//! A TDX quote, taken apart: versions 4 and 5, signed with ECDSA on P-256.
//!
//! ```text
//! header      version 2 | key type 2 | TEE 4 | 4 | vendor 16 | 20                             48 bytes
//! body        version 5 only: type 2 | size 4;  then the TD report                       584 or 648
//! length 4    of all that follows
//! signature   r, s 64 | attestation key x, y 64 | type 2 (6) | size 4 |
//!             quoting enclave's report 384 | signature of it 64 | size 2 | its data |
//!             type 2 (5) | size 4 | chain of certificates, PEM
//! ```
//!
//! Numbers are little-endian (Intel's "TDX DCAP Quoting Library API", appendix A.3). The signature is over everything
//! before `length`.
//!
//! # Invariants
//! - Every byte is accounted for; after the quote only zeros may follow, which kernels pad their buffers with.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::binding::REPORT_DATA_BYTES;
use crate::limits::QUOTE_BYTES_MAX;
use crate::reference::Golden;

/// Bytes of a quoting enclave's report.
const ENCLAVE_BYTES: usize = 384;
/// Bytes before the body.
const HEADER_BYTES: usize = 48;
/// Bytes of a TD report, in the layout of the first TDX modules and in that of 1.5.
const BODY_BYTES: [usize; 2] = [584, 648];

const VENDOR: [u8; 16] = [
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
];

/// A quote that reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What the processor says of the virtual machine.
    pub td: Td,
    /// The quoting enclave, which made the quote.
    pub enclave: Enclave,
    /// The chain of the key that signed the enclave's report, in PEM.
    pub chain: Vec<u8>,
    digest: [u8; 32],
    signature: Signature,
    /// The attestation key, as bytes and as a key.
    key: [u8; 64],
    enclave_digest: [u8; 32],
    enclave_signature: Signature,
    /// What the enclave says beside its key.
    enclave_data: Vec<u8>,
}

/// A virtual machine, as its processor reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Td {
    /// Security versions: the TDX module's at 0, its generation at 1, then those of the platform.
    pub svn: [u8; 16],
    /// Who signed the TDX module; zeros for Intel.
    pub module_signer: [u8; 48],
    /// Attributes of the TDX module.
    pub module_attributes: [u8; 8],
    /// What may be done to the virtual machine.
    pub attributes: u64,
    /// What was launched.
    pub mr_td: Golden,
    /// What was extended since, register by register.
    pub rtmr: [Golden; 4],
    /// What the guest asked to be signed.
    pub report_data: [u8; REPORT_DATA_BYTES],
}

/// An enclave, as its processor reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enclave {
    /// Optional state that is saved, as bits.
    pub miscselect: [u8; 4],
    /// What may be done to the enclave.
    pub attributes: [u8; 16],
    /// Who signed it.
    pub signer: [u8; 32],
    /// Which product of the signer's it is.
    pub product: u16,
    /// Its security version.
    pub svn: u16,
    /// What it asked to be signed.
    pub report_data: [u8; REPORT_DATA_BYTES],
}

/// Reads a quote; nothing if the bytes are none of these versions.
pub fn parse(bytes: &[u8]) -> Option<Quote> {
    if bytes.len() > QUOTE_BYTES_MAX {
        return None;
    }
    let mut reader = Reader(bytes);
    let version = header(reader.take(HEADER_BYTES)?)?;
    let body = match version {
        4 => reader.take(BODY_BYTES[0])?,
        _ => described(&mut reader)?,
    };
    let td = td(body)?;
    let signed = bytes.len() - reader.0.len();
    let length = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
    let mut inner = Reader(reader.take(length)?);
    if reader.0.iter().any(|byte| *byte != 0) {
        return None;
    }
    let signature = Signature::from_slice(inner.take(64)?).ok()?;
    let key = inner.array()?;
    let mut inner = Reader(certified(&mut inner, 6)?);
    let report = inner.take(ENCLAVE_BYTES)?;
    let enclave_signature = Signature::from_slice(inner.take(64)?).ok()?;
    let size = usize::from(u16::from_le_bytes(inner.array()?));
    let enclave_data = inner.take(size)?.to_vec();
    let chain = certified(&mut inner, 5)?.to_vec();
    Some(Quote {
        td,
        enclave: enclave(report)?,
        chain,
        digest: Sha256::digest(&bytes[..signed]).into(),
        signature,
        key,
        enclave_digest: Sha256::digest(report).into(),
        enclave_signature,
        enclave_data,
    })
}

impl Quote {
    /// Whether `key`, the processor's, signed the quoting enclave's report.
    pub(super) fn enclave_is_signed_by(&self, key: &VerifyingKey) -> bool {
        key.verify_prehash(&self.enclave_digest, &self.enclave_signature).is_ok()
    }

    /// Whether the enclave's report names the attestation key: SHA-256 of the key and of what is said beside it.
    pub(super) fn names_its_key(&self) -> bool {
        let named = Sha256::new().chain_update(self.key).chain_update(&self.enclave_data);
        let (digest, zeros) = self.enclave.report_data.split_at(32);
        digest == &named.finalize()[..] && zeros == [0; 32]
    }

    /// Whether the attestation key signed the quote.
    pub(super) fn is_signed_by_its_key(&self) -> bool {
        let point = [&[0x04][..], &self.key].concat();
        VerifyingKey::from_sec1_bytes(&point)
            .is_ok_and(|key| key.verify_prehash(&self.digest, &self.signature).is_ok())
    }
}

/// The version, if it is one that is known, for ECDSA on P-256, TDX, and Intel's quoting enclave.
fn header(bytes: &[u8]) -> Option<u16> {
    let mut reader = Reader(bytes);
    let version = u16::from_le_bytes(reader.array()?);
    let key_type = u16::from_le_bytes(reader.array()?);
    let tee = u32::from_le_bytes(reader.array()?);
    let _reserved: [u8; 4] = reader.array()?;
    let vendor: [u8; 16] = reader.array()?;
    let is_known = matches!(version, 4 | 5) && key_type == 2 && tee == 0x81 && vendor == VENDOR;
    is_known.then_some(version)
}

/// The body of version 5, which says its layout: 2 for the first, 3 for that of TDX 1.5.
fn described<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let kind = u16::from_le_bytes(reader.array()?);
    let size = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
    let expected = match kind {
        2 => BODY_BYTES[0],
        3 => BODY_BYTES[1],
        _ => return None,
    };
    if size == expected { reader.take(size) } else { None }
}

/// Data of the given type, with its size before it.
fn certified<'a>(reader: &mut Reader<'a>, kind: u16) -> Option<&'a [u8]> {
    let found = u16::from_le_bytes(reader.array()?);
    let size = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
    let data = reader.take(size)?;
    (found == kind && reader.0.is_empty()).then_some(data)
}

fn td(bytes: &[u8]) -> Option<Td> {
    let mut reader = Reader(bytes);
    let svn = reader.array()?;
    let _module: [u8; 48] = reader.array()?;
    let (module_signer, module_attributes) = (reader.array()?, reader.array()?);
    let attributes = u64::from_le_bytes(reader.array()?);
    let _xfam: [u8; 8] = reader.array()?;
    let mr_td = Golden(reader.array()?);
    let _owners: [u8; 3 * 48] = reader.array()?;
    let mut register = || reader.array().map(Golden);
    let rtmr = [register()?, register()?, register()?, register()?];
    let report_data = reader.array()?;
    Some(Td { svn, module_signer, module_attributes, attributes, mr_td, rtmr, report_data })
}

fn enclave(bytes: &[u8]) -> Option<Enclave> {
    let mut reader = Reader(bytes);
    let _cpu_svn: [u8; 16] = reader.array()?;
    let miscselect = reader.array()?;
    let _reserved: [u8; 28] = reader.array()?;
    let attributes = reader.array()?;
    let _measurement_and_reserved: [u8; 64] = reader.array()?;
    let signer = reader.array()?;
    let _reserved: [u8; 96] = reader.array()?;
    let product = u16::from_le_bytes(reader.array()?);
    let svn = u16::from_le_bytes(reader.array()?);
    let _reserved: [u8; 60] = reader.array()?;
    let report_data = reader.array()?;
    Some(Enclave { miscselect, attributes, signer, product, svn, report_data })
}

/// Reads forward, and never past the end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}
