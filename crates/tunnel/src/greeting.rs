//! What both sides of a line say first.

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
}
