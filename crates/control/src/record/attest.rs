//! What a machine's attestation came to, as whoever verified it says.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use units::{BlobId, Certification, Timestamp};

/// An attestation that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationRecord {
    /// When it was verified.
    pub at: Timestamp,
    /// Until when what was shown holds by itself: its certificates, and what is known of them.
    pub until: Timestamp,
    /// What has attested.
    pub what: Attested,
    /// The evidence, by the hash of its bytes.
    pub evidence: BlobId,
    /// The cards, in the order in which they were shown.
    pub cards: Vec<CardRecord>,
    /// The confidential virtual machine, if it showed a quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<GuestRecord>,
    /// Whether its host may look into any of it. What may be looked into vouches for nothing.
    pub debug: bool,
}

/// What has attested of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attested {
    /// Its cards alone.
    Gpu,
    /// Its processor alone.
    Cpu,
    /// Both, tied to each other and to the machine's key.
    Composite,
}

/// A card that has attested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardRecord {
    /// The chip's own serial number, the same for life.
    pub serial: String,
    /// The chip, such as `GH100`.
    pub chip: String,
    /// What the board is sold as, where reference data says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// The driver's version.
    pub driver: String,
    /// The VBIOS's version.
    pub vbios: String,
}

/// A confidential virtual machine that has attested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestRecord {
    /// What keeps its memory: `sev-snp Milan`, `tdx`.
    pub platform: String,
    /// The admitted image, by the name that the operator gave it.
    pub image: String,
    /// What the processor measured at its launch, in hexadecimal digits.
    pub measurement: String,
}

impl AttestationRecord {
    /// What the machine is listed with for it.
    pub fn grants(&self) -> BTreeSet<Certification> {
        use Certification as C;
        match self.what {
            Attested::Gpu => [C::AttestedGpu].into(),
            Attested::Cpu => [C::Confidential].into(),
            Attested::Composite => [C::AttestedGpu, C::Confidential].into(),
        }
    }
}
