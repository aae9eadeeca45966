//! What stands behind lines besides programs at addresses: the ports of a node, and what the agent itself serves.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};

use trunk::{Line, Stream};
use tunnel::limits::STREAMS_MAX;
use tunnel::{Open, StreamRecord};
use wire::paper::NodeKey;

/// Where a program is that takes streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// At an address of this machine.
    Address(SocketAddr),
    /// At a port of the node that the lines are for.
    InNode(u16),
    /// In the agent: [`Behind::serve`].
    Agent,
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

/// What lines lead to, and who hears of them. Nothing by default.
///
/// [`Behind::dial`] and [`Behind::dial_udp`] may wait, but not for long; the rest is called by threads that carry, and
/// must not.
pub trait Behind: fmt::Debug + Send + Sync {
    /// How many streams it takes at once, over all lines together: whatever relays open, more are refused.
    fn streams_max(&self) -> usize {
        STREAMS_MAX as usize
    }

    /// A connection to a port of the node.
    ///
    /// # Errors
    /// If nothing takes it there.
    fn dial(&self, port: u16) -> io::Result<TcpStream> {
        Err(no_node(port))
    }

    /// A socket that is connected to a UDP port of the node.
    ///
    /// # Errors
    /// If there is no node.
    fn dial_udp(&self, port: u16) -> io::Result<UdpSocket> {
        Err(no_node(port))
    }

    /// Serves a stream that is for the agent. It is dropped, and so broken off, if nobody does.
    fn serve(&self, _stream: Stream, _open: &Open) {}

    /// A line to a relay is up. Its number is its own.
    fn on_line(&self, _number: u64, _relay: NodeKey, _line: &Line) {}

    /// The line with this number is over.
    fn on_line_over(&self, _number: u64) {}

    /// A packet of a private network came over a line to this relay.
    fn on_packet(&self, _relay: NodeKey, _from: NodeKey, _packet: &[u8]) {}

    /// A stream over a line to this relay has ended.
    fn on_record(&self, _relay: NodeKey, _record: &StreamRecord) {}
}

fn no_node(port: u16) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("these lines are for no node: port {port}"))
}

/// Nothing but programs at addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nothing;

impl Behind for Nothing {}
