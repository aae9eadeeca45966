//! Attestation: what machines are asked, what they show, and what is said of it.

use serde::{Deserialize, Serialize};
use units::{BlobId, Certification, WorkerId};
use utoipa::ToSchema;

use crate::Time;

/// What a machine's evidence must answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationNonce {
    /// 32 bytes in hexadecimal digits, good for one answer of this machine.
    pub nonce: String,
    /// Until when it can be answered.
    pub expires: Time,
    /// Whether something is to be shown now: what stands is good for a while.
    pub is_due: bool,
}

/// What a machine shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestationRequest {
    /// The nonce that it answers.
    pub nonce: String,
    /// The evidence of its cards, in the order of its driver: every card on offer.
    #[serde(default)]
    pub gpus: Vec<GpuEvidence>,
    /// The quote of its processor, if it is a confidential virtual machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuEvidence>,
}

/// What a card's driver handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GpuEvidence {
    /// The report, in base 64.
    pub report: String,
    /// The chain of certificates, in base 64.
    pub chain: String,
}

/// What a kernel handed out about its virtual machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuEvidence {
    /// `sev_guest` or `tdx_guest`.
    pub provider: String,
    /// The report or quote, in base 64.
    pub quote: String,
    /// What the host gives beside it, in base 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aux: Option<String>,
}

/// An attestation that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationView {
    /// Which machine.
    pub worker: WorkerId,
    /// When it was verified.
    pub at: Time,
    /// Until when it stands.
    pub until: Time,
    /// `gpu`, `cpu` or `composite`.
    pub what: String,
    /// What the machine is listed with for it.
    pub certifications: Vec<Certification>,
    /// SHA-256 of the evidence, which renters of the machine may have.
    pub evidence: BlobId,
    /// Its cards.
    pub cards: Vec<AttestedCard>,
    /// Its virtual machine, if it showed a quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<AttestedGuest>,
    /// Whether its host may look into any of it.
    pub debug: bool,
}

/// A card that has attested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestedCard {
    /// The chip's own serial number; only for the machine's owner, its renters, and the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestedGuest {
    /// What keeps its memory, such as `tdx` or `sev-snp Milan`.
    pub platform: String,
    /// The admitted image, as the operator calls it.
    pub image: String,
    /// What was measured at its launch, in hexadecimal digits.
    pub measurement: String,
}

/// A machine's evidence is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationAnswer {
    /// What it came to.
    pub attestation: AttestationView,
    /// When to show it anew, so that there is no gap.
    pub renew_at: Time,
}

/// What evidence is verified with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationData {
    /// The files of the operator's folder, by name.
    pub files: Vec<AttestationFile>,
    /// What stands in the way of verifying with them, if anything.
    pub problems: Vec<String>,
}

/// A file of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationFile {
    /// Its name in the folder.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: BlobId,
    /// Its bytes, in base 64.
    pub bytes: String,
}
