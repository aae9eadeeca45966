//! Blocks: what each hour's coins came to, machine by machine, and what a machine still lacks to earn.

use serde::{Deserialize, Serialize};
use units::{Coins, DeviceKind, Hour, Money, Multiplier, Pool, Tier, WorkerId};
use utoipa::ToSchema;

use crate::Time;

/// One hour's block. A block that is open has only the first fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockView {
    /// The hour it pays for, in UTC; also its id.
    pub hour: Hour,
    /// `in-progress` while its hour runs, `processing` until the last proofs are in, `completed` once it is paid.
    pub status: String,
    /// When it closes; of an open block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Time>,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Time>,
    /// The version of the parameters it went by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Machines nominated for it.
    pub nominated_workers: u32,
    /// Machines that earned.
    #[serde(default)]
    pub succeeded: u32,
    /// Machines that were nominated and failed a proof.
    #[serde(default)]
    pub failed: u32,
    /// Machines that were not nominated.
    #[serde(default)]
    pub missed: u32,
    /// Machines with GPUs that earned.
    #[serde(default)]
    pub num_gpu_workers: u32,
    /// Machines without GPUs that earned.
    #[serde(default)]
    pub num_cpu_workers: u32,
    /// Cards of machines that earned.
    #[serde(default)]
    pub verified_gpus: u64,
    /// Processors of machines that earned.
    #[serde(default)]
    pub verified_cpus: u64,
    /// What the hour emits.
    pub total_block_emission: Coins,
    /// What machines were paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_emission: Option<Coins>,
    /// What the safety module was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety_module_emission: Option<Coins>,
    /// The safety module's share, in ten-thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety_module_share_bp: Option<u16>,
    /// What nobody earned: it went to the treasury.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unearned: Option<Coins>,
    /// The two groups.
    #[serde(default)]
    pub groups: Vec<BlockGroup>,
    /// The root of the tree over the lines of its statement, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// SHA-256 of the header of its statement: what the next block calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_sha256: Option<String>,
    /// What the header calls the block before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_sha256: Option<String>,
}

/// One group of machines in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockGroup {
    /// Which: `enterprise` and `community`, or `gpu` and `cpu`.
    pub name: String,
    /// What its machines were paid together.
    pub amount: Coins,
    /// The normalized scores of its machines together, in millionths.
    pub norm: u64,
    /// The base scores of its machines together, as text: it may be more than a JSON number holds.
    pub base: String,
    /// How many of its machines earned.
    pub earned: u32,
}

/// All blocks together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlocksSummary {
    /// How many blocks are closed.
    pub blocks_computed: u32,
    /// What all blocks have emitted.
    pub emitted: Coins,
    /// What the blocks of today's hours have, in UTC, as far as they are closed.
    pub emitted_today: Coins,
    /// The block that closes next; none before the coin's beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<BlockView>,
    /// The newest closed block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<BlockView>,
}

/// What an hour brought one machine. Never whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockWorker {
    /// The block.
    pub hour: Hour,
    /// The machine.
    pub worker: WorkerId,
    /// `earned`, `failed` or `missed`.
    pub status: String,
    /// The proof it failed, or `outranked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Rules that kept it from being nominated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Whether it offers cards.
    pub device_type: DeviceKind,
    /// The pool of its model.
    pub pool: Pool,
    /// How it is connected.
    pub connectivity_tier: Tier,
    /// How much one of its chips counts for.
    pub multiplier: Multiplier,
    /// How many chips it has.
    pub quantity: u32,
    /// Whether it was hired in the hour.
    pub hired: bool,
    /// What came of its proof of work: `passed`, `failed`, `exempt` or `not-asked`.
    pub proof_of_work: String,
    /// What came of its proof of time-lock.
    pub time_lock: String,
    /// Minutes of the hour in which it was up.
    pub up_minutes: u8,
    /// Its base score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// Its normalized score, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<u64>,
    /// What it was paid.
    pub payout: Coins,
    /// Its line in the block's statement.
    pub line: String,
}

/// Shows that a machine's line is in a block whose header the network signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockProof {
    /// The block.
    pub hour: Hour,
    /// The machine.
    pub worker: WorkerId,
    /// Its line: the leaf's bytes.
    pub line: String,
    /// The line's place among all lines, from 0.
    pub index: u64,
    /// The hashes that lead from the leaf to the root, the nearest first, in hexadecimal.
    pub path: Vec<String>,
    /// The header, which says how many lines there are and which root they have.
    pub header: String,
    /// The ed25519 signature of the header's bytes, in hexadecimal.
    pub signature: String,
    /// The key it was made with, in hexadecimal: compare it with what you know of the network.
    pub public_key: String,
}

/// The network's own key: it signs the headers of blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkKey {
    /// `ed25519`.
    pub algorithm: String,
    /// The public key, in hexadecimal.
    pub public_key: String,
}

/// One rule that a machine must fulfil to earn in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyRule {
    /// Which.
    pub rule: String,
    /// Whether it is fulfilled, or the machine is excused from it.
    pub check: bool,
    /// Whether it is not fulfilled, but excused.
    pub exempt: bool,
    /// Why, and what to do.
    pub reason: String,
}

/// Whether a machine would be nominated now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyView {
    /// The machine.
    pub worker: WorkerId,
    /// Whether every rule is fulfilled or excused.
    pub block_rewards_ready: bool,
    /// Every rule, in order.
    pub rules: Vec<ReadyRule>,
}

/// What a machine earned in a span of hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerRewards {
    /// The machine.
    pub worker: WorkerId,
    /// The first hour.
    pub from: Hour,
    /// The hour after the last.
    pub to: Hour,
    /// Blocks in which it earned.
    pub earned: u32,
    /// Blocks in which it failed a proof.
    pub failed: u32,
    /// Blocks for which it was not nominated.
    pub missed: u32,
    /// What it was paid in all.
    pub payout: Coins,
    /// The same by day, oldest first; days without a block of it are left out.
    pub days: Vec<DayRewards>,
}

/// What a machine earned in a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayRewards {
    /// The day in UTC, as in `2025-03-05`.
    pub day: String,
    /// Blocks in which it earned.
    pub earned: u32,
    /// Blocks in which it failed a proof.
    pub failed: u32,
    /// Blocks for which it was not nominated.
    pub missed: u32,
    /// What it was paid.
    pub payout: Coins,
}

/// What blocks have paid somebody and they have not claimed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RewardsView {
    /// All of it.
    pub claimable: Coins,
    /// Machine by machine.
    pub items: Vec<MachineRewards>,
    /// Ask again with this `cursor` for more machines; absent when these are the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What was earned with one machine and is not claimed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineRewards {
    /// The machine.
    pub worker: WorkerId,
    /// How much.
    pub amount: Coins,
}

/// Claims rewards: all of them, so many coins, or those of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// So many coins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Coins>,
    /// All that was earned with this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
}

/// What is there after a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimAnswer {
    /// What can still be claimed.
    pub claimable: Coins,
    /// What the account can spend.
    pub balance: Money,
}

/// Says what came of a machine's proof. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofRequest {
    /// Which: `cluster`, `work` or `vram`.
    pub proof: String,
    /// Whether it was right and in time.
    pub passed: bool,
    /// When its task was given; now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// What its owner should know of it.
    #[serde(default)]
    pub note: String,
}

/// Excuses a machine from rules for a time. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExemptionRequest {
    /// From which rules; with none, all that it was excused from is taken back.
    pub rules: Vec<String>,
    /// From when on; from now on if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Until when; without it, until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Why, for its owner.
    pub reason: String,
}

/// Shuts a machine out of blocks and of the market, or lets it in again. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockedRequest {
    /// Why, for its owner; without a reason it is let in.
    pub reason: Option<String>,
}
