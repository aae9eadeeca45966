//! What comes of looking at evidence: attested, refused, or not to be said.

use serde::Serialize;

use crate::chain::BadChain;
use crate::limits::GPUS_MAX;
use crate::opaque::Mode;
use crate::report::NotAReport;
use units::Timestamp;

/// What one GPU's evidence amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The evidence is true, and what it says is admitted.
    Attested(Device),
    /// The evidence is not true, or says what is not admitted. Asking again with the same evidence changes nothing.
    Refused(Refusal),
    /// Nothing speaks against it, but the verifier lacks what it needs. Nobody is to blame but the verifier.
    Inconclusive(Doubt),
}

/// What the GPUs of one machine amount to together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineVerdict {
    /// Every GPU is attested, and they fit together. In the order of the evidence.
    Attested(Vec<Device>),
    /// One GPU, or how they stand together, is refused.
    Refused {
        /// Which, by its place in the evidence.
        gpu: usize,
        /// Why.
        why: Refusal,
    },
    /// None is refused, but of one nothing can be said.
    Inconclusive {
        /// Which, by its place in the evidence.
        gpu: usize,
        /// Why.
        why: Doubt,
    },
}

/// Why a GPU is not attested: the two verdicts that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotAttested {
    Refused(Refusal),
    Inconclusive(Doubt),
}

impl From<Refusal> for NotAttested {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

impl From<Doubt> for NotAttested {
    fn from(why: Doubt) -> Self {
        Self::Inconclusive(why)
    }
}

/// An attested GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The chip, such as `GH100`.
    pub chip: String,
    /// The chip's own serial number, from the certificate that NVIDIA's factory issued to it. One GPU has one for
    /// life, so two machines that show the same one share a GPU.
    pub serial: String,
    /// The serial number of the key that signed: it changes with the firmware.
    pub key_serial: String,
    /// What the board is sold as, when the reference data says so.
    pub board: Option<String>,
    /// The driver's version.
    pub driver: String,
    /// The VBIOS's version.
    pub vbios: String,
    /// The board's project and stock-keeping units as project, project SKU, chip SKU: `1010 0200 882`.
    pub sku: String,
    /// The firmware's identity, in hexadecimal digits.
    pub firmware: String,
    /// How it is passed through.
    pub mode: Mode,
    /// The last moment at which all certificates of its chain hold.
    pub until: Timestamp,
    /// How many measurements were compared and found good.
    pub compared: usize,
    /// Measurements that have golden values and were not compared, by index, because the part that they measure is
    /// off: [`crate::NVDEC0_INDEX`] is the only one there is.
    pub excepted: Vec<u8>,
}

/// Why evidence is refused. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The report does not read.
    #[error("the report does not read: {0}")]
    Report(NotAReport),
    /// The report answers another question.
    #[error("the report answers another nonce than the one that was asked")]
    Nonce,
    /// The chain of certificates is refused.
    #[error("{0}")]
    Chain(BadChain),
    /// The firmware that the leaf certificate names is not the one that the report names, or one names none.
    #[error("the leaf certificate and the report do not name the same firmware")]
    Firmware,
    /// The report is not signed by the leaf's key.
    #[error("the report is not signed by the key of its certificate")]
    Signature,
    /// A certificate was revoked.
    #[error("certificate {at} with serial number {serial} is revoked")]
    Revoked {
        /// Which, counted from the leaf at zero.
        at: usize,
        /// Its serial number.
        serial: String,
    },
    /// The GPU is in a mode that the rules do not admit.
    #[error("the GPU is behind protected PCIe, which the rules do not admit")]
    ProtectedPcie,
    /// Measurements differ from their golden values, or are missing.
    #[error("measurements {indexes:?} are not what the reference manifests say")]
    Measurements {
        /// Which, counted from zero.
        indexes: Vec<u8>,
    },
    /// A machine without GPUs, or with more than one has.
    #[error("there is evidence of {gpus} GPUs, and a machine has 1 to {GPUS_MAX}")]
    Count {
        /// How many there are.
        gpus: usize,
    },
    /// The same GPU twice.
    #[error("it is the same GPU as number {earlier}")]
    SameDevice {
        /// The earlier one, by its place in the evidence.
        earlier: usize,
    },
    /// GPUs that are shared in different ways in one machine.
    #[error("it is passed through in another mode than number 0")]
    MixedModes,
}

/// What the verifier lacks. Checked in the order of these variants, when nothing refuses the evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The reference data has no manifest for this driver or VBIOS.
    #[error("there is no reference manifest `{id}`")]
    NoReference {
        /// The manifest's id.
        id: String,
    },
    /// The driver's and the VBIOS's manifest both claim a measurement.
    #[error("two reference manifests claim measurement {index}")]
    References {
        /// Which.
        index: u8,
    },
    /// The reference data is older than the rules allow, or from the future.
    #[error("reference data is {}", Age(*.days, *.limit))]
    ReferencesOld {
        /// Its age in days, begun ones counted; none when it is dated after now.
        days: Option<u64>,
        /// How many the rules allow.
        limit: u16,
    },
    /// The revocation data does not speak of an issuer of the chain.
    #[error("revocation data says nothing about the issuer with key id {issuer}")]
    RevocationUnknown {
        /// The issuer's key id, in hexadecimal digits.
        issuer: String,
    },
    /// The revocation data is older than the rules allow, or from the future.
    #[error("revocation data is {}", Age(*.days, *.limit))]
    RevocationOld {
        /// Its age in days, begun ones counted; none when it is dated after now.
        days: Option<u64>,
        /// How many the rules allow.
        limit: u16,
    },
}

/// How old data is, in words.
struct Age(Option<u64>, u16);

impl std::fmt::Display for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self(Some(days), limit) => write!(f, "{days} days old, limit {limit}"),
            Self(None, _) => write!(f, "dated after now"),
        }
    }
}
