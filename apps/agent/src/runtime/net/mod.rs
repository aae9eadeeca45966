//! A node's own network: a namespace that bubblewrap makes, and in it the device of the node's mesh.
//!
//! ```text
//!   agent ── engine ── TUN ──────────────┐ fd            node's namespace: lo, mesh0 (its addresses), up0 (egress)
//!     │                                  │                 │
//!     └── desk ◄──── sockets, fds ──── porter ─────────────┘
//! ```
//!
//! The *porter* is a process of ours that stands in the namespace, and not in the sandbox: it makes the device, hands
//! out sockets of the namespace, and ends with the agent or the node.
//!
//! # Invariants
//! - What the node runs has no privilege over its network: it changes neither addresses, nor routes, nor rules.
//! - The device and its addresses stay while no agent is there, and with them the connections of the node's processes.
//! - Nothing of a node's network is left when its processes have ended and nobody holds its [`NodeNet`] or its device.

mod desk;
mod egress;
mod porter;
mod program;
mod trial;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use serde::{Deserialize, Serialize};
use worker::NodeKey;

pub use self::egress::Egress;
pub(super) use self::egress::{hosts, lead_out, resolv, rules, works as leads_out};
pub use self::porter::porter;
use self::porter::{Asked, Porter, Task};
pub use self::program::{Ended, Run, Running, program};
pub(super) use self::trial::{trial_key, try_out};
use super::agent_program::AgentProgram;
use super::inside::Inside;
use super::process::Process;

/// The device of a node's mesh.
pub const DEVICE: &str = "mesh0";
/// How long those who wait for a connection wait at most for a place in the queue of a listener of the node.
const BACKLOG: i32 = 128;

/// Where a node is in its mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// The mesh's IPv4 block: what is routed into the mesh.
    pub v4_block: (Ipv4Addr, u8),
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
    /// The mesh's IPv6 block.
    pub v6_block: (Ipv6Addr, u8),
    /// The longest packet, in bytes.
    pub mtu: u16,
    /// Who answers for names of the mesh, if anybody does.
    pub resolver: Option<Ipv4Addr>,
}

impl Addresses {
    /// Each address with the length of the block around it.
    fn blocks(&self) -> [(IpAddr, u8); 2] {
        [(self.v4.into(), self.v4_block.1), (self.v6.into(), self.v6_block.1)]
    }
}

/// Kinds of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SocketKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4.
    Udp4,
    /// UDP over IPv6.
    Udp6,
}

impl SocketKind {
    const fn tcp(to: &SocketAddr) -> Self {
        if to.is_ipv4() { Self::Tcp4 } else { Self::Tcp6 }
    }

    const fn of(self) -> (AddressFamily, SocketType) {
        match self {
            Self::Tcp4 => (AddressFamily::INET, SocketType::STREAM),
            Self::Tcp6 => (AddressFamily::INET6, SocketType::STREAM),
            Self::Udp4 => (AddressFamily::INET, SocketType::DGRAM),
            Self::Udp6 => (AddressFamily::INET6, SocketType::DGRAM),
        }
    }
}

/// Who is told of nodes' networks, on the thread that owns the runtime: it must not wait.
pub trait Nets: fmt::Debug + Send + Sync {
    /// A node's processes run in this network from here on; what was told of the node before is over. A node that is
    /// started again, or that a new agent has found, has a new one.
    fn is_up(&self, net: std::sync::Arc<NodeNet>);
    /// The node's processes have ended. As long as somebody holds its device, the kernel keeps its network.
    fn is_down(&self, key: NodeKey);
    /// Where others see this machine: nodes do not reach those addresses, behind which may be their supplier's own.
    fn seen_at(&self) -> BTreeSet<Ipv4Addr> {
        BTreeSet::new()
    }
}

/// Nobody.
#[derive(Debug)]
pub struct NoNets;

impl Nets for NoNets {
    fn is_up(&self, _net: std::sync::Arc<NodeNet>) {}

    fn is_down(&self, _key: NodeKey) {}
}

/// The network of one start of a node. Its porter ends when this is dropped.
#[derive(Debug)]
pub struct NodeNet {
    addresses: Addresses,
    tun: OwnedFd,
    porter: Porter,
    inside: Inside,
    environment: Vec<(String, String)>,
}

/// What a network is made of.
#[derive(Debug)]
pub(super) struct Making<'a> {
    /// The agent's program.
    pub(super) program: &'a AgentProgram,
    /// The node.
    pub(super) inside: Inside,
    /// Its first process.
    pub(super) first: Process,
    /// Where it is in its mesh.
    pub(super) addresses: Addresses,
    /// What may leave for the Internet; nothing leaves there without.
    pub(super) rules: Option<String>,
    /// The environment of the node's processes.
    pub(super) environment: Vec<(String, String)>,
}

impl NodeNet {
    /// Makes a node's network, or finds it as an agent before left it.
    pub(super) fn make(making: Making<'_>) -> Result<Self> {
        let Making { program, inside, first, addresses, rules, environment } = making;
        let task = Task::Serve { addresses: addresses.clone(), rules };
        let asked = Asked { first, user: inside.way.user(), task };
        let (porter, tun) = Porter::start(program, &inside, &asked)?;
        Ok(Self { addresses, tun, porter, inside, environment })
    }

    /// Lets other things leave for the Internet than before.
    pub(super) fn lay_down(&self, first: Process, rules: String) -> Result<()> {
        let asked = Asked { first, user: None, task: Task::LayDown(rules) };
        porter::lay_down(self.porter.program(), &self.inside, &asked)
    }

    /// Whose it is.
    pub fn key(&self) -> NodeKey {
        self.inside.key
    }

    /// Where the node is in its mesh.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The device of the mesh, for [`mesh_shell::Engine::start_on`]. One reader at a time: packets go to whoever reads.
    pub fn tun(&self) -> io::Result<OwnedFd> {
        self.tun.try_clone()
    }

    /// Whether its porter still serves.
    pub(super) fn is_alive(&self) -> bool {
        self.porter.is_alive()
    }

    /// Where egress is attached.
    pub(super) fn porter(&self) -> &Porter {
        &self.porter
    }

    /// A socket of the node's network, neither bound nor connected. It is inherited by nobody.
    pub fn socket(&self, kind: SocketKind) -> io::Result<OwnedFd> {
        self.porter.socket(kind)
    }

    /// Connects to somebody in the node's network, or in its mesh.
    pub fn dial(&self, to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
        let socket = self.socket(SocketKind::tcp(&to))?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        match rustix::net::connect(&socket, &to) {
            Ok(()) => {}
            Err(Errno::INPROGRESS) => connected(&socket, patience)?,
            Err(fault) => return Err(fault.into()),
        }
        rustix::io::ioctl_fionbio(&socket, false)?;
        Ok(TcpStream::from(socket))
    }

    /// Listens in the node's network.
    pub fn listen(&self, at: SocketAddr) -> io::Result<TcpListener> {
        let socket = self.socket(SocketKind::tcp(&at))?;
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &at)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(TcpListener::from(socket))
    }

    /// Runs a program in the node: as its user, in its control group, with the environment of its processes.
    pub fn run(&self, what: &Run) -> Result<Running> {
        program::start(self.porter.program(), &self.inside, &self.environment, what)
    }
}

/// Waits until a connection is made.
fn connected(socket: &OwnedFd, patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut waits = [PollFd::new(socket, PollFlags::OUT)];
        let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut waits, Some(&left)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(rustix::net::sockopt::socket_error(socket)??),
            Err(fault) => return Err(fault.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The addresses of the node at this place of a mesh.
    pub(in crate::runtime) fn addresses(at: u8) -> Addresses {
        Addresses {
            v4: [100, 64, 16, at].into(),
            v4_block: ([100, 64, 16, 0].into(), 20),
            v6: [0xfd10, 0, 0, 0, 0, 0, 0, at.into()].into(),
            v6_block: ([0xfd10, 0, 0, 0, 0, 0, 0, 0].into(), 48),
            mtu: 1_380,
            resolver: Some([100, 64, 16, 1].into()),
        }
    }

    #[test]
    fn addresses_read_back_as_written() {
        let text = serde_json::to_string(&addresses(16)).unwrap();
        assert_eq!(serde_json::from_str::<Addresses>(&text).unwrap(), addresses(16));
    }
}
