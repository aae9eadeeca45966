//! A connection as this node sees it: what tells it apart, where it stands, and when it is over.

use std::net::IpAddr;
use std::time::Duration;

use units::Timestamp;

use super::tables::{Allowed, Question};
use crate::guard::{Crossing, Direction, Flow};
use crate::inner::Transport;
use crate::key::PublicKey;

/// A connection of TCP that both ends use. Shells that nobody types into last a night; what is idle for longer speaks
/// up by keep-alives, or is judged anew by its next packet.
pub const TCP_IDLE_MAX: Duration = Duration::from_secs(12 * 3600);
/// A connection of TCP whose beginning was not answered, or whose end was.
pub const TCP_EDGE_MAX: Duration = Duration::from_secs(60);
/// Everything else, once it was answered (RFC 4787 asks for two minutes).
pub const ANSWERED_IDLE_MAX: Duration = Duration::from_secs(180);
/// Everything else before that.
pub const UNANSWERED_IDLE_MAX: Duration = Duration::from_secs(30);

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What tells connections apart, from this node's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
    pub(super) protocol: u8,
    pub(super) local_port: u16,
    pub(super) remote_port: u16,
    /// What ports are to others: which exchange of a protocol without ports.
    pub(super) exchange: u8,
}

/// How a packet is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It may begin a connection.
    Begins,
    /// It belongs to a connection, or to nothing.
    Answers,
    /// It goes with any connection of this protocol between the two addresses.
    Follows(u8),
    /// It goes with the connection of the packet that it quotes.
    IsAbout,
}

/// Echoes, and whatever has no answer.
const EXCHANGE: u8 = 0;
/// Echoes that the other side asked for.
const EXCHANGE_IN: u8 = 1;
/// What goes with connections.
const FOLLOWING: u8 = 2;

impl Key {
    /// Which connection a packet belongs to, and how it is to be taken.
    #[inline]
    pub(super) fn of(crossing: &Crossing<'_>) -> (Self, Manner) {
        Self::of_flow(&crossing.flow, crossing.direction, crossing.tcp_flags)
    }

    /// Which connection the packet belongs to that an error is about: it went the other way.
    pub(super) fn of_quoted(crossing: &Crossing<'_>) -> Option<Self> {
        let heading = match crossing.direction {
            Direction::Out => Direction::In,
            Direction::In => Direction::Out,
        };
        crossing.quoted.map(|flow| Self::of_flow(&flow, heading, 0).0)
    }

    #[inline]
    fn of_flow(flow: &Flow, heading: Direction, tcp_flags: u8) -> (Self, Manner) {
        let is_out = heading == Direction::Out;
        let key = |protocol, source: u16, target: u16, exchange| {
            let (local_port, remote_port) =
                if is_out { (source, target) } else { (target, source) };
            let (local, remote) =
                if is_out { (flow.source, flow.target) } else { (flow.target, flow.source) };
            Self { local, remote, protocol, local_port, remote_port, exchange }
        };
        match flow.transport {
            Transport::Tcp { source, target } => {
                let is_reset = tcp_flags & RST != 0;
                let manner = if is_reset { Manner::Answers } else { Manner::Begins };
                (key(TCP, source, target, EXCHANGE), manner)
            }
            Transport::Udp { source, target } => {
                (key(UDP, source, target, EXCHANGE), Manner::Begins)
            }
            Transport::Fragment { protocol } => {
                (key(protocol, 0, 0, FOLLOWING), Manner::Follows(protocol))
            }
            // ICMP of the other family: rules for ICMP are not about it.
            Transport::Other { protocol: protocol @ (ICMP | ICMPV6) } => {
                (key(protocol, 0, 0, EXCHANGE), Manner::Answers)
            }
            Transport::Other { protocol } => (key(protocol, 0, 0, EXCHANGE), Manner::Begins),
            Transport::Icmp { kind, .. } => {
                let protocol = if flow.source.is_ipv4() { ICMP } else { ICMPV6 };
                let (manner, exchange) = icmp(protocol, kind, is_out);
                (key(protocol, 0, 0, exchange), manner)
            }
        }
    }

    /// What is to be asked if a packet of this direction begins the connection.
    #[inline]
    pub(super) const fn question(&self, heading: Direction) -> Question {
        let port = match heading {
            Direction::Out => self.remote_port,
            Direction::In => self.local_port,
        };
        let Self { local, remote, protocol, .. } = *self;
        Question { heading, local, remote, protocol, port }
    }

    /// Whether it stands for what goes with connections.
    pub(super) const fn is_following(&self) -> bool {
        self.exchange == FOLLOWING
    }
}

/// Echo requests begin and echo replies answer; errors go with what they are about; the rest begins.
const fn icmp(protocol: u8, kind: u8, is_out: bool) -> (Manner, u8) {
    match (protocol, kind) {
        (ICMP, 8) | (ICMPV6, 128) => (Manner::Begins, if is_out { EXCHANGE } else { EXCHANGE_IN }),
        (ICMP, 0) | (ICMPV6, 129) => (Manner::Answers, if is_out { EXCHANGE_IN } else { EXCHANGE }),
        (ICMP, 3 | 11 | 12) | (ICMPV6, 1..=4) => (Manner::IsAbout, FOLLOWING),
        (_, _) => (Manner::Begins, if is_out { EXCHANGE } else { EXCHANGE_IN }),
    }
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many packets.
    pub packets: u64,
    /// How long they were together.
    pub bytes: u64,
}

impl Count {
    pub(super) const fn add(&mut self, packets: u64, bytes: u64) {
        self.packets = self.packets.saturating_add(packets);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// A connection that was let pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    pub(super) key: Key,
    pub(super) peer: PublicKey,
    /// Who began.
    pub(super) began: Direction,
    /// What allowed it, by which version of the policy.
    pub(super) allowed: Allowed,
    pub(super) version: u64,
    /// When what was not yet reported began, and which report of the connection that will be.
    pub(super) since: Timestamp,
    pub(super) part: u32,
    /// When a packet of it was last let pass.
    pub(super) last: Timestamp,
    pub(super) sent: Count,
    pub(super) received: Count,
    is_answered: bool,
    /// Ends of TCP that were said, this node's and the other's; a reset is both.
    ends: [bool; 2],
}

impl Track {
    pub(super) const fn new(
        key: Key,
        crossing: &Crossing<'_>,
        allowed: Allowed,
        version: u64,
    ) -> Self {
        Self {
            key,
            peer: *crossing.peer,
            began: crossing.direction,
            allowed,
            version,
            since: crossing.now,
            part: 0,
            last: crossing.now,
            sent: Count { packets: 0, bytes: 0 },
            received: Count { packets: 0, bytes: 0 },
            is_answered: false,
            ends: [false; 2],
        }
    }

    /// Takes note of a packet that is let pass.
    #[inline]
    pub(super) fn on_packet(&mut self, crossing: &Crossing<'_>) {
        self.last = self.last.max(crossing.now);
        self.is_answered |= crossing.direction != self.began;
        if crossing.tcp_flags & RST != 0 {
            self.ends = [true; 2];
        }
        if crossing.tcp_flags & FIN != 0 {
            self.ends[usize::from(crossing.direction == Direction::In)] = true;
        }
    }

    /// Whether both ends have said that it is over.
    pub(super) const fn is_closed(&self) -> bool {
        self.ends[0] && self.ends[1]
    }

    pub(super) const fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Until when it may be silent.
    pub(super) fn holds_until(&self) -> Timestamp {
        let patience = match (self.key.protocol, self.is_answered, self.is_closed()) {
            (TCP, true, false) => TCP_IDLE_MAX,
            (TCP, _, _) => TCP_EDGE_MAX,
            (_, true, _) => ANSWERED_IDLE_MAX,
            (_, false, _) => UNANSWERED_IDLE_MAX,
        };
        self.last.after(patience)
    }
}

/// Whether a packet of TCP asks for a new connection.
#[inline]
pub(super) const fn asks_for_connection(tcp_flags: u8) -> bool {
    tcp_flags & (SYN | ACK) == SYN
}
