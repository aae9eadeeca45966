//! Which images of confidential virtual machines a network admits: what a processor measures when they start.
//!
//! An image is what makes the rest mean anything: it must keep the machine's key to itself and ask its own cards. So
//! the list is as good as the images on it, and the operator signs it.

use std::collections::BTreeSet;

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use units::Timestamp;

use crate::limits::IMAGES_MAX;
use crate::reference::Golden;
use crate::signed::{self, NotSigned, Said};
use crate::snp::Firmware;

/// The images that a network admits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// When the list was put together.
    pub issued_at: Timestamp,
    /// The images, each with a name of its own.
    pub images: Vec<Image>,
    /// The oldest firmware of SEV-SNP processors that is admitted, part by part.
    #[serde(default)]
    pub snp_firmware_min: Firmware,
}

/// An admitted image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// What the operator calls it.
    pub name: String,
    /// Launch measurements on SEV-SNP, any of which is good.
    #[serde(default)]
    pub snp: Vec<Golden>,
    /// Measurements on TDX, any of which is good.
    #[serde(default)]
    pub tdx: Vec<TdxImage>,
}

/// What a TDX processor measures of an image. A register that is not named is not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TdxImage {
    /// The virtual firmware (MRTD).
    pub mr_td: Golden,
    /// Registers that the firmware, the boot loader, the kernel and the running system extend (RTMR 0 to 3).
    #[serde(default)]
    pub rtmr: [Option<Golden>; 4],
}

impl Images {
    /// Reads a list that one of `trusted` signed.
    ///
    /// # Errors
    /// Why it is not such a list.
    pub fn parse(bytes: &[u8], trusted: &[VerifyingKey]) -> Result<Self, NotSigned> {
        signed::open(bytes, trusted)
    }

    /// The list as two lines, signed.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        signed::seal(self, key)
    }

    /// The image that starts so on SEV-SNP.
    pub fn of_snp(&self, measurement: &Golden) -> Option<&Image> {
        self.images.iter().find(|image| image.snp.contains(measurement))
    }

    /// The image that starts so on TDX.
    pub fn of_tdx(&self, mr_td: &Golden, rtmr: &[Golden; 4]) -> Option<&Image> {
        let is_this = |image: &TdxImage| {
            let mut registers = image.rtmr.iter().zip(rtmr);
            image.mr_td == *mr_td && registers.all(|(said, is)| said.is_none_or(|it| it == *is))
        };
        self.images.iter().find(|image| image.tdx.iter().any(is_this))
    }
}

impl Said for Images {
    const KIND: &'static str = "iog attestation images 1";

    fn check(&self) -> Result<(), String> {
        if self.images.len() > IMAGES_MAX {
            return Err(format!("it has more than {IMAGES_MAX} images"));
        }
        let mut names = BTreeSet::new();
        let twice = self.images.iter().find(|image| !names.insert(image.name.as_str()));
        match twice {
            Some(image) => Err(format!("image `{}` comes twice", image.name)),
            None => Ok(()),
        }
    }
}
