//! A real server in a process of its own, and callers that ask it over kept-alive connections.
//!
//! Server and callers share the machine, so every rate is what both together reach; the server's own cost is given in
//! CPU time beside it.

mod gauge;
mod http;
mod machine;
mod served;

pub use gauge::{Gauge, Measured, side_by_side};
pub use http::{Answer, Connection};
pub use machine::{join, join_as, machine_request};
pub use served::{Server, Worker, serve_if_asked};
