//! SSH into a node: a server in the agent, behind the node's tunnels, whose visitors land in the node's sandbox.
//!
//! The host key is the node's own key, so whoever knows the node knows the host. Visitors show certificates of OpenSSH
//! that the network signed, and nothing else: there are no passwords, and no keys to copy about.
//!
//! # Invariants
//! - Who comes in holds a certificate of the network's key that names this rental, and holds now.
//! - What a visitor starts runs in the node, as the node's user, and never in the agent.
//! - What the input of all programs of a node keeps of the agent's memory is bounded.
//!
//! Absent on purpose: forwarding of agents, of X11, and of ports back to the visitor; host certificates.

mod certificate;
mod pipe;
mod session;
#[cfg(test)]
mod tests;
mod visitor;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ed25519_dalek::SigningKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use units::RentalId;
use wire::paper::NodeKey;

use certificate::Authority;
use visitor::VisitorOfNode;

/// Connections to one node at a time.
const CONNECTIONS_MAX: usize = 64;
/// Channels of one connection: shells, programs, and forwarded connections.
const CHANNELS_MAX: usize = 64;
/// What programs of one node have not read yet of their input, in bytes. A program that reads nothing while its visitor
/// sends all of this holds up that visitor's connection, and nobody else's.
const INPUT_BYTES_MAX: usize = 64 << 20;
/// A visitor says something within this time, or is gone: clients that keep alive do.
const QUIET_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long a visitor may take to log in.
const LOGIN_WITHIN: Duration = Duration::from_secs(60);
/// Tries of one connection. Clients with many keys try all of them.
const TRIES: usize = 20;

/// What a visitor wants to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// A command for the node's shell; none for a login shell.
    pub(super) command: Option<String>,
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
    connections: Arc<Semaphore>,
    input: Arc<Semaphore>,
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
        let pair = Ed25519Keypair::from_seed(key.as_bytes());
        let host_key = PrivateKey::new(pair.into(), "").context("use the node's key for SSH")?;
        Ok(Self {
            config: config(host_key),
            authority: Arc::new(Authority::new(network, rental)),
            room,
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            input: Arc::new(Semaphore::new(INPUT_BYTES_MAX)),
        })
    }

    /// Serves one connection to its end.
    pub(super) async fn serve<C>(self, connection: C)
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(_place) = self.connections.clone().try_acquire_owned() else {
            tracing::debug!("a node has as many visitors by SSH as it takes");
            return;
        };
        let (known, login) = tokio::sync::oneshot::channel();
        let visitor = VisitorOfNode::new(&self, known);
        let begun = russh::server::run_stream(self.config.clone(), connection, visitor);
        let served = async {
            if let Ok(session) = begun.await {
                let _ = session.await;
            }
        };
        tokio::pin!(served);
        tokio::select! {
            () = &mut served => return,
            logged_in = tokio::time::timeout(LOGIN_WITHIN, login) => {
                if !matches!(logged_in, Ok(Ok(()))) {
                    return;
                }
            }
        }
        served.await;
    }
}

/// Ciphers with tags only, and exchanges that current OpenSSH prefers.
fn config(host_key: PrivateKey) -> Arc<Config> {
    let preferred = Preferred {
        kex: Cow::Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::EXTENSION_SUPPORT_AS_SERVER,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]),
        key: Cow::Borrowed(&[
            Algorithm::Ed25519,
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
            Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
            Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
        ]),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(&[
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_128_GCM,
        ]),
        mac: Cow::Borrowed(&[mac::HMAC_SHA256_ETM]),
        compression: Cow::Borrowed(&[compression::NONE]),
    };
    Arc::new(Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-iog_node")),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        // A refused key tells nothing that the next one could use: no need to wait.
        auth_rejection_time: Duration::ZERO,
        keys: vec![host_key],
        preferred,
        max_auth_attempts: TRIES,
        inactivity_timeout: Some(QUIET_MAX),
        nodelay: true,
        ..Config::default()
    })
}
