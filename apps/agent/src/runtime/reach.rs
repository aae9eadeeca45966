//! How the agent reaches what listens on a node.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::runtime::net::NodeNet;

/// The longest that a socket waits, where nobody says how long.
const PATIENCE_MAX: Duration = Duration::from_secs(3_600);

/// Where connections to a node begin.
#[derive(Clone, Debug)]
pub(super) enum Reach {
    /// On the machine, whose network the node shares.
    Machine,
    /// In the node's own network.
    Node(Arc<NodeNet>),
}

impl Reach {
    /// Connects.
    pub(super) fn dial(&self, to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
        match self {
            Self::Machine => TcpStream::connect_timeout(&to, patience),
            Self::Node(net) => net.dial(to, patience),
        }
    }
}

/// Connections to one address, for the HTTP client.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) reach: Reach,
    pub(super) to: SocketAddr,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Connector for Dialer {
    type Out = Wire;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _before: Option<()>,
    ) -> Result<Option<Wire>, ureq::Error> {
        let patience = bound(details.timeout).ok_or(ureq::Error::ConnectionFailed)?;
        let stream = self.reach.dial(self.to, patience)?;
        stream.set_nodelay(true)?;
        let (input, output) =
            (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Wire { stream, buffers: LazyBuffers::new(input, output) }))
    }
}

/// How long something may take; `None` if there is no time left.
fn bound(timeout: NextTimeout) -> Option<Duration> {
    let left = (*timeout.after).min(PATIENCE_MAX);
    (!left.is_zero()).then_some(left)
}

/// What the socket says of a time that has passed, in the client's words.
fn timed(fault: io::Error, timeout: NextTimeout) -> ureq::Error {
    let is_late = matches!(fault.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
    if is_late { ureq::Error::Timeout(timeout.reason) } else { fault.into() }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let patience = bound(timeout).ok_or(ureq::Error::Timeout(timeout.reason))?;
        self.stream.set_write_timeout(Some(patience))?;
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).map_err(|fault| timed(fault, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let patience = bound(timeout).ok_or(ureq::Error::Timeout(timeout.reason))?;
        self.stream.set_read_timeout(Some(patience))?;
        let input = self.buffers.input_append_buf();
        let read = self.stream.read(input).map_err(|fault| timed(fault, timeout))?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // Each question has a connection of its own.
        false
    }
}
