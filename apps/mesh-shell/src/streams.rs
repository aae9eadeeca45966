//! Connections to relays, as the last way that packets go.

use std::fmt;

use mesh::CallSign;

/// What carries packets over connections to relays. Called by the threads that carry: it must not wait, and may lose.
pub trait Streams: fmt::Debug + Send + Sync {
    /// Hands a datagram to a relay for one of its nodes.
    fn send(&self, relay: CallSign, far: CallSign, datagram: &[u8]);
}
