//! Stands in for `libnvidia-ml.so.1`: the symbols that the agent loads, and answers from a script that tests rewrite.
//!
//! The script is JSON, named by the variable `FAKE_NVML_SCRIPT`, or else it lies beside the shared object as
//! `script.json`: whoever copies the object has cards of its own. It is read again at every call, so a card disappears
//! by rewriting it.
//!
//! # Invariants
//! - Nothing panics into C: whatever the script says, a call has a return code.
//! - Buffers are filled as far as their lengths allow, with a zero at the end of texts.

mod answer;
mod attest;
pub mod calls;
mod script;
mod stage;

pub use script::{Attests, Card, Code, Process, Script};
pub use stage::{Stage, shared_object};
