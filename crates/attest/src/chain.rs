//! The five certificates from a GPU's key to NVIDIA's root.
//!
//! ```text
//! NVIDIA Device Identity CA      pinned here, byte for byte
//!   └ GH100 Identity             the family
//!       └ GH100 Provisioner ICA  the factory
//!           └ GH100 A01 GSP BROM this chip: its serial number is the GPU's identity
//!               └ GSP FMC LF     made by the chip itself for the firmware it runs: its key signs reports
//! ```
//!
//! # Invariants
//! - No key is used before the certificate that carries it has been verified, from the root downward.
//! - The root that is sent is compared with the pinned one, never trusted for what it says.

use std::fmt::Write;

use data_encoding::BASE64;
use p384::ecdsa::VerifyingKey;
use sha2::{Digest, Sha256};
use units::{Hour, Timestamp};

use crate::certificate::{self, Certificate, NotACertificate};
use crate::limits::{CHAIN_BYTES_MAX, CHAIN_LENGTH};
use crate::roots::Roots;

/// NVIDIA Device Identity CA, as NVIDIA ships it with its verifiers.
pub const ROOT_PEM: &str = include_str!("nvidia_device_identity_ca.pem");

/// SHA-256 of the root's DER, for people to compare with what NVIDIA publishes. A test compares it with [`ROOT_PEM`].
pub const ROOT_SHA256: &str = "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48";

/// Where in a chain a certificate stands, leaf first.
pub(crate) const LEAF: usize = 0;
/// The certificate of the chip itself.
pub(crate) const DEVICE: usize = 1;

/// Certificates of the profile from a leaf to a pinned root, that fit together by what they say.
///
/// No signature has been checked.
#[derive(Clone, Debug)]
pub struct Chain {
    certificates: Vec<Certificate>,
}

/// Why a chain is refused. Checks run in the order of these variants, each over the chain from the leaf up, but
/// signatures from the root down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChain {
    /// Not PEM: something between or inside the blocks does not belong there.
    #[error("the chain is not a series of PEM certificates of at most {CHAIN_BYTES_MAX} bytes")]
    NotPem,
    /// More or fewer certificates than such a chain has.
    #[error("the chain has {found} certificates instead of {expected}")]
    Length {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// The last certificate is not the one that is pinned here.
    #[error("the chain does not end in NVIDIA's pinned root")]
    Root,
    /// A certificate does not read, or is outside the profile.
    #[error("certificate {at}: {why}")]
    Certificate {
        /// Which, counted from the leaf at zero.
        at: usize,
        /// What is wrong with it.
        why: NotACertificate,
    },
    /// A certificate does not name the next one as its issuer.
    #[error("certificate {at} was issued by another than certificate {}", at + 1)]
    Order {
        /// Which, counted from the leaf at zero.
        at: usize,
    },
    /// A certificate may not be used for what it is used for here.
    #[error("certificate {at} may not be used at this place of a chain")]
    Usage {
        /// Which, counted from the leaf at zero.
        at: usize,
    },
    /// A certificate holds later than now.
    #[error("certificate {at} holds from {from} on")]
    NotYet {
        /// Which, counted from the leaf at zero.
        at: usize,
        /// The hour from which it holds.
        from: Hour,
    },
    /// A certificate has expired.
    #[error("certificate {at} held until {until}")]
    Expired {
        /// Which, counted from the leaf at zero.
        at: usize,
        /// The hour in which it ended.
        until: Hour,
    },
    /// A certificate is not signed by the next one's key.
    #[error("certificate {at} is not signed by certificate {}", at + 1)]
    Signature {
        /// Which, counted from the leaf at zero.
        at: usize,
    },
}

/// Reads a chain as the GPU's driver hands it out: PEM, leaf first, root last.
///
/// # Errors
/// Why it is not a chain; the variants up to [`BadChain::Usage`].
pub fn parse(pem: &[u8]) -> Result<Chain, BadChain> {
    parse_under(pem, &Roots::default())
}

/// The same, where other roots are believed beside NVIDIA's.
///
/// # Errors
/// As [`parse`].
pub fn parse_under(pem: &[u8], roots: &Roots) -> Result<Chain, BadChain> {
    let ders = split_pem(pem).ok_or(BadChain::NotPem)?;
    Chain::read(&ders, CHAIN_LENGTH, |root| roots.is_of_nvidia(root))
}

/// The same for certificates that are DER already.
///
/// # Errors
/// As [`parse`].
pub fn of_ders(ders: &[Vec<u8>]) -> Result<Chain, BadChain> {
    Chain::read(ders, CHAIN_LENGTH, |root| Roots::default().is_of_nvidia(root))
}

impl Chain {
    pub(crate) fn read(
        ders: &[Vec<u8>],
        length: usize,
        is_root: impl Fn(&[u8]) -> bool,
    ) -> Result<Self, BadChain> {
        if ders.len() != length {
            return Err(BadChain::Length { found: ders.len(), expected: length });
        }
        if !ders.last().is_some_and(|last| is_root(last)) {
            return Err(BadChain::Root);
        }
        let read = |(at, der): (usize, &Vec<u8>)| {
            certificate::parse(der).map_err(|why| BadChain::Certificate { at, why })
        };
        let certificates = ders.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let chain = Self { certificates };
        chain.check_order()?;
        chain.check_usage()?;
        Ok(chain)
    }

    /// Whether every certificate holds now and is signed by the next, from the pinned root down.
    ///
    /// # Errors
    /// The first that does not, by [`BadChain::NotYet`], [`BadChain::Expired`] or [`BadChain::Signature`].
    pub fn verify(&self, now: Timestamp) -> Result<(), BadChain> {
        for (at, certificate) in self.certificates.iter().enumerate() {
            holds(certificate, at, now)?;
        }
        for (at, pair) in self.certificates.windows(2).enumerate().rev() {
            let [child, parent] = pair else { continue };
            if !child.is_signed_by(&parent.key) {
                return Err(BadChain::Signature { at });
            }
        }
        Ok(())
    }

    /// The certificate whose key signs reports.
    pub fn leaf(&self) -> &Certificate {
        &self.certificates[LEAF]
    }

    /// The certificate of the chip: what stays when firmware changes.
    pub fn device(&self) -> &Certificate {
        &self.certificates[DEVICE]
    }

    /// All of them, leaf first.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The last moment at which all of them hold.
    pub fn until(&self) -> Timestamp {
        let ends = self.certificates.iter().map(|certificate| certificate.not_after);
        ends.min().unwrap_or_default()
    }

    /// The key that signs reports.
    pub fn key(&self) -> &VerifyingKey {
        &self.leaf().key
    }

    fn check_order(&self) -> Result<(), BadChain> {
        for (at, pair) in self.certificates.windows(2).enumerate() {
            let [child, parent] = pair else { continue };
            // Names alone are not unique: a key's name is compared wherever both sides have one.
            let same_key = match (&child.issuer_key_id, &parent.key_id) {
                (Some(said), Some(is)) => said == is,
                (None, Some(_) | None) | (Some(_), None) => true,
            };
            if child.issuer != parent.subject || !same_key {
                return Err(BadChain::Order { at });
            }
        }
        Ok(())
    }

    /// The leaf signs and does not issue; the others issue, and allow for as many issuers as stand below them.
    fn check_usage(&self) -> Result<(), BadChain> {
        for (at, certificate) in self.certificates.iter().enumerate() {
            let usage = certificate.usage;
            let issuers_below = at.saturating_sub(1);
            let deep_enough = usage.path_max.is_none_or(|max| usize::from(max) >= issuers_below);
            let fits = match at {
                LEAF => usage.signs && !usage.issues,
                _ => usage.issues && deep_enough,
            };
            if !fits {
                return Err(BadChain::Usage { at });
            }
        }
        Ok(())
    }
}

fn holds(certificate: &Certificate, at: usize, now: Timestamp) -> Result<(), BadChain> {
    if now < certificate.not_before {
        return Err(BadChain::NotYet { at, from: Hour::of(certificate.not_before) });
    }
    // The last second holds to its end (RFC 5280, 4.1.2.5).
    if now.millis() > certificate.not_after.millis().saturating_add(999) {
        return Err(BadChain::Expired { at, until: Hour::of(certificate.not_after) });
    }
    Ok(())
}

/// A pinned root as DER.
pub(crate) fn pinned(pem: &str) -> Vec<u8> {
    let root = split_pem(pem.as_bytes()).and_then(|mut ders| ders.pop());
    root.expect("roots are compiled in, and a test reads them")
}

/// The SHA-256 of a certificate, as people compare it.
pub fn fingerprint(der: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(der))
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The blocks of a PEM file, which holds nothing else but white space between them.
pub(crate) fn split_pem(pem: &[u8]) -> Option<Vec<Vec<u8>>> {
    if pem.len() > CHAIN_BYTES_MAX {
        return None;
    }
    // The driver pads its buffer with zeros.
    let text = std::str::from_utf8(pem).ok()?.trim_end_matches('\0');
    let (mut rest, mut ders) = (text.trim(), Vec::new());
    while !rest.is_empty() {
        let (body, after) = rest.strip_prefix(BEGIN)?.split_once(END)?;
        let body: String = body.split_ascii_whitespace().collect();
        ders.push(BASE64.decode(body.as_bytes()).ok()?);
        rest = after.trim_start();
    }
    Some(ders)
}

/// Certificates as PEM in the one way that makers write it: lines of 64, each ended by a line feed.
pub(crate) fn join_pem(ders: &[Vec<u8>]) -> String {
    let mut pem = String::new();
    for der in ders {
        let text = BASE64.encode(der);
        let _ = writeln!(pem, "{BEGIN}");
        for line in text.as_bytes().chunks(64) {
            let _ = writeln!(pem, "{}", std::str::from_utf8(line).unwrap_or_default());
        }
        let _ = writeln!(pem, "{END}");
    }
    pem
}
