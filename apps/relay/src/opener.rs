//! What doors open streams with: to a service of a connected node, for a visitor.

use std::future::Future;
use std::net::SocketAddr;

use trunk::Stream;
use tunnel::{ServiceName, Who};

/// Opens streams to services of connected nodes.
pub trait Opener: Send + Sync + 'static {
    /// A stream to this service, once its node has taken it and its program answers there.
    ///
    /// What ends the stream ends it for both: shut it down to say that nothing more comes (the other half stays open),
    /// drop it to break it off. Bytes go fastest through [`trunk::carry`] and [`trunk::carry_tcp`].
    ///
    /// # Errors
    /// Why there is none; see [`Refused`].
    fn open(
        &self,
        service: &ServiceName,
        visitor: &Visitor,
    ) -> impl Future<Output = Result<Stream, Refused>> + Send;
}

/// Who comes in, as the door saw them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Where they come from.
    pub address: SocketAddr,
    /// Which of the relay's own addresses they came to.
    pub local: SocketAddr,
    /// By which door.
    pub entry: Entry,
    /// Who they proved to be, as records call them; empty for anybody. A door that checks tokens sets it.
    pub subject: String,
    /// Who they proved to be, as policies name them.
    pub who: Who,
}

/// The doors of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// A host name over TLS that the relay ends.
    Https,
    /// A host name over TLS that the node ends.
    Passthrough,
    /// The jump host.
    Ssh,
    /// A leased TCP port.
    Tcp,
    /// A leased UDP port.
    Udp,
    /// A node with a line of its own.
    Forward,
}

/// Why no stream was opened. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No connected node serves it. It may be at the other relay, or its node offline.
    #[error("no connected machine serves `{0}`")]
    NoSuchService(ServiceName),
    /// The visitor may not.
    #[error("`{0}` is not for this visitor")]
    NotPermitted(ServiceName),
    /// The node is about to leave this relay and takes nothing new here.
    #[error("the machine is moving to another relay")]
    Draining,
    /// A limit of the service, its tenant, or the relay is reached; another try may succeed.
    #[error("too much is open: {0}")]
    Limit(&'static str),
    /// The node did not answer in time. It may be cut off.
    #[error("the machine does not answer")]
    Silent,
    /// The node's program did not take the connection.
    #[error("nothing answers behind `{0}`")]
    NotListening(ServiceName),
    /// The line broke meanwhile.
    #[error("the line to the machine broke")]
    Broke,
}

impl Refused {
    /// Whether the same visitor may find the service at another relay, or here in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoSuchService(_) | Self::Draining | Self::Silent | Self::Broke => true,
            Self::Limit(_) => true,
            Self::NotPermitted(_) | Self::NotListening(_) => false,
        }
    }
}
