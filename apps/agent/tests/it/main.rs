//! The agent against the control plane's side of the protocol, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod life;
mod nodes;
mod own_network;
mod plane;
mod scene;
mod watch;
