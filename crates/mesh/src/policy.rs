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
mod hujson;
mod place;
mod ports;
mod range;
mod selector;
mod source;
mod tables;
mod trial;

pub use compile::{Compiled, Rule, Step};
pub use hujson::DEPTH_MAX;
pub use place::{Place, Problem, Wrong};
pub use ports::{Ports, protocol_name};
pub use range::{NotARange, Range};
pub use selector::{Member, Selector, Words};
pub use source::{FILE_BYTES_MAX, GRANTS_MAX, Grant, Policy, TESTS_MAX, Target, Test};
pub use tables::{Allowed, Question, Tables};
pub use trial::{Explanation, Failure};

#[cfg(test)]
mod tests;
