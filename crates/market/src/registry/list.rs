//! The models that are known from the start.
//!
//! Multipliers and pools are io.net's, since 2025-06-04; the ceilings are io.net's, since 2024-11-04. Memory is what
//! the driver reports for one card. What an hour costs is, where the row says so, what was seen: `io.net` stands for
//! prices seen on io.net's explorer in 2024 and 2025 (for the B200, on its list of virtual machines in 2026),
//! `marketplaces` for the mean of what two public marketplaces asked in one snapshot, each by its median. All other
//! prices are laid between their neighbors by speed and memory.

use std::collections::BTreeMap;

use units::{Credits, DeviceKind, Multiplier, Pool};

use super::{Ceilings, Class, Model, Registry};

/// A card: key and name, what drivers call it, memory in MiB, hundredths of multiplier, price in
/// thousandths of a dollar.
type Card = (&'static str, &'static [&'static str], u64, u32, u64);

/// Cards of the enterprise pool: ceilings 30 and 5.
const ENTERPRISE: &[Card] = &[
    ("B200", &["NVIDIA B200"], 183_359, 3_000, 4990), // io.net
    ("H200", &["NVIDIA H200", "NVIDIA H200 NVL"], 143_771, 1_200, 3260), // marketplaces
    ("H100 80GB HBM3", &["NVIDIA H100 80GB HBM3", "H100 SXM"], 81_559, 1_000, 1190), // io.net
    ("H100 PCIe", &["NVIDIA H100 PCIe"], 81_559, 1_000, 890), // io.net
    ("H100 80G PCIe", &["NVIDIA H100 80GB PCIe"], 81_559, 1_000, 890), // io.net
    ("A100 80GB PCIe", &["NVIDIA A100 80GB PCIe", "NVIDIA A100-PCIE-80GB"], 81_920, 500, 1500), // io.net
    ("A100-SXM4-80GB", &["NVIDIA A100-SXM4-80GB", "NVIDIA A100-SXM-80GB"], 81_920, 500, 1500), // io.net
    ("A100-PCIE-40GB", &["NVIDIA A100-PCIE-40GB"], 40_960, 200, 760), // marketplaces
    ("L40S", &["NVIDIA L40S"], 46_068, 300, 490),                     // marketplaces
    ("RTX 4090", &["NVIDIA GeForce RTX 4090"], 24_564, 125, 370),     // io.net
    ("RTX 4090 D", &["NVIDIA GeForce RTX 4090 D"], 24_564, 125, 340),
    // io.net lists it without a published multiplier. 1.4 times a 4090's: its memory is a third larger and
    // four fifths faster, and marketplaces ask 1.3 to 1.6 times as much for it.
    ("RTX 5090", &["NVIDIA GeForce RTX 5090"], 32_607, 175, 520), // marketplaces
];

/// Cards of the community pool with the ceilings of data centers: 30 and 5.
const COMMUNITY_STRICT: &[Card] = &[
    ("L4", &["NVIDIA L4"], 23_034, 25, 250),
    ("RTX 5000 Ada", &["NVIDIA RTX 5000 Ada Generation"], 32_760, 300, 480),
    ("RTX 6000 Ada", &["NVIDIA RTX 6000 Ada Generation"], 49_140, 450, 560), // marketplaces
    ("RTX A6000", &["NVIDIA RTX A6000"], 49_140, 200, 425),                  // marketplaces
    ("T4", &["Tesla T4", "NVIDIA Tesla T4", "NVIDIA T4"], 15_360, 50, 90),
    ("V100-PCIE-16GB", &["Tesla V100-PCIE-16GB"], 16_384, 75, 106), // marketplaces
    ("V100-SXM2-16GB", &["Tesla V100-SXM2-16GB"], 16_384, 75, 106), // marketplaces
    ("V100-PCIE-32GB", &["Tesla V100-PCIE-32GB"], 32_768, 75, 160),
    ("V100-SXM2-32GB", &["Tesla V100-SXM2-32GB"], 32_768, 75, 160),
    ("V100S-PCIE-32GB", &["Tesla V100S-PCIE-32GB"], 32_768, 75, 170),
    // Counted once, and for nothing since 2025-06-04. The L40 was never given a multiplier.
    ("A10", &["NVIDIA A10"], 23_028, 0, 250),
    ("A10G", &["NVIDIA A10G"], 23_028, 0, 250),
    ("A16", &["NVIDIA A16"], 15_356, 0, 120),
    ("A40", &["NVIDIA A40"], 46_068, 0, 400),
    ("L40", &["NVIDIA L40"], 46_068, 0, 330), // marketplaces
];

/// Cards of the community pool that may also drive a desktop: 30 and 20.
const COMMUNITY: &[Card] = &[
    ("RTX 3060", &["NVIDIA GeForce RTX 3060"], 12_288, 75, 90),
    ("RTX 3060 Ti", &["NVIDIA GeForce RTX 3060 Ti"], 8_192, 75, 100),
    ("RTX 3070", &["NVIDIA GeForce RTX 3070"], 8_192, 100, 115), // io.net
    ("RTX 3070 Ti", &["NVIDIA GeForce RTX 3070 Ti"], 8_192, 100, 125),
    ("RTX 3080", &["NVIDIA GeForce RTX 3080"], 10_240, 150, 200), // io.net
    ("RTX 3080 Ti", &["NVIDIA GeForce RTX 3080 Ti"], 12_288, 175, 210),
    ("RTX 3090", &["NVIDIA GeForce RTX 3090"], 24_576, 175, 220),
    ("RTX 3090 Ti", &["NVIDIA GeForce RTX 3090 Ti"], 24_564, 200, 240),
    ("RTX 4060", &["NVIDIA GeForce RTX 4060"], 8_188, 100, 110),
    ("RTX 4060 Ti", &["NVIDIA GeForce RTX 4060 Ti"], 8_188, 100, 130), // marketplaces
    ("RTX 4070", &["NVIDIA GeForce RTX 4070"], 12_282, 150, 160),
    ("RTX 4070 Ti", &["NVIDIA GeForce RTX 4070 Ti"], 12_282, 250, 180),
    ("RTX 4080", &["NVIDIA GeForce RTX 4080"], 16_376, 275, 260),
    ("RTX 4000", &["Quadro RTX 4000"], 8_192, 75, 110),
    ("RTX 4000 SFF Ada", &["NVIDIA RTX 4000 SFF Ada Generation"], 20_475, 100, 200),
    ("RTX 5000", &["Quadro RTX 5000"], 16_384, 150, 170),
    ("RTX A4000", &["NVIDIA RTX A4000"], 16_376, 150, 150),
    ("RTX A5000", &["NVIDIA RTX A5000"], 24_564, 150, 220),
    ("GTX 1080 Ti", &["NVIDIA GeForce GTX 1080 Ti"], 11_264, 0, 60),
    ("RTX 2080 Ti", &["NVIDIA GeForce RTX 2080 Ti"], 11_264, 0, 80),
    ("RTX 3050", &["NVIDIA GeForce RTX 3050"], 8_192, 0, 60),
    ("RTX 3050 Ti", &["NVIDIA GeForce RTX 3050 Ti Laptop GPU"], 4_096, 0, 50),
];

/// Processors: name, threads, hundredths of multiplier, price in thousandths of a dollar. All of the community pool,
/// ceiling 30.
/// The M4's prices are io.net's at their launch.
const PROCESSORS: &[(&str, u32, u32, u64)] = &[
    ("M2 Pro", 12, 0, 80),
    ("M2 Max", 12, 0, 90),
    ("M2 Ultra", 24, 0, 130),
    ("M3", 8, 100, 80),
    ("M3 Pro", 12, 125, 110),
    ("M3 Max", 16, 150, 130),
    ("M4", 10, 100, 100),     // io.net
    ("M4 Pro", 14, 125, 130), // io.net
    ("M4 Max", 16, 150, 150), // io.net
];

/// Classes: the price in thousandths of a dollar, no more than that of any model in them, so that nobody gains by not
/// being listed; for processors 0.008 for each thread that the class is sure of, below what an M4 costs by the thread.
const CLASSES: &[(Class, u64)] = &[
    (Class::CpuSmall, 16),
    (Class::Cpu8, 64),
    (Class::Cpu16, 128),
    (Class::Cpu32, 256),
    (Class::Cpu64, 512),
    (Class::GpuSmall, 40),
    (Class::Gpu8, 50),
    (Class::Gpu16, 80),
    (Class::Gpu24, 150),
    (Class::Gpu40, 160),
    (Class::Gpu80, 800),
];

fn key(name: &str) -> String {
    name.to_ascii_lowercase().replace(' ', "-")
}

fn card(row: &Card, pool: Pool, gpu_max_pct: u8) -> (String, Model) {
    let (name, aliases, vram_mib, multiplier, hour) = *row;
    let model = Model {
        name: name.to_owned(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        kind: DeviceKind::Gpu,
        vram_mib,
        class: Class::of_vram(vram_mib),
        multiplier: Multiplier::from_hundredths(multiplier).expect("a small number"),
        pool,
        hour: Credits::from_units(hour * 1_000),
        cpu_max_pct: 30,
        gpu_max_pct: Some(gpu_max_pct),
        listed: true,
    };
    (key(name), model)
}

fn processor(row: &(&str, u32, u32, u64)) -> (String, Model) {
    let (name, threads, multiplier, hour) = *row;
    let model = Model {
        name: name.to_owned(),
        aliases: vec![format!("Apple {name}")],
        kind: DeviceKind::Cpu,
        vram_mib: 0,
        class: Class::of_threads(threads),
        multiplier: Multiplier::from_hundredths(multiplier).expect("a small number"),
        pool: Pool::Community,
        hour: Credits::from_units(hour * 1_000),
        cpu_max_pct: 30,
        gpu_max_pct: None,
        listed: true,
    };
    (key(name), model)
}

impl Default for Registry {
    fn default() -> Self {
        let enterprise = ENTERPRISE.iter().map(|row| card(row, Pool::Enterprise, 5));
        let strict = COMMUNITY_STRICT.iter().map(|row| card(row, Pool::Community, 5));
        let community = COMMUNITY.iter().map(|row| card(row, Pool::Community, 20));
        let processors = PROCESSORS.iter().map(processor);
        let models: BTreeMap<_, _> =
            enterprise.chain(strict).chain(community).chain(processors).collect();
        let classes =
            CLASSES.iter().map(|(class, hour)| (*class, Credits::from_units(*hour * 1_000)));
        Self {
            models,
            class_hours: classes.collect(),
            unlisted_gpu: Ceilings { cpu_max_pct: 30, gpu_max_pct: Some(20) },
            unlisted_cpu: Ceilings { cpu_max_pct: 30, gpu_max_pct: None },
        }
    }
}
