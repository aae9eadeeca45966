//! What a machine has, and the words for where and how good it is.

use std::fmt;
use std::str::FromStr;

use crate::id::as_text;

/// What a machine has to give, or what a node of a rental takes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Whole GPUs.
    pub gpus: u32,
    /// Hardware threads.
    pub vcpus: u32,
    /// Main memory, in mebibytes.
    pub memory_mib: u64,
    /// Disk for workloads, in mebibytes.
    pub disk_mib: u64,
}

impl Resources {
    /// Whether all of `wanted` is there.
    pub const fn covers(&self, wanted: &Self) -> bool {
        self.gpus >= wanted.gpus
            && self.vcpus >= wanted.vcpus
            && self.memory_mib >= wanted.memory_mib
            && self.disk_mib >= wanted.disk_mib
    }

    /// What is left after `taken`, unless that is more than there is.
    pub fn checked_sub(&self, taken: &Self) -> Option<Self> {
        Some(Self {
            gpus: self.gpus.checked_sub(taken.gpus)?,
            vcpus: self.vcpus.checked_sub(taken.vcpus)?,
            memory_mib: self.memory_mib.checked_sub(taken.memory_mib)?,
            disk_mib: self.disk_mib.checked_sub(taken.disk_mib)?,
        })
    }

    /// Both together, unless that is more than can be written down.
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        Some(Self {
            gpus: self.gpus.checked_add(other.gpus)?,
            vcpus: self.vcpus.checked_add(other.vcpus)?,
            memory_mib: self.memory_mib.checked_add(other.memory_mib)?,
            disk_mib: self.disk_mib.checked_add(other.disk_mib)?,
        })
    }
}

/// Why a text is not one of the words of a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not one of {known}")]
pub struct UnknownWord {
    /// What was given, cut to a readable length.
    pub found: String,
    /// The list, in words.
    pub known: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* } known $known:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
        }

        impl $name {
            /// Every word of the list, lowest first.
            pub const ALL: &'static [Self] = &[$(Self::$word),*];

            /// How it is written.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|word| word.text() == text).ok_or_else(|| UnknownWord {
                    found: text.chars().take(40).collect(),
                    known: $known,
                })
            }
        }

        as_text!($name, Self::ALL[0].to_string());
    };
}

words! {
    /// How fast a machine is connected, by measured Mbps down / up (the tiers of io.net).
    Tier {
        /// Below every floor, or not measured.
        None = "none",
        /// At least 100 / 10.
        Low = "low",
        /// At least 400 / 300.
        Medium = "medium",
        /// At least 800 / 600.
        High = "high",
        /// At least 1600 / 1200.
        UltraHigh = "ultra-high",
    } known "none, low, medium, high, ultra-high"
}

impl Tier {
    /// The tier of a connection measured at these speeds.
    pub const fn of_mbps(down: u32, up: u32) -> Self {
        match (down, up) {
            (1600.., 1200..) => Self::UltraHigh,
            (800.., 600..) => Self::High,
            (400.., 300..) => Self::Medium,
            (100.., 10..) => Self::Low,
            (_, _) => Self::None,
        }
    }
}

words! {
    /// What somebody vouches for about a machine, or about the place it stands in.
    Certification {
        /// HIPAA: health data may be processed there.
        Hipaa = "hipaa",
        /// ISO 27001.
        Iso27001 = "iso27001",
        /// SOC 2 type II.
        Soc2 = "soc2",
        /// Every card on offer has attested lately that it is what its maker certified. Only the network says so.
        AttestedGpu = "attested-gpu",
        /// The machine is a confidential virtual machine whose image is admitted, and whose cards, if any, are its
        /// own. Only the network says so.
        Confidential = "confidential",
    } known "hipaa, iso27001, soc2, attested-gpu, confidential"
}

impl Certification {
    /// Whether it follows from what the machine showed lately, so that nobody may claim it.
    pub const fn is_shown(self) -> bool {
        match self {
            Self::AttestedGpu | Self::Confidential => true,
            Self::Hipaa | Self::Iso27001 | Self::Soc2 => false,
        }
    }
}

words! {
    /// Which part of a block's rewards a model shares in.
    Pool {
        /// Data-center cards and the fastest of the others.
        Enterprise = "enterprise",
        /// Everything else that is listed.
        Community = "community",
    } known "enterprise, community"
}

words! {
    /// What kind of processor a machine offers.
    DeviceKind {
        /// No card: its processor.
        Cpu = "cpu",
        /// Its cards.
        Gpu = "gpu",
    } known "cpu, gpu"
}

/// How much a model counts for, in hundredths: `1.25`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Multiplier(u32);

impl Multiplier {
    /// The most a model may count for: far above any that was ever listed, and small enough that no score overflows.
    pub const MAX: Self = Self(1_000_000);
    /// Once.
    pub const ONE: Self = Self(100);

    /// This many hundredths, at most [`Multiplier::MAX`].
    pub const fn from_hundredths(hundredths: u32) -> Option<Self> {
        if hundredths <= Self::MAX.0 { Some(Self(hundredths)) } else { None }
    }

    /// How many hundredths.
    pub const fn hundredths(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Multiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl FromStr for Multiplier {
    type Err = NotHardware;

    fn from_str(text: &str) -> Result<Self, NotHardware> {
        let refused = || NotHardware {
            found: text.chars().take(40).collect(),
            expected: "a multiplier: at most 10000, with at most two decimals, as in 1.25",
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
            return Err(refused());
        }
        let whole: u32 = whole.parse().map_err(|_| refused())?;
        let tenths: u32 = fraction.parse().map_err(|_| refused())?;
        let hundredths = if fraction.len() == 1 { tenths * 10 } else { tenths };
        let all = whole.checked_mul(100).and_then(|all| all.checked_add(hundredths));
        all.and_then(Self::from_hundredths).ok_or_else(refused)
    }
}

as_text!(Multiplier, Multiplier::ONE.to_string());

/// Why a text is not a country or a model of GPU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {expected}")]
pub struct NotHardware {
    /// What was given, cut to a readable length.
    pub found: String,
    /// What was expected, in words.
    pub expected: &'static str,
}

/// A country: two capital letters of ISO 3166-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).expect("capital letters are ASCII"))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Country {
    type Err = NotHardware;

    fn from_str(text: &str) -> Result<Self, NotHardware> {
        match text.as_bytes() {
            &[first @ b'A'..=b'Z', second @ b'A'..=b'Z'] => Ok(Self([first, second])),
            _ => Err(NotHardware {
                found: text.chars().take(40).collect(),
                expected: "a country: two capital letters, as in DE",
            }),
        }
    }
}

as_text!(Country, "DE".to_owned());

/// A model of GPU as its driver names it, at most 64 printable ASCII characters: `NVIDIA H100 80GB HBM3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GpuModel(String);

impl GpuModel {
    /// Its name.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GpuModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for GpuModel {
    type Err = NotHardware;

    fn from_str(text: &str) -> Result<Self, NotHardware> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.is_empty() || text.len() > 64 || !printable || text.trim() != text {
            return Err(NotHardware {
                found: text.chars().take(40).collect(),
                expected: "a model of GPU: 1 to 64 printable characters",
            });
        }
        Ok(Self(text.to_owned()))
    }
}

as_text!(GpuModel, "NVIDIA H100 80GB HBM3".to_owned());

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a name: 1 to 63 of a-z, 0-9 and -, not starting or ending in -")]
pub struct NotAName {
    /// What was given, cut to a readable length.
    pub found: String,
}

/// What people call a machine, a rental or a project: 1 to 63 of `a-z`, `0-9` and `-`, not starting or
/// ending in `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let known = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let edges = text.starts_with('-') || text.ends_with('-');
        if text.is_empty() || text.len() > 63 || !known || edges {
            return Err(NotAName { found: text.chars().take(40).collect() });
        }
        Ok(Self(text.to_owned()))
    }
}

as_text!(Name, "rack-3".to_owned());

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tier_needs_both_directions() {
        assert_eq!(Tier::of_mbps(2000, 1200), Tier::UltraHigh);
        assert_eq!(Tier::of_mbps(2000, 10), Tier::Low);
        assert_eq!(Tier::of_mbps(2000, 9), Tier::None);
    }

    #[test]
    fn names_are_checked_at_the_edge() {
        assert!("rack-3".parse::<Name>().is_ok());
        for wrong in ["", "-a", "a-", "Rack", "a b", "ä", &"a".repeat(64)] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong}");
        }
        assert!("DE".parse::<Country>().is_ok() && "de".parse::<Country>().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = (text.parse::<Name>(), text.parse::<GpuModel>(), text.parse::<Country>());
            let _ = (text.parse::<Tier>(), text.parse::<Certification>());
        }

        #[test]
        fn what_is_left_and_what_was_taken_make_the_whole(
            has in (0_u32..9, 0_u32..99, 0_u64..99, 0_u64..99),
            takes in (0_u32..9, 0_u32..99, 0_u64..99, 0_u64..99),
        ) {
            let new = |(gpus, vcpus, memory_mib, disk_mib)| Resources { gpus, vcpus, memory_mib, disk_mib };
            let (has, takes) = (new(has), new(takes));
            match has.checked_sub(&takes) {
                Some(left) => prop_assert_eq!(left.checked_add(&takes), Some(has)),
                None => prop_assert!(!has.covers(&takes)),
            }
        }
    }
}
