//! What a stream came to, as one side of its line saw it.

use std::net::SocketAddr;

use units::Timestamp;

use crate::name::ServiceName;

/// Bytes of a stream, each way.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// From the visitor to the service.
    pub to_service: u64,
    /// From the service to the visitor.
    pub to_visitor: u64,
}

/// What a stream came to, as one side of its line saw it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamRecord {
    /// The line's session, in hexadecimal: with the stream's number it names the stream.
    pub session: String,
    /// The stream's number on its line.
    pub stream: u32,
    /// Which service.
    pub service: ServiceName,
    /// Where the visitor came from.
    pub visitor: SocketAddr,
    /// Who the visitor proved to be; empty for anybody.
    pub subject: String,
    /// When it was opened, by this side's clock.
    pub opened: Timestamp,
    /// When it was over, by this side's clock.
    pub closed: Timestamp,
    /// What it carried: what this side handed to the line and took from it.
    pub traffic: Traffic,
    /// Whether both directions came to their end; a stream that was broken off may have bytes on the way.
    pub is_whole: bool,
}
