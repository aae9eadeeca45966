//! What a renter decides about the network of its rentals.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use units::{MeshId, Name, Timestamp};

use super::nouns::Rental;
use crate::record::{ServiceProto, ServiceRecord};

/// Where Ray's dashboard listens on a head.
const DASHBOARD_PORT: u16 = 8_265;
/// Where a node's SSH is reached; whoever keeps the node stands there.
const SSH_PORT: u16 = 22;

/// What may pass in the private networks of a project, or in that of the operator's machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPolicy {
    /// Grows with every change; 0 before the first.
    pub version: u64,
    /// The policy file; none for the usual policy.
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    pub file: Option<Arc<str>>,
    /// When it was changed last.
    pub changed: Timestamp,
}

impl NetworkPolicy {
    /// The version after this one.
    pub(crate) fn followed_by(&self, file: Option<String>, changed: Timestamp) -> Self {
        Self { version: self.version + 1, file: file.map(Into::into), changed }
    }
}

fn write_text<S: Serializer>(text: &Option<Arc<str>>, out: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(out)
}

fn read_text<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Arc<str>>, D::Error> {
    Ok(<Option<String>>::deserialize(input)?.map(Into::into))
}

/// A service of a rental: what of its cluster can be visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What it is.
    pub record: ServiceRecord,
    /// Whether it is there without having been asked for.
    pub is_standing: bool,
}

/// Whether a label is one of services that every rental has: `dashboard`, `ssh`, `ssh-1` and so on.
pub(crate) fn is_standing(label: &Name) -> bool {
    let label = label.text();
    label == "dashboard" || label == "ssh" || label.starts_with("ssh-")
}

impl Rental {
    /// Its private network, if it has one.
    pub fn mesh(&self) -> Option<MeshId> {
        self.has_mesh.then(|| MeshId::from_bits(self.id.bits()))
    }

    /// Its services, those that every rental has among them; none without a private network.
    pub fn all_services(&self) -> impl Iterator<Item = (Name, Service)> {
        let nodes = if self.has_mesh { self.nodes.len() } else { 0 };
        let opened = self.services.iter().map(|(label, service)| (label.clone(), *service));
        standing(nodes).chain(opened)
    }
}

/// The services that every rental of so many nodes has.
pub(crate) fn standing(nodes: usize) -> impl Iterator<Item = (Name, Service)> {
    let of = |node: u32, port: u16, proto: ServiceProto| Service {
        record: ServiceRecord { node, port, proto, is_public: false, wants_proxy_header: false },
        is_standing: true,
    };
    let name = |text: String| text.parse::<Name>().expect("a short word of small letters");
    let nodes = u32::try_from(nodes).expect("an order has at most 1,024 nodes");
    let ssh = (0..nodes).map(move |node| {
        let label = if node == 0 { "ssh".to_owned() } else { format!("ssh-{node}") };
        (name(label), of(node, SSH_PORT, ServiceProto::Ssh))
    });
    let dashboard = (name("dashboard".to_owned()), of(0, DASHBOARD_PORT, ServiceProto::Http));
    std::iter::once(dashboard).filter(move |_| nodes > 0).chain(ssh)
}
