//! What the benchmark tries for ten minutes, and every change has to keep: storms.

mod namespaces;
mod ours;
mod recorded;
