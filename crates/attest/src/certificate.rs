//! One X.509 certificate as NVIDIA issues them: version 3, P-384, SHA-384, strict DER.
//!
//! # Invariants
//! - A [`Certificate`] that exists follows the profile: one curve, one hash, no critical extension that is not
//!   understood, no extension twice. Whether anybody *signed* it is for [`crate::chain`] to say.
//! - What a signature is checked over is the bytes that were given, never a re-encoding of what was read.

use p384::ecdsa::signature::hazmat::PrehashVerifier;
use p384::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha384};
use units::Timestamp;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::referenced::OwnedToRef;
use x509_cert::der::{Decode, Encode, Header, Reader, SliceReader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::{Certificate as X509, TbsCertificate};

use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::report::DIGEST_BYTES;
use crate::{fwid, lengths};

const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const SUBJECT_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");

/// A certificate that follows NVIDIA's profile.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Who says it, as DER: names are compared as bytes.
    pub issuer: Vec<u8>,
    /// Of whom, as DER.
    pub subject: Vec<u8>,
    /// The subject's common name, such as `GH100 A01 GSP BROM`; empty when it has none.
    pub common_name: String,
    /// The serial number as hexadecimal digits, without the zero that DER puts before a high bit.
    pub serial: String,
    /// The first moment it holds.
    pub not_before: Timestamp,
    /// The last moment it holds.
    pub not_after: Timestamp,
    /// What it may be used for.
    pub usage: Usage,
    /// The name of its own key, if it says one.
    pub key_id: Option<Vec<u8>>,
    /// The name of the key that signed it, if it says one.
    pub issuer_key_id: Option<Vec<u8>>,
    /// The identity of the firmware that the key belongs to, if it says one.
    pub fwid: Option<[u8; DIGEST_BYTES]>,
    /// Its public key.
    pub key: VerifyingKey,
    /// SHA-384 of what is signed.
    digest: [u8; DIGEST_BYTES],
    signature: Signature,
}

/// What a certificate's key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Sign certificates: both basic constraints and key usage say so.
    pub issues: bool,
    /// Sign other things.
    pub signs: bool,
    /// How many further issuers may follow below, when there is a limit.
    pub path_max: Option<u8>,
}

/// Why bytes are not a certificate of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACertificate {
    /// More bytes than such a certificate has.
    #[error("it is longer than {CERTIFICATE_BYTES_MAX} bytes")]
    TooLong,
    /// Not DER, not X.509, or with bytes after its end.
    #[error("it is not an X.509 certificate in DER")]
    NotDer,
    /// Not version 3, or with the unique ids of version 2.
    #[error("it is not a plain certificate of version 3")]
    Version,
    /// Signed by something else than ECDSA with SHA-384, or its two names for the algorithm differ.
    #[error("it is not signed with ECDSA and SHA-384")]
    Algorithm,
    /// Not an uncompressed point on P-384.
    #[error("its key is not a point on P-384")]
    Key,
    /// The signature's numbers are out of range or not DER.
    #[error("its signature is not two numbers of P-384")]
    Signature,
    /// An extension comes twice, does not read, or is critical and not understood.
    #[error("its extension {0} comes twice, does not read, or is critical and not understood")]
    Extension(ObjectIdentifier),
    /// What it may be used for is missing or contradicts itself.
    #[error("what its key may be used for is missing or contradicts itself")]
    Usage,
}

/// Reads one certificate.
///
/// # Errors
/// Why it is not one of NVIDIA's profile.
pub fn parse(der: &[u8]) -> Result<Certificate, NotACertificate> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(NotACertificate::TooLong);
    }
    if !lengths::fit(der) {
        return Err(NotACertificate::NotDer);
    }
    let x509 = X509::from_der(der).map_err(|_| NotACertificate::NotDer)?;
    let signed = signed_part(der).ok_or(NotACertificate::NotDer)?;
    let tbs = &x509.tbs_certificate;
    let two_ids = tbs.issuer_unique_id.is_some() || tbs.subject_unique_id.is_some();
    if tbs.version != Version::V3 || two_ids {
        return Err(NotACertificate::Version);
    }
    if !is_ecdsa_sha384(&tbs.signature) || !is_ecdsa_sha384(&x509.signature_algorithm) {
        return Err(NotACertificate::Algorithm);
    }
    let signature = x509.signature.as_bytes().ok_or(NotACertificate::Signature)?;
    let signature = Signature::from_der(signature).map_err(|_| NotACertificate::Signature)?;
    let extensions = extensions_of(tbs)?;
    Ok(Certificate {
        issuer: name(&tbs.issuer)?,
        subject: name(&tbs.subject)?,
        common_name: common_name(&tbs.subject),
        serial: serial(tbs.serial_number.as_bytes()),
        not_before: moment(tbs.validity.not_before),
        not_after: moment(tbs.validity.not_after),
        usage: usage(extensions)?,
        key_id: find::<SubjectKeyIdentifier>(extensions, SUBJECT_KEY)?
            .map(|id| id.0.as_bytes().to_vec()),
        issuer_key_id: find::<AuthorityKeyIdentifier>(extensions, AUTHORITY_KEY)?
            .and_then(|id| id.key_identifier)
            .map(|id| id.as_bytes().to_vec()),
        fwid: firmware(extensions)?,
        key: key(tbs)?,
        digest: Sha384::digest(signed).into(),
        signature,
    })
}

impl Certificate {
    /// Whether `key` signed this certificate.
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        key.verify_prehash(&self.digest, &self.signature).is_ok()
    }
}

/// The bytes that the issuer signed, as they were given: header and value of the outer sequence's first element.
pub(crate) fn signed_part(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    Header::decode(&mut reader).ok()?;
    reader.tlv_bytes().ok()
}

/// ECDSA with SHA-384 takes no parameters, not even null (RFC 5758).
pub(crate) fn is_ecdsa_sha384(algorithm: &AlgorithmIdentifierOwned) -> bool {
    algorithm.oid == ECDSA_SHA384 && algorithm.parameters.is_none()
}

pub(crate) fn key(tbs: &TbsCertificate) -> Result<VerifyingKey, NotACertificate> {
    let spki = tbs.subject_public_key_info.owned_to_ref();
    let curve = spki.algorithm.parameters_oid().map_err(|_| NotACertificate::Key)?;
    let point = spki.subject_public_key.as_bytes().ok_or(NotACertificate::Key)?;
    // 0x04: both coordinates are there. NVIDIA writes no other form.
    if spki.algorithm.oid != EC_PUBLIC_KEY || curve != SECP384R1 || point.first() != Some(&0x04) {
        return Err(NotACertificate::Key);
    }
    VerifyingKey::from_sec1_bytes(point).map_err(|_| NotACertificate::Key)
}

/// The extensions, of which none that is critical is unknown here.
pub(crate) fn extensions_of(tbs: &TbsCertificate) -> Result<&[Extension], NotACertificate> {
    let extensions = tbs.extensions.as_deref().unwrap_or_default();
    refuse_unknown(extensions)?;
    Ok(extensions)
}

/// What is critical must be understood, and nothing is said twice (RFC 5280, 4.2).
fn refuse_unknown(extensions: &[Extension]) -> Result<(), NotACertificate> {
    for (at, extension) in extensions.iter().enumerate() {
        let id = extension.extn_id;
        let twice = extensions[..at].iter().any(|earlier| earlier.extn_id == id);
        let understood = [KEY_USAGE, BASIC_CONSTRAINTS].contains(&id);
        if twice || (extension.critical && !understood) {
            return Err(NotACertificate::Extension(id));
        }
    }
    Ok(())
}

fn find<'a, T: Decode<'a>>(
    extensions: &'a [Extension],
    id: ObjectIdentifier,
) -> Result<Option<T>, NotACertificate> {
    let found = extensions.iter().find(|extension| extension.extn_id == id);
    found
        .map(|extension| T::from_der(extension.extn_value.as_bytes()))
        .transpose()
        .map_err(|_| NotACertificate::Extension(id))
}

/// A certificate that issues others says so twice; one that does not says so at least by its key's usage.
pub(crate) fn usage(extensions: &[Extension]) -> Result<Usage, NotACertificate> {
    let usage: KeyUsage = find(extensions, KEY_USAGE)?.ok_or(NotACertificate::Usage)?;
    let constraints: Option<BasicConstraints> = find(extensions, BASIC_CONSTRAINTS)?;
    let (ca, path_max) = constraints.map_or((false, None), |c| (c.ca, c.path_len_constraint));
    if ca != usage.key_cert_sign() || (path_max.is_some() && !ca) {
        return Err(NotACertificate::Usage);
    }
    Ok(Usage { issues: ca, signs: usage.digital_signature(), path_max })
}

fn firmware(extensions: &[Extension]) -> Result<Option<[u8; DIGEST_BYTES]>, NotACertificate> {
    let found = extensions.iter().find(|extension| fwid::EXTENSIONS.contains(&extension.extn_id));
    found
        .map(|extension| {
            fwid::parse(extension.extn_value.as_bytes())
                .map_err(|_| NotACertificate::Extension(extension.extn_id))
        })
        .transpose()
}

pub(crate) fn name(name: &Name) -> Result<Vec<u8>, NotACertificate> {
    name.to_der().map_err(|_| NotACertificate::NotDer)
}

fn common_name(name: &Name) -> String {
    let mut parts = name.0.iter().flat_map(|relative| relative.0.iter());
    let found = parts.find(|part| part.oid == COMMON_NAME);
    found.map(|part| String::from_utf8_lossy(part.value.value()).into_owned()).unwrap_or_default()
}

pub(crate) fn serial(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    data_encoding::HEXLOWER.encode(&bytes[zeros..])
}

pub(crate) fn moment(time: x509_cert::time::Time) -> Timestamp {
    let millis = time.to_unix_duration().as_millis();
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}
