//! What an offence costs and what proves it, as data.
//!
//! # Invariants
//! - There is no kind of evidence that says only that somebody was silent or late.
//! - An offence without the evidence its rule asks for costs nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::Coins;

use crate::rules::{BadRules, at_most_a_year, days, must};

/// What a device can be slashed for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Offence {
    /// It claimed hardware that it is not.
    SpoofedHardware,
    /// It told a proof that it did not work out itself for that hour.
    ForgedProof,
    /// One machine under two names.
    SecondIdentity,
    /// It mined, or did other work of its owner's, on hardware that a renter had.
    ForeignProcess,
    /// It read or changed a renter's data.
    DataTampering,
    /// It was busier than its model may be while it was on offer and idle.
    UtilizationBreach,
    /// It was hired and did not deliver, or less of the hardware than was rented.
    FailedDelivery,
}

impl Offence {
    /// Every offence there is.
    pub const ALL: [Self; 7] = [
        Self::SpoofedHardware,
        Self::ForgedProof,
        Self::SecondIdentity,
        Self::ForeignProcess,
        Self::DataTampering,
        Self::UtilizationBreach,
        Self::FailedDelivery,
    ];

    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::SpoofedHardware => "spoofed-hardware",
            Self::ForgedProof => "forged-proof",
            Self::SecondIdentity => "second-identity",
            Self::ForeignProcess => "foreign-process",
            Self::DataTampering => "data-tampering",
            Self::UtilizationBreach => "utilization-breach",
            Self::FailedDelivery => "failed-delivery",
        }
    }
}

/// What a piece of evidence is. Silence and timeouts are none: a machine that cannot be reached may be honest.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// A proof of work: what was asked, and an answer that is wrong or cannot be its own.
    ProofTranscript,
    /// A proof of time-lock: what else ran on the hardware while it was rented, or how busy it was while it was idle.
    TimeLockRecord,
    /// Two machines with the fingerprint of one.
    FingerprintClash,
    /// What the machine's own agent reported of a rental, signed.
    RentalRecord,
    /// A file that is not what was sent: both sums, and who signed them.
    FileMismatch,
    /// What the renter claims, signed.
    RenterClaim,
    /// What a person of the operator's found out.
    OperatorReport,
}

impl EvidenceKind {
    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ProofTranscript => "proof-transcript",
            Self::TimeLockRecord => "time-lock-record",
            Self::FingerprintClash => "fingerprint-clash",
            Self::RentalRecord => "rental-record",
            Self::FileMismatch => "file-mismatch",
            Self::RenterClaim => "renter-claim",
            Self::OperatorReport => "operator-report",
        }
    }
}

/// What one offence costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OffenceRule {
    /// A part of what the device needs at stake, in ten-thousandths.
    pub need_bp: u16,
    /// Coins for each card beside that.
    pub per_card: Coins,
    /// The most of all that answers for the device, in ten-thousandths, that one such slash may lock.
    pub cap_bp: u16,
    /// Of how many past hours the device's unclaimed rewards are taken beside the stake.
    pub reward_hours: u16,
    /// The kinds of evidence that prove it.
    pub evidence: BTreeSet<EvidenceKind>,
    /// How many different ones of them there must be.
    pub kinds_min: u8,
}

/// Constants of slashing. io.net publishes the appeal's time and that a portion of stake and rewards is taken; how
/// much for which offence, and on what evidence, is chosen here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SlashRules {
    /// Days in which the accused may appeal: 30, one month.
    pub appeal_days: u16,
    /// Days in which an appeal must be decided, or it is granted: 30.
    pub decision_days: u16,
    /// How far a co-staker answers for the device beside its owner, in ten-thousandths of the co-staker's coins.
    pub co_staker_liability_bp: u16,
    /// For [`Offence::SpoofedHardware`].
    pub spoofed_hardware: OffenceRule,
    /// For [`Offence::ForgedProof`].
    pub forged_proof: OffenceRule,
    /// For [`Offence::SecondIdentity`].
    pub second_identity: OffenceRule,
    /// For [`Offence::ForeignProcess`].
    pub foreign_process: OffenceRule,
    /// For [`Offence::DataTampering`].
    pub data_tampering: OffenceRule,
    /// For [`Offence::UtilizationBreach`].
    pub utilization_breach: OffenceRule,
    /// For [`Offence::FailedDelivery`].
    pub failed_delivery: OffenceRule,
}

impl Default for SlashRules {
    fn default() -> Self {
        use EvidenceKind as E;
        let rule = |need_bp, cap_bp, reward_hours, kinds_min, evidence: &[E]| OffenceRule {
            need_bp,
            per_card: Coins::ZERO,
            cap_bp,
            reward_hours,
            evidence: evidence.iter().copied().collect(),
            kinds_min,
        };
        Self {
            appeal_days: 30,
            decision_days: 30,
            co_staker_liability_bp: 10_000,
            spoofed_hardware: rule(
                10_000,
                10_000,
                720,
                1,
                &[E::ProofTranscript, E::FingerprintClash],
            ),
            forged_proof: rule(2_500, 5_000, 168, 1, &[E::ProofTranscript]),
            second_identity: rule(10_000, 10_000, 720, 1, &[E::FingerprintClash]),
            foreign_process: rule(2_500, 5_000, 168, 1, &[E::TimeLockRecord]),
            data_tampering: rule(
                10_000,
                10_000,
                720,
                2,
                &[E::FileMismatch, E::RenterClaim, E::OperatorReport],
            ),
            utilization_breach: rule(500, 1_000, 24, 1, &[E::TimeLockRecord]),
            failed_delivery: OffenceRule {
                per_card: Coins::from_units(100_000_000),
                ..rule(0, 500, 1, 2, &[E::RentalRecord, E::RenterClaim, E::OperatorReport])
            },
        }
    }
}

impl SlashRules {
    /// The rule of an offence.
    pub const fn of(&self, offence: Offence) -> &OffenceRule {
        match offence {
            Offence::SpoofedHardware => &self.spoofed_hardware,
            Offence::ForgedProof => &self.forged_proof,
            Offence::SecondIdentity => &self.second_identity,
            Offence::ForeignProcess => &self.foreign_process,
            Offence::DataTampering => &self.data_tampering,
            Offence::UtilizationBreach => &self.utilization_breach,
            Offence::FailedDelivery => &self.failed_delivery,
        }
    }

    /// Refuses rules that make no sense.
    pub fn check(&self) -> Result<(), BadRules> {
        must(self.appeal_days > 0, "appeal_days", "must be above zero, or nobody could appeal")?;
        at_most_a_year(self.appeal_days, "appeal_days")?;
        must(self.decision_days > 0, "decision_days", "must be above zero")?;
        at_most_a_year(self.decision_days, "decision_days")?;
        let liability = self.co_staker_liability_bp <= 10_000;
        must(liability, "co_staker_liability_bp", "must be at most 10000")?;
        Offence::ALL.into_iter().try_for_each(|offence| self.of(offence).check(offence.text()))
    }

    /// How long the accused may appeal.
    pub(crate) fn appeal(&self) -> Duration {
        days(self.appeal_days)
    }

    /// How long an appeal may await its decision.
    pub(crate) fn decision(&self) -> Duration {
        days(self.decision_days)
    }
}

impl OffenceRule {
    fn check(&self, offence: &'static str) -> Result<(), BadRules> {
        must(self.need_bp <= 10_000, offence, "takes more than the whole need")?;
        must(self.cap_bp <= 10_000, offence, "has a cap above the whole stake")?;
        must(self.kinds_min > 0, offence, "would need no evidence")?;
        let enough = usize::from(self.kinds_min) <= self.evidence.len();
        must(enough, offence, "needs more kinds of evidence than it takes")
    }

    /// What it costs a device, before the cap: a part of its need and so much a card.
    pub fn demand(&self, need: Coins, cards: u32) -> Coins {
        let cards = self.per_card.checked_times(u64::from(cards));
        cards
            .and_then(|cards| cards.checked_add(need.share_floor(self.need_bp)))
            .unwrap_or(Coins::from_units(u64::MAX))
    }
}
