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
}

impl Default for Rules {
    fn default() -> Self {
        Self { revocation_days_max: 7, reference_days_max: 30, protected_pcie: false }
    }
}

/// The longest that data may be allowed to age: a year.
const DAYS_MAX: u16 = 366;

/// Rules that make no sense, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` must be 1 to {DAYS_MAX}")]
pub struct BadRules {
    /// The field that is wrong.
    pub field: &'static str,
}

impl Rules {
    /// Whether the rules can be kept.
    ///
    /// # Errors
    /// The field that makes no sense.
    pub fn check(&self) -> Result<(), BadRules> {
        let days = [
            ("revocation_days_max", self.revocation_days_max),
            ("reference_days_max", self.reference_days_max),
        ];
        match days.into_iter().find(|(_, days)| !(1..=DAYS_MAX).contains(days)) {
            Some((field, _)) => Err(BadRules { field }),
            None => Ok(()),
        }
    }
}
