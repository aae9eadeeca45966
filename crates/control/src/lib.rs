//! The control plane's brain: commands in, journal entries and effects out.
//!
//! [`Control`] is a deterministic state machine. A command is either refused, and then nothing has changed, or it is
//! accepted, and then it has become an [`Entry`] that the shell must make durable before anyone is answered. The
//! same entries give the same state, on any machine, in any year.
//!
//! ```text
//!            tell(command, now)            Entry ───► journal (durable) ───► reply
//!   shell ───────────────────────► Control
//!            ◄─────────────────────        Effect ──► read tables, events, workers nudged
//!            wanted(worker), views
//! ```
//!
//! Beats of workers do not pass here: [`Roll`] keeps them in memory, and only what they change becomes a command.
//!
//! # Invariants
//! - A refused command changes nothing; an accepted one has exactly one entry; told twice is told once.
//! - Entries are chained: each names the hash of the one before it.
//! - Time never runs backward here: an entry is never older than the one before it, whatever the clock does.
//! - A card of a machine is in at most one rental that holds seats.
//! - Money is held exactly for the rentals whose stage says so, and the book sums to zero.
//!
//! Absent on purpose: HTTP, SQL, sockets, files, secrets in clear. Only hashes of secrets enter the journal.

#![deny(clippy::float_arithmetic)]

mod command;
mod effect;
mod limits;
mod onboarding;
mod parameters;
mod record;
mod refusal;
mod roll;
mod snapshot;
mod state;
mod wanted;

pub use command::AlternativeOrder;
pub use effect::{Closed, Effect, Locked, Movement, Sealed, Subject};
pub use limits::{
    COMMANDS_REMEMBERED_FOR, COMMANDS_REMEMBERED_MAX, ENDED_KEPT_FOR, ENTRYPOINT_BYTES_MAX,
    EXEMPTIONS_MAX, INVITE_VALID, JOB_ENV_BYTES_MAX, JOBS_OPEN_MAX, MEMBERS_MAX,
    NETWORK_POLICY_BYTES_MAX, ORDER_WAITS_MAX, ORDERS_TRIED_AT_LEAST_EVERY, ORDERS_TRIED_EVERY,
    ORDERS_WAITING_MAX, ORDERS_WAITING_OF_PROJECT_MAX, REASON_BYTES_MAX, REFUNDABLE_FOR,
    REFUNDABLE_NODES_MAX, RENTALS_OPEN_MAX, SERVICE_LABEL_BYTES_MAX, SERVICES_MAX, SILENCE_MAX,
};
pub use onboarding::{
    DESK_PATCH, DeviceStatus, NotOnboarding, Onboarding, OnboardingCheck, OnboardingRules,
    OnboardingStage, OnboardingView, Readiness, STRESS_ENTRYPOINT, Step, TRIAL_NODES_MAX,
    TRIALS_KEPT, Trial, TrialNode, Tried,
};
pub use parameters::{PATCH_BYTES_MAX, VERSIONS_WAITING_MAX, Version};
pub use record::{
    Actor, AttestationRecord, Attested, BlockKind, Blocked, Body, BrakeRecord, CardRecord, Command,
    ConnectionRecord, Digest, Entry, ExemptionRecord, FiltersRecord, FingerprintRecord,
    GrantRecord, GuestRecord, HostRecord, JobSaid, MachineRecord, NodeSaid, NotARelease,
    OfferRecord, OrderRecord, Parameters, PhaseSaid, ProofSaid, ProposalRecord, Purse, QueueRules,
    Release, Role, Scope, SealedRecord, SeasonRecord, ServiceProto, ServiceRecord, SlashRecord,
    TrialSaid, VerdictRecord,
};
pub use record::{DisturbedBy, DisturbedRecord, LockRecord};
pub use refusal::{Needs, Noun, Refusal};
pub use roll::{Beat, Roll};
pub use snapshot::{NotAState, SNAPSHOT_FORMAT};
pub use state::{
    BLOCKS_KEPT, BURNS_KEPT, BlockSummary, Blocks, Broken, BurnRecord, BurnStep, Burning, Checked,
    Checks, Control, Economy, Genesis, Grant, Head, Hired, Invite, Job, JobStage, Key, Listing,
    Market, Node, NodeStage, Nomination, Obstacle, Outcome, Person, Priced, Project, Proved,
    QueuedOrder, QueuedStage, Rental, Reply, Revenue, Round, Settled, Told, Unfit, Uptime, Week,
    Worker,
};
pub use state::{
    Charged, FailedProof, Follows, LOCK_HOURS_KEPT, Likeness, LockHead, LockHour, Locks,
    MeasuredAs, NetworkPolicy, NodeLock, Service,
};
pub use wanted::{JobWanted, NetworkWanted, NodeWanted, Wanted};
