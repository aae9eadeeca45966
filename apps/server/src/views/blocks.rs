//! Blocks: their rows in the read tables, and what is shown of them.
//!
//! A closed block is one row with its header, and one row for each machine with its line. Both are kept as the text
//! that was hashed, so that a statement of any age is its rows, joined; what else is shown is read from that text.

use control::{Closed, Control};
use proofs::company::Found;
use rewards::block::{Group, Missed, Outcome, Row as Machine};
use rewards::checklist::is_ready;
use rewards::emission::Emission;
use rewards::rule::Rule;
use rewards::statement::{Header, text};
use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, Hour, Timestamp, WorkerId};
use wire::{
    BlockGroup, BlockView, BlockWorker, BlocksSummary, MachineRewards, ReadyRule, ReadyView,
    RewardsView, Time,
};

use super::{NETWORK, json};
use crate::journal::Row;

/// The kind of the rows of blocks, by hour.
pub(crate) const BLOCK_ROWS: &str = "block";
/// The kind of the rows of machines in blocks, by hour and machine; each belongs to its machine.
pub(crate) const REWARD_ROWS: &str = "block-reward";

/// Hours of a day.
const DAY_HOURS: u32 = 24;

/// A block as it is kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct BlockRow {
    pub(crate) closed_at: Time,
    pub(crate) version: u32,
    /// The header of its statement.
    pub(crate) header: String,
}

/// A machine in a block as it is kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct RewardRow {
    /// The place of its line.
    pub(crate) index: u64,
    /// Its line in the statement, without the newline.
    pub(crate) line: String,
}

/// What a machine's row in a block is kept under: rows of one hour stand together, by machine.
pub(crate) fn reward_id(hour: Hour, worker: &str) -> String {
    format!("{hour}/{worker}")
}

/// The rows of a block that was just closed, the block's own last: who finds it finds all of them.
pub(crate) fn block_rows(closed: &Closed) -> Vec<Row> {
    let Closed { at, version, header, rows } = closed;
    let machine = |(index, row): (u64, &Machine)| {
        let worker = row.device.worker.to_string();
        Row {
            kind: REWARD_ROWS,
            id: reward_id(header.hour, &worker),
            owner: worker,
            body: Some(json(&RewardRow { index, line: row.to_string() })),
        }
    };
    let block = BlockRow { closed_at: Time(*at), version: *version, header: header.to_string() };
    let own = Row {
        kind: BLOCK_ROWS,
        id: header.hour.to_string(),
        owner: NETWORK.to_owned(),
        body: Some(json(&block)),
    };
    (0..).zip(rows).map(machine).chain([own]).collect()
}

/// A block's row read back.
pub(crate) fn block_row(body: &[u8]) -> Option<(BlockRow, Header)> {
    let row: BlockRow = serde_json::from_slice(body).ok()?;
    let (header, _) = text::read(&row.header).ok()?;
    Some((row, header))
}

/// A machine's row read back.
pub(crate) fn reward_row(body: &[u8]) -> Option<RewardRow> {
    serde_json::from_slice(body).ok()
}

/// A closed block.
pub(crate) fn closed_block(row: &BlockRow, header: &Header) -> BlockView {
    let counts = header.counts;
    BlockView {
        hour: header.hour,
        status: "completed".to_owned(),
        closes_at: None,
        closed_at: Some(row.closed_at),
        version: Some(row.version),
        nominated_workers: counts.nominated,
        succeeded: counts.succeeded,
        failed: counts.failed,
        missed: counts.missed,
        num_gpu_workers: counts.gpu_workers,
        num_cpu_workers: counts.cpu_workers,
        verified_gpus: counts.verified_gpus,
        verified_cpus: counts.verified_cpus,
        total_block_emission: header.emission,
        worker_emission: Some(header.worker_emission),
        safety_module_emission: Some(header.safety_module_emission),
        safety_module_share_bp: Some(header.rules.safety_module_share_bp),
        unearned: Some(header.unearned),
        groups: header.groups.iter().map(group).collect(),
        root: Some(header.root.to_string()),
        header_sha256: Some(header.hash().to_string()),
        previous_sha256: header.previous.map(|previous| previous.to_string()),
    }
}

fn group(group: &Group) -> BlockGroup {
    BlockGroup {
        name: group.name.text().to_owned(),
        amount: group.amount,
        norm: group.norm,
        base: group.base.to_string(),
        earned: group.earned,
    }
}

/// Blocks that are not closed, newest first: the one that closes next, and, while that is processed, the hours after
/// it.
pub(crate) fn open_blocks(state: &Control, now: Timestamp) -> Vec<BlockView> {
    let Some(open) = state.economy().blocks.open else { return Vec::new() };
    let nominated = state.economy().blocks.nominated;
    let newest = Hour::of(now).max(open);
    // Only after a long rest of the server are there more; then they are closed within moments.
    let hours = newest.since(open).min(DAY_HOURS);
    let view = |later| {
        let hour = open.later(later);
        let status = if now < hour.end() { "in-progress" } else { "processing" };
        open_block(state, hour, status, if later == 0 { nominated } else { 0 })
    };
    (0..=hours).rev().map(view).collect()
}

fn open_block(state: &Control, hour: Hour, status: &str, nominated: u32) -> BlockView {
    let parameters = state.parameters();
    let schedule = Emission::new(&parameters.emission);
    BlockView {
        hour,
        status: status.to_owned(),
        closes_at: Some(Time(rewards::stage::closes_at(&parameters.blocks, hour))),
        closed_at: None,
        version: None,
        nominated_workers: nominated,
        succeeded: 0,
        failed: 0,
        missed: 0,
        num_gpu_workers: 0,
        num_cpu_workers: 0,
        verified_gpus: 0,
        verified_cpus: 0,
        total_block_emission: schedule.map_or(Coins::ZERO, |schedule| schedule.block(hour)),
        worker_emission: None,
        safety_module_emission: None,
        safety_module_share_bp: None,
        unearned: None,
        groups: Vec::new(),
        root: None,
        header_sha256: None,
        previous_sha256: None,
    }
}

/// All blocks together, without the newest closed one.
pub(crate) fn blocks_summary(state: &Control, now: Timestamp) -> BlocksSummary {
    let economy = state.economy();
    let first = economy.genesis.as_ref().map(|genesis| genesis.first_hour);
    let computed = economy.blocks.open.zip(first).map_or(0, |(open, first)| open.since(first));
    let midnight = Hour::of(now).number() / DAY_HOURS * DAY_HOURS;
    let today = economy.blocks.closed.iter().filter(|block| block.hour.number() >= midnight);
    let sum = today.map(|block| block.emission.units()).sum();
    BlocksSummary {
        blocks_computed: computed,
        emitted: economy.blocks.emitted,
        emitted_today: Coins::from_units(sum),
        next: open_blocks(state, now).pop(),
        last: None,
    }
}

/// What an hour brought a machine, as its line says.
pub(crate) fn block_worker(hour: Hour, row: RewardRow) -> Option<BlockWorker> {
    let Machine { device, outcome } = text::read_row(&row.line)?;
    let (status, reason) = status(&outcome);
    let (base, norm) = match outcome {
        Outcome::Earned { base, norm, .. } => (Some(base), Some(norm)),
        Outcome::Failed { .. } | Outcome::Missed { .. } => (None, None),
    };
    Some(BlockWorker {
        hour,
        worker: device.worker,
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        missing: device.missing.iter().map(|rule| rule.to_string()).collect(),
        device_type: device.kind,
        pool: device.pool,
        connectivity_tier: device.tier,
        multiplier: device.multiplier,
        quantity: device.quantity,
        hired: device.hired,
        proof_of_work: device.proofs.work.text().to_owned(),
        time_lock: device.proofs.time_lock.text().to_owned(),
        up_minutes: device.proofs.up_minutes,
        base,
        norm,
        payout: outcome.payout(),
        line: row.line,
    })
}

/// An outcome in words, and why, where the rules it missed do not say it.
pub(crate) const fn status(outcome: &Outcome) -> (&'static str, Option<&'static str>) {
    match outcome {
        Outcome::Earned { .. } => ("earned", None),
        Outcome::Failed { why } => ("failed", Some(why.text())),
        Outcome::Missed { why: Missed::Rules(_) } => ("missed", None),
        Outcome::Missed { why: Missed::Outranked } => ("missed", Some("outranked")),
    }
}

/// Whether a machine would be nominated now, every rule with its reason.
pub(crate) fn ready(state: &Control, worker: WorkerId, now: Timestamp) -> Option<ReadyView> {
    let rows = state.ready(worker, now)?;
    let block_rewards_ready = is_ready(&rows);
    let rule = |row: rewards::checklist::Checked| ReadyRule {
        rule: row.rule.to_string(),
        check: row.check,
        exempt: row.exempt,
        reason: row.reason,
    };
    Some(ReadyView { worker, block_rewards_ready, rules: rows.into_iter().map(rule).collect() })
}

/// Adds to what is said of proofs that a machine may be another one, too. No rule is missed by that.
pub(crate) fn suspect(view: &mut ReadyView, found: &Found) {
    let other = if found.one == view.worker { found.other } else { found.one };
    let (meetings, together) = (found.meetings, found.together);
    let rule = Rule::ProofOfWork.to_string();
    for row in view.rules.iter_mut().filter(|row| row.rule == rule) {
        let more = format!(
            "; called together with {other} {meetings} times, both passed {together} times: they look like one card, \
             which is a suspicion and no evidence"
        );
        row.reason.push_str(&more);
    }
}

/// What somebody has not claimed yet, machines after `after`.
pub(crate) fn unclaimed(
    state: &Control,
    account: AccountId,
    after: Option<WorkerId>,
    limit: usize,
) -> RewardsView {
    let accruals = &state.economy().accruals;
    let later = |(worker, _): &(WorkerId, Coins)| after.is_none_or(|after| *worker > after);
    let mut items: Vec<MachineRewards> = accruals
        .of_account(account)
        .filter(later)
        .take(limit + 1)
        .map(|(worker, amount)| MachineRewards { worker, amount })
        .collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| last.worker.to_string());
    RewardsView { claimable: accruals.account_total(account), items, next }
}
