//! What the network asks of evidence, beyond that it is true.

use serde::{Deserialize, Serialize};

/// Constants of attestation. None is NVIDIA's: each is chosen here, and says why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Days that revocation data may be old: 7. NVIDIA reissues its lists at least as often; an older cache says
    /// nothing about a key that was stolen this week.
    pub revocation_days_max: u16,
    /// Days that the set of reference manifests may be old: 30. A manifest is withdrawn by a set that lacks it, so a
    /// set that never ages would never withdraw anything.
    pub reference_days_max: u16,
    /// Whether a GPU behind protected PCI Express, whose link to the host is not encrypted, counts: no.
    pub protected_pcie: bool,
    /// Hours for which an attestation stands: 24. A key that is stolen is good for a day at most, and showing evidence
    /// anew costs a machine a second.
    pub valid_hours: u16,
    /// Days that Intel's word on a platform's firmware may be old after the day on which Intel promised the next: 0.
    /// Intel renews it monthly.
    pub collateral_grace_days: u16,
    /// Whether a TDX platform counts whose firmware Intel calls current only as far as software hardens itself: yes.
    /// Nearly every platform does, and the hardening is part of the admitted image.
    pub hardening_needed: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            revocation_days_max: 7,
            reference_days_max: 30,
            protected_pcie: false,
            valid_hours: 24,
            collateral_grace_days: 0,
            hardening_needed: true,
        }
    }
}

/// The longest that data may be allowed to age: a year.
const DAYS_MAX: u16 = 366;
/// The longest that an attestation may stand: a week.
const HOURS_MAX: u16 = 168;

/// Rules that make no sense, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` must be {min} to {max}")]
pub struct BadRules {
    /// The field that is wrong.
    pub field: &'static str,
    /// The least that it may be.
    pub min: u16,
    /// The most that it may be.
    pub max: u16,
}

impl Rules {
    /// Whether the rules can be kept.
    ///
    /// # Errors
    /// The field that makes no sense.
    pub fn check(&self) -> Result<(), BadRules> {
        let fields = [
            ("revocation_days_max", self.revocation_days_max, 1, DAYS_MAX),
            ("reference_days_max", self.reference_days_max, 1, DAYS_MAX),
            ("valid_hours", self.valid_hours, 1, HOURS_MAX),
            ("collateral_grace_days", self.collateral_grace_days, 0, DAYS_MAX),
        ];
        match fields.into_iter().find(|(_, is, min, max)| !(min..=max).contains(&is)) {
            Some((field, _, min, max)) => Err(BadRules { field, min, max }),
            None => Ok(()),
        }
    }
}
