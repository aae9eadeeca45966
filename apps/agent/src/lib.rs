//! A supplier's machine: what it has, what runs on it, and the link to the control plane.
//!
//! ```text
//!             wanted            ┌──────────────────┐   start, stop, look    ┌───────┐
//!   control ──────────► poller ►│ run: owns the    │───────────────────────►│ hands │ owns the runtime
//!   plane   ◄────────── beater ◄│ brain (`worker`) │◄───────────────────────│       │
//!           ◄────────┐   seen   └──────────────────┘   what was seen        └───────┘
//!                    │                │ jobs                                    ▲
//!                    └──────────── couriers: packages in, logs and files out ───┘
//! ```
//!
//! # Invariants
//! - The thread that owns the brain waits for nobody; a slow cluster delays no beat.
//! - Nodes outlive the agent: its next start finds them again.
//! - One agent at a time uses a data folder.
//! - A cluster's token is in memory and in its node's own file, nowhere else.

mod attest;
mod backoff;
mod board;
mod check;
mod config;
mod courier;
mod described;
mod files_max;
mod hands;
mod identity;
mod join;
mod limits;
mod link;
mod lock;
mod machine;
mod measure;
mod mood;
mod net;
pub mod presence;
pub mod probe;
mod prove;
mod quit;
mod run;
mod runs;
pub mod runtime;
mod sftp;
pub mod tunnel;
pub mod watch;
mod words;

pub use check::{Depth, Finding, Report, Verdict, check};
pub use config::{Config, Offers};
pub use join::{NotJoined, join, may_join};
pub use prove::prove_in_node;
pub use run::{may_run, run, run_with, stop_nodes};
pub use runs::{Preparation, Runs};
pub use runtime::net::{Egress, porter, program};
pub use runtime::sandbox::Choice as Sandbox;
