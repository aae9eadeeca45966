//! How far a run may go, and how often what is expensive is looked at.

use std::time::Duration;

/// More than this in one run is a storm: something asks itself for more without end.
pub(crate) const STEPS_MAX: u64 = 400_000;

/// Nothing keeps so much waiting: messages, timers and habits of forty machines are hundreds.
pub(crate) const AGENDA_MAX: usize = 4_000;

/// A batch closes when so many commands wait.
pub(crate) const BATCH_MAX: usize = 64;

/// A batch closes so long after its first command.
pub(crate) const BATCH_MILLIS: Duration = Duration::from_millis(2);

/// How long a person waits for an answer before asking again under the same id.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// How often an agent asks what is wanted of it when nobody nudges it.
pub(crate) const POLL_EVERY: Duration = Duration::from_secs(60);

/// How many refusals out of a hundred are checked for having changed nothing.
pub(crate) const REFUSALS_CHECKED_PERCENT: u64 = 4;

/// After the weather has stopped, everything is over this long after the last thing that could be booked: the
/// longest chain is a payment awaited, a deployment, a booking, and the clearing of machines.
pub(crate) const REST_MAX: Duration = Duration::from_secs(3600);

/// How long after everything is over the last letter has been read or lost: longer than any can be stuck.
pub(crate) const LETTERS_END: Duration = Duration::from_secs(100);

/// How far the control plane's clock leaps ahead in all, in milliseconds: with the weather, less than the day for which
/// commands are remembered.
pub(crate) const LEAPT_MAX: i64 = 18 * 3_600_000;

/// So many entries are read again at most where no snapshots are kept otherwise.
pub(crate) const SNAPSHOT_AT_LAST: u64 = 600;

/// How many wishes for what is left are told after a long silence.
pub(crate) const HEIRS: u32 = 40;

/// Lines shown of a run that failed.
pub(crate) const LINES_SHOWN: usize = 40;
