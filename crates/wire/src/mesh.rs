//! Private networks of rentals: how nodes and clients ask for their papers, and what is seen of a network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use units::{MeshId, Name, RentalId};
use utoipa::ToSchema;

use crate::Time;
use crate::paper::{MeshKey, NodeKey, SealedPaper, SuiteName};
use crate::relays::{RelaySeen, RelayView};
use crate::service::{ServiceSeen, ServiceView, ServiceWanted};

/// Ways that one member tells of.
pub const WAYS_MAX: usize = 64;
/// Tags that one of the operator's machines asks for.
pub const OPERATOR_TAGS_MAX: usize = 16;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A rented node asks for its papers, and says how it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeNetworkRequest {
    /// The node's own key.
    pub key: NodeKey,
    /// The key that packets to it are sealed for.
    pub x25519: MeshKey,
    /// The signature by its key of `iog node 1`, the machine's id, the rental's id, the node's number and `x25519`,
    /// each on a line of its own and without a last newline, in hexadecimal.
    pub statement: String,
    /// That it has the private half of `x25519`, for the network: BLAKE3 with a key that only the two can work out, of
    /// its key and the statement, in hexadecimal.
    pub proof: String,
    /// How packets to it may be sealed, best first.
    pub suites: Vec<SuiteName>,
    /// Relays that it holds lines to, best first: up to 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<NodeKey>,
    /// Where its services stand, by label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<Name, ServiceSeen>,
    /// How it reaches other members: up to 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// What it saw of relays: up to 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<RelaySeen>,
    /// The last membership that it was given, if it has one that still holds: a server whose clock was set back goes on
    /// from its serial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<SealedPaper>,
    /// The revision that it knows: answer when there is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<u64>,
    /// The epoch of that revision, if it has all members of it: then it may be told those alone that are others since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Whether it only says how it does: then it is told nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tells_only: bool,
    /// Or after so many seconds, at most 30.
    #[serde(default)]
    pub wait_secs: u64,
}

/// What a rented node needs to be in its private network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeNetwork {
    /// Grows when anything below is other than it was, or is to be renewed.
    pub revision: u64,
    /// Revisions of another epoch say nothing of what is other since.
    pub epoch: u64,
    /// If `members` are those alone that are others than at this revision, which the question named; absent if they are
    /// all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Who was a member since then and is none any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<NodeKey>,
    /// That it belongs to its network, and under which addresses.
    pub membership: SealedPaper,
    /// What may pass at it. Absent if that is as it was at `since`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<SealedPaper>,
    /// What it may do at relays.
    pub pass: SealedPaper,
    /// Memberships of all members, its own included: who is not among them is no member any more. With `since`, of
    /// those alone that are others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<SealedPaper>,
    /// Records of relays, best first.
    pub relays: Vec<SealedPaper>,
    /// The services it is to publish; those that are not here end.
    pub services: Vec<ServiceWanted>,
    /// By whom papers are signed.
    pub network_key: NodeKey,
    /// Ask again after so many seconds at the latest, to have papers renewed.
    pub renew_secs: u64,
}

/// How a member reaches another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Way {
    /// Whom.
    pub peer: NodeKey,
    /// How.
    pub kind: WayKind,
    /// To which address its packets go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<SocketAddr>,
    /// Over which relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<NodeKey>,
    /// The round trip, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_micros: Option<u64>,
    /// Packets that were lost lately, in ten-thousandths.
    #[serde(default)]
    pub loss_bp: u16,
    /// Why this way and no better one, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What kind of way it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WayKind {
    /// Packets go straight from one to the other.
    Direct,
    /// Packets go over a relay that forwards UDP.
    Relayed,
    /// Packets go over the line to a relay, by TCP.
    Stream,
    /// Packets go through another member, which cannot read them, since the policy says so.
    Hop,
    /// There is none at the moment.
    None,
}

/// A renter's client asks for papers for a rental.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientNetworkRequest {
    /// The client's own key.
    pub key: NodeKey,
    /// The signature by its key of `iog client 1`, the rental's id, and `x25519` or `-`, each on a line of its own and
    /// without a last newline, in hexadecimal.
    pub statement: String,
    /// The key that packets to it are sealed for, if it is to be a member of the private network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x25519: Option<MeshKey>,
    /// That it has the private half of `x25519`, for the network: BLAKE3 with a key that only the two can work out, of
    /// its key and the statement, in hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub proof: String,
    /// How packets to it may be sealed, best first; `wireguard` if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<SuiteName>,
    /// Relays that it holds lines to, best first: up to 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<NodeKey>,
    /// An SSH key, as OpenSSH writes public keys, that is to be certified for this rental.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<String>,
    /// How it reaches members: up to 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// The last membership that it was given, if it has one that still holds: a server whose clock was set back goes on
    /// from its serial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<SealedPaper>,
    /// The revision that it knows: answer when there is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<u64>,
    /// The epoch of that revision, if it has all members of it: then it may be told those alone that are others since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Whether it only says how it does: then it is told nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tells_only: bool,
    /// Or after so many seconds, at most 30.
    #[serde(default)]
    pub wait_secs: u64,
}

/// One of the operator's machines asks for papers of the operator's own network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorNetworkRequest {
    /// The machine's own key.
    pub key: NodeKey,
    /// The signature by its key of `iog client 1`, the word `operator`, and `x25519`, each on a line of its own and
    /// without a last newline, in hexadecimal.
    pub statement: String,
    /// The key that packets to it are sealed for.
    pub x25519: MeshKey,
    /// That it has the private half of `x25519`, for the network: BLAKE3 with a key that only the two can work out, of
    /// its key and the statement, in hexadecimal.
    pub proof: String,
    /// What it is to be called: `NAME.mesh`. No two members have the same.
    pub name: Name,
    /// What it is to policies, without `tag:`: up to 16.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Name>,
    /// How packets to it may be sealed, best first; `wireguard` if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<SuiteName>,
    /// Relays that it holds lines to, best first: up to 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<NodeKey>,
    /// How it reaches members: up to 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// The last membership that it was given, if it has one that still holds: a server whose clock was set back goes on
    /// from its serial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<SealedPaper>,
    /// The revision that it knows: answer when there is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<u64>,
    /// The epoch of that revision, if it has all members of it: then it may be told those alone that are others since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Whether it only says how it does: then it is told nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tells_only: bool,
    /// Or after so many seconds, at most 30.
    #[serde(default)]
    pub wait_secs: u64,
}

/// What a renter's client needs to visit a rental, or one of the operator's machines to be in the operator's network.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientNetwork {
    /// Grows when anything below is other than it was, or is to be renewed.
    pub revision: u64,
    /// Revisions of another epoch say nothing of what is other since.
    pub epoch: u64,
    /// If `members` are those alone that are others than at this revision, which the question named; absent if they are
    /// all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Who was a member since then and is none any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<NodeKey>,
    /// What it may do at relays.
    pub pass: SealedPaper,
    /// That it belongs to the private network, if it asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<SealedPaper>,
    /// What may pass at it, if it is a member. Absent if that is as it was at `since`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<SealedPaper>,
    /// Memberships of all members, its own included, if it is one: who is not among them is no member any more. With
    /// `since`, of those alone that are others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<SealedPaper>,
    /// Records of relays, best first.
    pub relays: Vec<SealedPaper>,
    /// The rental's services; the operator's network has none.
    pub services: Vec<ServiceView>,
    /// A certificate of OpenSSH for the key that was sent, by the network's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_certificate: Option<String>,
    /// What Ray's dashboard and its API ask visitors of a rental for. Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_token: Option<String>,
    /// By whom papers are signed.
    pub network_key: NodeKey,
    /// Ask again after so many seconds at the latest, to have papers renewed.
    pub renew_secs: u64,
}

/// Without the secret.
impl std::fmt::Debug for ClientNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientNetwork")
            .field("revision", &self.revision)
            .field("members", &self.members.len())
            .field("relays", &self.relays.len())
            .field("services", &self.services)
            .field("network_key", &self.network_key)
            .finish_non_exhaustive()
    }
}

/// What a member of a private network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemberKind {
    /// A node of the rental.
    Node,
    /// A renter's client.
    Client,
    /// One of the operator's machines.
    Machine,
}

/// The private network of a rental, or that of the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeshView {
    /// The rental; absent for the operator's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rental: Option<RentalId>,
    /// Its private network; absent if its nodes use their hosts' networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshId>,
    /// The block of its IPv4 addresses, `ADDRESS/BITS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v4_block: Option<String>,
    /// The block of its IPv6 addresses, `ADDRESS/BITS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6_block: Option<String>,
    /// The version of the policy in effect; 0 for the usual one.
    pub policy_version: u64,
    /// Its members: nodes by number, then clients.
    pub members: Vec<MemberOfMesh>,
    /// Relays, best first.
    pub relays: Vec<RelayView>,
}

/// A member of a private network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberOfMesh {
    /// Its name: `NAME.mesh`.
    pub name: Name,
    /// What it is.
    pub kind: MemberKind,
    /// What it is to policies: `tag:head`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Its key.
    pub key: NodeKey,
    /// Its IPv4 address.
    #[schema(value_type = String)]
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    #[schema(value_type = String)]
    pub v6: Ipv6Addr,
    /// Relays that lead to it, best first.
    pub relays: Vec<NodeKey>,
    /// How it reaches others, as it says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// Since when it is a member.
    pub since: Time,
    /// When it was last heard of.
    pub heard: Time,
}

/// What may pass in the private networks of a project, or in the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkPolicyRequest {
    /// The policy file: at most 64 KiB of `HuJSON`.
    pub policy: String,
}

/// The policy of a project's private networks, or of the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkPolicyView {
    /// The policy file.
    pub policy: String,
    /// Grows with every change; 0 for the usual policy, which nobody has written.
    pub version: u64,
    /// When it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Time>,
}
