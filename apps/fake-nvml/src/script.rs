//! What the library says, as tests write it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Return codes of the library, by their numbers in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code;

impl Code {
    /// Everything is well.
    pub const SUCCESS: u32 = 0;
    /// It was not initialized.
    pub const UNINITIALIZED: u32 = 1;
    /// There is no such card.
    pub const INVALID_ARGUMENT: u32 = 2;
    /// The card does not have it.
    pub const NOT_SUPPORTED: u32 = 3;
    /// The buffer is too small.
    pub const INSUFFICIENT_SIZE: u32 = 7;
    /// The kernel's part of the driver does not run.
    pub const DRIVER_NOT_LOADED: u32 = 9;
    /// The card fell off the bus.
    pub const GPU_IS_LOST: u32 = 15;
    /// Something else.
    pub const UNKNOWN: u32 = 999;
}

/// A process on a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Memory it holds, in mebibytes; `None` where the driver cannot say.
    #[serde(default)]
    pub memory_mib: Option<u64>,
}

/// A card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Card {
    /// What tells it from all others.
    pub uuid: String,
    /// Its model.
    pub name: String,
    /// The number of its device.
    pub minor: u32,
    /// Its memory, in mebibytes.
    pub memory_mib: u64,
    /// Memory in use, in mebibytes.
    pub used_mib: u64,
    /// How busy it is, in percent.
    pub busy_pct: u32,
    /// Its power, in milliwatts.
    pub power_milliwatts: u32,
    /// Its clock, in megahertz.
    pub clock_mhz: u32,
    /// Processes that compute.
    pub compute: Vec<Process>,
    /// Processes that draw.
    pub graphics: Vec<Process>,
    /// Functions that fail on this card, with their return codes.
    pub fail: BTreeMap<String, u32>,
    /// Whether it fell off the bus: every function says so.
    pub lost: bool,
    /// What it attests with, if it is in confidential mode.
    pub attests: Option<Attests>,
}

/// What a card attests with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attests {
    /// Its chain of certificates, PEM.
    pub chain: String,
    /// What it reports, in hexadecimal digits: with a nonce of zeros, and 96 bytes at the end for the signature.
    pub report: String,
    /// The key on P-384 that signs its reports, in hexadecimal digits.
    pub key: String,
}

impl Card {
    /// A card of some model with this UUID.
    pub fn new(uuid: &str, name: &str) -> Self {
        Self {
            uuid: uuid.to_owned(),
            name: name.to_owned(),
            memory_mib: 24_576,
            used_mib: 300,
            power_milliwatts: 21_500,
            clock_mhz: 210,
            ..Self::default()
        }
    }
}

/// What the library says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// The driver's version.
    pub driver: String,
    /// The newest version of CUDA that it supports: thousands are the major one, tens the minor one.
    pub cuda: i32,
    /// Functions that fail, with their return codes.
    pub fail: BTreeMap<String, u32>,
    /// The cards.
    pub cards: Vec<Card>,
    /// Whether cards are in confidential mode.
    pub confidential: bool,
    /// Whether that is the mode for development.
    pub devtools: bool,
}
