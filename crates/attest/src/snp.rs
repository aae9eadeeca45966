//! What a confidential virtual machine on an AMD processor proves: SEV-SNP reports, verified offline.
//!
//! A report is signed with a key (VCEK) that belongs to one processor and one state of its firmware. AMD certifies the
//! key under an intermediate per processor family, which is compiled in; Milan and Genoa are known here.
//!
//! # Invariants
//! - The key's certificate names the processor and the firmware that the report names.
//! - Nothing is said of a guest whose report does not carry the report data that was expected.
//!
//! Deliberately absent: AMD's list of revoked keys, which names intermediates only, and those are pinned here.

use p384::ecdsa::signature::hazmat::PrehashVerifier;
use p384::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha384};
use units::Timestamp;
use x509_cert::Certificate as X509;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::referenced::OwnedToRef;
use x509_cert::der::{Decode, Encode};

use crate::binding::REPORT_DATA_BYTES;
use crate::certificate::{self, signed_part};
use crate::chain;
use crate::lengths;
use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::reference::Golden;
use crate::rsa::RsaKey;

/// AMD's intermediates ("ASK") by processor family, in PEM.
pub const INTERMEDIATES: [(&str, &str); 2] =
    [("Milan", include_str!("amd/ask_milan.pem")), ("Genoa", include_str!("amd/ask_genoa.pem"))];

/// Bytes of a report.
pub const REPORT_BYTES: usize = 0x4a0;
/// How many of them are signed.
const SIGNED_BYTES: usize = 0x2a0;

/// A guest may be read by its host when this bit of its policy is set.
const DEBUG: u64 = 1 << 19;
/// A guest may be moved by an agent of its host when this bit of its policy is set.
const MIGRATION: u64 = 1 << 18;

const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const HARDWARE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.4");
/// The version of each part of the firmware, in the order of [`Firmware`]'s fields.
const VERSIONS: [ObjectIdentifier; 4] = [
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.1"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.2"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.3"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.8"),
];

/// The security versions of a processor's firmware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// Of the boot loader.
    pub boot_loader: u8,
    /// Of the operating system of the security processor.
    pub tee: u8,
    /// Of the SNP firmware.
    pub snp: u8,
    /// Of the microcode.
    pub microcode: u8,
}

/// What a guest is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// [`crate::binding::report_data`] of what was asked and shown.
    pub report_data: &'a [u8; REPORT_DATA_BYTES],
    /// The launch measurements of the images that are admitted.
    pub measurements: &'a [Golden],
    /// The oldest firmware that is admitted, part by part.
    pub firmware_min: Firmware,
}

/// A report that reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the guest asked to be signed.
    pub report_data: [u8; REPORT_DATA_BYTES],
    /// What was launched.
    pub measurement: Golden,
    /// What the host may do to the guest.
    pub policy: u64,
    /// The privilege level that asked, zero being the highest.
    pub level: u32,
    /// The firmware that the signing key belongs to.
    pub firmware: Firmware,
    /// The processor.
    pub chip: [u8; 64],
    digest: [u8; 48],
    signature: Signature,
}

/// A guest whose report is true and admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The processor's family: `Milan`.
    pub family: &'static str,
    /// The processor's own id, in hexadecimal digits.
    pub chip: String,
    /// What was launched.
    pub measurement: Golden,
    /// The processor's firmware.
    pub firmware: Firmware,
    /// The last moment at which its key's certificate holds.
    pub until: Timestamp,
}

/// Why a guest is refused. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAGuest {
    /// The bytes are no report signed by a processor's own key.
    #[error("it is not a report of 1,184 bytes signed with a processor's own key")]
    Report,
    /// The certificate does not read.
    #[error("the certificate of the processor's key does not read")]
    Certificate,
    /// The certificate is of no known family.
    #[error("the certificate is issued by none of the known processor families")]
    Issuer,
    /// The certificate does not hold now.
    #[error("the certificate does not hold at this time")]
    Time,
    /// The family's intermediate did not sign the certificate.
    #[error("the certificate is not signed by its family's key")]
    CertificateSignature,
    /// The certificate names another processor or firmware than the report.
    #[error("certificate and report do not name the same processor and firmware")]
    Processor,
    /// The processor's key did not sign the report.
    #[error("the report is not signed by the processor's key")]
    Signature,
    /// The report is about something else.
    #[error("the report carries other report data than expected")]
    ReportData,
    /// The host may read or move the guest, or the report is of a level below the highest.
    #[error("the guest may be read or moved by its host, or is not at the highest level")]
    Policy,
    /// What was launched is not admitted.
    #[error("the guest was launched from an image that is not admitted")]
    Measurement,
    /// The firmware is too old.
    #[error("the processor's firmware is older than admitted")]
    Firmware,
}

/// Reads a report.
///
/// # Errors
/// [`NotAGuest::Report`].
pub fn parse(bytes: &[u8]) -> Result<Report, NotAGuest> {
    read(bytes).ok_or(NotAGuest::Report)
}

/// Judges a report with the certificate (DER) of the processor's key.
///
/// # Errors
/// Why the guest is refused.
pub fn verify(
    report: &[u8],
    certificate: &[u8],
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Guest, NotAGuest> {
    let report = parse(report)?;
    let (family, key, until) = certified(certificate, &report, now)?;
    let signed = key.verify_prehash(&report.digest, &report.signature);
    signed.map_err(|_| NotAGuest::Signature)?;
    admitted(&report, expected)?;
    let chip = data_encoding::HEXLOWER.encode(&report.chip);
    let Report { measurement, firmware, .. } = report;
    Ok(Guest { family, chip, measurement, firmware, until })
}

/// The certificate of the processor's key in the table that a host gives its guest beside a report.
///
/// The table (`SNP_EXT_GUEST_REQUEST`) has entries of an id, an offset and a length, numbers little-endian, and ends
/// with zeros.
pub fn certificate_of(table: &[u8]) -> Option<&[u8]> {
    let entries = table.as_chunks::<24>().0.iter().take_while(|entry| entry[..16] != [0; 16]);
    let mut keys = entries.filter(|entry| entry[..16] == VCEK);
    let entry = keys.next()?;
    let number = |at| usize::try_from(u32::from_le_bytes(field(entry, at)?)).ok();
    let (offset, length) = (number(16)?, number(20)?);
    table.get(offset..offset.checked_add(length)?)
}

/// 63da758d-e664-4564-adc5-f4b93be8accd: the id of that certificate (AMD's publication 56421).
const VCEK: [u8; 16] = [
    0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd,
];

fn admitted(report: &Report, expected: &Expected<'_>) -> Result<(), NotAGuest> {
    if report.report_data != *expected.report_data {
        return Err(NotAGuest::ReportData);
    }
    if report.policy & (DEBUG | MIGRATION) != 0 || report.level != 0 {
        return Err(NotAGuest::Policy);
    }
    if !expected.measurements.contains(&report.measurement) {
        return Err(NotAGuest::Measurement);
    }
    match report.firmware.is_at_least(expected.firmware_min) {
        true => Ok(()),
        false => Err(NotAGuest::Firmware),
    }
}

impl Firmware {
    /// Whether no part is older.
    fn is_at_least(self, other: Self) -> bool {
        self.parts().iter().zip(other.parts()).all(|(is, least)| *is >= least)
    }

    const fn parts(self) -> [u8; 4] {
        [self.boot_loader, self.tee, self.snp, self.microcode]
    }
}

/// The processor's key, when AMD certified it for the processor and firmware of the report.
fn certified(
    der: &[u8],
    report: &Report,
    now: Timestamp,
) -> Result<(&'static str, VerifyingKey, Timestamp), NotAGuest> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(NotAGuest::Certificate);
    }
    if !lengths::fit(der) {
        return Err(NotAGuest::Certificate);
    }
    let x509 = X509::from_der(der).map_err(|_| NotAGuest::Certificate)?;
    let signed = signed_part(der).ok_or(NotAGuest::Certificate)?;
    let key = certificate::key(&x509.tbs_certificate).map_err(|_| NotAGuest::Certificate)?;
    // What is signed and what is not name the same algorithm, parameters included; which parameters is fixed here.
    let algorithm = &x509.signature_algorithm;
    if algorithm.oid != RSA_PSS || *algorithm != x509.tbs_certificate.signature {
        return Err(NotAGuest::Certificate);
    }
    let (family, issuer) = issuer(&x509).ok_or(NotAGuest::Issuer)?;
    if !holds(&x509, now) {
        return Err(NotAGuest::Time);
    }
    let digest = Sha384::digest(signed).into();
    let signature = x509.signature.as_bytes().unwrap_or_default();
    if !issuer.verifies(&digest, signature) {
        return Err(NotAGuest::CertificateSignature);
    }
    let same = named(&x509) == Some((report.chip, report.firmware));
    let until = certificate::moment(x509.tbs_certificate.validity.not_after);
    if same { Ok((family, key, until)) } else { Err(NotAGuest::Processor) }
}

fn issuer(x509: &X509) -> Option<(&'static str, RsaKey)> {
    let wanted = x509.tbs_certificate.issuer.to_der().ok()?;
    INTERMEDIATES.iter().find_map(|(family, pem)| {
        let intermediate = X509::from_der(&chain::pinned(pem)).ok()?;
        let tbs = intermediate.tbs_certificate;
        let key = tbs.subject_public_key_info.owned_to_ref().subject_public_key.as_bytes()?;
        (tbs.subject.to_der().ok()? == wanted).then_some((*family, RsaKey::parse(key)?))
    })
}

fn holds(x509: &X509, now: Timestamp) -> bool {
    let validity = x509.tbs_certificate.validity;
    let last_second = certificate::moment(validity.not_after).millis().saturating_add(999);
    certificate::moment(validity.not_before) <= now && now.millis() <= last_second
}

/// The processor and the firmware that a certificate is for. AMD writes the id as plain bytes, versions as integers.
fn named(x509: &X509) -> Option<([u8; 64], Firmware)> {
    let extensions = x509.tbs_certificate.extensions.as_deref().unwrap_or_default();
    let value = |id: ObjectIdentifier| {
        let mut found = extensions.iter().filter(|extension| extension.extn_id == id);
        let one = found.next()?.extn_value.as_bytes();
        found.next().is_none().then_some(one)
    };
    let version = |id| u8::from_der(value(id)?).ok();
    let [boot_loader, tee, snp, microcode] = VERSIONS.map(version);
    let firmware =
        Firmware { boot_loader: boot_loader?, tee: tee?, snp: snp?, microcode: microcode? };
    Some((value(HARDWARE_ID)?.try_into().ok()?, firmware))
}

/// AMD's publication 56860, "Structure of the attestation report"; numbers are little-endian.
fn read(bytes: &[u8]) -> Option<Report> {
    if bytes.len() != REPORT_BYTES {
        return None;
    }
    let version = u32::from_le_bytes(field(bytes, 0x00)?);
    let algorithm = u32::from_le_bytes(field(bytes, 0x34)?);
    let keys = u32::from_le_bytes(field(bytes, 0x48)?);
    // Version 2 to 5; ECDSA on P-384; signed, with the processor's own key: only the lowest bit, which says that the
    // guest has an author's key, is free.
    if !(2..=5).contains(&version) || algorithm != 1 || keys & !1 != 0 {
        return None;
    }
    let [boot_loader, tee, _, _, _, _, snp, microcode] = field(bytes, 0x180)?;
    Some(Report {
        report_data: field(bytes, 0x50)?,
        measurement: Golden(field(bytes, 0x90)?),
        policy: u64::from_le_bytes(field(bytes, 0x08)?),
        level: u32::from_le_bytes(field(bytes, 0x30)?),
        firmware: Firmware { boot_loader, tee, snp, microcode },
        chip: field(bytes, 0x1a0)?,
        digest: Sha384::digest(&bytes[..SIGNED_BYTES]).into(),
        signature: signature(&bytes[SIGNED_BYTES..])?,
    })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Two numbers of 72 bytes, the lowest byte first, then zeros.
fn signature(bytes: &[u8]) -> Option<Signature> {
    let number = |at| -> Option<[u8; 48]> {
        let mut bytes: [u8; 72] = field(bytes, at)?;
        bytes.reverse();
        let (zeros, number) = bytes.split_at(24);
        zeros.iter().all(|byte| *byte == 0).then(|| number.try_into().ok())?
    };
    let (r, s) = (number(0)?, number(72)?);
    let rest = bytes.get(144..)?;
    rest.iter().all(|byte| *byte == 0).then(|| Signature::from_scalars(r, s).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOTS: [&str; 2] =
        [include_str!("../tests/data/ark_milan.pem"), include_str!("../tests/data/ark_genoa.pem")];

    #[test]
    fn pinned_intermediates_are_signed_by_amds_roots() {
        for ((family, intermediate), root) in INTERMEDIATES.iter().zip(ROOTS) {
            assert!(is_issued(intermediate, root), "{family}");
            assert!(is_issued(root, root), "{family}");
            assert!(!is_issued(root, intermediate), "{family}");
        }
    }

    #[test]
    fn a_guest_that_its_host_may_read_or_move_is_refused() {
        check(|_| {}, Ok(()));
        check(|report| report.policy |= 1 << 19, Err(NotAGuest::Policy));
        check(|report| report.policy |= 1 << 18, Err(NotAGuest::Policy));
        check(|report| report.level = 1, Err(NotAGuest::Policy));
        check(|report| report.firmware.snp -= 1, Err(NotAGuest::Firmware));
        check(|report| report.firmware.microcode += 1, Ok(()));
    }

    /// Changes the sample, as a signer could, and judges it by the sample.
    fn check(change: impl FnOnce(&mut Report), expected: Result<(), NotAGuest>) {
        let text = include_str!("../tests/data/snp_report_milan.hex").trim();
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap();
        let sample = parse(&bytes).unwrap();
        let mut report = sample.clone();
        change(&mut report);
        let policy = Expected {
            report_data: &sample.report_data,
            measurements: &[sample.measurement],
            firmware_min: sample.firmware,
        };
        assert_eq!(admitted(&report, &policy), expected);
    }

    fn is_issued(certificate: &str, issuer: &str) -> bool {
        let (der, issuer) = (chain::pinned(certificate), chain::pinned(issuer));
        let issuer = X509::from_der(&issuer).unwrap().tbs_certificate.subject_public_key_info;
        let key = RsaKey::parse(issuer.subject_public_key.as_bytes().unwrap()).unwrap();
        let signature = X509::from_der(&der).unwrap().signature;
        let digest = Sha384::digest(signed_part(&der).unwrap()).into();
        key.verifies(&digest, signature.as_bytes().unwrap())
    }
}
