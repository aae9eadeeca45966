//! The agent's brain: what should run on this machine, what does run, and what to do about the difference.
//!
//! The control plane says the whole of what it wants, every time; the shell says what it sees. This crate compares
//! the two. It takes no hint of what changed, so a lost message, a crash and a restart heal by the same path.
//!
//! ```text
//!             on_wanted                          next_effect: Start, Stop, Submit, StopJob, Collect
//!   control ─────────────► ┌────────┐ ─────────────────────────────────────────────────► runtimes
//!   plane   ◄───────────── │ Worker │ ◄─────────────────────────────────────────────────
//!             seen()       └────────┘                       on_node, on_job, on_collected, on_stopped
//! ```
//!
//! # Invariants
//! - Nothing is started that was not wanted when it was last heard of, and nothing twice.
//! - A node does not start while one that is being stopped has a card that it wants.
//! - A node found running after a restart is kept until the control plane has spoken.
//! - A job's end is told only after its log and its files were handed over.
//! - Only what this worker started is ever stopped.
//!
//! Absent on purpose: money, prices, other machines. A worker does not know what it earns.

mod brain;
mod limits;
mod order;
mod seen;

pub use brain::{Effect, Worker};
pub use limits::{BEAT_EVERY, ORPHANED_AFTER};
pub use order::{JobOrder, NodeKey, NodeOrder};
pub use seen::{JobPhase, JobSeen, NodePhase, NodeSeen, Seen};
