//! Who belongs to a private network.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{MeshId, Name};
use utoipa::ToSchema;

use super::kind::{Paper, Unsound, sound, whole};
use super::limits::{
    LABEL_BYTES_MAX, LABELS_MAX, MEMBER_RELAYS_MAX, MEMBERSHIP_BYTES_MAX, MEMBERSHIP_VALID_MAX,
};
use super::mesh_key::MeshKey;
use super::node_key::NodeKey;
use crate::Time;

/// The block that members' IPv4 addresses are of: shared address space (RFC 6598), which no host on the Internet has.
pub const MESH_V4: (Ipv4Addr, u8) = (Ipv4Addr::new(100, 64, 0, 0), 10);

/// A node belongs to a private network, under these addresses and keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The private network.
    pub mesh: MeshId,
    /// The node's key.
    pub node: NodeKey,
    /// The key that packets to it are sealed for.
    pub x25519: MeshKey,
    /// What it is called in the network: `NAME.mesh`.
    pub name: Name,
    /// Its IPv4 address, of 100.64.0.0/10; no other member of its mesh has it.
    #[schema(value_type = String)]
    pub v4: Ipv4Addr,
    /// Its IPv6 address, which follows from the mesh and the node's key: see [`mesh_v6`].
    #[schema(value_type = String)]
    pub v6: Ipv6Addr,
    /// Groups of its owner: `group:research`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// What it is: `tag:gpu`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// How packets to it may be sealed, best first.
    pub suites: Vec<SuiteName>,
    /// Keys of relays it can be reached through, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<NodeKey>,
    /// Of two memberships of one node in one mesh, the one with the higher serial holds.
    pub serial: u64,
    /// When this was signed.
    pub issued: Time,
    /// From when on it no longer holds.
    pub expires: Time,
}

/// How packets of a mesh are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SuiteName {
    /// WireGuard's own: ChaCha20-Poly1305.
    Wireguard,
    /// AES-256-GCM, between nodes of this network.
    Aes256gcm,
}

impl Paper for Membership {
    const KIND: &'static str = "membership";
    const BYTES_MAX: usize = MEMBERSHIP_BYTES_MAX;
    const VALID_MAX: Duration = MEMBERSHIP_VALID_MAX;

    fn issued(&self) -> Time {
        self.issued
    }

    fn expires(&self) -> Time {
        self.expires
    }

    fn check(&self) -> Result<(), Unsound> {
        sound(is_mesh_v4(self.v4), "v4", "an address of 100.64.0.0/10")?;
        let v6 = mesh_v6(self.mesh, &self.node);
        sound(self.v6 == v6, "v6", "the address that follows from mesh and key")?;
        let are_labels = |labels: &BTreeSet<String>, kind: &str| {
            labels.len() <= LABELS_MAX && labels.iter().all(|label| is_label(label, kind))
        };
        sound(are_labels(&self.groups, "group:"), "groups", "at most 32 of `group:name`")?;
        sound(are_labels(&self.tags, "tag:"), "tags", "at most 32 of `tag:name`")?;
        let distinct: BTreeSet<_> = self.suites.iter().collect();
        let each_once = distinct.len() == self.suites.len() && !distinct.is_empty();
        sound(each_once, "suites", "at least one, each once")?;
        sound(self.relays.len() <= MEMBER_RELAYS_MAX, "relays", "at most 8 keys")?;
        whole(self.serial, "serial")
    }
}

/// Whether it is in [`MESH_V4`].
fn is_mesh_v4(address: Ipv4Addr) -> bool {
    let (block, bits) = MESH_V4;
    (address.to_bits() ^ block.to_bits()) >> (32 - bits) == 0
}

/// Whether it is `kind` and a word of letters, digits, `-`, `_` and `.`.
fn is_label(text: &str, kind: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let word = text.strip_prefix(kind).unwrap_or_default();
    !word.is_empty() && text.len() <= LABEL_BYTES_MAX && word.bytes().all(is_known)
}

/// The network of the operator's own machines: its id follows from the network's key, so that those of two operators
/// can be told apart.
pub fn operator_mesh(network_key: &NodeKey) -> MeshId {
    let hash = blake3::derive_key("iog mesh 1 operator", &network_key.0);
    let (bits, _) = hash.split_first_chunk::<16>().expect("a hash has 32 bytes");
    MeshId::from_bits(u128::from_be_bytes(*bits))
}

/// The first bits of the addresses of one mesh: 4,096 of them.
const MESH_V4_BITS: u8 = 20;
/// Where in a mesh's block its resolver is, which answers for `*.mesh`.
pub const MESH_V4_RESOLVER_AT: u16 = 1;
/// From where in a mesh's block on its nodes are, by number. What is before is for the network's own use.
pub const MESH_V4_NODES_AT: u16 = 16;
/// From where in a mesh's block on its clients are.
pub const MESH_V4_CLIENTS_AT: u16 = 2_064;

/// The IPv4 block of a mesh: one of the 1,024 of [`MESH_V4`], which follows from the mesh's id. Two meshes may have
/// the same: an address means something only within its mesh.
pub fn mesh_v4_block(mesh: MeshId) -> (Ipv4Addr, u8) {
    let hash = blake3::derive_key("iog mesh 1 block", &mesh.bits().to_be_bytes());
    let (all, bits) = MESH_V4;
    let blocks = 1 << (MESH_V4_BITS - bits);
    let index = u32::from(u16::from_be_bytes([hash[5], hash[6]])) % blocks;
    (Ipv4Addr::from_bits(all.to_bits() + (index << (32 - MESH_V4_BITS))), MESH_V4_BITS)
}

/// The address at this place of a mesh's block; `None` if it has no such place.
pub fn mesh_v4(mesh: MeshId, at: u16) -> Option<Ipv4Addr> {
    let (block, bits) = mesh_v4_block(mesh);
    let is_in = u32::from(at) < 1 << (32 - bits);
    is_in.then(|| Ipv4Addr::from_bits(block.to_bits() + u32::from(at)))
}

/// The IPv6 block of a mesh: unique local addresses (RFC 4193), whose 40 bits of global id follow from the mesh's id.
pub fn mesh_v6_block(mesh: MeshId) -> (Ipv6Addr, u8) {
    let hash = blake3::derive_key("iog mesh 1 block", &mesh.bits().to_be_bytes());
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(&hash[..5]);
    (octets.into(), 48)
}

/// The IPv6 address of a node in a mesh: the mesh's block, and 80 bits that follow from mesh and key.
pub fn mesh_v6(mesh: MeshId, node: &NodeKey) -> Ipv6Addr {
    let mut hash = blake3::Hasher::new_derive_key("iog mesh 1 address");
    hash.update(&mesh.bits().to_be_bytes()).update(&node.0);
    let mut octets = mesh_v6_block(mesh).0.octets();
    octets[6..].copy_from_slice(&hash.finalize().as_bytes()[..10]);
    octets.into()
}
