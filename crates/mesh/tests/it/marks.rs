//! Marks of congestion across the tunnel: out on the datagram, and back in on the packet.

use mesh::{Batch, Ecn, Inner, Merger, Sum, VNET_LEN, Way};

use crate::pair::{End, Pair, udp};

/// What a packet that says `inside` says at the other end, if its datagram came to say `outside`; and what it said when
/// it left. Nothing if it is lost.
fn carried(inside: Ecn, outside: Ecn) -> (Ecn, Option<Ecn>) {
    let mut pair = Pair::new(End::default(), End::default());
    pair.send("first");
    let mut packet = udp(pair.a.ip, pair.b.ip, b"text");
    packet[1] = 0xb8 | inside.bits();
    packet[10..12].fill(0);
    let sum = Sum::of(&packet[..20]).finish();
    packet[10..12].copy_from_slice(&sum);
    let frame = [&[0; VNET_LEN], &packet[..]].concat();
    let departure = pair.a.plane.depart(&frame, pair.now).expect("there is a session");
    let left = departure.ecn;
    let mut sealed = vec![0; departure.datagram_len()];
    let len = departure.seal(0..1, &mut sealed, pair.now);
    let from = Way::Direct(pair.a.address);
    let batch = &mut Batch { buffer: &mut sealed, at: 0..len, size: len, from, ecn: outside };
    let mut merger = Merger::new(true, true);
    pair.b.plane.arrive(batch, &mut merger, pair.now, |_| {});
    let mut came = None;
    merger.finish(&mut sealed, |_, buffer, parts| {
        let packet = &buffer[parts[0].clone()];
        assert!(Inner::read(packet).is_ok());
        assert_eq!(Sum::of(&packet[..20]).finish(), [0, 0], "the header's sum is right");
        assert_eq!(packet[1] & 0xfc, 0xb8, "the rest of the byte is as it was");
        came = Some(Ecn::of_bits(packet[1]));
    });
    (left, came)
}

#[test]
fn what_a_packet_says_goes_out_and_what_the_way_says_comes_in() {
    use Ecn::{Congested, Deaf, One, Zero};
    for (inside, outside, expected) in [
        (Zero, Zero, Some(Zero)),
        (Zero, Congested, Some(Congested)),
        (One, Congested, Some(Congested)),
        (Zero, One, Some(One)),
        (One, Zero, Some(One)),
        (Congested, Deaf, Some(Congested)),
        (Zero, Deaf, Some(Zero)),
        (Deaf, Zero, Some(Deaf)),
        (Deaf, Congested, None),
    ] {
        assert_eq!(carried(inside, outside), (inside, expected), "{inside:?} in {outside:?}");
    }
}
