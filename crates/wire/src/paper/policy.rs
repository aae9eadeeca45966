//! What may pass at one node.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::MeshId;
use utoipa::ToSchema;

use super::kind::{Paper, Unsound, sound, whole};
use super::limits::{POLICY_BYTES_MAX, POLICY_RANGES_MAX, POLICY_RULES_MAX, POLICY_VALID_MAX};
use super::mesh_key::MeshKey;
use super::node_key::NodeKey;
use super::range::AddressRange;
use crate::Time;

/// What may pass at one node of a private network; everything else may not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyPaper {
    /// The private network.
    pub mesh: MeshId,
    /// The node it is for.
    pub node: NodeKey,
    /// Of two policies for one node of one mesh, the one with the higher version holds.
    pub version: u64,
    /// What may pass, in the order of the grants it comes from.
    pub rules: Vec<PolicyRule>,
    /// When this was signed.
    pub issued: Time,
    /// From when on it no longer holds.
    pub expires: Time,
}

/// Connections that may be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    /// Which grant of the policy file it comes from, counted from 0.
    pub grant: u32,
    /// The line of the file on which that grant begins, counted from 1.
    pub line: u32,
    /// Who begins.
    pub heading: Heading,
    /// Addresses on the node's side.
    pub local: Vec<AddressRange>,
    /// Addresses on the other side.
    pub remote: Vec<AddressRange>,
    /// Protocols, and ports of the one who is connected to.
    pub ports: Vec<PortRange>,
    /// Members that carry it to addresses that are no member's; none where it goes straight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<MeshKey>,
    /// What the grant says to applications: values by the name of a capability.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub app: BTreeMap<String, Vec<serde_json::Value>>,
}

/// Who begins a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Heading {
    /// The other side: the node is connected to.
    In,
    /// The node.
    Out,
}

/// A protocol and its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// The number of the protocol (RFC 5237).
    pub protocol: u8,
    /// The first port; 0 where the protocol has none.
    pub first: u16,
    /// The last port, which belongs to it; 65535 where the protocol has none.
    pub last: u16,
}

impl Paper for PolicyPaper {
    const KIND: &'static str = "policy";
    const BYTES_MAX: usize = POLICY_BYTES_MAX;
    const VALID_MAX: Duration = POLICY_VALID_MAX;

    fn issued(&self) -> Time {
        self.issued
    }

    fn expires(&self) -> Time {
        self.expires
    }

    fn check(&self) -> Result<(), Unsound> {
        sound(self.rules.len() <= POLICY_RULES_MAX, "rules", "at most 4096")?;
        let ranges = |rule: &PolicyRule| rule.local.len() + rule.remote.len() + rule.ports.len();
        let ranges: usize = self.rules.iter().map(ranges).sum();
        sound(ranges <= POLICY_RANGES_MAX, "rules", "of at most 32768 ranges together")?;
        let in_order = |port: &PortRange| port.first <= port.last;
        let ports_in_order = self.rules.iter().flat_map(|rule| &rule.ports).all(in_order);
        sound(ports_in_order, "ports", "a first port and a last one that is not before it")?;
        whole(self.version, "version")
    }
}
