//! What both sides of a line say first.

use std::fmt;
use std::net::SocketAddr;

use units::Timestamp;

/// What a node says first on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The version of this protocol that it speaks.
    pub version: u16,
    /// Its pass, as it was signed. What is in it the relay's door keeper knows.
    pub pass: Vec<u8>,
}

impl Hello {
    /// The version that is written here.
    pub const VERSION: u16 = 1;
}

/// What a relay answers when it lets a node in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Names the line in records; chance, and no secret.
    pub session: [u8; 16],
    /// Streams that may be open at a time.
    pub streams_max: u32,
    /// Where the node seems to be, seen from the relay.
    pub observed: SocketAddr,
    /// The relay's clock.
    pub time: Timestamp,
    /// Where the relay takes packets of private networks, if it does and the pass names any.
    pub udp: Option<UdpDoor>,
}

/// A relay's port for packets, and what lets this node in there for as long as its line lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UdpDoor {
    /// The port, at the address of the line.
    pub port: u16,
    /// A secret of this node and the relay.
    pub key: [u8; Self::KEY_BYTES],
}

impl UdpDoor {
    /// How long its key is.
    pub const KEY_BYTES: usize = 32;
}

impl fmt::Debug for UdpDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UdpDoor({})", self.port)
    }
}
