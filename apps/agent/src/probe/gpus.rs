//! NVIDIA cards, as the driver's management library says. A machine without that library has none.
//!
//! # Invariants
//! - A card that does not answer is said to be silent, never guessed at.
//! - A library that lacks a function lacks that figure, and nothing else.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::Clock;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;

/// A graphics card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Its place in the driver's list.
    pub index: u32,
    /// The number in its device's name, `/dev/nvidia<number>`.
    pub device_number: u32,
    /// Its model, as the driver names it.
    pub name: String,
    /// What tells it from every other card.
    pub uuid: String,
    /// Its memory, in mebibytes.
    pub memory_mib: u64,
    /// The driver's version.
    pub driver: String,
}

/// What a card says of this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// How busy it is, in percent; `None` where the driver does not say.
    pub busy_pct: Option<u8>,
    /// Memory in use, in mebibytes.
    pub used_mib: u32,
    /// Its power, in watts; 0 where the driver does not say.
    pub power_watts: u16,
    /// Its multiprocessors' clock, in megahertz; 0 where the driver does not say.
    pub clock_mhz: u16,
}

/// A process on a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Its number, as the machine counts.
    pub pid: u32,
    /// Memory it holds on the card, in mebibytes; 0 where the driver does not say.
    pub memory_mib: u32,
}

/// Where cards are asked. Every call may take some milliseconds, and none fails for good.
pub trait Gpus: Send {
    /// The cards that answer.
    fn list(&mut self) -> Vec<Gpu>;
    /// What the card with this UUID says; `None` if it does not answer.
    fn sample(&mut self, uuid: &str) -> Option<Pulse>;
    /// Who is on it, whether computing or drawing; `None` if the driver does not say.
    fn processes(&mut self, uuid: &str) -> Option<Vec<Occupant>>;
}

/// The driver of this machine, through its management library.
#[derive(Debug, Default)]
pub struct Driver {
    library: Option<PathBuf>,
    nvml: Option<Nvml>,
    /// What each question last failed with, so that the same is said once.
    said: BTreeMap<(&'static str, String), String>,
}

impl Driver {
    /// The driver whose library lies here, or where the system has it. It is loaded when it is first asked.
    pub const fn at(library: Option<PathBuf>) -> Self {
        Self { library, nvml: None, said: BTreeMap::new() }
    }

    /// The library, loaded.
    fn nvml(&mut self) -> Result<&Nvml, NvmlError> {
        if self.nvml.is_none() {
            let path = self.library.as_deref().map_or(OsStr::new(LIBRARY), |path| path.as_os_str());
            let nvml = Nvml::builder().lib_path(path).init()?;
            if nvml.lib().nvmlShutdown.is_err() {
                // What it cannot end it must not begin to.
                std::mem::forget(nvml);
                return Err(NvmlError::FunctionNotFound);
            }
            self.nvml = Some(nvml);
        }
        self.nvml.as_ref().ok_or(NvmlError::Uninitialized)
    }

    fn ask<T>(
        &mut self,
        what: &'static str,
        card: &str,
        of: impl FnOnce(&Nvml) -> Result<T, NvmlError>,
    ) -> Option<T> {
        let question = (what, card.to_owned());
        match self.nvml().and_then(of) {
            Ok(answer) => {
                self.said.remove(&question);
                Some(answer)
            }
            // A machine without the library has no cards: nothing is wrong.
            Err(NvmlError::LibloadingError(_)) => None,
            Err(fault) => {
                if is_over(&fault) {
                    self.nvml = None;
                }
                let said = fault.to_string();
                if self.said.get(&question) != Some(&said) {
                    tracing::warn!(what, card, %fault, "the graphics driver does not answer");
                    self.said.insert(question, said);
                }
                None
            }
        }
    }
}

/// The library's name wherever the driver is installed.
pub const LIBRARY: &str = "libnvidia-ml.so.1";

/// Whether the library must be loaded anew: the driver was replaced, or never ran.
fn is_over(fault: &NvmlError) -> bool {
    matches!(
        fault,
        NvmlError::Uninitialized | NvmlError::DriverNotLoaded | NvmlError::LibRmVersionMismatch
    )
}

impl Gpus for Driver {
    fn list(&mut self) -> Vec<Gpu> {
        self.ask("cards", "", list).unwrap_or_default().0
    }

    fn sample(&mut self, uuid: &str) -> Option<Pulse> {
        self.ask("figures", uuid, |nvml| {
            let device = nvml.device_by_uuid(uuid)?;
            Ok(Pulse {
                busy_pct: told(device.utilization_rates())?.map(|busy| percent(busy.gpu)),
                used_mib: told(device.memory_info())?.map_or(0, |memory| mib(memory.used)),
                power_watts: told(device.power_usage())?.map_or(0, |milli| small(milli / 1_000)),
                clock_mhz: told(device.clock_info(Clock::SM))?.map_or(0, small),
            })
        })
    }

    fn processes(&mut self, uuid: &str) -> Option<Vec<Occupant>> {
        self.ask("processes", uuid, |nvml| {
            let device = nvml.device_by_uuid(uuid)?;
            // Drivers before 510 have the second functions only.
            let compute = match device.running_compute_processes() {
                Err(NvmlError::FailedToLoadSymbol(_)) => device.running_compute_processes_v2(),
                compute => compute,
            }?;
            let drawing = match device.running_graphics_processes() {
                Err(NvmlError::FailedToLoadSymbol(_)) => device.running_graphics_processes_v2(),
                drawing => drawing,
            };
            // Cards of data centers do not draw.
            let drawing = match drawing {
                Err(NvmlError::NotSupported) => Vec::new(),
                drawing => drawing?,
            };
            Ok(compute.iter().chain(&drawing).map(occupant).collect())
        })
    }
}

/// A figure, or none if the card has none to tell. A card that is lost tells nothing.
fn told<T>(figure: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
    match figure {
        Err(NvmlError::GpuLost) => Err(NvmlError::GpuLost),
        Err(fault) if is_over(&fault) => Err(fault),
        figure => Ok(figure.ok()),
    }
}

fn percent(value: u32) -> u8 {
    u8::try_from(value.min(100)).expect("at most a hundred")
}

fn occupant(process: &ProcessInfo) -> Occupant {
    let memory_mib = match process.used_gpu_memory {
        // What cannot be known is told as the largest number.
        UsedGpuMemory::Used(u64::MAX) | UsedGpuMemory::Unavailable => 0,
        UsedGpuMemory::Used(bytes) => mib(bytes),
    };
    Occupant { pid: process.pid, memory_mib }
}

fn mib(bytes: u64) -> u32 {
    u32::try_from(bytes >> 20).unwrap_or(u32::MAX)
}

fn small(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// The newest version of CUDA that the driver supports, as major and minor; `None` if it does not say. Its library is
/// as in [`gpus`].
pub fn cuda(library: Option<&Path>) -> Option<(u32, u32)> {
    let mut driver = Driver::at(library.map(Path::to_owned));
    let version = driver.ask("CUDA", "", |nvml| told(nvml.sys_cuda_driver_version()))??;
    let version = u32::try_from(version).ok()?;
    // Thousands are the major version, tens the minor one.
    Some((version / 1_000, version % 1_000 / 10))
}

/// The cards of this machine, by the driver whose library lies here, or where the system has it. Those that do not
/// answer are left out.
pub fn gpus(library: Option<&Path>) -> Vec<Gpu> {
    Driver::at(library.map(Path::to_owned)).list()
}

/// The same, and what is wrong where there is a card or a driver that does not answer.
pub(super) fn gpus_and_trouble(library: Option<&Path>) -> (Vec<Gpu>, Option<String>) {
    let mut driver = Driver::at(library.map(Path::to_owned));
    match driver.nvml().and_then(list) {
        Ok((cards, silent)) => (cards, silent.into_iter().next()),
        // A machine without the library has no cards, unless one is plugged in.
        Err(NvmlError::LibloadingError(fault)) if is_missing(&fault.to_string()) => {
            let text = "a card of NVIDIA's is plugged in, and its driver is not installed";
            (Vec::new(), is_plugged_in().then(|| text.to_owned()))
        }
        Err(fault) => (Vec::new(), Some(format!("the driver does not answer: {fault}"))),
    }
}

/// Whether the loader says that there is no such library.
fn is_missing(fault: &str) -> bool {
    fault.contains("No such file")
}

/// Whether a display controller of NVIDIA's is on the bus.
fn is_plugged_in() -> bool {
    let devices = std::fs::read_dir("/sys/bus/pci/devices").into_iter().flatten().flatten();
    let mut devices = devices.map(|device| device.path());
    devices.any(|device| {
        let says = |name: &str, beginning: &str| {
            let text = std::fs::read_to_string(device.join(name));
            text.is_ok_and(|text| text.starts_with(beginning))
        };
        says("vendor", "0x10de") && says("class", "0x03")
    })
}

/// The cards that answer, and what those say that do not.
fn list(nvml: &Nvml) -> Result<(Vec<Gpu>, Vec<String>), NvmlError> {
    let driver = nvml.sys_driver_version()?;
    let (mut cards, mut silent) = (Vec::new(), Vec::new());
    for index in 0..nvml.device_count()? {
        match card(nvml, index, &driver) {
            Ok(card) => cards.push(card),
            Err(fault) => {
                tracing::warn!(index, %fault, "a graphics card does not answer");
                silent.push(format!("card {index} does not answer: {fault}"));
            }
        }
    }
    Ok((cards, silent))
}

fn card(nvml: &Nvml, index: u32, driver: &str) -> Result<Gpu, NvmlError> {
    let device = nvml.device_by_index(index)?;
    Ok(Gpu {
        index,
        device_number: device.minor_number()?,
        name: device.name()?,
        uuid: device.uuid()?,
        memory_mib: device.memory_info()?.total >> 20,
        driver: driver.to_owned(),
    })
}
