//! Tunnels and the mesh beside their peers: what carrying a gigabyte costs, how long things take, what memory they
//! need, and whether stock programs and storms get along with ours.
//!
//! ```text
//! benches/net.rs ─► mesh, tunnels ─► contest: rounds of every tool in turn ─► goals: one row each
//!                ├► hiding: the same, beside ours that hides nothing          ─┤
//!                ├► paces: the same, beside ours whose threads sleep at once  ─┤
//!                └► crowd, failover, storm, interop                           ─┘
//! ```
//!
//! # Invariants
//! - Every program runs in kernel namespaces of its own (package `namespaces`), and ends with its round.
//! - Ours are the programs that a user runs: the relay's `run`, the agent's `Tunnels`, the mesh's `Engine`, each in a
//!   process of its own, which is this program started again ([`role`]).
//! - A ratio is of two measurements of one round; the median of rounds counts.
//! - What is absent is said, with why, and holds nothing.

mod contest;
mod crowd;
mod failover;
mod goals;
mod hiding;
mod interop;
mod lab;
mod load;
mod mesh_tool;
mod paces;
mod peers;
mod role;
mod storm;
mod tunnel_tool;
mod wire_tool;

pub use contest::Effort;
pub use crowd::{agent_memory, idle_tunnels};
pub use failover::failover;
pub use goals::{Goal, Row, of_meshes, of_tunnels, table};
pub use hiding::{Hiding, Member, of_hiding};
pub use interop::try_stock_peers;
pub use lab::Lab;
pub use paces::of_paces;
pub use peers::Peers;
pub use role::{Role, serve_if_asked};
pub use storm::{Outcome, Troubles, storm};
