//! What a machine costs by the hour.

use std::collections::BTreeMap;

use units::{Credits, GpuModel};

/// The network's hourly prices: one for each model of GPU, one for a model that is not listed, one for a hardware
/// thread of a machine without GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList {
    /// By model, for one card and one hour.
    pub gpus: BTreeMap<GpuModel, Credits>,
    /// For one hour of a card whose model is not listed: it can be rented all the same.
    pub other_gpu: Credits,
    /// For one hour of one hardware thread.
    pub vcpu: Credits,
}

impl PriceList {
    /// What one hour of one card of this model costs.
    pub fn gpu_hour(&self, model: &GpuModel) -> Credits {
        self.gpus.get(model).copied().unwrap_or(self.other_gpu)
    }
}

impl Default for PriceList {
    /// Prices seen on io.net's explorer in 2024 and 2025; a thread at the rate of the
    /// smallest CPU machine, 0.10 USD for ten.
    fn default() -> Self {
        let listed = [
            ("NVIDIA A100-SXM4-80GB", 1_500_000),
            ("NVIDIA GeForce RTX 3070", 115_000),
            ("NVIDIA GeForce RTX 3080", 200_000),
            ("NVIDIA GeForce RTX 4090", 370_000),
            ("NVIDIA H100 80GB HBM3", 1_190_000),
            ("NVIDIA H100 PCIe", 890_000),
        ];
        let gpus = listed.into_iter().map(|(model, units)| {
            (model.parse().expect("a listed model is well formed"), Credits::from_units(units))
        });
        Self {
            gpus: gpus.collect(),
            other_gpu: Credits::from_units(100_000),
            vcpu: Credits::from_units(10_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_not_listed_has_a_price() {
        let list = PriceList::default();
        assert_eq!(list.gpu_hour(&"NVIDIA H100 PCIe".parse().unwrap()).to_string(), "0.890000");
        assert_eq!(list.gpu_hour(&"Tomorrow 1".parse().unwrap()), list.other_gpu);
    }
}
