//! The front door: one TCP port for nodes, browsers, programs and SSH, told apart by their first bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use trunk::Peeked;
use tunnel::{Proto, ServiceName};

use super::alive::keep_alive;
use super::carried::Activity;
use super::host::service_of;
use super::house::{Ends, House, Places};
use super::limits::ACCEPT_PAUSE;
use super::metrics::Turned;
use super::opening::{NoOpening, Opening, read_opening};
use super::{http, ssh};
use crate::opener::{Entry, Opener};

/// What nodes speak inside TLS (ALPN): lines, and streams in bulk.
const OF_NODES: [&[u8]; 2] = [trunk::ALPN, trunk::BULK_ALPN];

/// Where connections of nodes go.
pub trait NodeDoor: Send + Sync + 'static {
    /// A connection that begins as a node's does: with a `ClientHello` that offers [`trunk::ALPN`] or
    /// [`trunk::BULK_ALPN`], or with [`trunk::PLAIN_GREETING`]. All of that is still to be read.
    fn connected(&self, connection: Peeked, from: SocketAddr);
}

/// What the front door needs.
pub(crate) struct Front<O> {
    pub(crate) house: Arc<House<O>>,
    pub(crate) nodes: Arc<dyn NodeDoor>,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) ssh: Arc<russh::server::Config>,
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// Whatever the first bytes say.
    Any,
    /// SSH: the relay may speak first.
    Ssh,
}

/// Accepts connections until it is aborted.
pub(crate) async fn accept<O: Opener>(front: Arc<Front<O>>, listener: TcpListener, spoken: Spoken) {
    loop {
        let (connection, visitor) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let places = match front.house.enter(visitor) {
            Ok(places) => places,
            Err(why) => {
                front.house.metrics.turned(why);
                continue;
            }
        };
        let front = Arc::clone(&front);
        tokio::spawn(async move { front.serve(connection, places, spoken).await });
    }
}

impl<O: Opener> Front<O> {
    async fn serve(&self, connection: TcpStream, places: Places, spoken: Spoken) {
        let (Ok(visitor), Ok(local)) = (connection.peer_addr(), connection.local_addr()) else {
            return;
        };
        let ends = Ends { visitor, local };
        keep_alive(&connection);
        if spoken == Spoken::Ssh {
            return ssh::serve(&self.house, &self.ssh, connection, ends).await;
        }
        trunk::look_after(&connection);
        let mut connection = Peeked::new(connection);
        match read_opening(&mut connection, self.house.limits.opening_time).await {
            Ok(opening) => self.serve_opened(connection, opening, (ends, places)).await,
            Err(NoOpening::Silent) => self.house.metrics.turned(Turned::Silent),
            Err(NoOpening::NotUnderstood) => self.house.metrics.turned(Turned::NotUnderstood),
            Err(NoOpening::Closed | NoOpening::Broke(_)) => {}
        }
    }

    async fn serve_opened(
        &self,
        connection: Peeked,
        opening: Opening,
        (ends, places): (Ends, Places),
    ) {
        match opening {
            Opening::Plain => self.give_to_nodes(connection, (ends, places)),
            Opening::Tls { protocols, .. } if is_of_node(&protocols) => {
                self.give_to_nodes(connection, (ends, places));
            }
            Opening::Tls { name, .. } => self.serve_tls(connection, name, ends).await,
            Opening::Ssh => ssh::serve(&self.house, &self.ssh, connection, ends).await,
            Opening::Http => http::send_to_tls(&self.house, connection).await,
        }
    }

    /// A node's line is no visit: other limits hold for it.
    fn give_to_nodes(&self, connection: Peeked, (ends, places): (Ends, Places)) {
        drop(places);
        self.nodes.connected(connection, ends.visitor);
    }

    async fn serve_tls(&self, connection: Peeked, name: Option<String>, ends: Ends) {
        if let Some(passed) = name.as_deref().and_then(|name| self.passed_through(name)) {
            return self.pass_through(connection, &passed, ends).await;
        }
        let accepting = TlsAcceptor::from(Arc::clone(&self.tls)).accept(connection);
        match timeout(self.house.limits.opening_time, accepting).await {
            Ok(Ok(connection)) => http::serve(&self.house, connection, ends).await,
            Ok(Err(_)) => self.house.metrics.turned(Turned::Handshake),
            Err(_) => self.house.metrics.turned(Turned::Silent),
        }
    }

    /// The service of this host, when it ends TLS itself. Who comes there cannot be asked who they are, so it must be
    /// public.
    fn passed_through(&self, host: &str) -> Option<ServiceName> {
        let service = service_of(host, &self.house.domain)?;
        let offered = self.house.directory.offered(&service)?;
        let is_passed = offered.proto == Proto::Tls && offered.access.is_public();
        is_passed.then_some(service)
    }

    async fn pass_through(&self, connection: Peeked, service: &ServiceName, ends: Ends) {
        let activity = Activity::new();
        let visitor = ends.anybody(Entry::Passthrough);
        // A refusal could only be said inside TLS, which is not ours here.
        let Ok(mut opened) = self.house.open(service, &visitor, &activity).await else {
            return;
        };
        let (connection, read) = connection.into_parts();
        if opened.write_all(&read).await.is_ok() {
            opened.carry_tcp(connection).await;
        }
    }
}

fn is_of_node(protocols: &[Vec<u8>]) -> bool {
    protocols.iter().any(|protocol| OF_NODES.contains(&protocol.as_slice()))
}
