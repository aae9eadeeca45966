//! SSH into a node: a server in the agent, behind the node's tunnels and at the node's own addresses, whose visitors
//! land in the node's sandbox.
//!
//! The host key is the node's own key, so whoever knows the node knows the host. Visitors show certificates of OpenSSH
//! that the network signed, and nothing else: there are no passwords, and no keys to copy about.
//!
//! # Invariants
//! - Who comes in holds a certificate of the network's key that names this rental, and holds now.
//! - What a visitor starts runs in the node, as the node's user, and never in the agent.
//! - What visitors of a node take of the agent is bounded: connections, channels, and the memory of input.
//! - A connection is cut when its time is over, whatever it is at.
//!
//! Absent on purpose: forwarding of agents, of X11, and of ports back to the visitor; host certificates.

mod certificate;
mod forward;
mod front;
mod input;
mod pipe;
mod session;
mod strangers;
#[cfg(test)]
mod tests;
mod visitor;
mod word;

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ed25519_dalek::SigningKey;
use russh::keys::ssh_key::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::Config;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use trunk::{Cut, ssh_config};
use units::RentalId;
use wire::paper::NodeKey;

use certificate::Authority;
pub(super) use front::Front;
use input::{Braked, Input, Shared};
use strangers::{Stranger, Strangers};
use visitor::VisitorOfNode;

/// What the server says that it is.
const SERVER: &str = "SSH-2.0-iog_node";
/// A visitor says something within this time, or is gone: clients that keep alive do.
const QUIET_MAX: Duration = Duration::from_secs(24 * 3600);

/// What programs of one node have not read yet of their input, in bytes.
const INPUT_BYTES_MAX: usize = 64 << 20;

/// How much one node's server takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections of visitors who have logged in.
    connections: usize,
    /// Connections of who has not.
    strangers: usize,
    /// Channels of one connection: shells, programs, and forwarded connections.
    channels_of_one: usize,
    /// Channels of all together. Each takes up to four files of the agent, and a thread that waits for its program.
    channels: usize,
    /// How long a visitor may take to log in.
    login_within: Duration,
    /// How long a connection may last after that. A certificate holds an hour, and a member who was removed from a
    /// project gets no other; what was begun with it does not go on for ever.
    lasts: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            strangers: 32,
            channels_of_one: 64,
            channels: 256,
            login_within: Duration::from_secs(20),
            lasts: Duration::from_secs(24 * 3600),
        }
    }
}

/// What a visitor wants to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// A command for the node's shell; none for a login shell.
    pub(super) command: Option<String>,
    /// Files, in place of a command.
    pub(super) files: bool,
    /// A terminal: its kind, its columns, and its rows.
    pub(super) terminal: Option<(String, u16, u16)>,
    /// Variables of its environment.
    pub(super) variables: Vec<(String, String)>,
}

/// A program that runs in a node.
pub(super) struct Program {
    /// Where its input goes. With a terminal, this and its output are one.
    pub(super) input: OwnedFd,
    /// Where its output comes from.
    pub(super) output: OwnedFd,
    /// Where its complaints come from; none with a terminal.
    pub(super) errors: Option<OwnedFd>,
    /// What else can be done with it.
    pub(super) control: Arc<dyn Control>,
}

/// What can be done with a program.
pub(super) trait Control: Send + Sync {
    /// Waits for its end. Returns its status, as a shell would say it.
    fn wait(&self) -> u32;
    /// Its terminal has another size.
    fn resize(&self, columns: u16, rows: u16);
    /// Ends it: its visitor is gone.
    fn end(&self);
}

/// A node, as its visitors use it. Calls may wait, but not for long.
pub(super) trait Room: fmt::Debug + Send + Sync {
    /// Starts a program in the node.
    fn run(&self, asked: &Asked) -> Result<Program>;
    /// Connects to a port, as a program in the node would.
    fn dial(&self, host: &str, port: u16) -> io::Result<TcpStream>;
}

/// The server of one node.
#[derive(Clone)]
pub(super) struct SshServer {
    config: Arc<Config>,
    authority: Arc<Authority>,
    room: Arc<dyn Room>,
    limits: Limits,
    connections: Arc<Semaphore>,
    channels: Arc<Semaphore>,
    strangers: Arc<Strangers>,
    /// Input that is not read yet.
    input: Arc<Shared>,
    /// Ends it for everybody.
    over: CancellationToken,
}

impl fmt::Debug for SshServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SshServer")
    }
}

impl SshServer {
    /// The server of the node with this key, for visitors that this network lets into this rental.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub(super) fn new(
        key: &SigningKey,
        network: NodeKey,
        rental: RentalId,
        room: Arc<dyn Room>,
    ) -> Result<Self> {
        Self::within(key, Authority::new(network, rental), room, Limits::default())
    }

    fn within(
        key: &SigningKey,
        authority: Authority,
        room: Arc<dyn Room>,
        limits: Limits,
    ) -> Result<Self> {
        let pair = Ed25519Keypair::from_seed(key.as_bytes());
        let host_key = PrivateKey::new(pair.into(), "").context("use the node's key for SSH")?;
        Ok(Self {
            config: ssh_config(SERVER, host_key, QUIET_MAX),
            authority: Arc::new(authority),
            room,
            limits,
            connections: Arc::new(Semaphore::new(limits.connections)),
            channels: Arc::new(Semaphore::new(limits.channels)),
            strangers: Arc::new(Strangers::new(limits.strangers)),
            input: Arc::new(Shared::new(INPUT_BYTES_MAX)),
            over: CancellationToken::new(),
        })
    }

    /// Cuts all connections, and takes no more.
    pub(super) fn close(&self) {
        self.over.cancel();
    }

    /// Serves one connection to its end.
    pub(super) async fn serve<C>(self, connection: C)
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stranger = self.strangers.enter();
        let cut = self.over.child_token();
        // What serves it is a task of its own: whatever way this ends, the connection ends with it.
        let _cut_at_end = cut.clone().drop_guard();
        let (known, login) = tokio::sync::oneshot::channel();
        let input = Arc::new(Input::new(self.input.clone()));
        let visitor = VisitorOfNode::new(&self, known, input.clone());
        let connection = Cut::new(Braked::new(connection, input), cut);
        let begun = russh::server::run_stream(self.config.clone(), connection, visitor);
        let served = async {
            if let Ok(session) = begun.await {
                let _ = session.await;
            }
        };
        tokio::pin!(served);
        let place = tokio::select! {
            () = &mut served => return,
            place = self.logged_in(&stranger, login) => place,
        };
        let Some(_place) = place else { return };
        drop(stranger);
        let _ = tokio::time::timeout(self.limits.lasts, served).await;
    }

    /// The place of a visitor who has logged in; none if that took too long, or another stranger has come.
    async fn logged_in(
        &self,
        stranger: &Stranger,
        login: tokio::sync::oneshot::Receiver<OwnedSemaphorePermit>,
    ) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            () = stranger.is_shown_out() => None,
            place = tokio::time::timeout(self.limits.login_within, login) => place.ok()?.ok(),
        }
    }
}
