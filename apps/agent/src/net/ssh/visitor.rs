//! One visitor's connection: who it is, and the channels it opens.

use std::sync::Arc;

use russh::keys::ssh_key::Certificate;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, Session};
use russh::{Channel, ChannelOpenFailure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::certificate::Rights;
use super::input::Input;
use super::session::SessionOfVisitor;
use super::{SshServer, forward};

/// Who comes, and what they have open.
pub(super) struct VisitorOfNode {
    server: SshServer,
    /// Is given the visitor's place when it has logged in.
    known: Option<oneshot::Sender<OwnedSemaphorePermit>>,
    rights: Option<Rights>,
    /// Places for its channels.
    channels: Arc<Semaphore>,
    input: Arc<Input>,
}

/// A channel's place: among the visitor's, and among all of the node.
type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl VisitorOfNode {
    pub(super) fn new(
        server: &SshServer,
        known: oneshot::Sender<OwnedSemaphorePermit>,
        input: Arc<Input>,
    ) -> Self {
        let channels = Arc::new(Semaphore::new(server.limits.channels_of_one));
        Self { server: server.clone(), known: Some(known), rights: None, channels, input }
    }

    /// One channel more, unless there are too many.
    fn channel(&self) -> Option<Place> {
        let own = self.channels.clone().try_acquire_owned().ok()?;
        Some((own, self.server.channels.clone().try_acquire_owned().ok()?))
    }
}

impl Handler for VisitorOfNode {
    type Error = russh::Error;

    async fn auth_openssh_certificate(
        &mut self,
        _user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        // The papers' clock: until when a certificate holds is a time of the calendar.
        let rights = self.server.authority.rights(certificate, crate::run::now());
        let Some(rights) = rights else { return Ok(Auth::reject()) };
        if let Some(known) = self.known.take() {
            let Ok(place) = self.server.connections.clone().try_acquire_owned() else {
                tracing::debug!("a node has as many visitors by SSH as it takes");
                return Ok(Auth::reject());
            };
            let _ = known.send(place);
        }
        self.rights = Some(rights);
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(counted) = self.channel() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let may_have_terminal = self.rights.is_some_and(|rights| rights.has_terminals);
        let (room, input) = (self.server.room.clone(), self.input.clone());
        let handle = session.handle();
        let session = SessionOfVisitor::new(room, may_have_terminal, input, channel, handle);
        tokio::spawn(async move {
            session.work().await;
            drop(counted);
        });
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if !self.rights.is_some_and(|rights| rights.forwards) {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        let (Some(counted), Ok(port)) = (self.channel(), u16::try_from(port)) else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let (room, host) = (self.server.room.clone(), host.to_owned());
        let input = self.input.clone();
        tokio::spawn(async move {
            let dialed = tokio::task::spawn_blocking(move || room.dial(&host, port)).await;
            let dialed = dialed.map_err(std::io::Error::other).flatten();
            let connected = dialed.and_then(|stream| {
                stream.set_nonblocking(true)?;
                tokio::net::TcpStream::from_std(stream)
            });
            match connected {
                Ok(program) => {
                    reply.accept().await;
                    forward::carry(channel, program, input).await;
                }
                // Code 2 of RFC 4254, 5.1 (connect failed), with words: OpenSSH shows them.
                Err(fault) => {
                    let failure = ChannelOpenFailure::Other { code: 2, reason: fault.to_string() };
                    reply.reject(failure).await;
                }
            }
            drop(counted);
        });
        Ok(())
    }
}
