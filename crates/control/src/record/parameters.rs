//! Everything that the network goes by and that its people may change.

use market::{FeeRules, OracleRules, Registry};
use rewards::block::BlockRules;
use rewards::emission::EmissionRules;
use serde::{Deserialize, Serialize};
use stakes::StakeRules;

/// The parameters: one set, changed by patches, each with the hour from which it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// What the network takes for its services.
    pub fees: FeeRules,
    /// The models of devices: what they cost, what they count for, what they may do while idle.
    pub registry: Registry,
    /// When a rate between coins and dollars is believed.
    pub oracle: OracleRules,
    /// How many coins each hour brings.
    pub emission: EmissionRules,
    /// How the coins of an hour are shared out.
    pub blocks: BlockRules,
    /// What must be staked, and how long it stays.
    pub stakes: StakeRules,
}

impl Parameters {
    /// Refuses what makes no sense, in words that say where.
    ///
    /// # Errors
    /// The first group that does not, and why.
    pub fn check(&self) -> Result<(), String> {
        fn named<E: std::fmt::Display>(group: &str, checked: Result<(), E>) -> Result<(), String> {
            checked.map_err(|why| format!("{group}: {why}"))
        }
        named("fees", self.fees.check())?;
        named("registry", self.registry.check())?;
        named("oracle", self.oracle.check())?;
        named("emission", self.emission.check())?;
        named("blocks", self.blocks.check())?;
        named("stakes", self.stakes.check())
    }
}
