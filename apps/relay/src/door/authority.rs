//! An authority of the relay's own, for development: whoever trusts it trusts every name of the relay.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use data_encoding::BASE64;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivateSec1KeyDer};
use rustls::sign::CertifiedKey;
use units::{DAY, Timestamp};
use x509_cert::certificate::Version;
use x509_cert::der::asn1::{BitString, GeneralizedTime, Ia5String, ObjectIdentifier, OctetString};
use x509_cert::der::{self, DateTime, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate};

use super::clock::now;
use super::limits::CERTIFICATES_MADE;

/// How long its certificates hold. Browsers take no more than 398 days.
const VALID: Duration = DAY.saturating_mul(397);
/// They hold from a day ago: clocks of visitors differ.
const SKEW: Duration = DAY;

/// Makes certificates for names of one domain.
pub(crate) struct Authority {
    domain: String,
    key: SigningKey,
    provider: Arc<CryptoProvider>,
    certificate: Vec<u8>,
    made: BTreeMap<String, Arc<CertifiedKey>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.domain)
    }
}

impl Authority {
    /// The authority of this folder; made when there is none. Its certificate is written each time, for visitors to
    /// trust: who trusted an earlier one of the same key trusts this one.
    pub(crate) fn kept_in(
        folder: &Path,
        domain: &str,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let key = key_of(&folder.join("authority.key"))?;
        let certificate = issued(&Wanted::Authority, domain, &key)?;
        let lines: Vec<String> = BASE64
            .encode(&certificate)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into())
            .collect();
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        );
        std::fs::write(folder.join("authority.pem"), pem).context("write authority.pem")?;
        let (domain, provider) = (domain.to_owned(), Arc::clone(provider));
        Ok(Self { domain, key, provider, certificate, made: BTreeMap::new() })
    }

    /// A certificate for this name: one for the domain and all names directly under it, and for a name further down
    /// one of its own.
    pub(crate) fn certificate_for(&mut self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let under = name.and_then(|name| name.strip_suffix(&self.domain)?.strip_suffix('.'));
        let name = match (under, name) {
            (Some(labels), Some(name)) if labels.contains('.') => name.to_owned(),
            (_, _) => String::new(),
        };
        if let Some(made) = self.made.get(&name) {
            return Some(Arc::clone(made));
        }
        if self.made.len() >= CERTIFICATES_MADE {
            self.made.clear();
        }
        let made = Arc::new(self.made_for(&name).ok()?);
        self.made.insert(name, Arc::clone(&made));
        Some(made)
    }

    fn made_for(&self, name: &str) -> Result<CertifiedKey> {
        let names = match name {
            "" => vec![self.domain.clone(), format!("*.{}", self.domain)],
            name => vec![name.to_owned()],
        };
        let certificate = issued(&Wanted::Names(names), &self.domain, &self.key)?;
        let chain = [certificate, self.certificate.clone()].map(CertificateDer::from).to_vec();
        let key = PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(sec1(&self.key)));
        CertifiedKey::from_der(chain, key, &self.provider).context("use a certificate of our own")
    }
}

/// The key in this file; made when there is none, for its owner's eyes only.
fn key_of(path: &Path) -> Result<SigningKey> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).context("ask the system for chance")?;
            super::secret_file::write(path, &bytes)?;
            bytes.to_vec()
        }
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    ensure!(bytes.len() == 32, "{} is not a key: it has {} bytes", path.display(), bytes.len());
    SigningKey::from_slice(&bytes).map_err(|_| anyhow!("{} is not a key", path.display()))
}

/// A private key of P-256 as RFC 5915 has it.
fn sec1(key: &SigningKey) -> Vec<u8> {
    let mut der = vec![0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
    der.extend_from_slice(&key.to_bytes());
    der.extend_from_slice(&[
        0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ]);
    der
}

enum Wanted {
    Authority,
    Names(Vec<String>),
}

const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

fn issued(wanted: &Wanted, domain: &str, key: &SigningKey) -> Result<Vec<u8>> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).context("ask the system for chance")?;
    // A positive number without leading zeros.
    serial[0] = serial[0] & 0x3f | 0x40;
    issue(wanted, domain, key, serial).map_err(|error| anyhow!("make a certificate: {error}"))
}

fn issue(
    wanted: &Wanted,
    domain: &str,
    key: &SigningKey,
    serial: [u8; 16],
) -> der::Result<Vec<u8>> {
    let from = Timestamp::from_millis(now().millis().saturating_sub(SKEW.as_secs() * 1_000));
    let (subject, extensions) = match wanted {
        Wanted::Authority => {
            let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
            let basic = BasicConstraints { ca: true, path_len_constraint: Some(0) };
            (
                authority_of(domain)?,
                vec![extension(KEY_USAGE, &usage)?, extension(BASIC_CONSTRAINTS, &basic)?],
            )
        }
        Wanted::Names(names) => {
            let usage = KeyUsage(KeyUsages::DigitalSignature.into());
            let names = names.iter().map(|name| Ok(GeneralName::DnsName(Ia5String::new(name)?)));
            let names = SubjectAltName(names.collect::<der::Result<_>>()?);
            (
                Name::default(),
                vec![extension(KEY_USAGE, &usage)?, extension(SUBJECT_ALT_NAME, &names)?],
            )
        }
    };
    let tbs = TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial)?,
        signature: ecdsa_with_sha256(),
        issuer: authority_of(domain)?,
        validity: Validity { not_before: time(from)?, not_after: time(from.after(VALID))? },
        subject,
        subject_public_key_info: public_half(key)?,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    };
    let signature: p256::ecdsa::Signature = key.sign(&tbs.to_der()?);
    let certificate = Certificate {
        signature_algorithm: ecdsa_with_sha256(),
        signature: BitString::from_bytes(signature.to_der().as_bytes())?,
        tbs_certificate: tbs,
    };
    certificate.to_der()
}

fn authority_of(domain: &str) -> der::Result<Name> {
    format!("CN=iog relay {domain} (made by itself)").parse()
}

fn ecdsa_with_sha256() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None }
}

fn public_half(key: &SigningKey) -> der::Result<SubjectPublicKeyInfoOwned> {
    let algorithm = AlgorithmIdentifierOwned { oid: EC_PUBLIC_KEY, parameters: Some(P256.into()) };
    let point = key.verifying_key().to_encoded_point(false);
    Ok(SubjectPublicKeyInfoOwned {
        algorithm,
        subject_public_key: BitString::from_bytes(point.as_bytes())?,
    })
}

fn extension(extn_id: ObjectIdentifier, value: &impl Encode) -> der::Result<Extension> {
    let extn_value = OctetString::new(value.to_der()?)?;
    Ok(Extension { extn_id, critical: true, extn_value })
}

fn time(at: Timestamp) -> der::Result<Time> {
    let moment = DateTime::from_unix_duration(Duration::from_secs(at.millis() / 1_000))?;
    Ok(Time::GeneralTime(GeneralizedTime::from_date_time(moment)))
}
