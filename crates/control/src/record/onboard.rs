//! What the journal holds of machines: what they are, how they are connected, what their trials came to, why they are
//! shut out.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use units::{Certification, Country, GpuModel, Resources, Tier, Timestamp, WorkerId};

/// A connection as the network measured it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionRecord {
    /// When.
    pub at: Timestamp,
    /// To the machine, in megabits a second.
    pub down_mbps: u32,
    /// From the machine, in megabits a second.
    pub up_mbps: u32,
    /// There and back, in milliseconds.
    pub ping_ms: u32,
}

/// What a trial showed of one machine. Of a machine that nothing can be said of nothing is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialSaid {
    /// The machine.
    pub worker: WorkerId,
    /// Whether it did what it should.
    pub passed: bool,
    /// What its owner should know of it.
    pub note: String,
}

/// What a machine is, as its agent found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineRecord {
    /// What it offers.
    pub offers: Resources,
    /// The model of its cards, if it has any.
    pub gpu_model: Option<GpuModel>,
    /// Memory of each card, in mebibytes.
    pub vram_mib: u64,
    /// The model of its processor.
    pub cpu_model: String,
    /// Its operating system.
    pub os: String,
    /// The country it says it stands in.
    pub country: Option<Country>,
    /// How fast it is connected, as the network measured it: whatever a machine says here is passed over.
    pub tier: Tier,
    /// What somebody vouches for.
    pub certifications: BTreeSet<Certification>,
    /// What it has beyond that, if its agent says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostRecord>,
}

/// What a machine has, whatever of it is offered, and what its agent runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRecord {
    /// Memory, in mebibytes.
    pub memory_mib: u64,
    /// Disk, in mebibytes.
    pub disk_mib: u64,
    /// The driver of its cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<Release>,
    /// The newest CUDA that the driver serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuda: Option<Release>,
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Release>,
    /// Whether it can give nodes a network of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mesh: bool,
}

/// A release of something: up to three numbers, written `12.4` or `550.54.15`. Numbers that are not written are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release([u32; 3]);

/// A text that is no release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no release: one to three numbers with dots between, as in `12.4`")]
pub struct NotARelease(String);

impl Release {
    /// The release of these three numbers.
    pub const fn new(numbers: [u32; 3]) -> Self {
        Self(numbers)
    }
}

impl FromStr for Release {
    type Err = NotARelease;

    fn from_str(text: &str) -> Result<Self, NotARelease> {
        let wrong = || NotARelease(text.chars().take(32).collect());
        let mut numbers = [0; 3];
        for (at, part) in text.split('.').enumerate() {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let number = part.parse().ok().filter(|_| digits);
            *numbers.get_mut(at).ok_or_else(wrong)? = number.ok_or_else(wrong)?;
        }
        Ok(Self(numbers))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}")?;
        if patch > 0 { write!(f, ".{patch}") } else { Ok(()) }
    }
}

impl Serialize for Release {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Release {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a machine is shut out, as far as there is a word for it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// It has more cards than a machine may have.
    TooManyGpus,
    /// Its hardware became other under the same identity.
    HardwareChanged,
    /// It was busy with something else while it was on offer.
    Utilization,
    /// It stands where this network must not serve, and says otherwise.
    Region,
    /// It is not what it says it is.
    Spoofing,
    /// It mined.
    Mining,
    /// What the operator wrote.
    Other,
}

impl BlockKind {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::TooManyGpus,
        Self::HardwareChanged,
        Self::Utilization,
        Self::Region,
        Self::Spoofing,
        Self::Mining,
        Self::Other,
    ];

    /// In words for its owner.
    pub const fn text(self) -> &'static str {
        match self {
            Self::TooManyGpus => "it has more cards than one machine may bring",
            Self::HardwareChanged => "its hardware was exchanged under the same identity",
            Self::Utilization => "it was busy with something else while it was on offer",
            Self::Region => "it stands in a region that this network does not serve",
            Self::Spoofing => "it is not the hardware that it says it is",
            Self::Mining => "it mined while it was on offer",
            Self::Other => "the operator shut it out",
        }
    }
}

/// That a machine is shut out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blocked {
    /// The kind of reason.
    pub kind: BlockKind,
    /// What its owner reads.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        let rows = [("11.8", "12.0"), ("11.8", "11.10"), ("550.54", "550.54.15"), ("9", "10")];
        for (older, newer) in rows {
            let read = |text: &str| text.parse::<Release>().unwrap();
            assert!(read(older) < read(newer), "{older} is older than {newer}");
        }
        for text in ["11.8", "550.54.15", "12.0"] {
            assert_eq!(text.parse::<Release>().unwrap().to_string(), text);
        }
        for wrong in ["", "x", "1.", "1.2.3.4", "-1", "+1", "99999999999", "1. 2"] {
            assert!(wrong.parse::<Release>().is_err(), "{wrong}");
        }
    }
}
