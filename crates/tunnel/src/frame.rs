//! What goes over a line: frames, and how they are written.
//!
//! ```text
//! kind u8 ‖ flags u8 ‖ length u16 ‖ stream u32 ‖ payload of that length          whole numbers little-endian
//! ```
//!
//! Texts and lists begin with their length. A frame of a kind that is not known breaks the line, unless its sender
//! flagged it as one that may be passed over ([`MAY_SKIP`]).

use std::net::SocketAddr;

use units::RentalId;

use crate::code::Code;
use crate::greeting::{Hello, UdpDoor, Welcome};
use crate::limits::{
    HOST_MAX, NAME_MAX, PASS_MAX, PLACES_MAX, POLICY_MAX, SIGNAL_MAX, TEXT_MAX, TICKETS_MAX,
    WORDS_MAX,
};
use crate::name::ServiceName;
use crate::record::Traffic;
use crate::service::{Proto, Served, Service, Visibility};
use crate::ticket::{Ticket, TicketId};
use crate::words::{Reader, Writer};

pub use crate::limits::PAYLOAD_MAX;

/// What stands before a frame's payload.
pub const HEAD_BYTES: usize = 8;
/// The flag of a frame that a side may pass over when it does not know its kind.
pub(crate) const MAY_SKIP: u8 = 1;

/// How the other side broke the protocol. The line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A frame of this kind is not known here.
    #[error("a frame of the unknown kind {0}")]
    UnknownKind(u8),
    /// A frame that is longer than its kind may be.
    #[error("a frame of kind {kind} with {bytes} bytes")]
    TooLong {
        /// The kind.
        kind: u8,
        /// How long its payload is.
        bytes: u16,
    },
    /// A payload that says nothing.
    #[error("a frame of kind {0} that says nothing")]
    Malformed(u8),
    /// Something before the greeting, a second greeting, or what only the other side may say.
    #[error("a frame of kind {0} out of turn")]
    OutOfTurn(u8),
    /// A stream opened with a number that is not its turn.
    #[error("a stream with the number {0}, which is not its turn")]
    NotItsNumber(u32),
    /// More bytes than were granted.
    #[error("more than was granted on stream {0}")]
    BeyondCredit(u32),
    /// More credit than anybody grants.
    #[error("more credit than there is on stream {0}")]
    BeyondReason(u32),
    /// Something on a stream after its end.
    #[error("something after the end of stream {0}")]
    AfterEnd(u32),
    /// Questions without taking the answers.
    #[error("more questions than answers were taken")]
    Flood,
    /// No word in too long a time.
    #[error("silent")]
    Silent,
}

/// A visitor's stream, as the side that opens it says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// To which service.
    pub service: ServiceName,
    /// What the visitor speaks.
    pub proto: Proto,
    /// Where the visitor comes from.
    pub visitor: SocketAddr,
    /// Where the visitor came to.
    pub local: SocketAddr,
    /// Who the visitor proved to be; empty for anybody.
    pub subject: String,
}

/// One frame, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A node's greeting; later, a pass that takes the place of the one it showed.
    Hello(Hello),
    /// A relay's greeting.
    Welcome(Welcome),
    /// A node offers a service.
    Serve(Service),
    /// A relay took the service.
    Served(Served),
    /// A relay refused the service.
    Refused {
        /// Which.
        name: ServiceName,
        /// Why.
        code: Code,
        /// Why, in words.
        why: String,
    },
    /// A node withdraws a service.
    Withdraw(ServiceName),
    /// A stream begins.
    Open(Open),
    /// The stream was taken.
    Accept,
    /// Bytes of the stream.
    Data(&'a [u8]),
    /// As many more bytes may be sent.
    Credit(u32),
    /// No more bytes come this way.
    Finish,
    /// The stream is broken off.
    Reset(Code),
    /// Are you there?
    Ping(u64),
    /// I am.
    Pong(u64),
    /// A relay: what follows this way comes on that connection.
    Move(TicketId),
    /// A node: so does what follows this way.
    Moved(TicketId),
    /// A relay wants connections of their own, one for each ticket.
    Spare {
        /// Whether they go without TLS.
        is_plain: bool,
        /// What they begin with.
        tickets: Vec<Ticket>,
    },
    /// A relay goes away in so many seconds: open nothing new here.
    Drain(u32),
    /// To a relay: for the node of this key. From it: from that node.
    Signal {
        /// The other node's key.
        peer: [u8; 32],
        /// What is said, at most [`SIGNAL_MAX`] bytes.
        body: Vec<u8>,
    },
    /// As a signal, but a packet of a private network: it may be lost.
    Packet {
        /// The other node's key.
        peer: [u8; 32],
        /// The packet, sealed from end to end.
        body: Vec<u8>,
    },
    /// A relay does not let the node in, or no longer.
    Turned {
        /// Why.
        code: Code,
        /// Why, in words.
        why: String,
    },
    /// What a stream came to, as the node saw it.
    Record {
        /// What it carried.
        traffic: Traffic,
        /// Whether both directions came to their end.
        is_whole: bool,
    },
}

/// The numbers of frames. They are a promise.
pub(crate) mod kind {
    pub(crate) const HELLO: u8 = 0;
    pub(crate) const SERVE: u8 = 1;
    pub(crate) const OPEN: u8 = 2;
    pub(crate) const ACCEPT: u8 = 3;
    pub(crate) const DATA: u8 = 4;
    pub(crate) const CREDIT: u8 = 5;
    pub(crate) const FINISH: u8 = 6;
    pub(crate) const RESET: u8 = 7;
    pub(crate) const PING: u8 = 8;
    pub(crate) const PONG: u8 = 9;
    pub(crate) const MOVE: u8 = 10;
    pub(crate) const MOVED: u8 = 11;
    pub(crate) const SPARE: u8 = 12;
    pub(crate) const DRAIN: u8 = 13;
    pub(crate) const SIGNAL: u8 = 14;
    pub(crate) const PACKET: u8 = 15;
    pub(crate) const RECORD: u8 = 16;
    pub(crate) const WELCOME: u8 = 17;
    pub(crate) const SERVED: u8 = 18;
    pub(crate) const REFUSED: u8 = 19;
    pub(crate) const WITHDRAW: u8 = 20;
    pub(crate) const TURNED: u8 = 21;
    /// The last that is known here.
    pub(crate) const LAST: u8 = TURNED;
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) length: u16,
    pub(crate) stream: u32,
}

impl Head {
    pub(crate) fn read(bytes: [u8; HEAD_BYTES]) -> Self {
        let [kind, flags, l0, l1, s0, s1, s2, s3] = bytes;
        let (length, stream) = (u16::from_le_bytes([l0, l1]), u32::from_le_bytes([s0, s1, s2, s3]));
        Self { kind, flags, length, stream }
    }

    pub(crate) fn write(self) -> [u8; HEAD_BYTES] {
        let ([l0, l1], [s0, s1, s2, s3]) = (self.length.to_le_bytes(), self.stream.to_le_bytes());
        [self.kind, self.flags, l0, l1, s0, s1, s2, s3]
    }

    /// Whether a frame may be as long as that.
    pub(crate) fn check(self) -> Result<(), Broken> {
        let is_long = matches!(self.kind, kind::DATA | kind::HELLO);
        let most = if is_long { PAYLOAD_MAX } else { WORDS_MAX };
        match usize::from(self.length) <= most {
            true => Ok(()),
            false => Err(Broken::TooLong { kind: self.kind, bytes: self.length }),
        }
    }
}

impl<'a> Frame<'a> {
    /// Its number.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => kind::HELLO,
            Self::Welcome(_) => kind::WELCOME,
            Self::Serve(_) => kind::SERVE,
            Self::Served(_) => kind::SERVED,
            Self::Refused { .. } => kind::REFUSED,
            Self::Withdraw(_) => kind::WITHDRAW,
            Self::Turned { .. } => kind::TURNED,
            Self::Open(_) => kind::OPEN,
            Self::Accept => kind::ACCEPT,
            Self::Data(_) => kind::DATA,
            Self::Credit(_) => kind::CREDIT,
            Self::Finish => kind::FINISH,
            Self::Reset(_) => kind::RESET,
            Self::Ping(_) => kind::PING,
            Self::Pong(_) => kind::PONG,
            Self::Move(_) => kind::MOVE,
            Self::Moved(_) => kind::MOVED,
            Self::Spare { .. } => kind::SPARE,
            Self::Drain(_) => kind::DRAIN,
            Self::Signal { .. } => kind::SIGNAL,
            Self::Packet { .. } => kind::PACKET,
            Self::Record { .. } => kind::RECORD,
        }
    }

    /// Writes it whole.
    ///
    /// # Panics
    /// If a part is longer than its limit: who makes a frame keeps them.
    pub fn write(&self, stream: u32, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&[0; HEAD_BYTES]);
        self.write_payload(&mut Writer(out));
        let length = out.len() - begin - HEAD_BYTES;
        let length = u16::try_from(length).expect("a payload keeps its limits");
        let head = Head { kind: self.kind(), flags: 0, length, stream };
        head.check().expect("a payload keeps its limits");
        out[begin..begin + HEAD_BYTES].copy_from_slice(&head.write());
    }

    fn write_payload(&self, out: &mut Writer<'_>) {
        match self {
            Self::Hello(hello) => {
                out.u16(hello.version);
                out.bytes(&hello.pass);
            }
            Self::Welcome(welcome) => {
                out.raw(&welcome.session);
                out.u32(welcome.streams_max);
                out.address(welcome.observed);
                out.u64(welcome.time.millis());
                out.u8(u8::from(welcome.udp.is_some()));
                if let Some(UdpDoor { port, key }) = &welcome.udp {
                    out.u16(*port);
                    out.raw(key);
                }
            }
            Self::Serve(service) => write_service(service, out),
            Self::Served(served) => write_served(served, out),
            Self::Refused { name, code, why } => {
                out.text(name.as_str());
                out.u16(code.number());
                out.text(why);
            }
            Self::Withdraw(name) => out.text(name.as_str()),
            Self::Turned { code, why } => {
                out.u16(code.number());
                out.text(why);
            }
            Self::Open(open) => write_open(open, out),
            Self::Accept | Self::Finish => {}
            Self::Data(bytes) => out.raw(bytes),
            Self::Credit(bytes) => out.u32(*bytes),
            Self::Reset(code) => out.u16(code.number()),
            Self::Ping(token) | Self::Pong(token) => out.u64(*token),
            Self::Move(id) | Self::Moved(id) => out.raw(id.as_bytes()),
            Self::Spare { is_plain, tickets } => {
                out.u8(u8::from(*is_plain));
                out.count(tickets.len());
                tickets.iter().for_each(|ticket| out.raw(ticket.as_bytes()));
            }
            Self::Drain(seconds) => out.u32(*seconds),
            Self::Signal { peer, body } | Self::Packet { peer, body } => {
                out.raw(peer);
                out.raw(body);
            }
            Self::Record { traffic, is_whole } => {
                out.u64(traffic.to_service);
                out.u64(traffic.to_visitor);
                out.u8(u8::from(*is_whole));
            }
        }
    }

    /// Understands a payload of this kind.
    ///
    /// # Errors
    /// If nobody who keeps to the protocol sends it.
    pub fn read(kind: u8, payload: &'a [u8]) -> Result<Self, Broken> {
        let mut from = Reader(payload);
        let malformed = Broken::Malformed(kind);
        let frame = Self::read_payload(kind, &mut from).ok_or(malformed)?;
        match (frame, from.0) {
            (Some(frame), []) => Ok(frame),
            (Some(_), _) => Err(malformed),
            (None, _) => Err(Broken::UnknownKind(kind)),
        }
    }

    /// `None`: it says nothing. `Some(None)`: its kind is not known.
    fn read_payload(kind: u8, from: &mut Reader<'a>) -> Option<Option<Self>> {
        let frame = match kind {
            kind::HELLO => {
                Self::Hello(Hello { version: from.u16()?, pass: from.bytes(PASS_MAX)?.to_vec() })
            }
            kind::WELCOME => Self::Welcome(Welcome {
                session: from.array()?,
                streams_max: from.u32()?,
                observed: from.address()?,
                time: units::Timestamp::from_millis(from.u64()?),
                udp: match from.truth()? {
                    true => Some(UdpDoor { port: from.u16()?, key: from.array()? }),
                    false => None,
                },
            }),
            kind::SERVE => Self::Serve(read_service(from)?),
            kind::SERVED => Self::Served(read_served(from)?),
            kind::REFUSED => Self::Refused {
                name: from.name()?,
                code: Code::of(from.u16()?),
                why: from.text(TEXT_MAX)?,
            },
            kind::WITHDRAW => Self::Withdraw(from.name()?),
            kind::TURNED => Self::Turned { code: Code::of(from.u16()?), why: from.text(TEXT_MAX)? },
            kind::OPEN => Self::Open(read_open(from)?),
            kind::ACCEPT => Self::Accept,
            kind::DATA => Self::Data(from.rest()),
            kind::CREDIT => Self::Credit(from.u32()?),
            kind::FINISH => Self::Finish,
            kind::RESET => Self::Reset(Code::of(from.u16()?)),
            kind::PING => Self::Ping(from.u64()?),
            kind::PONG => Self::Pong(from.u64()?),
            kind::MOVE => Self::Move(TicketId::from_bytes(from.array()?)),
            kind::MOVED => Self::Moved(TicketId::from_bytes(from.array()?)),
            kind::SPARE => {
                let is_plain = from.truth()?;
                let many = from.count(TICKETS_MAX)?;
                let tickets = (0..many).map(|_| from.array().map(Ticket::from_bytes));
                Self::Spare { is_plain, tickets: tickets.collect::<Option<_>>()? }
            }
            kind::DRAIN => Self::Drain(from.u32()?),
            kind::SIGNAL => {
                let peer = from.array()?;
                let body = from.rest();
                (body.len() <= SIGNAL_MAX).then_some(())?;
                Self::Signal { peer, body: body.to_vec() }
            }
            kind::PACKET => Self::Packet { peer: from.array()?, body: from.rest().to_vec() },
            kind::RECORD => {
                let (to_service, to_visitor) = (from.u64()?, from.u64()?);
                let traffic = Traffic { to_service, to_visitor };
                Self::Record { traffic, is_whole: from.truth()? }
            }
            _ => return Some(None),
        };
        Some(Some(frame))
    }
}

fn write_service(service: &Service, out: &mut Writer<'_>) {
    out.text(service.name.as_str());
    out.u8(service.proto.number());
    out.u8(service.visibility.number());
    out.u8(u8::from(service.is_plain_allowed));
    out.u16(service.port_wished);
    out.text(&service.policy);
    // Ids begin at 1.
    out.u128(service.rental.map_or(0, RentalId::bits));
}

fn read_service(from: &mut Reader<'_>) -> Option<Service> {
    Some(Service {
        name: from.name()?,
        proto: read_proto(from)?,
        visibility: Visibility::ALL.get(usize::from(from.u8()?)).copied()?,
        is_plain_allowed: from.truth()?,
        port_wished: from.u16()?,
        policy: from.text(POLICY_MAX)?,
        rental: Some(from.u128()?).filter(|bits| *bits != 0).map(RentalId::from_bits),
    })
}

fn read_proto(from: &mut Reader<'_>) -> Option<Proto> {
    Proto::ALL.get(usize::from(from.u8()?)).copied()
}

fn write_served(served: &Served, out: &mut Writer<'_>) {
    out.text(served.name.as_str());
    out.count(served.hosts.len());
    served.hosts.iter().for_each(|host| out.text(host));
    out.count(served.ports.len());
    served.ports.iter().for_each(|port| out.u16(*port));
}

fn read_served(from: &mut Reader<'_>) -> Option<Served> {
    let name = from.name()?;
    let hosts = from.count(PLACES_MAX)?;
    let hosts = (0..hosts).map(|_| from.text(HOST_MAX)).collect::<Option<_>>()?;
    let ports = from.count(PLACES_MAX)?;
    let ports = (0..ports).map(|_| from.u16()).collect::<Option<_>>()?;
    Some(Served { name, hosts, ports })
}

fn write_open(open: &Open, out: &mut Writer<'_>) {
    out.text(open.service.as_str());
    out.u8(open.proto.number());
    out.address(open.visitor);
    out.address(open.local);
    out.text(&open.subject);
}

fn read_open(from: &mut Reader<'_>) -> Option<Open> {
    Some(Open {
        service: from.name()?,
        proto: read_proto(from)?,
        visitor: from.address()?,
        local: from.address()?,
        subject: from.text(TEXT_MAX)?,
    })
}

const _: () = assert!(PLACES_MAX * (HOST_MAX + 4) + NAME_MAX + 6 <= WORDS_MAX);
const _: () = assert!(TICKETS_MAX * Ticket::BYTES + 4 <= WORDS_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_reads_as_it_was_written(frame in strategies::frame(), stream: u32) {
            let mut bytes = Vec::new();
            frame.write(stream, &mut bytes);
            let head = Head::read(bytes[..HEAD_BYTES].try_into().unwrap());
            prop_assert_eq!((head.stream, usize::from(head.length)), (stream, bytes.len() - HEAD_BYTES));
            prop_assert_eq!(Frame::read(head.kind, &bytes[HEAD_BYTES..]), Ok(frame));
        }

        #[test]
        fn no_payload_is_too_strange_to_be_refused(kind: u8, payload in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(frame) = Frame::read(kind, &payload) {
                let mut bytes = Vec::new();
                frame.write(1, &mut bytes);
                prop_assert_eq!(Frame::read(kind, &bytes[HEAD_BYTES..]), Ok(frame));
            }
        }

        #[test]
        fn a_frame_that_is_cut_short_or_goes_on_is_refused(frame in strategies::frame(), more: u8) {
            let mut bytes = Vec::new();
            frame.write(1, &mut bytes);
            let payload = &bytes[HEAD_BYTES..];
            let is_open_ended = matches!(frame, Frame::Data(_) | Frame::Signal { .. } | Frame::Packet { .. });
            if !is_open_ended {
                let mut longer = payload.to_vec();
                longer.push(more);
                prop_assert!(Frame::read(bytes[0], &longer).is_err());
                if let Some((_, shorter)) = payload.split_last() {
                    prop_assert!(Frame::read(bytes[0], shorter).is_err());
                }
            }
        }
    }

    #[test]
    fn the_numbers_on_the_line_are_a_promise() {
        check(&Frame::Accept, "0300000002000000");
        check(&Frame::Data(b"hi"), "04000200020000006869");
        check(&Frame::Credit(65_536), "050004000200000000000100");
        check(&Frame::Finish, "0600000002000000");
        check(&Frame::Reset(Code::NotListening), "07000200020000000500");
        check(&Frame::Ping(7), "08000800020000000700000000000000");
    }

    fn check(frame: &Frame<'_>, expected: &str) {
        let mut bytes = Vec::new();
        frame.write(2, &mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
}
