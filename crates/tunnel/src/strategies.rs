//! Frames by chance, for properties.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use units::{RentalId, Timestamp};

use crate::code::Code;
use crate::frame::{Frame, Open};
use crate::greeting::{Hello, UdpDoor, Welcome};
use crate::name::ServiceName;
use crate::record::Traffic;
use crate::service::{Proto, Served, Service, Visibility};
use crate::ticket::{Ticket, TicketId};

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn name() -> impl Strategy<Value = ServiceName> {
    "[a-z0-9]{1,20}".prop_map(|text| text.parse().unwrap())
}

fn proto() -> impl Strategy<Value = Proto> {
    prop::sample::select(Proto::ALL.to_vec())
}

fn service() -> impl Strategy<Value = Service> {
    let visibility = prop::sample::select(Visibility::ALL.to_vec());
    (name(), proto(), visibility, any::<bool>(), any::<u16>(), "[a-z]{0,20}", any::<u128>())
        .prop_map(|(name, proto, visibility, is_plain_allowed, port_wished, policy, bits)| {
            Service {
                name,
                proto,
                visibility,
                is_plain_allowed,
                port_wished,
                policy,
                rental: Some(bits).filter(|bits| *bits > 9).map(RentalId::from_bits),
            }
        })
}

fn served() -> impl Strategy<Value = Served> {
    let hosts = prop::collection::vec("[a-z.]{1,30}", 0..4);
    (name(), hosts, prop::collection::vec(any::<u16>(), 0..4))
        .prop_map(|(name, hosts, ports)| Served { name, hosts, ports })
}

fn open() -> impl Strategy<Value = Open> {
    (name(), proto(), address(), address(), "[a-z]{0,20}").prop_map(
        |(service, proto, visitor, local, subject)| Open {
            service,
            proto,
            visitor,
            local,
            subject,
        },
    )
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let udp = prop::option::of((any::<u16>(), any::<[u8; 32]>()));
    (any::<[u8; 16]>(), any::<u32>(), address(), any::<u64>(), udp).prop_map(
        |(session, streams_max, observed, time, udp)| Welcome {
            session,
            streams_max,
            observed,
            time: Timestamp::from_millis(time),
            udp: udp.map(|(port, key)| UdpDoor { port, key }),
        },
    )
}

fn code() -> impl Strategy<Value = Code> {
    prop::sample::select(Code::ALL.to_vec())
}

/// Any frame. The bytes of its data, if it has any, live as long as the test.
pub(crate) fn frame() -> impl Strategy<Value = Frame<'static>> {
    let greetings = prop_oneof![
        (any::<u16>(), bytes(300))
            .prop_map(|(version, pass)| Frame::Hello(Hello { version, pass })),
        welcome().prop_map(Frame::Welcome),
        service().prop_map(Frame::Serve),
        served().prop_map(Frame::Served),
        (name(), code(), "[a-z ]{0,20}").prop_map(|(name, code, why)| Frame::Refused {
            name,
            code,
            why
        }),
        name().prop_map(Frame::Withdraw),
        (code(), "[a-z ]{0,20}").prop_map(|(code, why)| Frame::Turned { code, why }),
    ];
    let streams = prop_oneof![
        open().prop_map(Frame::Open),
        Just(Frame::Accept),
        Just(Frame::Finish),
        Just(Frame::Data(b"some bytes")),
        any::<u32>().prop_map(Frame::Credit),
        code().prop_map(Frame::Reset),
        any::<[u8; 16]>().prop_map(|id| Frame::Move(TicketId::from_bytes(id))),
        any::<[u8; 16]>().prop_map(|id| Frame::Moved(TicketId::from_bytes(id))),
        (any::<u64>(), any::<u64>(), any::<bool>()).prop_map(
            |(to_service, to_visitor, is_whole)| {
                Frame::Record { traffic: Traffic { to_service, to_visitor }, is_whole }
            }
        ),
    ];
    let tickets = prop::collection::vec(any::<[u8; 32]>().prop_map(Ticket::from_bytes), 0..5);
    let rest = prop_oneof![
        any::<u64>().prop_map(Frame::Ping),
        any::<u64>().prop_map(Frame::Pong),
        (any::<bool>(), tickets).prop_map(|(is_plain, tickets)| Frame::Spare { is_plain, tickets }),
        any::<u32>().prop_map(Frame::Drain),
        (any::<[u8; 32]>(), bytes(64)).prop_map(|(peer, body)| Frame::Signal { peer, body }),
        (any::<[u8; 32]>(), bytes(64)).prop_map(|(peer, body)| Frame::Packet { peer, body }),
    ];
    prop_oneof![greetings, streams, rest]
}
