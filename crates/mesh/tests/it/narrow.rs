//! A way that is narrower than the private network: TCP is cut shorter, everybody else is told.

use mesh::{Inner, Note, Plane, Stays, Transport, VNET_LEN};

use crate::pair::{End, Pair, udp};
use crate::shapes::{PSH_ACK, Shape, sum};

/// What the system says fits, headers and all.
const OUTER: usize = 1360;
const INNER: usize = OUTER - 20 - 8 - 32;

fn narrowed() -> Pair {
    let mut pair = Pair::new(End::default(), End::default());
    pair.send("hello");
    let (peer, _) = pair.a.mesh.peers().next().expect("there is a peer");
    pair.a.mesh.on_note(Note::PathMtu { peer, mtu: OUTER }, pair.now);
    pair.settle();
    pair
}

#[test]
fn tcp_is_cut_to_what_fits() {
    let mut pair = narrowed();
    let shape = Shape {
        v6: false,
        tcp: true,
        flow: 1,
        sequence: 1,
        id: 1,
        flags: PSH_ACK,
        options: vec![],
        data: vec![7; 10_000],
    };
    let plane: &Plane = &pair.a.plane;
    let frame = shape.frame(1380);
    let departure = plane.depart(&frame, pair.now).expect("it leaves");
    assert!(departure.datagram_len() <= OUTER - 28);
    assert_eq!(departure.count(), 10_000_usize.div_ceil(INNER - 40));
    pair.b.texts();
    pair.a.emit(&shape.pieces(1380)[0], pair.now);
    pair.settle();
    assert_eq!(pair.b.delivered.len(), 2, "a single packet is cut, too");
}

#[test]
fn others_are_told_in_their_own_protocols_words() {
    let pair = narrowed();
    let long = udp(pair.a.ip, pair.b.ip, &[0; 1300]);
    let frame = |packet: &[u8]| [&[0; VNET_LEN], packet].concat();
    let stays = pair.a.plane.depart(&frame(&long), pair.now).expect_err("it is too long");
    assert_eq!(stays, Stays::TooBig { mtu: INNER });
    let later = [&long[..7], &[9], &long[8..]].concat();
    assert_eq!(pair.a.plane.too_big(&frame(&later), INNER), None, "it does not tell whose it is");

    let answer = pair.a.plane.too_big(&frame(&long), INNER).expect("nobody else fragments it");
    let inner = Inner::read(&answer).expect("a packet");
    assert_eq!(inner.transport, Transport::Icmp { kind: 3, code: 4 });
    assert_eq!((inner.source, inner.target), (pair.b.ip.into(), pair.a.ip.into()));
    assert_eq!(answer[26..28], (INNER as u16).to_be_bytes());
    assert_eq!((sum(&[&answer[..20]]), sum(&[&answer[20..]])), (0xffff, 0xffff));
    assert_eq!(answer[28..48], long[..20]);
    assert_eq!(pair.a.plane.too_big(&frame(&answer), 20), None, "no error about an error");
}

#[test]
fn a_way_narrower_than_ipv6_allows_is_not_believed() {
    let mut pair = narrowed();
    let (peer, _) = pair.a.mesh.peers().next().expect("there is a peer");
    pair.a.mesh.on_note(Note::PathMtu { peer, mtu: 300 }, pair.now);
    pair.settle();
    let long = udp(pair.a.ip, pair.b.ip, &[0; 1300]);
    let frame = [&[0; VNET_LEN], &long[..]].concat();
    let stays = pair.a.plane.depart(&frame, pair.now);
    assert_eq!(stays.expect_err("it is too long"), Stays::TooBig { mtu: INNER });
}
