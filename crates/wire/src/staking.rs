//! Coins at stake: on machines by their owners, beside them by co-stakers, and in the safety module.

use serde::{Deserialize, Serialize};
use units::{Coins, Name, OfferId, WorkerId};
use utoipa::ToSchema;

use crate::Time;

/// What is staked on one machine, for who staked it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceStakeView {
    /// The machine.
    pub worker: WorkerId,
    /// What it is called; absent once it has left the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What it is: `8x H100 PCIe`; absent once it has left the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What must be staked on it, so that it earns block rewards.
    pub need: Coins,
    /// What counts for it: own and co-staked coins, without what is locked or cools down.
    pub have: Coins,
    /// Whether that is enough.
    pub sufficient: bool,
    /// Of what counts, the owner's.
    pub own: Coins,
    /// Of what counts, the co-staker's.
    pub co_staked: Coins,
    /// Until when the co-staker's coins count, where the co-staker leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub co_staked_until: Option<Time>,
    /// What the owner may take out at any time, without a cooldown.
    pub overflow: Coins,
    /// What slashes lock.
    pub locked: Coins,
    /// What cools down, or has and was not withdrawn.
    pub cooling: Vec<CoolingView>,
    /// Of these, what the owner may withdraw now.
    pub withdrawable: Coins,
    /// Whether a renter has it: it cannot be unstaked then.
    pub hired: bool,
}

/// Coins that no longer count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CoolingView {
    /// How many.
    pub coins: Coins,
    /// From when on they can be withdrawn.
    pub withdrawable_at: Time,
    /// The offer that they were staked by, for a co-staker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferId>,
}

/// Stakes or unstakes so many coins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StakeRequest {
    /// How many.
    pub coins: Coins,
}

/// Takes out what a machine does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverflowRequest {
    /// How many.
    pub coins: Coins,
    /// What to do when that is more than the overflow: unstake the machine, whole; else the request is refused.
    #[serde(default)]
    pub unstake: bool,
}

/// All stakes on machines together. Open to everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StakingMetrics {
    /// What counts for machines.
    pub staked: Coins,
    /// What cools down, or has and was not withdrawn.
    pub cooling: Coins,
    /// What slashes lock, rewards included.
    pub locked: Coins,
    /// The three together: what lies in the purse of stakes.
    pub total: Coins,
    /// Machines in the network on which anything counts.
    pub devices_staked: u64,
    /// Of these, machines that have what they need.
    pub devices_full: u64,
    /// Of these, machines with a co-staker.
    pub devices_co_staked: u64,
}

/// An owner's offer of a share of a machine's rewards for a part of its stake, as everyone sees it. Open to everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CoStakeOffer {
    /// Its id.
    pub id: OfferId,
    /// The machine.
    pub worker: WorkerId,
    /// What the machine is: `8x H100 PCIe`.
    pub device: String,
    /// How many cards it has; 0 for one that offers its processor.
    pub number_of_gpu: u32,
    /// What the machine needs in all.
    pub need: Coins,
    /// The part of that need that is asked for, in ten-thousandths.
    pub portion_bp: u16,
    /// The coins that is, by the need when the offer was made.
    pub coins: Coins,
    /// The co-staker's share of the machine's block rewards, in ten-thousandths.
    pub share_bp: u16,
    /// Where it stands: `sufficient-waiting`, `insufficient-waiting`, `sufficient-active`, `insufficient-active`,
    /// `unstaked-covered`, `unstaked-uncovered`, `in-cooldown`, `withdrawn` or `closed`.
    pub status: String,
    /// The same in words.
    pub status_text: String,
    /// Whether the owner must act for the machine to go on earning.
    pub alarm: bool,
    /// When it was made.
    pub created_at: Time,
    /// How reliable the machine was, in ten-thousandths; absent where too little is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reliability_bp: Option<u16>,
    /// What the machine has earned in the last seven days.
    pub device_week: Coins,
    /// What the co-staker would get of that.
    pub co_staker_week: Coins,
    /// How many blocks of the last seven days have tried it.
    pub blocks_seen: u32,
}

/// Makes an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CoStakeRequest {
    /// The machine.
    pub worker: WorkerId,
    /// The part of its need that is asked for, in ten-thousandths: above 0, at most what the network's rules say.
    pub portion_bp: u16,
    /// The share of its block rewards that is given for it, in ten-thousandths: above 0, at most 10000.
    pub share_bp: u16,
}

/// On which side of an offer one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfferSide {
    /// One's own machine.
    Owner,
    /// One's coins beside somebody else's.
    CoStaker,
}

/// An offer, as its owner and its co-staker see it. Neither is told who the other is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CoStakeView {
    /// What everyone sees of it.
    pub offer: CoStakeOffer,
    /// On which side one stands.
    pub side: OfferSide,
    /// The co-staker's coins that count or cool down.
    pub held: Coins,
    /// From when on the co-staker earns, once it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Time>,
    /// Until when the co-staker earned, once that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earned_until: Option<Time>,
    /// Until when the co-staker's coins count, where the co-staker leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_until: Option<Time>,
    /// From when on the co-staker's coins can be withdrawn, where they leave or cool down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawable_at: Option<Time>,
}

/// The safety module as a whole. Open to everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SafetyMetrics {
    /// What all members stake.
    pub staked: Coins,
    /// Everything in its purse: staked, cooling down, and rewards nobody has claimed.
    pub total: Coins,
    /// What the blocks of the last seven days gave it.
    pub given_week: Coins,
    /// What a year like that would give, in ten-thousandths of what is staked; absent while nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apr_bp: Option<u64>,
    /// Its share of every block, in ten-thousandths.
    pub block_share_bp: u16,
    /// Days from unstaking to withdrawing.
    pub cooldown_days: u16,
    /// The least a member stakes.
    pub stake_min: Coins,
}

/// What one account has in the safety module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SafetyView {
    /// What it stakes.
    pub staked: Coins,
    /// What it has earned and may claim.
    pub claimable: Coins,
    /// What cools down, or has and was not withdrawn.
    pub cooling: Vec<CoolingView>,
    /// Of these, what it may withdraw now.
    pub withdrawable: Coins,
}
