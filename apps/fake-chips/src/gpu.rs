//! A maker of graphics cards in the shape of NVIDIA's: a root, a family, a factory, chips, and what they sign.

use attest::reference::{Golden, Manifest};
use attest::{References, Revocations};
use data_encoding::HEXLOWER;
use p384::ecdsa::signature::hazmat::PrehashSigner;
use sha2::{Digest, Sha384};
use std::collections::{BTreeMap, BTreeSet};
use units::Timestamp;
use x509_cert::der::asn1::ObjectIdentifier;

use crate::certificate::{Holder, Key, Wanted, issue, pem, revoke};
use crate::{p384_key, seed};

/// The driver's version that cards report.
pub const DRIVER: &str = "570.86.16";
/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 96;
/// Where a report's nonce is.
const NONCE_AT: std::ops::Range<usize> = 4..36;
/// Measurements of a card: the first is the driver's, the others are the VBIOS's.
const MEASUREMENTS: u8 = 4;

/// A maker of cards.
#[derive(Clone, Debug)]
pub struct Maker {
    root: Holder,
    family: Holder,
    factory: Holder,
    from: Timestamp,
    until: Timestamp,
}

/// A card that can attest.
#[derive(Clone, Debug)]
pub struct Card {
    /// Its chip's serial number, in hexadecimal digits.
    pub serial: String,
    /// Its chain, PEM.
    pub chain: String,
    /// What it reports, with a nonce of zeros and without a signature that fits.
    pub template: Vec<u8>,
    /// The key that signs its reports.
    pub key: p384::ecdsa::SigningKey,
}

impl Maker {
    /// A maker whose certificates hold from one moment to another.
    pub fn new(name: &str, from: Timestamp, until: Timestamp) -> Self {
        let issuer = |title: &str, above: Option<&Holder>| {
            let name = format!("{name} {title}");
            let key = Key::P384(p384_key(&name));
            let serial = seed(&name)[1..9].to_vec();
            let wanted =
                Wanted { name, key, serial, issues: true, from, until, extensions: vec![] };
            issue(wanted, above)
        };
        let root = issuer("Device Identity CA", None);
        let family = issuer("GH100 Identity", Some(&root));
        let factory = issuer("GH100 Provisioner", Some(&family));
        Self { root, family, factory, from, until }
    }

    /// The root's certificate, PEM.
    pub fn root(&self) -> String {
        pem([&self.root.der])
    }

    /// A card, by a name of its own. With `multi` it is passed through together with others.
    pub fn card(&self, name: &str, multi: bool) -> Card {
        let (from, until) = (self.from, self.until);
        let mut serial = seed(name)[1..17].to_vec();
        serial[0] = 0x11;
        let chip = Key::P384(p384_key(&format!("{name} chip")));
        let wanted = Wanted {
            name: "GH100 A01 GSP BROM".to_owned(),
            key: chip,
            serial: serial.clone(),
            issues: true,
            from,
            until,
            extensions: vec![],
        };
        let device = issue(wanted, Some(&self.factory));
        let key = p384_key(&format!("{name} firmware"));
        let firmware = seed("firmware");
        let wanted = Wanted {
            name: "GH100 A01 GSP FMC LF".to_owned(),
            key: Key::P384(key.clone()),
            serial: vec![1],
            issues: false,
            from,
            until,
            extensions: vec![firmware_identity(&firmware)],
        };
        let leaf = issue(wanted, Some(&device));
        let ders = [&leaf.der, &device.der, &self.factory.der, &self.family.der, &self.root.der];
        Card {
            serial: HEXLOWER.encode(&serial),
            chain: pem(ders),
            template: template(&firmware, multi),
            key,
        }
    }

    /// What cards of this maker should measure.
    pub fn references(&self, issued_at: Timestamp) -> References {
        let golden = |index: u8| (index, vec![Golden(measurement(index))]);
        let manifest = |id: &str, board: Option<&str>, indexes: std::ops::Range<u8>| Manifest {
            id: id.to_owned(),
            source: "a maker for tests".to_owned(),
            board: board.map(str::to_owned),
            measurements: indexes.map(golden).collect(),
        };
        let manifests = vec![
            manifest(&format!("NV_GPU_DRIVER_GH100_{DRIVER}"), None, 0..1),
            manifest(
                "NV_GPU_VBIOS_1010_0200_882_96009F0001",
                Some("H100 for tests"),
                1..MEASUREMENTS,
            ),
        ];
        References { issued_at, manifests }
    }

    /// The factory's own list of revoked chips, by serial numbers in hexadecimal digits, as DER.
    pub fn list(&self, serials: &[&str], from: Timestamp, next: Timestamp) -> Vec<u8> {
        let bytes = |serial: &&str| HEXLOWER.decode(serial.as_bytes()).unwrap_or_default();
        let serials: Vec<Vec<u8>> = serials.iter().map(bytes).collect();
        revoke(&self.factory, &serials, from, next)
    }

    /// What this maker took back: these serial numbers of chips.
    pub fn revocations(&self, serials: &[&str], fetched_at: Timestamp) -> Revocations {
        let id = |of: &Holder| HEXLOWER.encode(&of.key.id());
        let chips: BTreeSet<String> = serials.iter().map(|&serial| serial.to_owned()).collect();
        let issuers = BTreeMap::from([
            (id(&self.root), BTreeSet::new()),
            (id(&self.family), BTreeSet::new()),
            (id(&self.factory), chips),
        ]);
        Revocations { fetched_at, issuers }
    }
}

impl Card {
    /// What it answers to this nonce.
    pub fn report(&self, nonce: &[u8; 32]) -> Vec<u8> {
        let mut report = self.template.clone();
        report[NONCE_AT].copy_from_slice(nonce);
        self.sign(report)
    }

    /// Signs a report anew, whatever was done to it.
    pub fn sign(&self, mut report: Vec<u8>) -> Vec<u8> {
        let signed = report.len() - SIGNATURE_BYTES;
        let digest = Sha384::digest(&report[..signed]);
        let signature: p384::ecdsa::Signature =
            self.key.sign_prehash(&digest).expect("a digest of its size");
        report[signed..].copy_from_slice(&signature.to_bytes());
        report
    }
}

fn measurement(index: u8) -> [u8; 48] {
    seed(&format!("measurement {index}"))
}

/// `SEQUENCE { INTEGER 1, SEQUENCE {}, SEQUENCE { SHA-384, OCTET STRING } }`, as Hopper's certificates have it.
fn firmware_identity(firmware: &[u8; 48]) -> (ObjectIdentifier, Vec<u8>) {
    let hash = [0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
    let fwid = [&[0x30, 61][..], &hash, &[0x04, 48], firmware].concat();
    let value = [&[0x30, 68, 0x02, 1, 1, 0x30, 0][..], &fwid].concat();
    ("2.23.133.5.4.1".parse().expect("an id"), value)
}

fn template(firmware: &[u8; 48], multi: bool) -> Vec<u8> {
    let mut report = vec![0x11, 0xe0, 0x01, 0xff];
    report.extend([0; 33]);
    report.extend([0x11, 0x60, 0x00, 0x00, MEASUREMENTS]);
    let record = 55 * usize::from(MEASUREMENTS);
    report.extend(u32::try_from(record).expect("it is small").to_le_bytes().into_iter().take(3));
    for index in 0..MEASUREMENTS {
        report.extend([index + 1, 0x01, 51, 0, 0x01, 48, 0]);
        report.extend(measurement(index));
    }
    report.extend([0x5a; 32]);
    let mut opaque = Vec::new();
    let mut add = |kind: u16, value: &[u8]| {
        opaque.extend(kind.to_le_bytes());
        opaque.extend(u16::try_from(value.len()).expect("it is short").to_le_bytes());
        opaque.extend(value);
    };
    add(3, format!("{DRIVER}\0").as_bytes());
    add(6, &[0x00, 0x9f, 0x00, 0x96, 0x01, 0, 0, 0]);
    add(15, b"882\0");
    add(17, b"1010\0");
    add(18, b"0200\0");
    add(20, firmware);
    add(36, &u32::from(multi).to_le_bytes());
    report.extend(u16::try_from(opaque.len()).expect("it is short").to_le_bytes());
    report.extend(opaque);
    report.extend([0; SIGNATURE_BYTES]);
    report
}
