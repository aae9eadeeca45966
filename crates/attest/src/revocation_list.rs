//! NVIDIA's own lists of revoked certificates (CRLs), as they are fetched: read, and checked against who made them.
//!
//! Whoever keeps [`crate::Revocations`] converts them; what they say is taken only when their issuer signed it.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use p384::ecdsa::Signature;
use p384::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha384};
use units::Timestamp;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

use crate::certificate::{Certificate, is_ecdsa_sha384, moment, name, serial, signed_part};
use crate::lengths;
use crate::limits::{REVOKED_MAX, SIGNED_BYTES_MAX};

/// A list that its issuer signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// The issuer's key id, in hexadecimal digits.
    pub issuer: String,
    /// The serial numbers that it revoked, in hexadecimal digits without leading zero bytes.
    pub serials: BTreeSet<String>,
    /// When it was made.
    pub from: Timestamp,
    /// When the next one is due.
    pub next: Option<Timestamp>,
}

/// Why bytes are no such list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAList {
    /// Not DER, with critical extensions, or not signed with ECDSA and SHA-384.
    #[error("it is not a list of revoked certificates in DER, signed with ECDSA and SHA-384")]
    Shape,
    /// None of the issuers that are known made it.
    #[error("none of the issuers in the chain is its issuer")]
    Issuer,
    /// Its issuer did not sign it.
    #[error("it is not signed by its issuer")]
    Signature,
}

/// Reads a list that one of these issuers made.
///
/// # Errors
/// Why it is not one.
pub fn parse(der: &[u8], issuers: &[Certificate]) -> Result<RevocationList, NotAList> {
    if der.len() > SIGNED_BYTES_MAX || !lengths::fit(der) {
        return Err(NotAList::Shape);
    }
    let list = CertificateList::from_der(der).map_err(|_| NotAList::Shape)?;
    let tbs = &list.tbs_cert_list;
    let critical = tbs.crl_extensions.iter().flatten().any(|extension| extension.critical);
    let revoked = tbs.revoked_certificates.as_deref().unwrap_or_default();
    let is_plain = !critical
        && is_ecdsa_sha384(&tbs.signature)
        && is_ecdsa_sha384(&list.signature_algorithm)
        && revoked.len() <= REVOKED_MAX;
    let by = name(&tbs.issuer).ok().filter(|_| is_plain).ok_or(NotAList::Shape)?;
    let signed = signed_part(der).ok_or(NotAList::Shape)?;
    let signature = list.signature.as_bytes().and_then(|it| Signature::from_der(it).ok());
    let signature = signature.ok_or(NotAList::Shape)?;
    let issuer = issuers.iter().find(|it| it.usage.issues && it.subject == by);
    let issuer = issuer.ok_or(NotAList::Issuer)?;
    let digest: [u8; 48] = Sha384::digest(signed).into();
    issuer.key.verify_prehash(&digest, &signature).map_err(|_| NotAList::Signature)?;
    let id = issuer.key_id.as_deref().ok_or(NotAList::Issuer)?;
    Ok(RevocationList {
        issuer: HEXLOWER.encode(id),
        serials: revoked.iter().map(|it| serial(it.serial_number.as_bytes())).collect(),
        from: moment(tbs.this_update),
        next: tbs.next_update.map(moment),
    })
}
