//! What renters decide about the network of their rentals, as the journal keeps it.

use serde::{Deserialize, Serialize};

/// What visitors of a service speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceProto {
    /// HTTP by host name.
    Http,
    /// TLS by host name.
    Tls,
    /// SSH by jump host.
    Ssh,
    /// TCP on a leased port.
    Tcp,
    /// UDP on a leased port.
    Udp,
}

/// A service of a rental.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRecord {
    /// The node it is on.
    pub node: u32,
    /// The port that it listens on there.
    pub port: u16,
    /// What its visitors speak.
    pub proto: ServiceProto,
    /// Whether anybody may visit, and not the members of the project alone.
    pub is_public: bool,
    /// Whether it wants to be told who visits, by the PROXY protocol.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wants_proxy_header: bool,
}
