//! The models of devices that the network knows: what drivers call them, what they count for, what they cost.
//!
//! A model that is not listed is offered at once, at the price of the class that its measured memory (or its count
//! of threads) puts it in; it earns no block reward until it is listed.
//!
//! # Invariants
//! - A name that a driver reports belongs to at most one model ([`Registry::check`]).
//! - Every class has a price, so whatever is offered has one.
//! - Only a listed model counts for anything in a block.
//!
//! Absent on purpose: whether a card is what it says it is, and what its price becomes when it is scarce.

mod class;
mod list;
mod name;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{Credits, DeviceKind, Multiplier, Name, Pool};
use utoipa::ToSchema;

pub use class::Class;

/// The most models a registry may hold: ten times what the largest list so far held.
pub const MODELS_MAX: usize = 1_000;
/// The most names of drivers for one model: every spelling that was seen, and room.
pub const ALIASES_MAX: usize = 16;
/// The longest name, in bytes: as long as a driver's name may be.
pub const NAME_BYTES_MAX: usize = 64;

/// One model of device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeviceModel)]
pub struct Model {
    /// What people call it: `H100 80GB HBM3`.
    pub name: String,
    /// What drivers and operating systems call it: `NVIDIA H100 80GB HBM3`. Letters and digits count, case and the
    /// vendor's name do not.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Whether its cards or its processor are offered.
    pub kind: DeviceKind,
    /// Memory of one card as its driver reports it, in mebibytes; zero for a processor.
    pub vram_mib: u64,
    /// The class it is in.
    pub class: Class,
    /// What one card counts for in a block. Zero earns nothing.
    pub multiplier: Multiplier,
    /// Which part of a block it shares in.
    pub pool: Pool,
    /// What one card costs for an hour before supply and demand, in US dollars; for a processor, the whole of it. Zero
    /// is a gift.
    pub hour: Credits,
    /// How busy the processor of an idle, offered machine may be, in percent.
    pub cpu_max_pct: u8,
    /// How busy its card may be, in percent. None for a processor.
    #[serde(default)]
    pub gpu_max_pct: Option<u8>,
    /// Whether it is listed. A model that is not is treated as one that is not known.
    pub listed: bool,
}

/// How busy an idle, offered machine may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ceilings {
    /// Its processor, in percent.
    pub cpu_max_pct: u8,
    /// Its cards, in percent. None for a machine that offers its processor.
    #[serde(default)]
    pub gpu_max_pct: Option<u8>,
}

/// What a reported device turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A model of the list.
    Listed(&'a Model),
    /// None of the list: it is priced by what was measured.
    ByClass(Class),
}

impl Found<'_> {
    /// The class of the device.
    pub const fn class(&self) -> Class {
        match self {
            Self::Listed(model) => model.class,
            Self::ByClass(class) => *class,
        }
    }

    /// What one card counts for in a block: zero unless it is listed.
    pub fn multiplier(&self) -> Multiplier {
        match self {
            Self::Listed(model) => model.multiplier,
            Self::ByClass(_) => Multiplier::default(),
        }
    }

    /// Which part of a block it shares in, if it earns anything.
    pub fn pool(&self) -> Option<Pool> {
        match self {
            Self::Listed(model) if model.multiplier > Multiplier::default() => Some(model.pool),
            Self::Listed(_) | Self::ByClass(_) => None,
        }
    }
}

/// The device registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// The models by key: what people call them, in lower case with dashes (`h100-80gb-hbm3`).
    pub models: BTreeMap<String, Model>,
    /// What an hour of a device costs that is not listed, by class: one card, or one whole processor.
    pub class_hours: BTreeMap<Class, Credits>,
    /// How busy an idle machine may be whose cards are not listed.
    pub unlisted_gpu: Ceilings,
    /// How busy an idle machine may be whose processor is offered and not listed.
    pub unlisted_cpu: Ceilings,
}

impl Registry {
    /// The model that a driver calls `name`, listed or not. For a card give [`units::GpuModel::text`], for a
    /// processor what the operating system calls it.
    pub fn find(&self, name: &str) -> Option<&Model> {
        self.entry(name).map(|(_, model)| model)
    }

    /// As [`Registry::find`], with the key it is kept under.
    pub fn entry(&self, name: &str) -> Option<(&str, &Model)> {
        let wanted = name::essence(name);
        let last = wanted.bytes().last();
        // Most names end otherwise, and that is seen at once.
        let may_be = |text: &String| last.is_none() || name::last(text) == last;
        let called = |text: &String| may_be(text) && name::letters(text).eq(wanted.bytes());
        let mut entries = self.models.iter();
        let (key, model) =
            entries.find(|(_, model)| called(&model.name) || model.aliases.iter().any(called))?;
        Some((key, model))
    }

    /// What a card is that its driver calls `name` and that has this much memory.
    pub fn classify(&self, name: &str, vram_mib: u64) -> Found<'_> {
        self.listed(DeviceKind::Gpu, name)
            .map_or(Found::ByClass(Class::of_vram(vram_mib)), Found::Listed)
    }

    /// What a processor is that its operating system calls `name` and that runs this many hardware threads.
    pub fn classify_cpu(&self, name: &str, threads: u32) -> Found<'_> {
        self.listed(DeviceKind::Cpu, name)
            .map_or(Found::ByClass(Class::of_threads(threads)), Found::Listed)
    }

    /// What an hour of it costs before supply and demand: one card, or one whole processor.
    pub fn hour(&self, found: &Found<'_>) -> Credits {
        match found {
            Found::Listed(model) => model.hour,
            Found::ByClass(class) => self.class_hour(*class),
        }
    }

    /// What an hour of a device of this class costs. The dearest listed class's price stands in for one that is
    /// missing, which a registry that was checked has not.
    pub fn class_hour(&self, class: Class) -> Credits {
        let dearest = || self.class_hours.values().copied().max().unwrap_or(Credits::ZERO);
        self.class_hours.get(&class).copied().unwrap_or_else(dearest)
    }

    /// How busy such a device may be while it is idle and offered.
    pub fn ceilings(&self, found: &Found<'_>) -> Ceilings {
        match found {
            Found::Listed(model) => {
                Ceilings { cpu_max_pct: model.cpu_max_pct, gpu_max_pct: model.gpu_max_pct }
            }
            Found::ByClass(class) => match class.kind() {
                DeviceKind::Gpu => self.unlisted_gpu,
                DeviceKind::Cpu => self.unlisted_cpu,
            },
        }
    }

    fn listed(&self, kind: DeviceKind, name: &str) -> Option<&Model> {
        self.find(name).filter(|model| model.listed && model.kind == kind)
    }

    /// Whether the registry makes sense.
    ///
    /// # Errors
    /// The first thing that does not, in the order of the variants for each model.
    pub fn check(&self) -> Result<(), RegistryFault> {
        if self.models.len() > MODELS_MAX {
            return Err(RegistryFault::TooMany { most: MODELS_MAX });
        }
        let mut known: BTreeMap<String, &str> = BTreeMap::new();
        for (key, model) in &self.models {
            model.check(key)?;
            for name in std::iter::once(&model.name).chain(&model.aliases) {
                let first = known.entry(name::essence(name)).or_insert(key);
                if *first != key {
                    let (key, other) = (key.clone(), (*first).to_owned());
                    return Err(RegistryFault::SharedName { key, other, name: name.clone() });
                }
            }
        }
        let missing = |class: &&Class| !self.class_hours.contains_key(class);
        if let Some(class) = Class::ALL.iter().find(missing) {
            return Err(RegistryFault::NoClassPrice { class: *class });
        }
        self.unlisted_gpu.check("unlisted_gpu", DeviceKind::Gpu)?;
        self.unlisted_cpu.check("unlisted_cpu", DeviceKind::Cpu)
    }
}

impl Ceilings {
    fn check(&self, key: &str, kind: DeviceKind) -> Result<(), RegistryFault> {
        let percent = |pct: u8| (1..=100).contains(&pct);
        let card = match (kind, self.gpu_max_pct) {
            (DeviceKind::Gpu, Some(pct)) => percent(pct),
            (DeviceKind::Cpu, None) => true,
            (DeviceKind::Gpu, None) | (DeviceKind::Cpu, Some(_)) => false,
        };
        if card && percent(self.cpu_max_pct) {
            Ok(())
        } else {
            Err(RegistryFault::BadCeiling { key: key.to_owned() })
        }
    }
}

impl Model {
    fn check(&self, key: &str) -> Result<(), RegistryFault> {
        let key = || key.to_owned();
        if key().parse::<Name>().is_err() {
            return Err(RegistryFault::BadKey { key: key() });
        }
        let mut names = std::iter::once(&self.name).chain(&self.aliases);
        let bad =
            |name: &&String| name.len() > NAME_BYTES_MAX || name::essence(name.as_str()).is_empty();
        if let Some(name) = names.find(bad) {
            return Err(RegistryFault::BadName {
                key: key(),
                name: name.chars().take(40).collect(),
            });
        }
        if self.aliases.len() > ALIASES_MAX {
            return Err(RegistryFault::TooManyNames { key: key(), most: ALIASES_MAX });
        }
        if self.class.kind() != self.kind {
            return Err(RegistryFault::WrongClass { key: key(), class: self.class });
        }
        if self.kind == DeviceKind::Gpu && Class::of_vram(self.vram_mib) != self.class {
            return Err(RegistryFault::WrongClass { key: key(), class: self.class });
        }
        let (cpu_max_pct, gpu_max_pct) = (self.cpu_max_pct, self.gpu_max_pct);
        Ceilings { cpu_max_pct, gpu_max_pct }.check(&key(), self.kind)
    }
}

/// Why a registry makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryFault {
    /// More models than fit.
    #[error("the registry lists more than {most} models")]
    TooMany {
        /// The most.
        most: usize,
    },
    /// A key that is not a name.
    #[error("`{key}` is not a key: 1 to 63 of a-z, 0-9 and -, not starting or ending in -")]
    BadKey {
        /// It.
        key: String,
    },
    /// A name without letters, or too long.
    #[error("`{name}` of `{key}` is not a driver's name: at most 64 bytes, with letters or digits")]
    BadName {
        /// The model.
        key: String,
        /// The name, cut to a readable length.
        name: String,
    },
    /// More names than one model needs.
    #[error("`{key}` has more than {most} aliases")]
    TooManyNames {
        /// The model.
        key: String,
        /// The most.
        most: usize,
    },
    /// A class that its memory or its kind contradicts.
    #[error("`{key}` is not of class {class}: the class follows from its kind and memory")]
    WrongClass {
        /// The model.
        key: String,
        /// What was said.
        class: Class,
    },
    /// A ceiling that is no percentage, missing for a card, or given for a processor.
    #[error(
        "`{key}` has no usable ceilings: give percentages from 1 to 100, one for cards if it has any"
    )]
    BadCeiling {
        /// The model, or the field for models that are not listed.
        key: String,
    },
    /// Two models that drivers would call the same.
    #[error("`{name}` names both `{key}` and `{other}`")]
    SharedName {
        /// The second model.
        key: String,
        /// The first.
        other: String,
        /// What both are called.
        name: String,
    },
    /// A class without a price.
    #[error("the class {class} has no price")]
    NoClassPrice {
        /// It.
        class: Class,
    },
}
