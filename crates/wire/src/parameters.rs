//! What the network goes by, and the prices that follow from it.

use serde::{Deserialize, Serialize};
use units::{Coins, Credits, DeviceKind, Hour, Multiplier, Pool};
use utoipa::ToSchema;

/// The parameters in effect, and what waits to take effect. `P` is the parameters themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParametersView<P> {
    /// The version's number; 0 is what a network starts with.
    pub version: u32,
    /// The hour since which it holds.
    pub from: Hour,
    /// SHA-256 of the parameters as the program writes them, in hexadecimal.
    pub digest: String,
    /// All of them.
    pub parameters: P,
    /// Versions that wait for their hour, in the order of their numbers.
    pub waiting: Vec<VersionView>,
}

/// One version of the parameters, as what it changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// Its number.
    pub version: u32,
    /// The hour from which it holds.
    pub from: Hour,
    /// SHA-256 of all parameters of this version, in hexadecimal.
    pub digest: String,
    /// What was changed: a JSON merge patch (RFC 7386) over the version before, as text.
    pub patch: String,
}

/// One version of the parameters, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WholeVersion<P> {
    /// Its number.
    pub version: u32,
    /// The hour from which it holds.
    pub from: Hour,
    /// SHA-256 of all parameters of this version, in hexadecimal.
    pub digest: String,
    /// What was changed: a JSON merge patch (RFC 7386) over the version before, as text.
    pub patch: String,
    /// All of them.
    pub parameters: P,
}

/// Changes what the network goes by. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParametersPatch {
    /// What changes: a JSON merge patch (RFC 7386) over the newest version. What it does not name stays.
    #[schema(value_type = Object)]
    pub patch: serde_json::Map<String, serde_json::Value>,
    /// From which hour on; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Hour>,
}

/// What devices cost before supply and demand. Open to everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PricesView {
    /// The version of the parameters that they follow from.
    pub version: u32,
    /// Listed models, by key.
    pub models: Vec<ModelPrice>,
    /// Devices of no listed model, by class.
    pub classes: Vec<ClassPrice>,
}

/// What one listed model costs, counts for and needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelPrice {
    /// What it is kept under: `h100-80gb-hbm3`.
    pub model: String,
    /// What people call it.
    pub name: String,
    /// Cards or a processor.
    pub kind: DeviceKind,
    /// Its class: `gpu-80gb`.
    pub class: String,
    /// What one counts for in a block.
    pub multiplier: Multiplier,
    /// Which part of a block it shares in.
    pub pool: Pool,
    /// What an hour of one card, or of a whole processor, costs in US dollars.
    pub hour: Credits,
    /// Coins that must be staked on one, so that it earns block rewards.
    pub stake_min: Coins,
}

/// What a device of no listed model costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClassPrice {
    /// The class.
    pub class: String,
    /// What an hour of one card, or of a whole processor, costs in US dollars.
    pub hour: Credits,
}

/// What a driver's name is taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegistryAnswer {
    /// The name that was asked for.
    pub name: String,
    /// Whether it is a listed model. Others are offered at the price of their class, and earn no block rewards.
    pub listed: bool,
    /// The model, if it is one that the registry knows; one that is not listed may be known all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelPrice>,
    /// What it costs when it is not listed, where the class follows from the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassPrice>,
}
