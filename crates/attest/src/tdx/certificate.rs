//! Certificates as Intel issues them for SGX and TDX: version 3, P-256, SHA-256; and lists of those that were revoked.
//!
//! # Invariants
//! - A [`Chain`] that exists ends in a root that is believed, fits together, holds at its time, and every signature in
//!   it was checked.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use units::Timestamp;
use x509_cert::Certificate as X509;
use x509_cert::certificate::Version;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::referenced::OwnedToRef;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::certificate::{Usage, extensions_of, moment, name, serial, signed_part, usage};
use crate::chain::{join_pem, split_pem};
use crate::lengths;
use crate::limits::{CERTIFICATE_BYTES_MAX, COLLATERAL_BYTES_MAX, INTEL_CHAIN_MAX, REVOKED_MAX};
use crate::roots::Roots;

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// A certificate on P-256.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    issuer: Vec<u8>,
    subject: Vec<u8>,
    /// Hexadecimal digits, without the zero that DER puts before a high bit.
    pub(crate) serial: String,
    not_before: Timestamp,
    not_after: Timestamp,
    usage: Usage,
    pub(crate) key: VerifyingKey,
    /// The value of Intel's own extension, if there is one.
    pub(crate) sgx: Option<Vec<u8>>,
    digest: [u8; 32],
    signature: Signature,
}

/// Intel's extension of a processor's certificate.
const SGX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");

fn parse(der: &[u8]) -> Option<Certificate> {
    if der.len() > CERTIFICATE_BYTES_MAX || !lengths::fit(der) {
        return None;
    }
    let x509 = X509::from_der(der).ok()?;
    let tbs = &x509.tbs_certificate;
    let is_plain = tbs.version == Version::V3
        && tbs.issuer_unique_id.is_none()
        && tbs.subject_unique_id.is_none()
        && is_ecdsa_sha256(&tbs.signature)
        && is_ecdsa_sha256(&x509.signature_algorithm);
    if !is_plain {
        return None;
    }
    let extensions = extensions_of(tbs).ok()?;
    let sgx = extensions.iter().find(|extension| extension.extn_id == SGX);
    Some(Certificate {
        issuer: name(&tbs.issuer).ok()?,
        subject: name(&tbs.subject).ok()?,
        serial: serial(tbs.serial_number.as_bytes()),
        not_before: moment(tbs.validity.not_before),
        not_after: moment(tbs.validity.not_after),
        usage: usage(extensions).ok()?,
        key: key(&x509)?,
        sgx: sgx.map(|extension| extension.extn_value.as_bytes().to_vec()),
        digest: Sha256::digest(signed_part(der)?).into(),
        signature: Signature::from_der(x509.signature.as_bytes()?).ok()?,
    })
}

fn is_ecdsa_sha256(algorithm: &AlgorithmIdentifierOwned) -> bool {
    algorithm.oid == ECDSA_SHA256 && algorithm.parameters.is_none()
}

fn key(x509: &X509) -> Option<VerifyingKey> {
    let spki = x509.tbs_certificate.subject_public_key_info.owned_to_ref();
    let curve = spki.algorithm.parameters_oid().ok()?;
    let point = spki.subject_public_key.as_bytes()?;
    let fits = spki.algorithm.oid == EC_PUBLIC_KEY && curve == SECP256R1;
    let key = fits.then(|| VerifyingKey::from_sec1_bytes(point).ok())?;
    key.filter(|_| point.first() == Some(&0x04))
}

/// From a leaf to a root that is believed.
#[derive(Clone, Debug)]
pub(crate) struct Chain(Vec<Certificate>);

/// Why certificates are no chain to Intel's root. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChain {
    /// Not PEM, not two or three certificates, or outside Intel's profile.
    #[error("it is not a chain of certificates in Intel's profile")]
    Shape,
    /// It ends elsewhere.
    #[error("it does not end in Intel's pinned root")]
    Root,
    /// They do not name each other, or may not issue.
    #[error("its certificates do not fit together")]
    Order,
    /// One does not hold at this time.
    #[error("a certificate of it does not hold at this time")]
    Time,
    /// One is not signed by the next.
    #[error("a certificate of it is not signed by the next")]
    Signature,
}

impl Chain {
    /// Reads and verifies a chain in PEM, leaf first.
    pub(crate) fn verify(pem: &[u8], roots: &Roots, now: Timestamp) -> Result<Self, BadChain> {
        let chain = Self::read(pem, roots)?;
        let fits = |(at, it): (usize, &Certificate)| {
            let deep_enough =
                it.usage.path_max.is_none_or(|max| usize::from(max) >= at.saturating_sub(1));
            match at {
                0 => it.usage.signs && !it.usage.issues,
                _ => it.usage.issues && deep_enough,
            }
        };
        if !chain.0.iter().enumerate().all(fits) {
            return Err(BadChain::Order);
        }
        chain.check_order()?;
        chain.check_signatures(now)?;
        Ok(chain)
    }

    /// The same for a chain within a quote, which nobody signs as text: it is written in one way only, so that no bit
    /// of a quote is free. Kernels end it with a zero.
    pub(crate) fn verify_exact(
        pem: &[u8],
        roots: &Roots,
        now: Timestamp,
    ) -> Result<Self, BadChain> {
        let text = pem.strip_suffix(&[0]).unwrap_or(pem);
        let ders = split_pem(text).ok_or(BadChain::Shape)?;
        match join_pem(&ders).as_bytes() == text {
            true => Self::verify(text, roots, now),
            false => Err(BadChain::Shape),
        }
    }

    fn read(pem: &[u8], roots: &Roots) -> Result<Self, BadChain> {
        let ders = split_pem(pem).ok_or(BadChain::Shape)?;
        if !(2..=INTEL_CHAIN_MAX).contains(&ders.len()) {
            return Err(BadChain::Shape);
        }
        if !ders.last().is_some_and(|root| roots.is_of_intel(root)) {
            return Err(BadChain::Root);
        }
        let read: Option<Vec<Certificate>> = ders.iter().map(|der| parse(der)).collect();
        read.map(Self).ok_or(BadChain::Shape)
    }

    fn check_order(&self) -> Result<(), BadChain> {
        let fits = self.issued().all(|(child, parent)| child.issuer == parent.subject);
        if fits { Ok(()) } else { Err(BadChain::Order) }
    }

    /// From the root down, once all of them hold.
    fn check_signatures(&self, now: Timestamp) -> Result<(), BadChain> {
        // The last second holds to its end (RFC 5280, 4.1.2.5).
        let holds = |it: &Certificate| {
            it.not_before <= now && now.millis() <= it.not_after.millis().saturating_add(999)
        };
        if !self.0.iter().all(holds) {
            return Err(BadChain::Time);
        }
        let mut pairs = self.0.windows(2).rev();
        let is_signed = |pair: &[Certificate]| {
            pair[1].key.verify_prehash(&pair[0].digest, &pair[0].signature).is_ok()
        };
        if pairs.all(is_signed) { Ok(()) } else { Err(BadChain::Signature) }
    }

    pub(crate) fn leaf(&self) -> &Certificate {
        &self.0[0]
    }

    /// The certificates that sign others: the leaf's issuer, …, the root.
    pub(crate) fn issuers(&self) -> &[Certificate] {
        &self.0[1..]
    }

    /// Each certificate but the root, with its issuer.
    pub(crate) fn issued(&self) -> impl Iterator<Item = (&Certificate, &Certificate)> {
        self.0.iter().zip(self.issuers())
    }

    /// The last moment at which all of them hold.
    pub(crate) fn until(&self) -> Timestamp {
        self.0.iter().map(|it| it.not_after).min().unwrap_or_default()
    }
}

/// A list of what an issuer revoked.
#[derive(Clone, Debug)]
pub(crate) struct RevocationList {
    issuer: Vec<u8>,
    /// When the next one is due.
    pub(crate) next: Option<Timestamp>,
    pub(crate) from: Timestamp,
    revoked: Vec<String>,
    digest: [u8; 32],
    signature: Signature,
}

/// Issuers without a leaf: who issues to processors, and the root.
#[derive(Clone, Debug)]
pub(crate) struct Issuers(Chain);

impl Issuers {
    /// Reads and verifies a chain of issuers in PEM, the root last.
    pub(crate) fn verify(pem: &[u8], roots: &Roots, now: Timestamp) -> Result<Self, BadChain> {
        let chain = Chain::read(pem, roots)?;
        if !chain.0.iter().all(|it| it.usage.issues) {
            return Err(BadChain::Order);
        }
        chain.check_order()?;
        chain.check_signatures(now)?;
        Ok(Self(chain))
    }

    pub(crate) fn leaf(&self) -> &Certificate {
        self.0.leaf()
    }

    pub(crate) fn root(&self) -> &Certificate {
        &self.0.0[self.0.0.len() - 1]
    }
}

impl RevocationList {
    /// Reads a list in DER. It has no critical extensions: such a list would mean something else than it says.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        if der.len() > COLLATERAL_BYTES_MAX || !lengths::fit(der) {
            return None;
        }
        let list = CertificateList::from_der(der).ok()?;
        let tbs = &list.tbs_cert_list;
        let critical = tbs.crl_extensions.iter().flatten().any(|extension| extension.critical);
        let is_plain = !critical
            && is_ecdsa_sha256(&tbs.signature)
            && is_ecdsa_sha256(&list.signature_algorithm);
        let revoked = tbs.revoked_certificates.as_deref().unwrap_or_default();
        if !is_plain || revoked.len() > REVOKED_MAX {
            return None;
        }
        Some(Self {
            issuer: name(&tbs.issuer).ok()?,
            next: tbs.next_update.map(moment),
            from: moment(tbs.this_update),
            revoked: revoked.iter().map(|it| serial(it.serial_number.as_bytes())).collect(),
            digest: Sha256::digest(signed_part(der)?).into(),
            signature: Signature::from_der(list.signature.as_bytes()?).ok()?,
        })
    }

    /// Whether the list says that this issuer made it.
    pub(crate) fn is_named(&self, issuer: &Certificate) -> bool {
        self.issuer == issuer.subject
    }

    /// Whether this issuer made it.
    pub(crate) fn is_of(&self, issuer: &Certificate) -> bool {
        self.is_named(issuer) && issuer.key.verify_prehash(&self.digest, &self.signature).is_ok()
    }

    pub(crate) fn has(&self, certificate: &Certificate) -> bool {
        self.revoked.contains(&certificate.serial)
    }
}
