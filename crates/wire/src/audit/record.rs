//! What is written down.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use units::WorkerId;
use utoipa::ToSchema;

use crate::Time;
use crate::paper::{MeshKey, NodeKey};

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Record {
    /// A connection in a private network.
    Flow(FlowRecord),
    /// A stream through a relay.
    Stream(StreamRecord),
    /// Visitors whom a relay did not let to a service.
    Refused(RefusalRecord),
    /// So many records could not be written.
    Lost(u64),
}

/// What a connection in a private network carried from one moment to another, as one end saw it; or packets that were
/// stopped there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowRecord {
    /// Which end wrote it.
    pub by: End,
    /// When the first packet came that no earlier record has.
    pub start: Time,
    /// When the last one came.
    pub end: Time,
    /// The key of the member that began.
    pub source_key: MeshKey,
    /// The key of the member that was reached.
    pub target_key: MeshKey,
    /// The protocol's number (RFC 5237).
    pub protocol: u8,
    /// The address of who began.
    #[schema(value_type = String)]
    pub source: IpAddr,
    /// Its port; 0 where there is none, and of packets that were stopped.
    pub source_port: u16,
    /// The address of who was reached.
    #[schema(value_type = String)]
    pub target: IpAddr,
    /// Its port; 0 where there is none.
    pub target_port: u16,
    /// From who began to who was reached.
    pub forth: Traffic,
    /// The other way.
    pub back: Traffic,
    /// What was decided.
    pub verdict: Verdict,
    /// Which grant of the policy file allowed it, counted from 0; absent if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<u32>,
    /// The line of the file on which the grant begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// By which version of the policy.
    pub policy: u64,
    /// Which way the packets went.
    pub path: PathName,
    /// How many records of the connection were before.
    pub part: u32,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Who began.
    Source,
    /// Who was reached.
    Target,
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// How many packets.
    pub packets: u64,
    /// How long they were together, headers of IP included.
    pub bytes: u64,
}

/// What was decided about a connection, and why there is a record of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Allowed; it goes on.
    Continues,
    /// Allowed; both ends said that it is over.
    Closed,
    /// Allowed; it was silent for too long.
    Idle,
    /// Allowed, and a new version of the policy did not.
    Revoked,
    /// Allowed; its place was needed.
    Displaced,
    /// Stopped: no grant allows it, or nothing was begun that it could belong to.
    Stopped,
    /// Stopped: it is allowed, but its peer has too many connections.
    TooMany,
}

/// Which way packets between two members go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PathName {
    /// Straight.
    Direct,
    /// Through a relay, as packets.
    RelayUdp,
    /// Through a relay, inside its connection.
    RelayTcp,
    /// Through several relays, none of which knows both ends.
    Via,
    /// There was none, or it is not known.
    None,
}

/// What a stream through a relay came to, as one side of its line saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamRecord {
    /// Which side wrote it.
    pub side: Side,
    /// The relay.
    pub relay: NodeKey,
    /// The node that serves.
    pub node: NodeKey,
    /// The machine that the node is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    /// The line's session, in hexadecimal: with the stream's number it names the stream.
    pub session: String,
    /// The stream's number on its line.
    pub stream: u32,
    /// Which service.
    pub service: String,
    /// Where the visitor came from.
    #[schema(value_type = String)]
    pub visitor: SocketAddr,
    /// Who the visitor proved to be; empty for anybody.
    pub subject: String,
    /// When it was opened, by this side's clock.
    pub opened: Time,
    /// When it was over, by this side's clock.
    pub closed: Time,
    /// Bytes from the visitor to the service.
    pub to_service: u64,
    /// Bytes from the service to the visitor.
    pub to_visitor: u64,
    /// Whether both directions came to their end; a stream that was broken off may have bytes on the way.
    pub is_whole: bool,
}

/// Visitors from one place whom a relay did not let to a service, because it is not for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalRecord {
    /// The relay.
    pub relay: NodeKey,
    /// Which service.
    pub service: String,
    /// By which door they came.
    pub door: String,
    /// Where from; of IPv6 only the first half of the address.
    #[schema(value_type = String)]
    pub visitor: IpAddr,
    /// Who the last of them proved to be; empty for anybody.
    pub subject: String,
    /// When the first of them came that no earlier record has.
    pub start: Time,
    /// When the last one came.
    pub end: Time,
    /// How often.
    pub times: u64,
}

/// Which end of a relay's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The relay.
    Relay,
    /// The node that serves.
    Node,
}

impl Verdict {
    /// Whether packets passed.
    pub const fn is_allowed(self) -> bool {
        match self {
            Self::Continues | Self::Closed | Self::Idle | Self::Revoked | Self::Displaced => true,
            Self::Stopped | Self::TooMany => false,
        }
    }

    /// As the record has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continues => "continues",
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::Revoked => "revoked",
            Self::Displaced => "displaced",
            Self::Stopped => "stopped",
            Self::TooMany => "too-many",
        }
    }
}

impl PathName {
    /// As the record has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::RelayUdp => "relay-udp",
            Self::RelayTcp => "relay-tcp",
            Self::Via => "via",
            Self::None => "none",
        }
    }
}
