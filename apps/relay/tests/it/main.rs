//! The relay with real machines, real connections, and real programs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod audit;
mod door;
mod failover;
mod hard;
mod lines;
mod rights;
mod scene;
mod strangers;
mod weather;
