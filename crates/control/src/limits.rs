//! How long and how many.

use std::time::Duration;

/// How long a command is remembered, so that telling it again is answered the same.
pub const COMMANDS_REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3600);

/// At most so many commands are remembered; the oldest are forgotten first. At 100 bytes each: 100 MB.
pub const COMMANDS_REMEMBERED_MAX: usize = 1_000_000;

/// How long an ended rental stays in memory. The read tables keep it for ever.
pub const ENDED_KEPT_FOR: Duration = Duration::from_secs(3600);

/// How long after its end a record of time-lock still takes minutes of a rental back: as long as minutes are kept, and
/// twice what a machine may be without handing over, so that nobody gains by waiting.
pub const REFUNDABLE_FOR: Duration = Duration::from_secs(48 * 3600);

/// Nodes of rentals that are kept for that in memory; the oldest rentals are forgotten first.
///
/// One takes about 1 kB, and 6 kB if it served for as long as minutes are kept and lost some in each hour: 50 to
/// 300 MB.
pub const REFUNDABLE_NODES_MAX: usize = 50_000;

const _: () = assert!(
    REFUNDABLE_FOR.as_secs() == 3600 * crate::state::LOCK_HOURS_KEPT as u64,
    "what is kept of a node's minutes is what can be refunded"
);

/// How long an invitation to join can be used unless it says otherwise.
pub const INVITE_VALID: Duration = Duration::from_secs(24 * 3600);

/// After this long without a beat a worker counts as silent. It beats every ten seconds: two may get lost.
pub const SILENCE_MAX: Duration = Duration::from_secs(35);

/// After this long it is known of everyone who had fallen silent: [`SILENCE_MAX`], and what it takes to tell.
pub(crate) const HEARD_FROM_BY: Duration = Duration::from_secs(45);

const _: () = assert!(SILENCE_MAX.as_secs() < HEARD_FROM_BY.as_secs(), "silence is told in time");

/// Jobs of one rental that are not over.
pub const JOBS_OPEN_MAX: usize = 1_000;

/// The longest entrypoint of a job, in bytes.
pub const ENTRYPOINT_BYTES_MAX: usize = 4_096;

/// Environment variables of a job, names and values together, in bytes.
pub const JOB_ENV_BYTES_MAX: usize = 32_768;

/// The longest reason that a worker may give, in bytes; the rest is cut.
pub const REASON_BYTES_MAX: usize = 2_048;

/// Members of one project.
pub const MEMBERS_MAX: usize = 1_000;

/// Rentals that an order stays away from: a name for each would not be read.
pub(crate) const AWAY_FROM_MAX: usize = 16;

/// Rentals of one project that are not over.
pub const RENTALS_OPEN_MAX: usize = 1_000;

/// Orders of one project that wait for machines.
pub const ORDERS_WAITING_OF_PROJECT_MAX: usize = 100;

/// Orders that wait for machines, of all projects. One takes about 1 kB: 10 MB; and each is looked at in turn.
pub const ORDERS_WAITING_MAX: usize = 10_000;

/// How long an order may wait.
pub const ORDER_WAITS_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often orders that wait are tried at most: whatever changes in between is seen together.
pub const ORDERS_TRIED_EVERY: Duration = Duration::from_secs(1);

/// How often they are tried at least: what nobody noticed is noticed then.
pub const ORDERS_TRIED_AT_LEAST_EVERY: Duration = Duration::from_secs(300);

/// Services of one rental, beside those that every rental has.
pub const SERVICES_MAX: usize = 32;

/// The longest label of a service, in bytes: with a rental's id it is one label of a host name.
pub const SERVICE_LABEL_BYTES_MAX: usize = 36;

/// The longest policy of a project's private networks, in bytes: some hundred grants with comments.
pub const NETWORK_POLICY_BYTES_MAX: usize = 64 * 1024;

/// Exemptions of one machine.
pub const EXEMPTIONS_MAX: usize = 32;

/// Cards of one attestation: two trays of eight.
pub(crate) const ATTESTED_CARDS_MAX: usize = attest::limits::GPUS_MAX;
