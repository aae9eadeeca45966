//! Services of rentals: what of a cluster can be visited through tunnels.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use units::{Name, RentalId};
use utoipa::ToSchema;

use crate::paper::NodeKey;

/// The longest label of a service, in bytes: with the rental's id it is one label of a host name.
pub const SERVICE_LABEL_BYTES_MAX: usize = 36;

/// What a service of a rental is called everywhere: its label, and the rental's id without its first word.
///
/// As `tunnel::ServiceName::of_rental` makes it.
pub fn service_name(label: &Name, rental: RentalId) -> String {
    let id = rental.to_string();
    let tail = id.split_once('_').map_or(id.as_str(), |(_, tail)| tail);
    format!("{label}-{tail}")
}

/// What visitors of a service speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceProto {
    /// HTTP by host name; the relay ends TLS.
    Http,
    /// TLS by host name; the service ends TLS.
    Tls,
    /// SSH by jump host.
    Ssh,
    /// TCP, on a leased port.
    Tcp,
    /// UDP, on a leased port.
    Udp,
}

impl ServiceProto {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Http, Self::Tls, Self::Ssh, Self::Tcp, Self::Udp];

    /// As it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Ssh => "ssh",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Who may visit a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceVisibility {
    /// The members of the renter's project.
    Private,
    /// Anybody who knows where it is.
    Public,
}

/// Opens a service of a rental, or changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceRequest {
    /// The node it is on; 0, the head, if absent.
    #[serde(default)]
    pub node: u32,
    /// The port that it listens on there.
    pub port: u16,
    /// What its visitors speak.
    pub proto: ServiceProto,
    /// Who may visit.
    pub visibility: ServiceVisibility,
    /// Whether it wants to be told who visits, by the PROXY protocol; for `tls` and `tcp`.
    #[serde(default)]
    pub wants_proxy_header: bool,
}

/// A service that a node is to publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceWanted {
    /// Its label: with the rental's id, its name.
    pub label: Name,
    /// The port that it listens on in the node. The agent's own SSH server stands at the port of `ssh`.
    pub port: u16,
    /// What its visitors speak.
    pub proto: ServiceProto,
    /// Who may visit.
    pub visibility: ServiceVisibility,
    /// Whether it wants the PROXY protocol.
    #[serde(default)]
    pub wants_proxy_header: bool,
}

/// Where a service stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// A relay takes visitors for it.
    Open,
    /// Its node has not published it yet.
    Waiting,
    /// It cannot be published, or nothing listens there: the reason says which.
    Refused,
}

/// Where a service stands, as its node says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSeen {
    /// Where it stands.
    pub state: ServiceState,
    /// Why, if it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The relays that serve it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<ServedAt>,
}

/// That a relay serves a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServedAt {
    /// Which relay.
    pub relay: NodeKey,
    /// The port that it leased to the service, for `tcp` and `udp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A service of a rental, for those who may visit it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceView {
    /// Its label.
    pub label: Name,
    /// Its whole name, which is also a label of its host names.
    pub name: String,
    /// The node it is on.
    pub node: u32,
    /// The port that it listens on there.
    pub port: u16,
    /// What its visitors speak.
    pub proto: ServiceProto,
    /// Who may visit.
    pub visibility: ServiceVisibility,
    /// Whether it is told who visits, by the PROXY protocol.
    #[serde(default)]
    pub wants_proxy_header: bool,
    /// Whether it is there without having been asked for.
    pub standing: bool,
    /// Where it is visited: `https://NAME.DOMAIN` for `http`, `NAME.DOMAIN:PORT` for `tls`, `DOMAIN:PORT` of jump
    /// hosts for `ssh`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Leased ports, for `tcp` and `udp`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub ports: BTreeSet<SocketAddr>,
    /// The key that it shows to visitors, for `ssh`, as OpenSSH writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// Where it stands.
    pub state: ServiceState,
    /// Why, if it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_label_and_the_rentals_id() {
        let name = service_name(&"jupyter".parse().unwrap(), RentalId::from_bits(35));
        assert_eq!(name, "jupyter-00000000000000000000000013");
    }

    #[test]
    fn the_longest_label_is_still_one_label_of_a_host_name() {
        let label: Name = "x".repeat(SERVICE_LABEL_BYTES_MAX).parse().unwrap();
        assert_eq!(service_name(&label, RentalId::from_bits(u128::MAX)).len(), 63);
    }
}
