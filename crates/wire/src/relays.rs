//! Relays: what they say of themselves, what nodes saw of them, and the list.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use units::{AccountId, WorkerId};
use utoipa::ToSchema;

use crate::Time;
use crate::paper::{NodeKey, SealedPaper};

/// Relays of which one node tells what it saw.
pub const RELAYS_SEEN_MAX: usize = 16;

/// A relay says where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RelayRequest {
    /// Its key.
    pub key: NodeKey,
    /// The signature by its key of `iog relay 1` and the id of the account that registers it, each on a line of its own
    /// and without a last newline, in hexadecimal.
    pub statement: String,
    /// The machine of that account whose stake backs the relay; only the operator's have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    /// Where it takes connections: 1 to 16.
    #[schema(value_type = Vec<String>)]
    pub tcp: Vec<SocketAddr>,
    /// Where it takes packets of private networks: up to 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub udp: Vec<SocketAddr>,
    /// Services have names under this domain; absent if it has no such door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// What it carries now.
    pub load: RelayLoad,
    /// Whether it is going away: it takes nothing new.
    #[serde(default)]
    pub drains: bool,
}

/// What a relay carries, and what it could, as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RelayLoad {
    /// Machines and clients that hold a line to it.
    pub lines: u32,
    /// Streams that are open.
    pub streams: u32,
    /// Bytes per second, both ways, over the last minute.
    pub bytes_per_second: u64,
    /// Lines that it takes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines_max: Option<u32>,
}

/// A relay is in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayRegistered {
    /// What the network says of it.
    pub record: SealedPaper,
    /// By whom papers are signed.
    pub network_key: NodeKey,
    /// Say it again after so many seconds; who does not is soon gone from the list.
    pub again_secs: u64,
}

/// What a node saw of a relay that it holds a line to or tried to, since it last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RelaySeen {
    /// Which relay.
    pub key: NodeKey,
    /// The round trip, in milliseconds; absent if none came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<u32>,
    /// Packets or pings that were lost, in ten-thousandths.
    #[serde(default)]
    pub loss_bp: u16,
    /// Dials that failed.
    #[serde(default)]
    pub failed_dials: u32,
}

/// A relay of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayView {
    /// Its key.
    pub key: NodeKey,
    /// Whose it is, if that is a machine's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<AccountId>,
    /// What the network says of it, signed: where it is, and its score.
    pub record: SealedPaper,
    /// From 0 to 1000, by measurement.
    pub score: u16,
    /// The median of round trips to it, in milliseconds, if anybody measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<u32>,
    /// Lines that it holds, as it says.
    pub lines: u32,
    /// Whether it is going away.
    pub drains: bool,
    /// Since when it is in the list without a break.
    pub since: Time,
}

/// All relays, best first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelaysView {
    /// By whom records are signed.
    pub network_key: NodeKey,
    /// The relays.
    pub relays: Vec<RelayView>,
}
