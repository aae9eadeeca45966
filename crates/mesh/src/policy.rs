//! Who may reach whom in a private network: policy files, what they mean for each member, and tables to go by.
//!
//! ```text
//! file ─parse─► Policy ─compile, with the members─► Compiled ─rules_of─► Rule … ─► Tables ◄─asked by─ Warden
//!               where the network is decided (control plane, CI)                   on each node
//! ```
//!
//! # Invariants
//! - What no grant allows is refused; a file that is not understood to its last word grants nothing.
//! - Both ends decide by the same grants: who begins when it sends, who is reached when it receives.
//! - Each decision names the grant that allowed it.

mod compile;
mod flow;
mod hujson;
mod padding;
mod place;
mod ports;
mod range;
mod report;
mod selector;
mod source;
mod stopped;
mod store;
mod tables;
mod trial;
mod warden;

pub use compile::{Compiled, Rule, Step};
pub use flow::{ANSWERED_IDLE_MAX, Count, TCP_EDGE_MAX, TCP_IDLE_MAX, UNANSWERED_IDLE_MAX};
pub use hujson::DEPTH_MAX;
pub use padding::PADDING;
pub use place::{Place, Problem, Wrong};
pub use ports::{Ports, protocol_name};
pub use range::{NotARange, Range};
pub use report::{FlowReport, Why};
pub use selector::{Member, Selector, Words};
pub use source::{FILE_BYTES_MAX, GRANTS_MAX, Grant, Policy, TESTS_MAX, Target, Test};
pub use stopped::{STOPPED_EVERY, STOPPED_MAX};
pub use store::WAYS;
pub use tables::{Allowed, Question, Tables};
pub use trial::{Explanation, Failure};
pub use warden::{REPORT_EVERY, Warden, WardenCounts};

#[cfg(test)]
mod tests;
