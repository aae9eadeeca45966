//! A router leads a port to us: by PCP or NAT-PMP, for a time, and only if it is the router that says so.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use mesh::mapping::{Effect, Gateway, LIFETIME_SECONDS, Mapper, SERVER_PORT, upnp};
use proptest::prelude::*;
use units::Timestamp;

const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 7);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
const PORT: u16 = 51_820;

fn server() -> SocketAddrV4 {
    SocketAddrV4::new(ROUTER, SERVER_PORT)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + seconds * 1000)
}

fn asking() -> Mapper {
    let mut mapper = Mapper::new(PORT, [9; 12]);
    mapper.on_gateway(Some(Gateway { router: ROUTER, own: OWN }), at(0));
    mapper
}

/// What is sent, and what is mapped last, if that changes.
fn effects(mapper: &mut Mapper) -> (Vec<Vec<u8>>, Option<Option<String>>) {
    let (mut sent, mut mapped) = (Vec::new(), None);
    while let Some(effect) = mapper.next_effect() {
        match effect {
            Effect::Send { to, message } => {
                assert_eq!(to, server());
                sent.push(message);
            }
            Effect::Mapped(at) => mapped = Some(at.map(|at| at.to_string())),
        }
    }
    (sent, mapped)
}

fn pcp_answer(question: &[u8], outer: u16, lifetime: u32) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[1] |= 0x80;
    (answer[2], answer[3]) = (0, 0);
    answer[4..8].copy_from_slice(&lifetime.to_be_bytes());
    answer[42..44].copy_from_slice(&outer.to_be_bytes());
    answer[44..60].copy_from_slice(&OUTSIDE.to_ipv6_mapped().octets());
    answer
}

fn pmp_answers(outer: u16) -> [Vec<u8>; 2] {
    let outside = [&[0, 128, 0, 0, 0, 0, 0, 1][..], &OUTSIDE.octets()].concat();
    let ports = [PORT.to_be_bytes(), outer.to_be_bytes()].concat();
    let mapped = [&[0, 129, 0, 0, 0, 0, 0, 1][..], &ports, &3600_u32.to_be_bytes()].concat();
    [outside, mapped]
}

#[test]
fn a_router_of_pcp_is_asked_believed_renewed_and_forgotten() {
    let mut mapper = asking();
    mapper.on_wake(at(0));
    let (sent, _) = effects(&mut mapper);
    assert_eq!(sent[0].len(), 60);
    assert_eq!(sent[0][8..24], OWN.to_ipv6_mapped().octets());
    mapper.on_message(server(), &pcp_answer(&sent[0], 4000, LIFETIME_SECONDS), at(1));
    assert_eq!(effects(&mut mapper).1, Some(Some("203.0.113.9:4000".into())));

    let renewal = at(1).after(Duration::from_secs(3600));
    assert_eq!(mapper.wake_at(), Some(renewal));
    mapper.on_wake(renewal);
    let (sent, _) = effects(&mut mapper);
    assert_eq!(sent[0][42..44], 4000_u16.to_be_bytes(), "it asks for the port that it has");
    mapper.on_message(server(), &pcp_answer(&sent[0], 4000, LIFETIME_SECONDS), renewal);
    assert_eq!(effects(&mut mapper).1, None, "nothing changed");

    // The router is silent from here on: the mapping ends with its time.
    while let Some(wake) =
        mapper.wake_at().filter(|wake| *wake <= renewal.after(Duration::from_secs(7200)))
    {
        mapper.on_wake(wake);
    }
    assert_eq!(effects(&mut mapper).1, Some(None));
}

#[test]
fn a_router_of_nat_pmp_will_do_in_either_order() {
    for swapped in [false, true] {
        let mut mapper = asking();
        mapper.on_wake(at(0));
        effects(&mut mapper);
        let [outside, mapped] = pmp_answers(4001);
        let order =
            if swapped { [&mapped, &outside, &mapped] } else { [&outside, &mapped, &mapped] };
        order.iter().for_each(|message| mapper.on_message(server(), message, at(1)));
        assert_eq!(effects(&mut mapper).1, Some(Some("203.0.113.9:4001".into())));
        mapper.release();
        let (sent, mapped) = effects(&mut mapper);
        assert_eq!(mapped, Some(None));
        assert_eq!(sent[2], [&[0, 1, 0, 0][..], &PORT.to_be_bytes(), &[0; 6]].concat());
    }
}

#[test]
fn who_is_not_the_router_or_does_not_know_our_number_is_not_believed() {
    let mut mapper = asking();
    mapper.on_wake(at(0));
    let (sent, _) = effects(&mut mapper);
    let answer = pcp_answer(&sent[0], 4000, 60);
    mapper.on_message(SocketAddrV4::new(OWN, SERVER_PORT), &answer, at(1));
    mapper.on_message(SocketAddrV4::new(ROUTER, 1), &answer, at(1));
    let with = |at: usize, byte: u8| {
        let mut changed = answer.clone();
        changed[at] = byte;
        changed
    };
    for changed in [with(24, 0), with(3, 2), with(36, 6), with(40, 0), with(1, 1)] {
        mapper.on_message(server(), &changed, at(1));
    }
    assert_eq!(effects(&mut mapper).1, None);
}

#[test]
fn a_silent_router_is_left_alone_for_ten_minutes() {
    let mut mapper = asking();
    let mut asked = Vec::new();
    while let Some(wake) = mapper.wake_at().filter(|wake| *wake <= at(1300)) {
        mapper.on_wake(wake);
        if !effects(&mut mapper).0.is_empty() {
            asked.push(wake.since(at(0)).as_secs());
        }
    }
    assert_eq!(asked.len(), 3 * 6, "{asked:?}");
    assert!(asked[5] <= 8 && asked[6] >= 600, "{asked:?}");
}

const FOUND: &str = "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: http://192.168.1.1:5000/rootDesc.xml\r\n\r\n";
const DESCRIBED: &str = "HTTP/1.1 200 OK\r\n\r\n<?xml version=\"1.0\"?><root><device><serviceList>\
    <service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType>\
    <controlURL>/l3f</controlURL></service>\
    <service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
    <serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><controlURL>/ctl/IPConn</controlURL></service>\
    </serviceList></device></root>";

#[test]
fn a_router_of_upnp_is_found_and_asked() {
    let place = upnp::location(FOUND.as_bytes(), ROUTER).unwrap();
    assert_eq!(place.at, SocketAddrV4::new(ROUTER, 5000));
    assert!(upnp::get(&place).starts_with(b"GET /rootDesc.xml HTTP/1.0\r\n"));
    let control = upnp::control(DESCRIBED.as_bytes(), &place).unwrap();
    let question =
        String::from_utf8(control.map(4_000, SocketAddrV4::new(OWN, PORT), 7_200)).unwrap();
    assert!(question.starts_with("POST /ctl/IPConn HTTP/1.0\r\n"), "{question}");
    let (head, body) = question.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    assert!(body.contains("<NewInternalClient>192.168.1.7</NewInternalClient>"), "{body}");
    let answer =
        "HTTP/1.1 200 OK\r\n\r\n<a><NewExternalIPAddress>203.0.113.9</NewExternalIPAddress></a>";
    assert_eq!(upnp::outside(answer.as_bytes()), Some(OUTSIDE));
    assert_eq!(upnp::came_of(answer.as_bytes()), Some(upnp::Answer::Done));
    let refused = "HTTP/1.1 500 Internal Server Error\r\n\r\n<errorCode>718</errorCode>";
    let conflict = upnp::Answer::Refused(upnp::CONFLICT);
    assert_eq!(upnp::came_of(refused.as_bytes()), Some(conflict));
    assert_eq!(upnp::outside(refused.as_bytes()), None);
}

#[test]
fn no_answer_of_upnp_leads_anywhere_but_to_the_router() {
    for other in ["192.168.1.2", "127.0.0.1", "router.example", "192.168.1.1@192.168.1.2", "[::1]"]
    {
        let found = FOUND.replace("192.168.1.1", other);
        assert_eq!(upnp::location(found.as_bytes(), ROUTER), None, "{other}");
        let place = upnp::location(FOUND.as_bytes(), ROUTER).unwrap();
        let described = DESCRIBED.replace("/ctl/IPConn", &format!("http://{other}:80/ctl"));
        assert_eq!(upnp::control(described.as_bytes(), &place), None, "{other}");
    }
    let place = upnp::location(FOUND.as_bytes(), ROUTER).unwrap();
    for path in ["/a b", "/a\r\nHost: x", "", &"/a".repeat(300)] {
        let described = DESCRIBED.replace("/ctl/IPConn", path);
        assert_eq!(upnp::control(described.as_bytes(), &place), None, "{path:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_confuse_it(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 0..20)) {
        let mut mapper = asking();
        for (message, seconds) in messages.iter().zip(0..) {
            mapper.on_wake(at(seconds));
            mapper.on_message(server(), message, at(seconds));
        }
        effects(&mut mapper);
    }
}
