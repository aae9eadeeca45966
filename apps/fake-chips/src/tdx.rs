//! A maker of processors in the shape of Intel's: a root, who issues to processors, who signs statements, and quotes.

use attest::images::{Image, Images, TdxImage};
use attest::reference::Golden;
use data_encoding::HEXLOWER;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use sha2::{Digest, Sha256};
use units::{DAY, Timestamp};
use x509_cert::der::asn1::ObjectIdentifier;

use crate::certificate::{Holder, Key, Wanted, issue, pem, revoke};
use crate::{p256_key, seed};

/// The family of platforms that its processors belong to.
pub const FMSPC: [u8; 6] = [0x90, 0xc0, 0x6f, 0, 0, 0];

/// A maker of processors.
#[derive(Clone, Debug)]
pub struct Maker {
    root: Holder,
    platform: Holder,
    signer: Holder,
    from: Timestamp,
    until: Timestamp,
}

/// A processor that can attest.
#[derive(Clone, Debug)]
pub struct Processor {
    chain: String,
    key: p256::ecdsa::SigningKey,
    /// The serial number of its certificate.
    pub serial: Vec<u8>,
}

/// What a quote says.
#[derive(Clone, Copy, Debug)]
pub struct Saying {
    /// What its guest asked to be signed.
    pub report_data: [u8; 64],
    /// Attributes of the virtual machine.
    pub attributes: u64,
    /// 4 or 5.
    pub version: u16,
    /// The security version of the TDX module.
    pub module_svn: u8,
}

impl Saying {
    /// A good guest that carries this report data.
    pub fn good(report_data: [u8; 64]) -> Self {
        Self { report_data, attributes: 1 << 28, version: 4, module_svn: 3 }
    }
}

impl Maker {
    /// A maker whose certificates hold from one moment to another.
    pub fn new(name: &str, from: Timestamp, until: Timestamp) -> Self {
        let make = |title: &str, issues: bool, above: Option<&Holder>| {
            let name = format!("{name} {title}");
            let key = Key::P256(p256_key(&name));
            let serial = seed(&name)[1..9].to_vec();
            issue(Wanted { name, key, serial, issues, from, until, extensions: vec![] }, above)
        };
        let root = make("SGX Root CA", true, None);
        let platform = make("SGX PCK Platform CA", true, Some(&root));
        let signer = make("SGX TCB Signing", false, Some(&root));
        Self { root, platform, signer, from, until }
    }

    /// The root's certificate, PEM.
    pub fn root(&self) -> String {
        pem([&self.root.der])
    }

    /// A processor, by a name of its own.
    pub fn processor(&self, name: &str) -> Processor {
        let key = p256_key(name);
        let serial = seed(name)[1..17].to_vec();
        let wanted = Wanted {
            name: "SGX PCK Certificate".to_owned(),
            key: Key::P256(key.clone()),
            serial: serial.clone(),
            issues: false,
            from: self.from,
            until: self.until,
            extensions: vec![platform()],
        };
        let leaf = issue(wanted, Some(&self.platform));
        Processor { chain: pem([&leaf.der, &self.platform.der, &self.root.der]), key, serial }
    }

    /// What this maker says of its platforms, as a file, with these processors revoked. It is good for 30 days.
    pub fn collateral(&self, revoked: &[Vec<u8>], issued: Timestamp) -> Vec<u8> {
        let next = issued.after(DAY * 30);
        let dates =
            format!("\"issueDate\":\"{}\",\"nextUpdate\":\"{}\"", moment(issued), moment(next));
        let components =
            |svn: u8| format!("[{}]", vec![format!("{{\"svn\":{svn}}}"); 16].join(","));
        let zeros = "0".repeat(96);
        let tcb = format!(
            "{{\"id\":\"TDX\",\"version\":3,{dates},\"fmspc\":\"{}\",\"pceId\":\"0000\",\"tcbType\":0,\
             \"tcbEvaluationDataNumber\":17,\"tdxModule\":{{\"mrsigner\":\"{zeros}\",\
             \"attributes\":\"0000000000000000\",\"attributesMask\":\"FFFFFFFFFFFFFFFF\"}},\
             \"tdxModuleIdentities\":[{{\"id\":\"TDX_01\",\"mrsigner\":\"{zeros}\",\
             \"attributes\":\"0000000000000000\",\"attributesMask\":\"FFFFFFFFFFFFFFFF\",\"tcbLevels\":[\
             {{\"tcb\":{{\"isvsvn\":3}},\"tcbDate\":\"2024-03-13T00:00:00Z\",\"tcbStatus\":\"UpToDate\"}},\
             {{\"tcb\":{{\"isvsvn\":2}},\"tcbDate\":\"2023-03-13T00:00:00Z\",\"tcbStatus\":\"OutOfDate\"}}]}}],\
             \"tcbLevels\":[{{\"tcb\":{{\"sgxtcbcomponents\":{},\"pcesvn\":11,\"tdxtcbcomponents\":{}}},\
             \"tcbDate\":\"2024-03-13T00:00:00Z\",\"tcbStatus\":\"UpToDate\"}}]}}",
            HEXLOWER.encode(&FMSPC).to_uppercase(),
            components(2),
            components(2),
        );
        let enclave = format!(
            "{{\"id\":\"TD_QE\",\"version\":2,{dates},\"tcbEvaluationDataNumber\":17,\
             \"miscselect\":\"00000000\",\"miscselectMask\":\"FFFFFFFF\",\
             \"attributes\":\"11000000000000000000000000000000\",\
             \"attributesMask\":\"FBFFFFFFFFFFFFFF0000000000000000\",\"mrsigner\":\"{}\",\"isvprodid\":2,\
             \"tcbLevels\":[{{\"tcb\":{{\"isvsvn\":4}},\"tcbDate\":\"2024-03-13T00:00:00Z\",\
             \"tcbStatus\":\"UpToDate\"}}]}}",
            HEXLOWER.encode(&signer_of_enclaves()),
        );
        let signing = pem([&self.signer.der, &self.root.der]);
        let file = serde_json::json!({
            "pck_crl_issuer_chain": pem([&self.platform.der, &self.root.der]),
            "root_ca_crl": HEXLOWER.encode(&revoke(&self.root, &[], issued, next)),
            "pck_crl": HEXLOWER.encode(&revoke(&self.platform, revoked, issued, next)),
            "tcb_info_issuer_chain": signing,
            "tcb_info_signature": self.signed(&tcb),
            "tcb_info": tcb,
            "qe_identity_issuer_chain": signing,
            "qe_identity_signature": self.signed(&enclave),
            "qe_identity": enclave,
        });
        file.to_string().into_bytes()
    }

    fn signed(&self, text: &str) -> String {
        let Key::P256(key) = &self.signer.key else { return String::new() };
        HEXLOWER.encode(&raw(key, text.as_bytes()))
    }
}

/// The image that its guests start, as a network admits it.
pub fn images(issued_at: Timestamp) -> Images {
    let tdx = TdxImage { mr_td: Golden(seed("image")), rtmr: [None; 4] };
    let image = Image { name: "guest for tests".to_owned(), snp: Vec::new(), tdx: vec![tdx] };
    Images { issued_at, images: vec![image], ..Images::default() }
}

impl Processor {
    /// A quote that says this.
    pub fn quote(&self, saying: &Saying) -> Vec<u8> {
        let attestation = p256_key("attestation key");
        let point = attestation.verifying_key().to_encoded_point(false);
        let public = &point.as_bytes()[1..];
        let data = b"beside the key";
        let mut enclave = vec![0; 384];
        enclave[48..64].copy_from_slice(&[0x11, 0, 0, 0, 0, 0, 0, 0, 0xe7, 0, 0, 0, 0, 0, 0, 0]);
        enclave[128..160].copy_from_slice(&signer_of_enclaves());
        enclave[256] = 2;
        enclave[258] = 4;
        let named = Sha256::new().chain_update(public).chain_update(data).finalize();
        enclave[320..352].copy_from_slice(&named);
        let signed = signed_part(saying);
        let chain = self.chain.as_bytes();
        let inner = [
            &enclave[..],
            &raw(&self.key, &enclave),
            &u16::try_from(data.len()).expect("it is short").to_le_bytes(),
            data,
            &5_u16.to_le_bytes(),
            &length(chain),
            chain,
        ]
        .concat();
        let signature = [
            &raw(&attestation, &signed)[..],
            public,
            &6_u16.to_le_bytes(),
            &length(&inner),
            &inner,
        ]
        .concat();
        [&signed[..], &length(&signature), &signature].concat()
    }
}

fn signed_part(saying: &Saying) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(saying.version.to_le_bytes());
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(0x81_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend([
        0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06,
        0x07,
    ]);
    bytes.extend([0; 20]);
    if saying.version == 5 {
        bytes.extend([2, 0]);
        bytes.extend(584_u32.to_le_bytes());
    }
    let mut svn = [2; 16];
    (svn[0], svn[1]) = (saying.module_svn, 1);
    bytes.extend(svn);
    bytes.extend([0; 48 + 48 + 8]);
    bytes.extend(saying.attributes.to_le_bytes());
    bytes.extend([0xe7, 0, 6, 0, 0, 0, 0, 0]);
    bytes.extend(seed("image"));
    bytes.extend([0; 3 * 48]);
    bytes.extend([0x77; 4 * 48]);
    bytes.extend(saying.report_data);
    bytes
}

fn signer_of_enclaves() -> [u8; 32] {
    Sha256::digest("who signs quoting enclaves").into()
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("it is short").to_le_bytes()
}

fn raw(key: &p256::ecdsa::SigningKey, bytes: &[u8]) -> Vec<u8> {
    let signature: p256::ecdsa::Signature =
        key.sign_prehash(&Sha256::digest(bytes)).expect("a digest of its size");
    signature.to_bytes().to_vec()
}

/// What the processor's certificate says of its platform.
fn platform() -> (ObjectIdentifier, Vec<u8>) {
    let id = |last: &[u8]| {
        let arcs = [&[0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 1, 13, 1][..], last].concat();
        tlv(0x06, &arcs)
    };
    let pair = |last: &[u8], value: Vec<u8>| tlv(0x30, &[id(last), value].concat());
    let svn = |place: u8| pair(&[2, place], tlv(0x02, &[if place == 17 { 11 } else { 2 }]));
    let mut versions: Vec<u8> = (1..=17).flat_map(svn).collect();
    versions.extend(pair(&[2, 18], tlv(0x04, &[2; 16])));
    let value = [
        pair(&[1], tlv(0x04, &[9; 16])),
        pair(&[2], tlv(0x30, &versions)),
        pair(&[3], tlv(0x04, &[0, 0])),
        pair(&[4], tlv(0x04, &FMSPC)),
    ]
    .concat();
    ("1.2.840.113741.1.13.1".parse().expect("an id"), tlv(0x30, &value))
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("it is short");
    let [high, low] = length.to_be_bytes();
    match value.len() {
        0..0x80 => [&[tag, low][..], value].concat(),
        0x80..0x100 => [&[tag, 0x81, low][..], value].concat(),
        _ => [&[tag, 0x82, high, low][..], value].concat(),
    }
}

/// A moment as statements have it.
fn moment(at: Timestamp) -> String {
    let whole = std::time::Duration::from_secs(at.millis() / 1_000);
    let moment = x509_cert::der::DateTime::from_unix_duration(whole);
    moment.expect("before the year 10000").to_string()
}
