//! What comes to a node of the mesh, and to a relay's port. The doors of what is not public stand in the crate, which
//! knows what is behind them.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use ::mesh::PublicKey;
use ::mesh::mapping::{Gateway, Mapper, SERVER_PORT, upnp};
use ::mesh::names::{Answer, MeshName, Names};
use ::mesh::policy::{Member, Policy, Tables};
use units::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1);

/// A packet of the private network.
pub fn packets(bytes: &[u8]) {
    ::mesh::fuzz::classify(bytes);
}

/// A frame of the device.
pub fn frames(bytes: &[u8]) {
    ::mesh::fuzz::cut(bytes);
}

/// Packets that came together.
pub fn batches(bytes: &[u8]) {
    ::mesh::fuzz::merge(bytes);
}

/// A message of the handshake.
pub fn handshakes(bytes: &[u8]) {
    ::mesh::fuzz::handshake(bytes);
}

/// A message about ways, or what comes to a relay's port.
pub fn ways(bytes: &[u8]) {
    ::mesh::fuzz::ways(bytes);
}

/// A policy file: what reads is compiled, and makes the same tables each time.
pub fn policies(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(policy) = Policy::parse(text) else { return };
    let member = |number: u8| Member {
        key: PublicKey([number; 32]),
        name: format!("node-{number}"),
        user: Some("somebody".to_owned()),
        groups: ["group:research".to_owned()].into(),
        tags: ["tag:gpu".to_owned()].into(),
        addresses: vec![Ipv4Addr::new(100, 64, 0, number).into()],
    };
    let members = [member(1), member(2)];
    // Tests of the file may fail; then nobody gets any rules.
    let Ok(compiled) = policy.compile(&members) else { return };
    for member in &members {
        let rules = compiled.rules_of(member);
        assert_eq!(rules, compiled.rules_of(member), "the same question, the same answer");
        drop(Tables::new(1, &rules));
    }
}

/// A question for names, over UDP and over TCP, and what a router says of a mapping.
pub fn questions(bytes: &[u8]) {
    let name = MeshName::parse("head.mesh").expect("it is a name");
    let address: IpAddr = Ipv4Addr::new(100, 64, 0, 2).into();
    let block = "100.64.0.0/24".parse().expect("it is a block");
    let names = Names::new([(name, vec![address])], vec![block]);
    for (is_udp, most) in [(true, 4_096), (false, 65_535)] {
        match names.answer(bytes, is_udp) {
            Answer::Reply(reply) | Answer::Forward { refusal: reply } => {
                assert!(reply.len() <= most, "an answer fits");
                assert_eq!(names.answer(&reply, is_udp), Answer::Nothing, "no answer is answered");
            }
            Answer::Nothing => {}
        }
    }
    let (router, own) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
    let mut mapper = Mapper::new(51_820, [7; 12]);
    mapper.on_gateway(Some(Gateway { router, own }), NOW);
    mapper.on_wake(NOW);
    mapper.on_message(SocketAddrV4::new(router, SERVER_PORT), bytes, NOW);
    mapper.on_message(SocketAddrV4::new(own, SERVER_PORT), bytes, NOW);
    while mapper.next_effect().is_some() {}
    routers(bytes, router);
}

/// What a router says by `UPnP`, as each of its answers.
fn routers(bytes: &[u8], router: Ipv4Addr) {
    let described = "HTTP/1.1 200 OK\r\nLocation: http://192.0.2.1:5000/a.xml\r\n\r\n";
    let known = upnp::location(described.as_bytes(), router).expect("it is the router's");
    for place in [upnp::location(bytes, router), Some(known)].into_iter().flatten() {
        assert_eq!(*place.at.ip(), router, "nobody else is asked");
        if let Some(control) = upnp::control(bytes, &place) {
            assert_eq!(*control.at().ip(), router, "nobody else is asked");
            assert!(control.outside().len() < 2_048, "a question is short");
        }
    }
    let _ = (upnp::outside(bytes), upnp::came_of(bytes));
}
