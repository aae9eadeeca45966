//! What machines say, and what they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use units::{
    AccountId, BlobId, Certification, Country, GpuModel, InviteId, JobId, MeshId, Name, RentalId,
    Resources, Tier, WorkerId,
};
use utoipa::ToSchema;

use crate::Time;

/// Invites one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// Whose machine it will be; by default, the one who asks. Operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Hours in which it can be used, at most 720; 24 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_hours: Option<u32>,
    /// The machine that comes again, with a new key, under the name it has; a new machine if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<WorkerId>,
}

/// A new invitation, with its token: shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InviteIssued {
    /// What `iog worker join` takes.
    pub token: String,
    /// The invitation.
    pub invite: InviteView,
}

/// An invitation, without its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InviteView {
    /// Its id.
    pub id: InviteId,
    /// Whose machine it is for.
    pub account: AccountId,
    /// Until when it can be used.
    pub expires: Time,
    /// Which machine used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<WorkerId>,
    /// Which machine comes again with it; a new one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<WorkerId>,
}

/// What a machine is, as its agent found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// What it offers.
    pub offers: Resources,
    /// The model of its cards, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<GpuModel>,
    /// Memory of each card, in mebibytes.
    pub vram_mib: u64,
    /// The model of its processor.
    pub cpu_model: String,
    /// Its operating system.
    pub os: String,
    /// The country it says it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// How fast it is connected.
    pub tier: Tier,
    /// What somebody vouches for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub certifications: BTreeSet<Certification>,
    /// What it has, whatever of it is on offer, and what its agent runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
}

/// What a machine has, whatever of it is on offer, and what its agent runs on. Releases are up to three numbers with
/// dots between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Memory, in mebibytes.
    pub memory_mib: u64,
    /// The disk of its data folder, in mebibytes.
    pub disk_mib: u64,
    /// The driver of its cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The newest CUDA that the driver serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuda: Option<String>,
    /// Its agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Whether it can give nodes a network of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mesh: bool,
}

/// A machine takes up an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The invitation's token.
    pub token: String,
    /// What to call the machine.
    pub name: Name,
    /// Its ed25519 public key, in hexadecimal.
    pub public_key: BlobId,
    /// What its hardware hashes to, in hexadecimal.
    pub fingerprint: BlobId,
    /// What it is.
    pub machine: Machine,
    /// The signature of `iog join 1`, the token, the fingerprint and the machine's name, each on a line of its own
    /// and without a last newline, in hexadecimal: whoever joins has the private key.
    pub signature: String,
}

/// A machine has joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinAnswer {
    /// Its id from now on.
    pub worker: WorkerId,
}

/// A machine wants to speak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengeRequest {
    /// Which one.
    pub worker: WorkerId,
}

/// What it must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Challenge {
    /// 64 hexadecimal digits, good for one minute and one use.
    pub challenge: String,
}

/// It signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// Which machine.
    pub worker: WorkerId,
    /// What it was given.
    pub challenge: String,
    /// The signature of `iog session 1`, the worker's id and the challenge, each on a line of its own and without a
    /// last newline, in hexadecimal.
    pub signature: String,
}

/// It may speak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// What to send as `Authorization: Bearer …`.
    pub token: String,
    /// For how long, in seconds.
    pub valid_secs: u64,
    /// Beats of this session count from here: above every beat of an earlier one.
    pub beats_from: u64,
}

/// How far a node has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum NodePhase {
    /// Not part of its cluster yet.
    Starting,
    /// Takes work.
    Ready,
    /// Could not start, or died.
    Gone {
        /// Why.
        reason: String,
    },
}

/// One node on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeSeen {
    /// The rental.
    pub rental: RentalId,
    /// The node's place in it.
    pub node: u32,
    /// How far it has come.
    pub phase: NodePhase,
    /// Where the cluster's head listens, if it is the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub head: Option<SocketAddr>,
    /// That it is not its renter's alone at the moment: these minutes are not paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed: Option<Disturbance>,
}

/// That a node is not its renter's alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disturbance {
    /// By what.
    pub why: DisturbedBy,
    /// Since when, by the machine's clock.
    pub since: Time,
}

/// What disturbs a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DisturbedBy {
    /// Somebody else is on its cards.
    Foreign,
    /// One of its cards does not answer.
    CardLost,
}

/// How far a job has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum JobPhase {
    /// Not started.
    Pending,
    /// Runs.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed {
        /// Why.
        message: String,
    },
    /// Was stopped.
    Stopped,
}

/// One job on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSeen {
    /// Which one.
    pub job: JobId,
    /// How far it has come.
    pub phase: JobPhase,
}

/// Everything a machine sees of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Beat {
    /// Grows with every beat.
    pub number: u64,
    /// The newest revision of what is wanted that it has acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Its nodes.
    pub nodes: Vec<NodeSeen>,
    /// Their jobs.
    pub jobs: Vec<JobSeen>,
}

/// The answer to a beat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BeatAnswer {
    /// When to speak next at the latest.
    pub next_beat_secs: u64,
    /// The newest revision of what is wanted.
    pub revision: u64,
}

/// Everything that should run on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Wanted {
    /// Grows with every change that the machine must act on.
    pub revision: u64,
    /// The nodes.
    pub nodes: Vec<NodeWanted>,
}

/// A node that should run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeWanted {
    /// The rental.
    pub rental: RentalId,
    /// Its place; 0 is the head.
    pub node: u32,
    /// How many nodes the cluster has.
    pub nodes: u32,
    /// What it may use.
    pub resources: Resources,
    /// Its cards, by index.
    pub gpus: Vec<u32>,
    /// Where the head listens, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub head: Option<SocketAddr>,
    /// The private network that it is in; absent if it uses its host's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshId>,
    /// What the nodes of the cluster prove themselves to each other with. Secret.
    pub cluster_token: String,
    /// Jobs to drive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobWanted>,
}

/// A job that should run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobWanted {
    /// Which one.
    pub job: JobId,
    /// Its command.
    pub entrypoint: String,
    /// Its working folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<BlobId>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether it should stop.
    pub stop: bool,
}

/// Takes a machine off the market, or puts it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Whether it takes no new rentals.
    pub paused: bool,
}

/// A machine, for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerView {
    /// Its id.
    pub id: WorkerId,
    /// What it is called.
    pub name: Name,
    /// Whose it is.
    pub owner: AccountId,
    /// `open`, `pending`, `paused`, `silent`, `unverified` (its last proof was wrong) or `blocked`.
    pub state: String,
    /// Why it takes no new rentals, if it does not, or why it is listed as another model than it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it does: `up`, `down`, `paused`, `blocked`, `restart-required`, `unsupported` or `inactive`.
    pub status: String,
    /// What it is good for: `cluster-ready`, `hired`, `pending` or `not-block-reward-ready`.
    pub readiness: String,
    /// What it is.
    pub machine: Machine,
    /// What is free on it.
    pub free: Resources,
    /// Rentals it serves.
    pub rentals: Vec<RentalId>,
}
