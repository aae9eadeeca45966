//! Where access rules and flow records stand: what is asked about every flow that crosses, and told how much it
//! carried.
//!
//! Addresses were checked before: the source of what comes in and the target of what goes out belong to the peer, so a
//! guard may go by addresses alone.

use std::fmt;
use std::net::IpAddr;

use units::Timestamp;

use crate::inner::{Inner, TCP_FLAGS_AT, Transport};
use crate::key::PublicKey;

/// Flags of TCP that begin or end a connection: FIN, SYN, RST.
pub const TCP_TURNS: u8 = 0x07;

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From this machine to the peer.
    Out,
    /// From the peer to this machine.
    In,
}

/// What tells flows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Who sends.
    pub source: IpAddr,
    /// Whom it is for.
    pub target: IpAddr,
    /// Protocol and ports.
    pub transport: Transport,
}

/// A packet that is about to cross, or packets that did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing<'a> {
    /// Which way.
    pub direction: Direction,
    /// The other end.
    pub peer: &'a PublicKey,
    /// Which flow.
    pub flow: Flow,
    /// The flow of the packet that an error of ICMP is about, as it went: the other way.
    pub quoted: Option<Flow>,
    /// The flags of a packet of TCP, else 0. Packets that turn a connection ([`TCP_TURNS`]) are asked about singly.
    pub tcp_flags: u8,
    /// When.
    pub now: Timestamp,
}

/// What decides and counts. Called by the threads that carry packets: it must be quick, and never wait long.
pub trait Guard: fmt::Debug + Send + Sync {
    /// Whether a packet may cross. Asked once per frame of the device, and once per run of a flow's packets that came
    /// together.
    fn lets_pass(&self, crossing: &Crossing<'_>) -> bool;

    /// Packets that were let pass have crossed; `bytes` is their length inside.
    fn on_carried(&self, crossing: &Crossing<'_>, packets: u64, bytes: u64);

    /// Whether a packet that may leave needs no cover: its grant says that it is bulk. Asked only about peers with one.
    fn is_bare(&self, _crossing: &Crossing<'_>) -> bool {
        false
    }

    /// Packets were stopped that came together with the one that was asked about, itself included. On the way out, the
    /// question is all that is told.
    fn on_stopped(&self, crossing: &Crossing<'_>, packets: u64, bytes: u64);
}

impl Flow {
    /// The flow of a packet.
    #[inline]
    pub const fn of(inner: &Inner) -> Self {
        Self { source: inner.source, target: inner.target, transport: inner.transport }
    }

    /// A number that is the same for all packets of the flow and likely another for another flow (FNV-1a).
    pub(crate) fn number(&self) -> u64 {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let ports = match self.transport {
            Transport::Tcp { source, target } => u64::from(source) << 16 | u64::from(target),
            Transport::Udp { source, target } => {
                1 << 32 | u64::from(source) << 16 | u64::from(target)
            }
            Transport::Icmp { .. } | Transport::Fragment { .. } | Transport::Other { .. } => {
                2 << 32
            }
        };
        let bytes = bits(self.source)
            .to_le_bytes()
            .into_iter()
            .chain(bits(self.target).to_le_bytes())
            .chain(ports.to_le_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |number, byte| {
            (number ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

/// The flags of a packet of TCP, else 0.
#[inline]
pub(crate) fn tcp_flags(packet: &[u8], inner: &Inner) -> u8 {
    match inner.transport {
        Transport::Tcp { .. } => {
            packet.get(inner.transport_at + TCP_FLAGS_AT).copied().unwrap_or_default()
        }
        Transport::Udp { .. }
        | Transport::Icmp { .. }
        | Transport::Fragment { .. }
        | Transport::Other { .. } => 0,
    }
}
