//! What firmware and drivers should measure as: manifests of golden values, and the set that a network admits.
//!
//! A manifest speaks for one driver or one VBIOS. NVIDIA publishes them as signed XML; a network's operator converts
//! and signs those it admits, as two lines that [`References::parse`] reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use data_encoding::HEXLOWER;
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use units::Timestamp;

use crate::limits::{ALTERNATIVES_MAX, MANIFESTS_MAX, MEASUREMENTS_MAX};
use crate::opaque::Opaque;
use crate::report::DIGEST_BYTES;
use crate::signed::{self, NotSigned, Said};

/// One golden value: a SHA-384 digest, as text 96 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Golden(pub [u8; DIGEST_BYTES]);

/// The golden values of one driver or VBIOS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// NVIDIA's name for it: [`driver_id`] or [`vbios_id`].
    pub id: String,
    /// Where the values were taken from, for people: NVIDIA's manifest and its digest.
    pub source: String,
    /// What the board is sold as, such as `H100 PCIe 80GB`, when the manifest is a VBIOS and its signer says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// By index, the values of which one must be measured. What is not listed is not compared.
    pub measurements: BTreeMap<u8, Vec<Golden>>,
}

/// Every manifest that a network admits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct References {
    /// When the set was put together. [`crate::Rules::reference_days_max`] says how old it may get.
    pub issued_at: Timestamp,
    /// The manifests, each with an id of its own.
    pub manifests: Vec<Manifest>,
}

/// Text that is not a golden value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not 96 lowercase hexadecimal digits")]
pub struct NotGolden {
    /// What it is.
    pub text: String,
}

/// NVIDIA's name for a driver's manifest: `NV_GPU_DRIVER_GH100_550.90.07`.
pub fn driver_id(chip: &str, version: &str) -> String {
    format!("NV_GPU_DRIVER_{chip}_{version}")
}

/// NVIDIA's name for a VBIOS's manifest: `NV_GPU_VBIOS_1010_0200_882_96009F0001`.
pub fn vbios_id(opaque: &Opaque) -> String {
    let version = opaque.vbios.replace('.', "").to_uppercase();
    let Opaque { project, project_sku, chip_sku, .. } = opaque;
    format!("NV_GPU_VBIOS_{project}_{project_sku}_{chip_sku}_{version}")
}

impl References {
    /// Reads a set that one of `trusted` signed.
    ///
    /// # Errors
    /// Why it is not such a set.
    pub fn parse(bytes: &[u8], trusted: &[VerifyingKey]) -> Result<Self, NotSigned> {
        signed::open(bytes, trusted)
    }

    /// The set as two lines, signed.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        signed::seal(self, key)
    }

    /// The manifest with this id.
    pub fn find(&self, id: &str) -> Option<&Manifest> {
        self.manifests.iter().find(|manifest| manifest.id == id)
    }
}

impl Said for References {
    const KIND: &'static str = "iog attestation references 1";

    fn check(&self) -> Result<(), String> {
        if self.manifests.len() > MANIFESTS_MAX {
            return Err(format!("it has more than {MANIFESTS_MAX} manifests"));
        }
        let mut ids = BTreeSet::new();
        for manifest in &self.manifests {
            if !ids.insert(&manifest.id) {
                return Err(format!("manifest `{}` comes twice", manifest.id));
            }
            manifest.check()?;
        }
        Ok(())
    }
}

impl Manifest {
    /// A manifest that compares nothing would admit anything.
    fn check(&self) -> Result<(), String> {
        let id = &self.id;
        if self.measurements.is_empty() || self.measurements.len() > MEASUREMENTS_MAX {
            return Err(format!("manifest `{id}` has not 1 to {MEASUREMENTS_MAX} measurements"));
        }
        let bad = |values: &Vec<Golden>| values.is_empty() || values.len() > ALTERNATIVES_MAX;
        match self.measurements.iter().find(|(_, values)| bad(values)) {
            Some((index, _)) => Err(format!(
                "measurement {index} of manifest `{id}` has not 1 to {ALTERNATIVES_MAX} values"
            )),
            None => Ok(()),
        }
    }
}

impl TryFrom<String> for Golden {
    type Error = NotGolden;

    fn try_from(text: String) -> Result<Self, NotGolden> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        match bytes.and_then(|bytes| bytes.try_into().ok()) {
            Some(digest) => Ok(Self(digest)),
            None => Err(NotGolden { text }),
        }
    }
}

impl From<Golden> for String {
    fn from(golden: Golden) -> Self {
        HEXLOWER.encode(&golden.0)
    }
}

impl fmt::Debug for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}
