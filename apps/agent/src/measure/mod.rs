//! What this machine does when it is put to it: its disk, its line, its clock.
//!
//! # Invariants
//! - Nothing of it stays: files are removed, and bytes and time have an end.
//! - What is measured here is for the machine's owner. What counts is measured by the control plane's clock.

pub(crate) mod disk;
pub(crate) mod line;
pub(crate) mod schedule;
