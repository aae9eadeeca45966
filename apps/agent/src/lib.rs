//! A supplier's machine: what it has, and what runs on it.

pub mod probe;
pub mod runtime;
