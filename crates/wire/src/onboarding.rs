//! What a machine must have to join, how its connection is measured, and how far it is on its way to be ready.

use serde::{Deserialize, Serialize};
use units::{Name, RentalId, Tier, WorkerId};
use utoipa::ToSchema;

use crate::Time;

/// What a machine must have to serve. Recommended values are what it has no disadvantage with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Requirements {
    /// Hardware threads.
    pub vcpus: u32,
    /// Main memory, in mebibytes.
    pub memory_mib: u64,
    /// Recommended main memory, in mebibytes.
    pub memory_recommended_mib: u64,
    /// Free disk, in mebibytes.
    pub disk_mib: u64,
    /// What its disk writes one after the other, in mebibytes a second.
    pub disk_write_mib_per_sec: u32,
    /// What its disk reads one after the other, in mebibytes a second.
    pub disk_read_mib_per_sec: u32,
    /// Cards at most.
    pub gpus_max: u32,
    /// The oldest version of CUDA that its driver may support, as in `11.8`.
    pub cuda: String,
    /// What it receives, in megabits a second.
    pub down_mbps: u32,
    /// What it sends, in megabits a second.
    pub up_mbps: u32,
    /// What it should receive, in megabits a second.
    pub down_recommended_mbps: u32,
    /// What it should send, in megabits a second.
    pub up_recommended_mbps: u32,
    /// The longest median ping that is recommended, in milliseconds.
    pub ping_recommended_ms: u32,
    /// How far its clock may be from the network's, in milliseconds.
    pub clock_off_ms: u64,
    /// How long it is up, in minutes all in all, before it takes rentals for the first time.
    pub pending_minutes: u32,
    /// How many trials with other newcomers it passes before it takes rentals for the first time.
    pub trials: u32,
    /// Whether a machine that lacks something may join all the same. It takes no rentals before it lacks nothing.
    pub may_join_without: bool,
}

impl Default for Requirements {
    /// What io.net publishes. What a disk must do is not published: the least of what is sold as SSD on SATA.
    fn default() -> Self {
        Self {
            vcpus: 2,
            memory_mib: 12 * 1024,
            memory_recommended_mib: 16 * 1024,
            disk_mib: 256 * 1000 * 1000 * 1000 / (1 << 20),
            disk_write_mib_per_sec: 100,
            disk_read_mib_per_sec: 150,
            gpus_max: 8,
            cuda: "11.8".to_owned(),
            down_mbps: 100,
            up_mbps: 75,
            down_recommended_mbps: 500,
            up_recommended_mbps: 250,
            ping_recommended_ms: 30,
            clock_off_ms: 2_000,
            pending_minutes: 12 * 60,
            trials: 1,
            may_join_without: true,
        }
    }
}

/// What this network asks of machines, and what time it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequirementsView {
    /// What it asks.
    pub requirements: Requirements,
    /// The network's clock when it answered.
    pub now: Time,
}

/// A speed test that has begun: what to transfer, and under which name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpeedTest {
    /// Its name: 64 hexadecimal digits that open its transfers. Secret, and good for a minute.
    pub test: String,
    /// How many pings to send.
    pub pings: u32,
    /// How many transfers at one time, in each direction.
    pub streams: u32,
    /// Bytes of each transfer at most.
    pub bytes: u64,
    /// How long the transfers of one direction take at most, in seconds.
    pub secs: u64,
}

/// How a connection was measured, by the clock of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpeedView {
    /// When.
    pub at: Time,
    /// What the machine receives, in megabits a second.
    pub down_mbps: u32,
    /// What it sends, in megabits a second.
    pub up_mbps: u32,
    /// The median time there and back, in milliseconds.
    pub ping_ms: u32,
    /// What such a connection counts as.
    pub tier: Tier,
}

/// One thing that is asked of a machine before it is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnboardingRow {
    /// `requirements`, `connection`, `proof`, `trial` or `uptime`.
    pub step: String,
    /// `met`, `waiting` (time or the network brings it, if the machine stays online) or `missing` (its owner must do
    /// something).
    pub state: String,
    /// Why, and what to do.
    pub reason: String,
}

/// A trial of a machine with other newcomers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrialView {
    /// Its id.
    pub trial: RentalId,
    /// When it began.
    pub began: Time,
    /// When it was over; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// How many machines were tried together.
    pub machines: u32,
    /// Whether this machine passed; absent while it goes on, and where nothing can be said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// What was seen of it.
    pub note: String,
}

/// How far a machine has come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnboardingView {
    /// The machine.
    pub worker: WorkerId,
    /// What it is called.
    pub name: Name,
    /// What it does: `up`, `down`, `paused`, `blocked`, `restart-required`, `unsupported` or `inactive`.
    pub status: String,
    /// What it is good for: `cluster-ready`, `hired`, `pending` or `not-block-reward-ready`.
    pub readiness: String,
    /// How far it has come: `pending`, `changed` (its hardware is other than it was) or `ready`.
    pub stage: String,
    /// Why the operator shut it out, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// What is asked of it, in the order in which it is looked at.
    pub rows: Vec<OnboardingRow>,
    /// Minutes that it was up while it was pending.
    pub pending_minutes: u64,
    /// Minutes that are asked for.
    pub pending_minutes_needed: u32,
    /// Its connection, as the network measured it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<SpeedView>,
    /// Its last trials, newest first.
    pub trials: Vec<TrialView>,
}
