//! A machine has what it claims and gives all of it: the challenges that show it, and the checks that cannot be fooled.
//!
//! The bytes are those of `docs/reference/proofs.md`; this crate is its reference, in code that is read before it is
//! fast. Whoever proves computes on a card behind [`Device`]; whoever verifies needs a processor only.
//!
//! # Invariants
//! - Nothing here has a clock, a socket, or dice: times, and 32 random bytes per session, come from outside.
//! - Whatever bytes arrive, nothing panics, and nothing is allocated beyond what a limit in [`limits`] allows.
//! - A wrong answer is never a pass, and a right one never a fail: neither speed nor silence is evidence of a lie.

mod bytes;
pub mod calls;
pub mod canary;
pub mod company;
mod device;
pub mod fingerprint;
pub mod gate;
pub mod limits;
pub mod lock;
pub mod log;
pub mod matmul;
pub mod memory;
pub mod message;
pub mod prf;
pub mod puzzle;
pub mod schedule;
pub mod session;
pub mod silence;
mod task;
pub mod together;
pub mod transcript;
pub mod tree;
mod verdict;

pub use bytes::{Malformed, Reader};
pub use device::{Device, DeviceFault};
pub use task::{BadTask, Matmul, Memory, Puzzle, Task};
pub use verdict::{Judged, Outcome, Reason, Verdict, worst};
