//! The jump host: `ssh -J <relay> <user>@<service>` from any OpenSSH.
//!
//! Only streams to services are opened (`direct-tcpip`). There is no shell, no file transfer, no agent, and nothing
//! is forwarded back. The inner connection is the visitor's own SSH, sealed to the service: the relay sees none of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use russh::keys::ssh_key::{Certificate, LineEnding, PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use trunk::Cut;
use tunnel::{Proto, ServiceName};

use super::admission::Admitted;
use super::carried::Activity;
use super::clock::now;
use super::host::service_at;
use super::house::{Ends, House};
use super::metrics::Turned;
use crate::opener::{Entry, Opener, Refused, Visitor};

/// What whoever opens a session reads.
const NO_SHELL: &str =
    "This is a jump host, without a shell: use ssh -J <host> <user>@<service>, or `iog ssh`.\r\n";
/// The status that a session ends with.
const NO_SHELL_STATUS: u32 = 1;

/// The host key in this file; made when there is none.
pub(crate) fn host_key(path: &std::path::Path) -> Result<PrivateKey> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            PrivateKey::from_openssh(text).with_context(|| format!("use {}", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).context("ask the system for chance")?;
            let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&seed);
            let key = PrivateKey::new(pair.into(), "iog relay").context("make a host key")?;
            let text = key.to_openssh(LineEnding::LF).context("write a host key")?;
            super::secret_file::write(path, text.as_bytes())?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Serves one connection.
pub(crate) async fn serve<O: Opener, C>(
    house: &Arc<House<O>>,
    config: &Arc<Config>,
    connection: C,
    ends: Ends,
) where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (cut, known) = (CancellationToken::new(), CancellationToken::new());
    let jump = Jump {
        house: Arc::clone(house),
        ends,
        who: None,
        known: known.clone(),
        channels: Arc::default(),
        sessions: BTreeMap::new(),
        told: None,
    };
    // Whatever way this ends, the connection ends with it.
    let _cut_at_end = cut.clone().drop_guard();
    let connection = Cut::new(connection, cut);
    let begun = russh::server::run_stream(Arc::clone(config), connection, jump);
    let served = async {
        match begun.await {
            Ok(session) => session.await.is_ok(),
            Err(_) => false,
        }
    };
    tokio::pin!(served);
    let login = tokio::time::timeout(house.limits.login_time, known.cancelled());
    let turned = tokio::select! {
        // Who was let in and then broke off was no stranger.
        is_well = &mut served => (!is_well && !known.is_cancelled()).then_some(Turned::Handshake),
        Err(_) = login => Some(Turned::Silent),
    };
    if let Some(why) = turned {
        house.metrics.turned(why);
    }
}

/// One visitor of the jump host.
struct Jump<O> {
    house: Arc<House<O>>,
    ends: Ends,
    who: Option<Admitted>,
    /// Is set when the visitor has logged in.
    known: CancellationToken,
    channels: Arc<AtomicUsize>,
    /// Sessions that are open; each counts as a channel.
    sessions: BTreeMap<ChannelId, CountedChannel>,
    /// The session that was told that there is no shell.
    told: Option<ChannelId>,
}

fn openssh_text(key: &PublicKey) -> Option<String> {
    // Without its comment, which is the visitor's to choose.
    PublicKey::from(key.key_data().clone()).to_openssh().ok()
}

impl<O: Opener> Jump<O> {
    fn admitted(&self, key: &PublicKey) -> Option<Admitted> {
        self.house.admission.by_ssh_key(&openssh_text(key)?, now())
    }

    fn let_in(&mut self, who: Option<Admitted>) -> Auth {
        self.who = who;
        match self.who {
            Some(_) => {
                self.known.cancel();
                Auth::Accept
            }
            None => Auth::reject(),
        }
    }

    /// The service that a visitor named, or why they may not go there.
    fn found(&self, host: &str) -> Result<ServiceName, ChannelOpenFailure> {
        let offered = |name: ServiceName| Some((self.house.directory.offered(&name)?, name));
        let named = service_at(host, &self.house.domain);
        // Who names a machine means its SSH.
        let machine = named.as_ref().and_then(|name| format!("ssh--{name}").parse().ok());
        let found = named.and_then(offered).or_else(|| machine.and_then(offered));
        let Some((offered, service)) = found else {
            return Err(refusal(format!("no connected machine serves {host}")));
        };
        match offered.proto {
            Proto::Ssh | Proto::Tcp | Proto::Tls => {}
            // What a service reads of its visitor in headers it must read from the relay.
            Proto::Http => return Err(refusal(format!("{host} is visited by https"))),
            Proto::Udp => return Err(refusal(format!("{host} is visited by UDP"))),
        }
        let may = |who: &Admitted| self.house.admission.may_visit(who, &service, &offered, now());
        let is_in = offered.access.is_public() || self.who.as_ref().is_some_and(may);
        if is_in {
            return Ok(service);
        }
        self.house.directory.refused(&service, &self.visitor());
        Err(ChannelOpenFailure::AdministrativelyProhibited)
    }

    fn visitor(&self) -> Visitor {
        let anybody = self.ends.anybody(Entry::Ssh);
        match &self.who {
            Some(Admitted { subject, who, .. }) => {
                Visitor { subject: subject.clone(), who: who.clone(), ..anybody }
            }
            None => anybody,
        }
    }

    /// One channel more, unless there are too many.
    fn channel(&self) -> Option<CountedChannel> {
        let max = self.house.limits.ssh_channels;
        let one_more = |count: usize| (count < max).then_some(count + 1);
        self.channels
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .ok()
            .map(|_| CountedChannel(Arc::clone(&self.channels)))
    }

    /// Says that there is no shell, and ends the session.
    fn turn_away(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        if self.told.replace(channel) != Some(channel) {
            session.channel_success(channel)?;
            session.data(channel, NO_SHELL.as_bytes().to_vec())?;
            session.exit_status_request(channel, NO_SHELL_STATUS)?;
            session.eof(channel)?;
            session.close(channel)?;
        }
        Ok(())
    }
}

/// Code 2 of RFC 4254, 5.1 (connect failed), with words: OpenSSH shows them.
fn refusal(reason: String) -> ChannelOpenFailure {
    ChannelOpenFailure::Other { code: 2, reason }
}

fn failure_of(refused: &Refused) -> ChannelOpenFailure {
    match refused {
        Refused::NotPermitted(_) => ChannelOpenFailure::AdministrativelyProhibited,
        Refused::Limit(_) => ChannelOpenFailure::ResourceShortage,
        Refused::NoSuchService(_)
        | Refused::Draining
        | Refused::Silent
        | Refused::NotListening(_)
        | Refused::Broke => refusal(refused.to_string()),
    }
}

/// A channel that counts as open.
struct CountedChannel(Arc<AtomicUsize>);

impl Drop for CountedChannel {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<O: Opener> Handler for Jump<O> {
    type Error = russh::Error;

    // Which keys are offered is not looked at: a certificate is offered as its bare key, and nothing tells it apart.

    async fn auth_publickey(
        &mut self,
        _user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let who = self.admitted(key.public_key);
        Ok(self.let_in(who))
    }

    async fn auth_openssh_certificate(
        &mut self,
        _user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        let who = self.house.admission.by_ssh_certificate(certificate, now());
        Ok(self.let_in(who))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.channel() {
            Some(counted) => {
                self.sessions.insert(channel.id(), counted);
                reply.accept().await;
            }
            None => reply.reject(ChannelOpenFailure::ResourceShortage).await,
        }
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.sessions.remove(&channel);
        Ok(())
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.turn_away(channel, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.turn_away(channel, session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.turn_away(channel, session)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(counted) = self.channel().filter(|_| self.who.is_some()) else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let service = match self.found(host) {
            Ok(found) => found,
            Err(failure) => {
                reply.reject(failure).await;
                return Ok(());
            }
        };
        let (house, visitor) = (Arc::clone(&self.house), self.visitor());
        tokio::spawn(async move {
            let activity = Activity::new();
            match house.open(&service, &visitor, &activity).await {
                Err(refused) => reply.reject(failure_of(&refused)).await,
                Ok(stream) => {
                    reply.accept().await;
                    if stream.carry(channel.into_stream(), house.limits.quiet_time).await {
                        house.metrics.turned(Turned::Quiet);
                    }
                }
            }
            drop(counted);
        });
        Ok(())
    }
}
