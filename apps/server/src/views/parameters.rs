//! What the network goes by, and the prices that follow from it.

use control::{Control, Parameters, Version};
use market::{Class, Found, Model};
use stakes::StakeRules;
use wire::{
    ClassPrice, ModelPrice, ParametersView, PricesView, RegistryAnswer, VersionView, WholeVersion,
};

use super::json;
use crate::journal::Row;

/// The kind of the rows that versions of the parameters are kept in.
pub(crate) const VERSION_ROWS: &str = "parameters";

/// What a version's row is kept under: rows are in the order of their ids.
pub(crate) fn version_id(number: u32) -> String {
    format!("{number:010}")
}

/// The parameters in effect, and what waits.
pub(crate) fn parameters(state: &Control) -> ParametersView<Parameters> {
    let version = state.version();
    ParametersView {
        version: version.number,
        from: version.from,
        digest: version.digest.to_string(),
        parameters: (*version.parameters).clone(),
        waiting: state.versions_waiting().map(version_view).collect(),
    }
}

/// A version as what it changed.
pub(crate) fn version_view(version: &Version) -> VersionView {
    VersionView {
        version: version.number,
        from: version.from,
        digest: version.digest.to_string(),
        patch: version.patch.clone(),
    }
}

/// The newest version, in effect or not.
pub(crate) fn newest_version(state: &Control) -> VersionView {
    version_view(newest(state))
}

fn newest(state: &Control) -> &Version {
    state.versions_waiting().last().unwrap_or(state.version())
}

/// A version as what it changed, while it is remembered.
pub(super) fn version(state: &Control, number: u32) -> Option<VersionView> {
    state.version_numbered(number).map(version_view)
}

/// The row of a version that was just made; of one that was withdrawn, that there is none.
pub(crate) fn version_row(state: &Control, number: u32) -> Option<Row> {
    let version = state.version_numbered(number);
    if version.is_none() && number <= newest(state).number {
        // It is only too old to be remembered, and has its row.
        return None;
    }
    let (id, owner) = (version_id(number), super::NETWORK.to_owned());
    Some(Row { kind: VERSION_ROWS, id, owner, body: version.map(whole_version) })
}

/// A version, whole, as JSON. Parameters are written as they were when their digest was made.
pub(crate) fn whole_version(version: &Version) -> Vec<u8> {
    json(&WholeVersion {
        version: version.number,
        from: version.from,
        digest: version.digest.to_string(),
        patch: version.patch.clone(),
        parameters: &*version.parameters,
    })
}

/// What devices cost before supply and demand.
pub(crate) fn prices(state: &Control) -> PricesView {
    let Parameters { registry, stakes, .. } = state.parameters();
    let listed = registry.models.iter().filter(|(_, model)| model.listed);
    PricesView {
        version: state.version().number,
        models: listed.map(|(key, model)| model_price(key, model, stakes)).collect(),
        classes: registry.class_hours.keys().map(|class| class_price(state, *class)).collect(),
    }
}

fn model_price(key: &str, model: &Model, stakes: &StakeRules) -> ModelPrice {
    ModelPrice {
        model: key.to_owned(),
        name: model.name.clone(),
        kind: model.kind,
        class: model.class.text().to_owned(),
        multiplier: model.multiplier,
        pool: model.pool,
        hour: model.hour,
        stake_min: stakes.need(model.multiplier, 1),
    }
}

fn class_price(state: &Control, class: Class) -> ClassPrice {
    let hour = state.parameters().registry.class_hour(class);
    ClassPrice { class: class.text().to_owned(), hour }
}

/// What a driver's name is taken for: a card with so much memory, a processor with so many threads, or, with neither,
/// whichever the registry knows.
pub(crate) fn registry_answer(
    state: &Control,
    name: String,
    vram_mib: Option<u64>,
    threads: Option<u32>,
) -> RegistryAnswer {
    let Parameters { registry, stakes, .. } = state.parameters();
    let known = registry.entry(&name);
    let found = match (vram_mib, threads) {
        (Some(vram_mib), _) => Some(registry.classify(&name, vram_mib)),
        (None, Some(threads)) => Some(registry.classify_cpu(&name, threads)),
        (None, None) => known.filter(|(_, model)| model.listed).map(|it| Found::Listed(it.1)),
    };
    let class = match found {
        Some(Found::ByClass(class)) => Some(class_price(state, class)),
        Some(Found::Listed(_)) | None => None,
    };
    RegistryAnswer {
        listed: matches!(found, Some(Found::Listed(_))),
        model: known.map(|(key, model)| model_price(key, model, stakes)),
        class,
        name,
    }
}
