//! What computes proofs: one [`proofs::Device`] for the processor, one for OpenCL cards, one for CUDA cards.
//!
//! # Invariants
//! - All devices give the same bytes as the reference in `proofs`; a card that does not is never used.
//! - Nothing here needs a card, a driver, or a toolkit to be built; drivers are looked for when a device is opened.

mod card;
pub mod cpu;
pub mod cuda;
mod found;
pub mod opencl;

pub use found::{Choice, Found, NotAChoice, devices, open};
