//! What a block is closed by: points, groups and their shares.

use serde::{Deserialize, Serialize};
use units::{DeviceKind, Pool};

use super::Device;
use crate::score::{NotAScore, ScoreRules};

/// The whole, in basis points.
pub(super) const WHOLE_BP: u16 = 10_000;

/// A block's constants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockRules {
    /// Points for what.
    pub score: ScoreRules,
    /// What divides machines into two groups. io.net: by kind at first, by pool since June 2025.
    pub grouping: Grouping,
    /// The share of machines with GPUs, in basis points, when grouped by kind; the others have the rest. io.net: 95 %.
    pub gpu_share_bp: u16,
    /// The share of the enterprise pool, in basis points, when grouped by pool; the community has the rest. io.net:
    /// 95 %.
    pub enterprise_share_bp: u16,
    /// The safety module's share of every block, in basis points, taken before all others.
    pub safety_module_share_bp: u16,
    /// Where the share of a group goes in which nobody earned.
    pub empty_group: EmptyGroup,
    /// How many machines of a group are paid at most, the best scores first. Without it, all.
    pub rewarded_max: Option<u32>,
    /// Seconds between the end of an hour and the closing of its block, so that the last proofs can arrive. Observed:
    /// 35 to 60.
    pub close_delay_secs: u32,
}

impl Default for BlockRules {
    fn default() -> Self {
        Self {
            score: ScoreRules::default(),
            grouping: Grouping::Pool,
            gpu_share_bp: 9_500,
            enterprise_share_bp: 9_500,
            safety_module_share_bp: 300,
            empty_group: EmptyGroup::ToOthers,
            rewarded_max: None,
            close_delay_secs: 35,
        }
    }
}

/// What divides machines into groups, each with a share of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grouping {
    /// Machines with GPUs, and those without.
    Kind,
    /// Data-center cards, and the others.
    Pool,
}

/// Where a share goes that nobody of its group earned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyGroup {
    /// To the other group, if that has a share of its own.
    ToOthers,
    /// To the treasury.
    ToTreasury,
}

/// Why rules for blocks are refused. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBlockRules {
    /// The points are nonsense.
    #[error(transparent)]
    Score(#[from] NotAScore),
    /// A share is more than the whole.
    #[error("`{field}` is at most 10000, not {found}")]
    Share {
        /// Which.
        field: &'static str,
        /// What was asked for.
        found: u16,
    },
    /// No machine would be paid.
    #[error("`rewarded_max` is at least 1; leave it out to pay all")]
    NobodyRewarded,
    /// A block would close after the next one.
    #[error("`close_delay_secs` is less than 3600, not {found}")]
    CloseDelay {
        /// What was asked for.
        found: u32,
    },
}

impl BlockRules {
    /// Refuses nonsense.
    pub fn check(&self) -> Result<(), NotBlockRules> {
        self.score.check()?;
        let shares = [
            ("gpu_share_bp", self.gpu_share_bp),
            ("enterprise_share_bp", self.enterprise_share_bp),
            ("safety_module_share_bp", self.safety_module_share_bp),
        ];
        if let Some((field, found)) = shares.into_iter().find(|(_, share)| *share > WHOLE_BP) {
            return Err(NotBlockRules::Share { field, found });
        }
        if self.rewarded_max == Some(0) {
            return Err(NotBlockRules::NobodyRewarded);
        }
        if self.close_delay_secs >= 3_600 {
            return Err(NotBlockRules::CloseDelay { found: self.close_delay_secs });
        }
        Ok(())
    }

    /// The two groups and their shares in basis points, the first group first.
    pub fn groups(&self) -> [(GroupName, u16); 2] {
        let (first, second, share) = match self.grouping {
            Grouping::Kind => (GroupName::Gpu, GroupName::Cpu, self.gpu_share_bp),
            Grouping::Pool => {
                (GroupName::Enterprise, GroupName::Community, self.enterprise_share_bp)
            }
        };
        let share = share.min(WHOLE_BP);
        [(first, share), (second, WHOLE_BP - share)]
    }

    pub(super) fn group_of(&self, device: &Device) -> usize {
        let first = match self.grouping {
            Grouping::Kind => device.kind == DeviceKind::Gpu,
            Grouping::Pool => device.pool == Pool::Enterprise,
        };
        usize::from(!first)
    }
}

/// What a group is called.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum GroupName {
    /// Machines with GPUs.
    Gpu,
    /// Machines without.
    Cpu,
    /// Data-center cards and the fastest of the others.
    Enterprise,
    /// All others that are listed.
    Community,
}
