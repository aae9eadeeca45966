//! Classes of devices: what one is taken for that nobody has listed.

use std::fmt;

use serde::{Deserialize, Serialize};
use units::DeviceKind;
use utoipa::ToSchema;

/// A class of devices: cards by memory, processors by hardware threads.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[schema(as = DeviceClass)]
pub enum Class {
    /// A processor of fewer than 8 threads.
    #[serde(rename = "cpu-small")]
    CpuSmall,
    /// A processor of 8 threads or more.
    #[serde(rename = "cpu-8")]
    Cpu8,
    /// A processor of 16 threads or more.
    #[serde(rename = "cpu-16")]
    Cpu16,
    /// A processor of 32 threads or more.
    #[serde(rename = "cpu-32")]
    Cpu32,
    /// A processor of 64 threads or more.
    #[serde(rename = "cpu-64")]
    Cpu64,
    /// A card with less memory than any proof asks for.
    #[serde(rename = "gpu-small")]
    GpuSmall,
    /// A card of 6 GiB or more.
    #[serde(rename = "gpu-8gb")]
    Gpu8,
    /// A card of 13 GiB or more.
    #[serde(rename = "gpu-16gb")]
    Gpu16,
    /// A card of 18 GiB or more.
    #[serde(rename = "gpu-24gb")]
    Gpu24,
    /// A card of 30 GiB or more.
    #[serde(rename = "gpu-40gb")]
    Gpu40,
    /// A card of 60 GiB or more.
    #[serde(rename = "gpu-80gb")]
    Gpu80,
}

const GIB: u64 = 1_024;

impl Class {
    /// Every class, smallest first.
    pub const ALL: &'static [Self] = &[
        Self::CpuSmall,
        Self::Cpu8,
        Self::Cpu16,
        Self::Cpu32,
        Self::Cpu64,
        Self::GpuSmall,
        Self::Gpu8,
        Self::Gpu16,
        Self::Gpu24,
        Self::Gpu40,
        Self::Gpu80,
    ];

    /// The class of a card with this much memory, in mebibytes. The floors are those of io.net's public benchmark
    /// for video memory, whose classes are named after the cards they were made for.
    pub const fn of_vram(vram_mib: u64) -> Self {
        match vram_mib / GIB {
            60.. => Self::Gpu80,
            30.. => Self::Gpu40,
            18.. => Self::Gpu24,
            13.. => Self::Gpu16,
            6.. => Self::Gpu8,
            0.. => Self::GpuSmall,
        }
    }

    /// The class of a processor with this many hardware threads.
    pub const fn of_threads(threads: u32) -> Self {
        match threads {
            64.. => Self::Cpu64,
            32.. => Self::Cpu32,
            16.. => Self::Cpu16,
            8.. => Self::Cpu8,
            0.. => Self::CpuSmall,
        }
    }

    /// Whether it is a class of cards or of processors.
    pub const fn kind(self) -> DeviceKind {
        match self {
            Self::CpuSmall | Self::Cpu8 | Self::Cpu16 | Self::Cpu32 | Self::Cpu64 => {
                DeviceKind::Cpu
            }
            Self::GpuSmall | Self::Gpu8 | Self::Gpu16 | Self::Gpu24 | Self::Gpu40 | Self::Gpu80 => {
                DeviceKind::Gpu
            }
        }
    }

    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::CpuSmall => "cpu-small",
            Self::Cpu8 => "cpu-8",
            Self::Cpu16 => "cpu-16",
            Self::Cpu32 => "cpu-32",
            Self::Cpu64 => "cpu-64",
            Self::GpuSmall => "gpu-small",
            Self::Gpu8 => "gpu-8gb",
            Self::Gpu16 => "gpu-16gb",
            Self::Gpu24 => "gpu-24gb",
            Self::Gpu40 => "gpu-40gb",
            Self::Gpu80 => "gpu-80gb",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
