//! NVIDIA cards, as the driver's management library says. A machine without that library has none.

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

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

/// The cards of this machine. Those that do not answer are left out.
pub fn gpus() -> Vec<Gpu> {
    match Nvml::init() {
        Ok(nvml) => list(&nvml).unwrap_or_else(|fault| {
            tracing::warn!(%fault, "the graphics driver does not answer");
            Vec::new()
        }),
        Err(NvmlError::LibloadingError(_)) => Vec::new(),
        Err(fault) => {
            tracing::warn!(%fault, "the graphics driver does not start");
            Vec::new()
        }
    }
}

fn list(nvml: &Nvml) -> Result<Vec<Gpu>, NvmlError> {
    let driver = nvml.sys_driver_version()?;
    let mut cards = Vec::new();
    for index in 0..nvml.device_count()? {
        match card(nvml, index, &driver) {
            Ok(card) => cards.push(card),
            Err(fault) => tracing::warn!(index, %fault, "a graphics card does not answer"),
        }
    }
    Ok(cards)
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
