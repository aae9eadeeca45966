//! Certificates, made by hand: no clock and no chance is asked.

use std::time::Duration;

use data_encoding::BASE64;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use sha2::{Digest, Sha256, Sha384};
use units::Timestamp;
use x509_cert::certificate::Version;
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::der::asn1::{Any, BitString, GeneralizedTime, ObjectIdentifier, OctetString};
use x509_cert::der::flagset::FlagSet;
use x509_cert::der::{DateTime, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate};

const EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";

/// A key that signs certificates.
#[derive(Clone, Debug)]
pub enum Key {
    /// On P-384, with SHA-384.
    P384(p384::ecdsa::SigningKey),
    /// On P-256, with SHA-256.
    P256(p256::ecdsa::SigningKey),
}

impl Key {
    /// The public half as an uncompressed point.
    pub fn point(&self) -> Vec<u8> {
        match self {
            Self::P384(key) => key.verifying_key().to_encoded_point(false).as_bytes().to_vec(),
            Self::P256(key) => key.verifying_key().to_encoded_point(false).as_bytes().to_vec(),
        }
    }

    /// A signature in DER.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    key.sign_prehash(&Sha384::digest(bytes)).expect("a digest of its size");
                signature.to_der().as_bytes().to_vec()
            }
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.sign_prehash(&Sha256::digest(bytes)).expect("a digest of its size");
                signature.to_der().as_bytes().to_vec()
            }
        }
    }

    fn algorithm(&self) -> AlgorithmIdentifierOwned {
        let oid = match self {
            Self::P384(_) => "1.2.840.10045.4.3.3",
            Self::P256(_) => "1.2.840.10045.4.3.2",
        };
        AlgorithmIdentifierOwned { oid: oid.parse().expect("an id"), parameters: None }
    }

    fn spki(&self) -> SubjectPublicKeyInfoOwned {
        let curve: ObjectIdentifier = match self {
            Self::P384(_) => "1.3.132.0.34",
            Self::P256(_) => "1.2.840.10045.3.1.7",
        }
        .parse()
        .expect("an id");
        let algorithm = AlgorithmIdentifierOwned {
            oid: EC_PUBLIC_KEY.parse().expect("an id"),
            parameters: Some(Any::from(curve)),
        };
        let subject_public_key = BitString::from_bytes(&self.point()).expect("whole bytes");
        SubjectPublicKeyInfoOwned { algorithm, subject_public_key }
    }

    /// What certificates call this key.
    pub fn id(&self) -> Vec<u8> {
        Sha256::digest(self.point())[..20].to_vec()
    }
}

/// Somebody with a certificate.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: Key,
    /// Its certificate.
    pub der: Vec<u8>,
}

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of whom.
    pub name: String,
    /// Of which key.
    pub key: Key,
    /// Its serial number.
    pub serial: Vec<u8>,
    /// Whether it may sign certificates.
    pub issues: bool,
    /// From when on it holds.
    pub from: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
    /// Further extensions, by id, with their values.
    pub extensions: Vec<(ObjectIdentifier, Vec<u8>)>,
}

/// Makes a certificate; without an issuer it is its own.
pub fn issue(wanted: Wanted, issuer: Option<&Holder>) -> Holder {
    let Wanted { name, key, serial, issues, from, until, extensions } = wanted;
    let (issuer_name, issuer_key) =
        issuer.map_or((name.as_str(), &key), |it| (it.name.as_str(), &it.key));
    let usage: FlagSet<KeyUsages> = match issues {
        true => KeyUsages::KeyCertSign | KeyUsages::CRLSign,
        false => KeyUsages::DigitalSignature.into(),
    };
    let octets = |bytes: Vec<u8>| OctetString::new(bytes).expect("it is short");
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(octets(issuer_key.id())),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    let mut all = vec![
        extension("2.5.29.15", true, &KeyUsage(usage)),
        extension("2.5.29.19", true, &BasicConstraints { ca: issues, path_len_constraint: None }),
        extension("2.5.29.14", false, &SubjectKeyIdentifier(octets(key.id()))),
        extension("2.5.29.35", false, &authority),
    ];
    all.extend(extensions.into_iter().map(|(extn_id, value)| Extension {
        extn_id,
        critical: false,
        extn_value: octets(value),
    }));
    let tbs = TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial).expect("it is short"),
        signature: issuer_key.algorithm(),
        issuer: named(issuer_name),
        validity: Validity { not_before: time(from), not_after: time(until) },
        subject: named(&name),
        subject_public_key_info: key.spki(),
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(all),
    };
    let signature = issuer_key.sign(&tbs.to_der().expect("it is whole"));
    let certificate = Certificate {
        signature_algorithm: issuer_key.algorithm(),
        signature: BitString::from_bytes(&signature).expect("whole bytes"),
        tbs_certificate: tbs,
    };
    Holder { name, key, der: certificate.to_der().expect("it is whole") }
}

/// A list of what an issuer revoked.
pub fn revoke(issuer: &Holder, serials: &[Vec<u8>], from: Timestamp, next: Timestamp) -> Vec<u8> {
    let revoked = |serial: &Vec<u8>| RevokedCert {
        serial_number: SerialNumber::new(serial).expect("it is short"),
        revocation_date: time(from),
        crl_entry_extensions: None,
    };
    let tbs = TbsCertList {
        version: Version::V2,
        signature: issuer.key.algorithm(),
        issuer: named(&issuer.name),
        this_update: time(from),
        next_update: Some(time(next)),
        revoked_certificates: match serials.is_empty() {
            true => None,
            false => Some(serials.iter().map(revoked).collect()),
        },
        crl_extensions: None,
    };
    let signature = issuer.key.sign(&tbs.to_der().expect("it is whole"));
    let list = CertificateList {
        signature_algorithm: issuer.key.algorithm(),
        signature: BitString::from_bytes(&signature).expect("whole bytes"),
        tbs_cert_list: tbs,
    };
    list.to_der().expect("it is whole")
}

/// Certificates in PEM, in this order.
pub fn pem<'a>(ders: impl IntoIterator<Item = &'a Vec<u8>>) -> String {
    let block = |der: &Vec<u8>| {
        let text = BASE64.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    ders.into_iter().map(block).collect()
}

fn extension(id: &str, critical: bool, value: &impl Encode) -> Extension {
    let value = value.to_der().expect("it is whole");
    Extension {
        extn_id: id.parse().expect("an id"),
        critical,
        extn_value: OctetString::new(value).expect("it is short"),
    }
}

fn named(name: &str) -> Name {
    format!("CN={name}").parse().expect("a plain name")
}

fn time(at: Timestamp) -> Time {
    let whole = Duration::from_secs(at.millis() / 1_000);
    let moment = DateTime::from_unix_duration(whole).expect("before the year 10000");
    Time::GeneralTime(GeneralizedTime::from_date_time(moment))
}
