//! One visitor's connection: who it is, and the channels it opens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use russh::keys::ssh_key::Certificate;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, Session};
use russh::{Channel, ChannelOpenFailure};
use tokio::sync::oneshot;

use super::session::SessionOfVisitor;
use super::{CHANNELS_MAX, SshServer};

/// Who comes, and what they have open.
pub(super) struct VisitorOfNode {
    server: SshServer,
    /// Is told when the visitor has logged in.
    known: Option<oneshot::Sender<()>>,
    channels: Arc<AtomicUsize>,
}

/// A channel that counts as open.
pub(super) struct CountedChannel(Arc<AtomicUsize>);

impl Drop for CountedChannel {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl VisitorOfNode {
    pub(super) fn new(server: &SshServer, known: oneshot::Sender<()>) -> Self {
        Self { server: server.clone(), known: Some(known), channels: Arc::default() }
    }

    /// One channel more, unless there are too many.
    fn channel(&self) -> Option<CountedChannel> {
        let one_more = |count: usize| (count < CHANNELS_MAX).then_some(count + 1);
        self.channels
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .ok()
            .map(|_| CountedChannel(self.channels.clone()))
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
        if !self.server.authority.lets_in(certificate, crate::run::now()) {
            return Ok(Auth::reject());
        }
        if let Some(known) = self.known.take() {
            let _ = known.send(());
        }
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
        let (room, input) = (self.server.room.clone(), self.server.input.clone());
        let session = SessionOfVisitor::new(room, input, channel, session.handle());
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
        let (Some(counted), Ok(port)) = (self.channel(), u16::try_from(port)) else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let (room, host) = (self.server.room.clone(), host.to_owned());
        tokio::spawn(async move {
            let dialed = tokio::task::spawn_blocking(move || room.dial(&host, port)).await;
            let dialed = dialed.map_err(std::io::Error::other).flatten();
            let connected = dialed.and_then(|stream| {
                stream.set_nonblocking(true)?;
                tokio::net::TcpStream::from_std(stream)
            });
            match connected {
                Ok(mut program) => {
                    reply.accept().await;
                    let mut visitor = channel.into_stream();
                    let _ = tokio::io::copy_bidirectional(&mut visitor, &mut program).await;
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
