//! Questions about members are answered; what is not ours to say is not said; no bytes confuse it.

use std::net::{IpAddr, Ipv4Addr};

use mesh::names::{self, Answer, MeshName, Names, UDP_ANSWER_MIN};
use mesh::{Inner, Transport};
use proptest::prelude::*;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};

const RESOLVER: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 53);

fn town() -> Names {
    let name = |text: &str| MeshName::parse(text).expect("a name");
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let crowd = (0..200).map(|number| IpAddr::from(Ipv4Addr::new(100, 64, 7, number)));
    Names::new(
        [
            (name("node0"), vec![ip("100.64.0.1"), ip("fd00::1")]),
            (name("node0.rnt_7"), vec![ip("100.64.0.1")]),
            (name("node1"), vec![ip("100.64.0.2")]),
            (name("crowd"), crowd.collect()),
        ],
        vec!["100.64.0.0/10".parse().expect("a block"), "fd00::/8".parse().expect("a block")],
    )
}

fn question(name: &str, kind: TYPE) -> Vec<u8> {
    let mut query = Packet::new_query(77);
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).expect("a name of DNS");
    let question = Question::new(name, QTYPE::TYPE(kind), CLASS::IN.into(), false);
    query.questions.push(question);
    query.build_bytes_vec().expect("it is short")
}

fn texts(reply: &[u8]) -> (RCODE, Vec<String>) {
    let packet = Packet::parse(reply).expect("it reads");
    let text = |data: &RData<'_>| {
        if let RData::A(a) = data {
            return Ipv4Addr::from(a.address).to_string();
        }
        if let RData::AAAA(aaaa) = data {
            return std::net::Ipv6Addr::from(aaaa.address).to_string();
        }
        if let RData::PTR(name) = data {
            return name.0.to_string();
        }
        format!("{data:?}")
    };
    assert_eq!(packet.id(), 77);
    (packet.rcode(), packet.answers.iter().map(|record| text(&record.rdata)).collect())
}

#[test]
fn what_is_asked_is_answered() {
    let v6_name = format!("1.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
    for (name, kind, code, expected) in [
        ("node0.mesh", TYPE::A, RCODE::NoError, &["100.64.0.1"][..]),
        ("NODE0.mesh", TYPE::AAAA, RCODE::NoError, &["fd00::1"]),
        ("node0.rnt_7.mesh", TYPE::A, RCODE::NoError, &["100.64.0.1"]),
        ("node0.rnt_7.mesh", TYPE::AAAA, RCODE::NoError, &[]),
        ("node0.mesh", TYPE::MX, RCODE::NoError, &[]),
        ("node9.mesh", TYPE::A, RCODE::NameError, &[]),
        ("mesh", TYPE::A, RCODE::NoError, &[]),
        ("2.0.64.100.in-addr.arpa", TYPE::PTR, RCODE::NoError, &["node1.mesh"]),
        ("9.9.64.100.in-addr.arpa", TYPE::PTR, RCODE::NameError, &[]),
        (v6_name.as_str(), TYPE::PTR, RCODE::NoError, &["node0.mesh"]),
    ] {
        let Answer::Reply(reply) = town().answer(&question(name, kind), true) else {
            panic!("{name} is ours to answer");
        };
        let expected = expected.iter().map(ToString::to_string).collect();
        assert_eq!(texts(&reply), (code, expected), "{name}");
    }
}

#[test]
fn what_is_not_ours_is_handed_on_or_refused() {
    for name in ["example.org", "mesh.example.org", "notmesh", "1.2.0.192.in-addr.arpa"] {
        let Answer::Forward { refusal } = town().answer(&question(name, TYPE::A), true) else {
            panic!("{name} is not ours");
        };
        assert_eq!(texts(&refusal).0, RCODE::Refused, "{name}");
    }
}

#[test]
fn an_answer_that_is_too_long_says_so_and_comes_whole_over_tcp() {
    let asked = question("crowd.mesh", TYPE::A);
    let (Answer::Reply(short), Answer::Reply(whole)) =
        (town().answer(&asked, true), town().answer(&asked, false))
    else {
        panic!("it is ours to answer");
    };
    assert!(short.len() <= UDP_ANSWER_MIN);
    assert!(Packet::parse(&short).expect("it reads").has_flags(PacketFlag::TRUNCATION));
    assert_eq!(texts(&whole).1.len(), 200);
}

#[test]
fn a_packet_to_the_resolver_comes_back_as_one_to_who_asked() {
    let client = (Ipv4Addr::new(100, 64, 0, 2), 40_000_u16);
    let asked = question("node0.mesh", TYPE::A);
    // The way back is the way there with its ends swapped.
    let mut packet = names::answered(client.0, (RESOLVER, 53), &asked).expect("it is short");
    packet[20..22].copy_from_slice(&client.1.to_be_bytes());
    assert!(names::is_for(RESOLVER, &packet) && !names::is_for(client.0, &packet));
    let found = names::asked(&packet).expect("it is a question");
    assert_eq!(found.source, client);
    let Answer::Reply(reply) = town().answer_asked(&found) else { panic!("it is ours") };
    let back = names::answered(RESOLVER, found.source, &reply).expect("it is short");
    let inner = Inner::read(&back).expect("it is a packet");
    assert_eq!((inner.source, inner.target), (RESOLVER.into(), client.0.into()));
    assert_eq!(inner.transport, Transport::Udp { source: 53, target: 40_000 });
}

/// A segment of a program's connection to the resolver: flags, number, what it confirms, data.
fn segment(flags: u8, number: u32, confirms: u32, data: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet.extend(data);
    let len = u16::try_from(packet.len()).expect("it is short");
    (packet[0], packet[9], packet[32], packet[33]) = (0x45, 6, 0x50, flags);
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet[12..16].copy_from_slice(&[100, 64, 0, 2]);
    packet[16..20].copy_from_slice(&RESOLVER.octets());
    packet[20..22].copy_from_slice(&40_000_u16.to_be_bytes());
    packet[22..24].copy_from_slice(&53_u16.to_be_bytes());
    packet[24..28].copy_from_slice(&number.to_be_bytes());
    packet[28..32].copy_from_slice(&confirms.to_be_bytes());
    packet
}

#[test]
fn a_connection_is_answered_by_what_each_packet_says() {
    let (fin, syn, ack) = (1, 2, 16);
    let asked = question("crowd.mesh", TYPE::A);
    let len = u16::try_from(asked.len()).expect("it is short").to_be_bytes();
    let (told, next) = ([&len[..], &asked].concat(), 1001 + u32::from(len[1]) + 2);
    let say = |packet: &[u8]| {
        let answer = |message: &[u8]| match town().answer(message, false) {
            Answer::Reply(reply) | Answer::Forward { refusal: reply } => Some(reply),
            Answer::Nothing => None,
        };
        let reply = names::conversed(RESOLVER, packet, answer)?;
        let word = |at: usize| u32::from_be_bytes(*reply[at..].first_chunk().expect("four bytes"));
        Some((reply[33], word(24), word(28), reply[40..].to_vec()))
    };
    assert_eq!(say(&segment(syn, 1000, 0, &[])), Some((syn | ack, 1, 1001, vec![])));
    assert_eq!(say(&segment(ack, 1001, 2, &[])), None, "nothing is said to that");
    assert_eq!(say(&segment(ack, 1001, 2, &told[..20])), None, "a piece is not confirmed");
    for flags in [ack, ack | 8, ack | fin] {
        let (_, number, confirms, data) = say(&segment(flags, 1001, 2, &told)).expect("an answer");
        assert_eq!((number, confirms), (2, next));
        assert_eq!(usize::from(u16::from_be_bytes([data[0], data[1]])), data.len() - 2);
        assert_eq!(texts(&data[2..]).1.len(), 200);
    }
    assert_eq!(say(&segment(fin | ack, next, 9, &[])), Some((fin | ack, 9, next + 1, vec![])));
    assert_eq!(say(&segment(4, next, 9, &[])), None, "who broke off hears nothing");
}

proptest! {
    #[test]
    fn no_bytes_confuse_a_connection(flags: u8, cut in 0_usize..80, data in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut packet = segment(flags, 7, 7, &data);
        let _any = names::conversed(RESOLVER, &packet, |message| Some(message.to_vec()));
        packet.truncate(cut);
        let _any = names::conversed(RESOLVER, &packet, |message| Some(message.to_vec()));
        prop_assert_eq!(names::conversed(RESOLVER, &data, |_| Some(vec![])), None);
    }

    #[test]
    fn no_bytes_confuse_it(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..60, flip: u8) {
        let town = town();
        let _any = town.answer(&bytes, true);
        let _none = names::asked(&bytes);
        let mut nearly = question("node0.rnt_7.mesh", TYPE::A);
        let at = cut % nearly.len();
        nearly[at] ^= flip;
        if let Answer::Reply(reply) = town.answer(&nearly, true) {
            prop_assert!(reply.len() <= UDP_ANSWER_MIN.max(1232));
        }
        nearly.truncate(at);
        let _any = town.answer(&nearly, false);
    }
}

#[test]
fn a_message_that_says_it_has_more_than_fits_is_refused_unread() {
    let mut message = question("node0.mesh", TYPE::A);
    for count in [4, 6, 8, 10] {
        let true_byte = std::mem::replace(&mut message[count], 0xff);
        let Answer::Reply(reply) = town().answer(&message, true) else { panic!("it is refused") };
        assert_eq!(texts(&reply).0, RCODE::FormatError);
        message[count] = true_byte;
    }
    assert!(matches!(town().answer(&message, true), Answer::Reply(_)));
}
