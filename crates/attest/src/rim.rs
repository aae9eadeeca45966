//! NVIDIA's own reference manifests: golden values as XML (SWID tags), signed by NVIDIA.
//!
//! The signature is an enveloped XML signature in the one form that NVIDIA uses. Nothing of what it says about itself
//! is believed: the statement that must have been signed is written here from the document's digest, and either the
//! signature is over that statement or it is not.
//!
//! What a manifest does not say is which board it is for: NVIDIA's service answers by id, and the id is not signed.
//! Whoever converts a manifest states the id, and it is compared with what is signed: product and version.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use p384::ecdsa::Signature;
use p384::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha384};
use units::Timestamp;

use crate::Revocations;
use crate::chain::{self, BadChain, Chain};
use crate::limits::{ALTERNATIVES_MAX, RIM_BYTES_MAX, RIM_CHAIN_LENGTH};
use crate::reference::{Golden, Manifest, driver_id};
use crate::report::{DIGEST_BYTES, SIGNATURE_BYTES};
use crate::xml::{self, Document, Element};

/// The root of what signs manifests ("`CoRIM` signing Root CA"), as NVIDIA ships it with its verifiers.
pub const ROOT_PEM: &str = include_str!("nvidia_rim_root_ca.pem");

/// SHA-256 of that root's DER.
pub const ROOT_SHA256: &str = "12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1";

/// A manifest of NVIDIA's that reads. Who signed it is for [`Rim::verify`] to say.
#[derive(Clone, Debug)]
pub struct Rim {
    product: String,
    version: String,
    measurements: BTreeMap<u8, Vec<Golden>>,
    /// SHA-384 of the statement that must have been signed.
    statement: [u8; DIGEST_BYTES],
    signature: Signature,
    chain: Chain,
}

/// Why bytes are not a manifest of NVIDIA's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARim {
    /// More bytes than a manifest has.
    #[error("it has more than {RIM_BYTES_MAX} bytes")]
    TooLong,
    /// Not XML, or beyond the shape that NVIDIA writes.
    #[error("it is not XML of the plain shape that NVIDIA signs")]
    Shape,
    /// Signature or certificates are missing or do not read.
    #[error("its signature or the certificates beside it do not read")]
    Signature,
    /// The chain of who signed it does not fit together.
    #[error("{0}")]
    Chain(BadChain),
    /// It says no version, or no golden values.
    #[error("its {field} is missing or does not read")]
    Content {
        /// What is missing.
        field: &'static str,
    },
}

/// Why a manifest of NVIDIA's is not believed. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRim {
    /// The chain of who signed it does not hold.
    #[error("{0}")]
    Chain(BadChain),
    /// A certificate of the chain was revoked.
    #[error("certificate {at} with serial number {serial} is revoked")]
    Revoked {
        /// Which, counted from the signer's at zero.
        at: usize,
        /// Its serial number.
        serial: String,
    },
    /// It was not signed as it is.
    #[error("it is not signed by the key of its certificate")]
    Signature,
    /// It is for another product or version than the id says.
    #[error("it speaks for {product} {version}, which `{id}` is not the id of")]
    Id {
        /// The product that is signed.
        product: String,
        /// The version that is signed.
        version: String,
        /// The id that it was taken for.
        id: String,
    },
}

/// Reads a manifest as NVIDIA's service hands it out.
///
/// # Errors
/// Why it is not one.
pub fn parse(bytes: &[u8]) -> Result<Rim, NotARim> {
    if bytes.len() > RIM_BYTES_MAX {
        return Err(NotARim::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| NotARim::Shape)?;
    let document = xml::parse(text).ok_or(NotARim::Shape)?;
    let elements = xml::elements(&document.signed).ok_or(NotARim::Shape)?;
    let meta = elements.iter().find(|element| element.name == "ns0:Meta");
    let named = |name: &str, field| {
        let value = meta.and_then(|meta| meta.attribute(name));
        value.map(str::to_owned).ok_or(NotARim::Content { field })
    };
    Ok(Rim {
        product: named("product", "product")?,
        version: named("colloquialVersion", "version")?,
        measurements: measurements(&elements)?,
        statement: Sha384::digest(statement(&document)).into(),
        signature: signature(&document).ok_or(NotARim::Signature)?,
        chain: signers(&document)?,
    })
}

impl Rim {
    /// What the manifest says, when NVIDIA signed it and it speaks for what `id` names.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn verify(
        &self,
        id: &str,
        revocations: &Revocations,
        now: Timestamp,
    ) -> Result<Manifest, BadRim> {
        self.chain.verify(now).map_err(BadRim::Chain)?;
        if let Some((at, serial)) = revocations.find_revoked(&self.chain) {
            return Err(BadRim::Revoked { at, serial });
        }
        let key = self.chain.key();
        key.verify_prehash(&self.statement, &self.signature).map_err(|_| BadRim::Signature)?;
        if !self.is_for(id) {
            let (product, version) = (self.product.clone(), self.version.clone());
            return Err(BadRim::Id { product, version, id: id.to_owned() });
        }
        Ok(Manifest {
            id: id.to_owned(),
            source: format!("NVIDIA {} {}", self.product, self.version),
            board: None,
            measurements: self.measurements.clone(),
        })
    }

    /// The id of the driver that it would be the manifest of.
    pub fn driver_id(&self) -> String {
        driver_id(&self.product, &self.version)
    }

    /// The last moment at which the certificates of who signed it hold.
    pub fn until(&self) -> Timestamp {
        self.chain.until()
    }

    /// A driver's id is its product and version; a VBIOS's ends in its version without dots.
    fn is_for(&self, id: &str) -> bool {
        let version = self.version.replace('.', "").to_uppercase();
        let is_vbios = id.starts_with("NV_GPU_VBIOS_") && id.ends_with(&format!("_{version}"));
        is_vbios || id == driver_id(&self.product, &self.version)
    }
}

fn measurements(elements: &[Element<'_>]) -> Result<BTreeMap<u8, Vec<Golden>>, NotARim> {
    let bad = || NotARim::Content { field: "list of golden values" };
    let mut measurements = BTreeMap::new();
    for element in elements.iter().filter(|element| element.name == "ns0:Resource") {
        let (index, values) = measurement(element).ok_or_else(bad)?;
        let is_active = element.attribute("active") == Some("True");
        if is_active && measurements.insert(index, values).is_some() {
            return Err(bad());
        }
    }
    if measurements.is_empty() { Err(bad()) } else { Ok(measurements) }
}

fn measurement(element: &Element<'_>) -> Option<(u8, Vec<Golden>)> {
    let index = element.attribute("index")?.parse().ok()?;
    let count: usize = element.attribute("alternatives")?.parse().ok()?;
    if !(1..=ALTERNATIVES_MAX).contains(&count) || element.attribute("size")? != "48" {
        return None;
    }
    let value = |at| {
        let text = element.attribute(&format!("ns2:Hash{at}"))?;
        Golden::try_from(text.to_lowercase()).ok()
    };
    Some((index, (0..count).map(value).collect::<Option<_>>()?))
}

/// The statement that is signed, in canonical form: how the document was digested, and the digest.
fn statement(document: &Document) -> String {
    let digest = BASE64.encode(&Sha384::digest(&document.signed));
    let scope = document.scope.iter().map(|(prefix, value)| xml::namespace(prefix, value));
    let scope: String = scope.collect();
    let method =
        |name: &str, algorithm: &str| format!("<ds:{name} Algorithm=\"{algorithm}\"></ds:{name}>");
    [
        format!("<ds:SignedInfo{scope}>"),
        method("CanonicalizationMethod", CANONICAL),
        method("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"),
        "<ds:Reference URI=\"\"><ds:Transforms>".to_owned(),
        method("Transform", "http://www.w3.org/2000/09/xmldsig#enveloped-signature"),
        method("Transform", CANONICAL),
        "</ds:Transforms>".to_owned(),
        method("DigestMethod", "http://www.w3.org/2001/04/xmldsig-more#sha384"),
        format!("<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"),
    ]
    .concat()
}

const CANONICAL: &str = "http://www.w3.org/2006/12/xml-c14n11";

fn signature(document: &Document) -> Option<Signature> {
    let bytes = decoded(document, "ds:SignatureValue")?;
    let [bytes] = bytes.as_slice() else { return None };
    let bytes: &[u8; SIGNATURE_BYTES] = bytes.as_slice().try_into().ok()?;
    Signature::from_slice(bytes).ok()
}

fn signers(document: &Document) -> Result<Chain, NotARim> {
    let ders = decoded(document, "ds:X509Certificate").ok_or(NotARim::Signature)?;
    let is_root = |root: &[u8]| root == chain::pinned(ROOT_PEM);
    Chain::read(&ders, RIM_CHAIN_LENGTH, is_root).map_err(NotARim::Chain)
}

/// The values of all elements of this name within the signature, from base 64.
fn decoded(document: &Document, name: &str) -> Option<Vec<Vec<u8>>> {
    let texts = document.signature.iter().filter(|(known, _)| known == name);
    let decode = |(_, text): &(String, String)| {
        let text: String = text.split_ascii_whitespace().collect();
        BASE64.decode(text.as_bytes()).ok()
    };
    texts.map(decode).collect()
}
