//! What there is to choose from, as it is shown.

use std::collections::BTreeMap;

use scheduler::{Band, Count, Facets};
use wire::{Choice, PriceBand};

pub(crate) fn facets(of: &Facets) -> wire::Facets {
    wire::Facets {
        machines: of.total.machines,
        gpus: of.total.gpus,
        suppliers: of.suppliers,
        gpu_models: choices(&of.models, Clone::clone),
        countries: choices(&of.countries, |country| *country),
        tiers: choices(&of.tiers, |tier| Some(*tier)),
        certifications: choices(&of.certifications, |certification| Some(*certification)),
        free_gpus: choices(&of.free_gpus, |gpus| Some(*gpus)),
        prices: of.prices.iter().map(price_band).collect(),
    }
}

fn choices<K, T>(counts: &BTreeMap<K, Count>, value: impl Fn(&K) -> Option<T>) -> Vec<Choice<T>> {
    let choice = |(key, count): (&K, &Count)| Choice {
        value: value(key),
        machines: count.machines,
        gpus: count.gpus,
    };
    counts.iter().map(choice).collect()
}

const fn price_band(band: &Band) -> PriceBand {
    let Band { from, below, count: Count { machines, gpus } } = *band;
    PriceBand { from, below, machines, gpus }
}
