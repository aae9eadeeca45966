//! The record of who talked to whom, as nodes and relays write it down.
//!
//! It can be shown later that nothing was changed or left out, and that both sides of a stream tell the same. The bytes
//! are in `docs/reference/audit.md`.
//!
//! # Invariants
//! - A log is lines of JSON, chained by hashes and sealed by the node's key, segment by segment. What was sealed cannot
//!   be changed, moved, left out, or added to unnoticed.
//! - What a record says is for its reader to judge: a node can write what is not so, but not two things to two people.

mod chain;
mod compare;
mod compare_flows;
mod limits;
mod otlp;
mod reconcile;
mod record;
mod verify;

pub use chain::AuditLog;
pub use compare::{Comparison, Gap, compare};
pub use compare_flows::{FlowComparison, FlowGap, FlowName, compare_flows};
pub use limits::*;
pub use otlp::otlp;
pub use reconcile::{Carried, Reconciled};
pub use record::{
    End, FlowRecord, PathName, Record, RefusalRecord, Side, StreamRecord, Traffic, Verdict,
};
pub use verify::{Broken, Reason, Verified, Verifier};

#[cfg(test)]
mod tests;
