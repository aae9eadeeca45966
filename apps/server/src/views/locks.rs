//! Records of time-lock in the read tables, and what is shown of them.
//!
//! A record is one row by its place in the log of proofs, which belongs to its machine, and one that belongs to its
//! rental; a pointer to it by its id; one row for each hour of the machine, which everyone may see; and the hashes of
//! the log's tree that it completed.

use std::collections::BTreeMap;

use control::{Control, DisturbedBy, DisturbedRecord, Follows, LockRecord, Locked, Node, Rental};
use proofs::lock::Action;
use proofs::log::LockEntry;
use serde::{Deserialize, Serialize};
use units::{BlobId, Hour, Money, SlashId, WorkerId};
use wire::{DeviceProofOfTimeLock, Disturbance, LockView, NodeLockView, RefundView, Time};

use super::{NETWORK, json, proofs as log};
use crate::journal::Row;

/// Records, by their place in the log; each belongs to its machine.
pub(crate) const LOCK_ROWS: &str = "time-lock";
/// The same, each of its rental.
pub(crate) const LOCK_RENTAL_ROWS: &str = "time-lock-rental";
/// Places in the log, by record.
pub(crate) const LOCK_RECORD_ROWS: &str = "time-lock-record";
/// Hours of machines, by hour and machine; each belongs to its machine.
pub(crate) const LOCK_HOUR_ROWS: &str = "time-lock-hour";

/// A record as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LockRow {
    pub(crate) index: u64,
    pub(crate) worker: WorkerId,
    pub(crate) lock: LockRecord,
    pub(crate) follows: Follows,
    pub(crate) struck: u32,
    /// Rows from before it was counted have none.
    #[serde(default)]
    pub(crate) too_late: u32,
    pub(crate) slash: Option<SlashId>,
}

/// An hour of a machine as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct HourRow {
    worker: WorkerId,
    hour: Hour,
    at: Time,
    up: u8,
    holds: bool,
}

impl LockRow {
    fn of(locked: &Locked) -> Self {
        Self {
            index: locked.index,
            worker: locked.worker,
            lock: locked.lock.clone(),
            follows: locked.follows,
            struck: locked.refunded_minutes,
            too_late: locked.too_late_minutes,
            slash: locked.slash,
        }
    }

    /// What the log says of it.
    pub(crate) fn entry(&self) -> LockEntry {
        let LockRecord { record, hash, hour, kept, .. } = &self.lock;
        LockEntry {
            worker: self.worker,
            hour: hour.number().into(),
            kept_ms: kept.millis(),
            record: *record,
            hash: *hash.sha256(),
        }
    }
}

/// The rows of a record that was just logged.
pub(crate) fn lock_rows(state: &Control, locked: &Locked) -> Vec<Row> {
    let (id, whole) = (log::proof_id(locked.index), json(&LockRow::of(locked)));
    let row = |kind, id: String, owner: String, body| Row { kind, id, owner, body: Some(body) };
    let worker = locked.worker.to_string();
    let mut rows = vec![
        row(LOCK_ROWS, id.clone(), worker.clone(), whole.clone()),
        row(
            LOCK_RECORD_ROWS,
            locked.lock.record.to_string(),
            NETWORK.to_owned(),
            json(&locked.index),
        ),
    ];
    if let Some(rental) = locked.lock.rental {
        rows.push(row(LOCK_RENTAL_ROWS, id, rental.to_string(), whole));
    }
    if let Some(up) = locked.hour_up {
        let (hour, at) = (locked.lock.hour, Time(locked.lock.kept));
        let holds = up >= state.parameters().checklist.time_lock_minutes_min;
        let body = json(&HourRow { worker: locked.worker, hour, at, up, holds });
        let id = format!("{:08x}/{worker}", hour.number());
        rows.push(row(LOCK_HOUR_ROWS, id, worker, body));
    }
    let node = |full: &proofs::log::Full| {
        let id = log::node_id(full.height, full.index);
        row(log::PROOF_NODE_ROWS, id, NETWORK.to_owned(), json(&full.hash))
    };
    rows.extend(locked.nodes.iter().map(node));
    rows
}

/// Who is told of a record: the machine's owner, if anything follows from it. The operator hears everything.
pub(crate) fn lock_events(state: &Control, locked: &Locked) -> Vec<(String, Vec<u8>)> {
    let decision = locked.lock.summary.decide(&state.parameters().time_lock);
    if decision.action == Action::Nothing && locked.follows == Follows::Last {
        return Vec::new();
    }
    let view = lock_view(&LockRow::of(locked));
    let event = serde_json::json!({ "kind": "time-lock", "id": view.record, "view": view });
    let owner = state.worker(locked.worker).map(|worker| worker.owner.to_string());
    owner.map(|to| (to, json(&event))).into_iter().collect()
}

/// A record's row read back.
pub(crate) fn lock_row(body: &[u8]) -> Option<LockRow> {
    serde_json::from_slice(body).ok()
}

/// A record, for those whom it concerns.
pub(crate) fn lock_view(row: &LockRow) -> LockView {
    let LockRecord { record, hash, rental, node, part, hour, summary, strangers, .. } = &row.lock;
    let broken: BTreeMap<String, u8> = summary
        .broken
        .iter()
        .map(|(why, minutes)| (why.text().to_owned(), minutes.count()))
        .collect();
    LockView {
        record: *record,
        hash: BlobId::from_sha256(*hash.sha256()),
        worker: row.worker,
        rental: *rental,
        node: rental.map(|_| *node),
        hour: *hour,
        began: Time(row.lock.began),
        ended: Time(row.lock.ended),
        kept: Time(row.lock.kept),
        part: *part,
        follows: row.follows.text().to_owned(),
        cards: row.lock.cards,
        up_minutes: summary.up().count(),
        broken_minutes: summary.broken().count(),
        broken,
        refund_minutes: summary.refunded().count(),
        struck_minutes: row.struck,
        too_late_minutes: row.too_late,
        strangers: strangers.clone(),
        slash: row.slash,
        index: row.index,
    }
}

/// An hour of a machine, as everyone may see it.
pub(crate) fn lock_hour(body: &[u8]) -> Option<DeviceProofOfTimeLock> {
    let HourRow { worker, hour, at, up, holds } = serde_json::from_slice(body).ok()?;
    let percent = u32::from(up) * 100 / 60;
    Some(DeviceProofOfTimeLock {
        device_id: worker,
        block_id: hour,
        status: if holds { "success" } else { "failed" }.to_owned(),
        time_and_date: at,
        uptime_percentage: u8::try_from(percent).unwrap_or(100),
        uptime_in_minutes: up,
    })
}

/// What a machine says disturbs a node.
pub(crate) fn disturbed_record(said: &Disturbance) -> DisturbedRecord {
    let Disturbance { why, since: Time(since) } = *said;
    let why = match why {
        wire::DisturbedBy::Foreign => DisturbedBy::Foreign,
        wire::DisturbedBy::CardLost => DisturbedBy::CardLost,
    };
    DisturbedRecord { why, since }
}

fn disturbance(record: DisturbedRecord) -> Disturbance {
    let why = match record.why {
        DisturbedBy::Foreign => wire::DisturbedBy::Foreign,
        DisturbedBy::CardLost => wire::DisturbedBy::CardLost,
    };
    Disturbance { why, since: Time(record.since) }
}

/// What time-lock says of a node, if it says anything.
pub(crate) fn node_lock(node: &Node) -> Option<NodeLockView> {
    let lock = &node.lock;
    let view = NodeLockView {
        disturbed: lock.disturbed.map(disturbance),
        disturbed_minutes: lock.disturbed_for.as_secs() / 60,
        struck_minutes: lock.struck(),
        refunded_minutes: lock.refunded,
    };
    let minutes =
        view.disturbed_minutes + u64::from(view.struck_minutes) + u64::from(view.refunded_minutes);
    (view.disturbed.is_some() || minutes > 0).then_some(view)
}

/// What went back after a rental was settled, if anything did.
pub(crate) fn refund(rental: &Rental) -> Option<RefundView> {
    let refunded = rental.refund();
    let short = Money::new(refunded.asset, rental.refund_short);
    (refunded.units > 0 || short.units > 0).then_some(RefundView { refunded, short })
}
