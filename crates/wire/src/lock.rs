//! Records of time-lock: what a machine hands over, what those see whom it concerns, and what everyone may know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{BlobId, Hour, Money, RentalId, SlashId, WorkerId};
use utoipa::ToSchema;

use crate::{Disturbance, LogHead, Time};

/// A record of time-lock is durable: its machine need not keep it any longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LockKept {
    /// SHA-256 of its bytes.
    pub record: BlobId,
    /// Its place in the log of proofs, from 0.
    pub index: u64,
    /// How many of its minutes count.
    pub up_minutes: u8,
    /// How many do not.
    pub broken_minutes: u8,
}

/// An hour of a machine, as everyone may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceProofOfTimeLock {
    /// The machine.
    pub device_id: WorkerId,
    /// The hour: a block's id.
    pub block_id: Hour,
    /// `success`: it has as many minutes as a block asks for; else `failed`.
    pub status: String,
    /// When the last record of the hour was handed over.
    pub time_and_date: Time,
    /// Its minutes in whole percent of the hour, rounded down.
    pub uptime_percentage: u8,
    /// Minutes that some record of it shows, and none breaks.
    pub uptime_in_minutes: u8,
}

/// A record of time-lock, for those whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LockView {
    /// SHA-256 of its bytes: its id.
    pub record: BlobId,
    /// Its hash, which the next record of the span names.
    pub hash: BlobId,
    /// The machine.
    pub worker: WorkerId,
    /// The rental, if it is of one; else it is of what is idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rental: Option<RentalId>,
    /// The node's place in the rental.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    /// The hour it is of.
    pub hour: Hour,
    /// When it began, by the machine's clock.
    pub began: Time,
    /// When it ended.
    pub ended: Time,
    /// When it was handed over.
    pub kept: Time,
    /// How many records of the span came before.
    pub part: u32,
    /// `last`: it names the record before it; `gap`: records before it are missing; `other`: it is not of that chain.
    pub follows: String,
    /// How many cards it is about.
    pub cards: u8,
    /// How many of its minutes count.
    pub up_minutes: u8,
    /// How many do not.
    pub broken_minutes: u8,
    /// How many do not by reason; a minute may have several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub broken: BTreeMap<String, u8>,
    /// Minutes that its renter does not pay for.
    pub refund_minutes: u8,
    /// Of these, those that were not left out while it ran.
    pub struck_minutes: u32,
    /// Minutes that the renter would have got back, had the record come within two days of the rental's end.
    #[serde(default)]
    pub too_late_minutes: u32,
    /// Who should not have been there, in words; empty if nobody was.
    pub strangers: String,
    /// The slash it opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slash: Option<SlashId>,
    /// Its place in the log of proofs, from 0.
    pub index: u64,
}

/// A record of time-lock, and that it is in the log of proofs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LockInLog {
    /// The record.
    pub lock: LockView,
    /// Its entry, in hexadecimal: a leaf of the tree.
    pub entry: String,
    /// The log that it is in.
    pub head: LogHead,
    /// The hashes that lead from the entry to the root, the nearest first.
    pub path: Vec<BlobId>,
    /// Whether its bytes are still kept.
    pub has_record: bool,
}

/// What time-lock says of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeLockView {
    /// What disturbs it now: these minutes are not paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed: Option<Disturbance>,
    /// Minutes in which it was disturbed before, and which are not paid for.
    pub disturbed_minutes: u64,
    /// Minutes that records took from what is paid for, beside those.
    pub struck_minutes: u32,
    /// Minutes that were refunded after the rental was settled.
    pub refunded_minutes: u32,
}

/// What went back to a renter after the rental was settled, because records of time-lock said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefundView {
    /// How much.
    pub refunded: Money,
    /// What should have gone back and was not there.
    pub short: Money,
}
