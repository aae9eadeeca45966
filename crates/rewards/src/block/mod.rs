//! The hour's block: who earned what of its emission, who failed, and who was not nominated.
//!
//! # Invariants
//! - What the machines are paid, what the safety module gets and what nobody earned sum to the emission, to the unit.
//! - Only a machine that was nominated and failed no proof is paid; within a group a better score is never paid less.
//! - The order in which machines are told changes nothing, and neither do their owners: a block is not told them.

mod rules;

use serde::{Deserialize, Serialize};
use units::{Coins, DeviceKind, Multiplier, Pool, Tier, WorkerId};

use crate::rule::RuleSet;
use crate::score::NORM_TOTAL;
use units::split;

use rules::WHOLE_BP;
pub use rules::{BlockRules, EmptyGroup, GroupName, Grouping, NotBlockRules};

/// What came of one proof in the hour.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// It was asked for, and given.
    Passed,
    /// It was asked for, and not given or wrong.
    Failed,
    /// This machine was excused in this hour.
    Exempt,
    /// The network does not ask for it.
    #[default]
    NotAsked,
}

/// What came of a machine's proofs in the hour.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Proofs {
    /// Proof of work.
    pub work: Proof,
    /// Proof of time-lock: for a block, that the machine was up.
    pub time_lock: Proof,
    /// Minutes of the hour in which it was up, 0 to 60.
    pub up_minutes: u8,
}

impl Proofs {
    /// The first proof that failed.
    pub fn failure(&self) -> Option<Failure> {
        if self.work == Proof::Failed {
            Some(Failure::ProofOfWork)
        } else if self.time_lock == Proof::Failed {
            Some(Failure::TimeLock)
        } else {
            None
        }
    }
}

/// What a block is told about one machine.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Which machine.
    pub worker: WorkerId,
    /// Whether it offers cards.
    pub kind: DeviceKind,
    /// The pool of its model.
    pub pool: Pool,
    /// How it is connected.
    pub tier: Tier,
    /// How much one of its chips counts for.
    pub multiplier: Multiplier,
    /// How many chips it has.
    pub quantity: u32,
    /// Whether it was hired in the hour.
    pub hired: bool,
    /// Rules that it did not fulfil when machines were nominated; nominated if there are none.
    pub missing: RuleSet,
    /// What came of its proofs.
    pub proofs: Proofs,
}

/// What an hour brought a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// It was nominated and did what was asked.
    Earned {
        /// Its base score.
        base: u64,
        /// Its normalized score, in millionths, rounded down.
        norm: u64,
        /// What it is paid.
        payout: Coins,
    },
    /// It was nominated and failed a proof.
    Failed {
        /// Which.
        why: Failure,
    },
    /// It was not nominated.
    Missed {
        /// Why not.
        why: Missed,
    },
}

impl Outcome {
    /// What the machine is paid.
    pub const fn payout(&self) -> Coins {
        match self {
            Outcome::Earned { payout, .. } => *payout,
            Outcome::Failed { .. } | Outcome::Missed { .. } => Coins::ZERO,
        }
    }
}

/// The proof that a nominated machine failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Its proof of work.
    ProofOfWork,
    /// Its proof of time-lock.
    TimeLock,
}

/// Why a machine was not nominated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// It did not fulfil these rules.
    Rules(RuleSet),
    /// As many machines with better scores are paid as the rules allow.
    Outranked,
}

/// One machine in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What the block was told.
    pub device: Device,
    /// What came of it.
    pub outcome: Outcome,
}

/// One group in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Which.
    pub name: GroupName,
    /// What its machines are paid together.
    pub amount: Coins,
    /// The normalized scores of its machines together, in millionths.
    pub norm: u64,
    /// The base scores of its machines together.
    pub base: u128,
    /// How many of its machines earned.
    pub earned: u32,
}

/// A closed block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// What the hour emits.
    pub emission: Coins,
    /// What machines are paid.
    pub worker_emission: Coins,
    /// What the safety module gets.
    pub safety_module_emission: Coins,
    /// What nobody earned: the treasury's.
    pub unearned: Coins,
    /// The two groups.
    pub groups: [Group; 2],
    /// Every machine once, by id.
    pub rows: Vec<Row>,
}

/// How many machines a block counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Nominated machines: those that earned and those that failed.
    pub nominated: u32,
    /// Machines that earned.
    pub succeeded: u32,
    /// Machines that failed a proof.
    pub failed: u32,
    /// Machines that were not nominated.
    pub missed: u32,
    /// Machines without GPUs that earned.
    pub cpu_workers: u32,
    /// Machines with GPUs that earned.
    pub gpu_workers: u32,
    /// Cards of the machines that earned.
    pub verified_gpus: u64,
    /// Processors of the machines without GPUs that earned.
    pub verified_cpus: u64,
}

impl Block {
    /// How many machines earned, failed and missed.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.rows.iter().for_each(|row| counts.add(row));
        counts.nominated = counts.succeeded + counts.failed;
        counts
    }

    /// The row of a machine.
    pub fn row(&self, worker: WorkerId) -> Option<&Row> {
        let index = self.rows.binary_search_by_key(&worker, |row| row.device.worker).ok()?;
        self.rows.get(index)
    }
}

impl Counts {
    fn add(&mut self, row: &Row) {
        match row.outcome {
            Outcome::Failed { .. } => self.failed += 1,
            Outcome::Missed { .. } => self.missed += 1,
            Outcome::Earned { .. } => {
                self.succeeded += 1;
                let chips = u64::from(row.device.quantity);
                match row.device.kind {
                    DeviceKind::Cpu => {
                        (self.cpu_workers, self.verified_cpus) =
                            (self.cpu_workers + 1, self.verified_cpus + chips)
                    }
                    DeviceKind::Gpu => {
                        (self.gpu_workers, self.verified_gpus) =
                            (self.gpu_workers + 1, self.verified_gpus + chips)
                    }
                }
            }
        }
    }
}

/// A machine that has earned: where its row is, and its base score.
#[derive(Clone, Copy, Debug)]
struct Earner {
    row: usize,
    base: u64,
}

/// Closes the block of an hour that emits `emission`.
///
/// A machine that is told twice counts once.
pub fn close(rules: &BlockRules, emission: Coins, devices: &[Device]) -> Block {
    let mut devices = devices.to_vec();
    devices.sort_unstable();
    devices.dedup_by_key(|device| device.worker);
    let mut earners = [Vec::new(), Vec::new()];
    let mut rows: Vec<Row> = Vec::with_capacity(devices.len());
    for device in devices {
        let outcome = match standing(&device) {
            Some(outcome) => outcome,
            None => {
                let base = base(rules, &device);
                earners[rules.group_of(&device)].push(Earner { row: rows.len(), base });
                Outcome::Earned { base, norm: 0, payout: Coins::ZERO }
            }
        };
        rows.push(Row { device, outcome });
    }
    for earners in &mut earners {
        outrank(rules, earners, &mut rows);
    }
    let safety_module_emission = emission.share_floor(rules.safety_module_share_bp.min(WHOLE_BP));
    let left = emission.checked_sub(safety_module_emission).expect("a share is at most the whole");
    let groups = group(rules, left, &earners);
    for (group, earners) in groups.iter().zip(&earners) {
        pay(group, earners, &mut rows);
    }
    let paid = groups.iter().map(|group| group.amount.units()).sum();
    let worker_emission = Coins::from_units(paid);
    let unearned = left.checked_sub(worker_emission).expect("groups share what is left");
    Block { emission, worker_emission, safety_module_emission, unearned, groups, rows }
}

fn base(rules: &BlockRules, device: &Device) -> u64 {
    rules.score.base(device.tier, device.multiplier, device.quantity, device.hired)
}

/// Why a machine cannot earn, if so.
fn standing(device: &Device) -> Option<Outcome> {
    if !device.missing.is_empty() {
        return Some(Outcome::Missed { why: Missed::Rules(device.missing) });
    }
    device.proofs.failure().map(|why| Outcome::Failed { why })
}

/// Leaves as many earners as are paid, the best scores first; among equals the lower id.
fn outrank(rules: &BlockRules, earners: &mut Vec<Earner>, rows: &mut [Row]) {
    let most = rules.rewarded_max.map_or(usize::MAX, |most| most as usize);
    if earners.len() <= most {
        return;
    }
    earners.sort_unstable_by_key(|earner| (std::cmp::Reverse(earner.base), earner.row));
    for earner in earners.drain(most..) {
        rows[earner.row].outcome = Outcome::Missed { why: Missed::Outranked };
    }
    earners.sort_unstable_by_key(|earner| earner.row);
}

/// What each group gets of `left`.
fn group(rules: &BlockRules, left: Coins, earners: &[Vec<Earner>; 2]) -> [Group; 2] {
    let names = rules.groups();
    let sums = earners
        .each_ref()
        .map(|earners| earners.iter().map(|earner| u128::from(earner.base)).sum::<u128>());
    let weights = [0, 1].map(|index: usize| match rules.empty_group {
        EmptyGroup::ToOthers if sums[index] == 0 => 0,
        EmptyGroup::ToOthers | EmptyGroup::ToTreasury => u64::from(names[index].1),
    });
    let parts = |total| split(total, &weights).unwrap_or(vec![0, 0]);
    let (amounts, norms) = (parts(left.units()), parts(NORM_TOTAL));
    [0, 1].map(|index: usize| {
        let some = u64::from(sums[index] > 0);
        Group {
            name: names[index].0,
            amount: Coins::from_units(amounts[index] * some),
            norm: norms[index] * some,
            base: sums[index],
            earned: u32::try_from(earners[index].len()).unwrap_or(u32::MAX),
        }
    })
}

/// Shares a group's amount among its machines by their base scores.
fn pay(group: &Group, earners: &[Earner], rows: &mut [Row]) {
    let weights: Vec<u64> = earners.iter().map(|earner| earner.base).collect();
    let Some(parts) = split(group.amount.units(), &weights) else { return };
    for (earner, part) in earners.iter().zip(parts) {
        let norm = u128::from(group.norm) * u128::from(earner.base) / group.base;
        rows[earner.row].outcome = Outcome::Earned {
            base: earner.base,
            norm: u64::try_from(norm).expect("a part of the group's"),
            payout: Coins::from_units(part),
        };
    }
}
