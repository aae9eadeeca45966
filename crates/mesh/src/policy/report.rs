//! What became of connections, for the record.

use std::net::IpAddr;

use units::Timestamp;

use super::flow::{Count, Track};
use super::tables::Allowed;
use crate::guard::Direction;
use crate::key::PublicKey;

/// What a connection carried from one moment to another, or packets that were stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowReport {
    /// When the first packet came that no earlier report has.
    pub start: Timestamp,
    /// When the last one came.
    pub end: Timestamp,
    /// The other end.
    pub peer: PublicKey,
    /// Who began: this node if `Out`.
    pub began: Direction,
    /// The address on this node's side.
    pub local: IpAddr,
    /// The address on the other side.
    pub remote: IpAddr,
    /// The protocol's number.
    pub protocol: u8,
    /// This node's port; 0 where there is none, and of what was stopped on its way out.
    pub local_port: u16,
    /// The other side's port; 0 where there is none, and of what was stopped on its way in.
    pub remote_port: u16,
    /// What this node sent.
    pub sent: Count,
    /// What it was sent.
    pub received: Count,
    /// What allowed it; nothing allowed what was stopped.
    pub allowed: Option<Allowed>,
    /// By which version of the policy.
    pub version: u64,
    /// How many reports of the connection were before.
    pub part: u32,
    /// Why there is a report.
    pub why: Why,
}

/// Why there is a report of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It goes on, and has for a while.
    Continues,
    /// Both ends said that it is over.
    Closed,
    /// It was silent for too long.
    Idle,
    /// A new version of the policy does not allow it.
    Revoked,
    /// Its place was needed.
    Displaced,
    /// No grant allows it, or nothing was begun that it could belong to.
    Stopped,
    /// It is allowed, but its peer has too many connections.
    TooMany,
}

impl FlowReport {
    /// What a connection carried that no earlier report has.
    pub(super) const fn of(track: &Track, why: Why) -> Self {
        Self {
            start: track.since,
            end: track.last,
            peer: track.peer,
            began: track.began,
            local: track.key.local,
            remote: track.key.remote,
            protocol: track.key.protocol,
            local_port: track.key.local_port,
            remote_port: track.key.remote_port,
            sent: track.sent,
            received: track.received,
            allowed: Some(track.allowed),
            version: track.version,
            part: track.part,
            why,
        }
    }
}
