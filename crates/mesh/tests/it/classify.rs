//! What the packet classifier makes of packets that others' classifiers got wrong.

use mesh::{EXTENSIONS_MAX, Inner, NotAPacket, Transport};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// An IPv6 packet with these headers behind the first, each as (its number, its bytes).
fn v6(headers: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut packet =
        vec![0x60, 0, 0, 0, 0, 0, headers.first().map_or(59, |(number, _)| *number), 64];
    packet.extend([0xfd; 32]);
    for (_, bytes) in headers {
        packet.extend(bytes);
    }
    let len = (packet.len() - 40) as u16;
    packet[4..6].copy_from_slice(&len.to_be_bytes());
    packet
}

fn tcp() -> Vec<u8> {
    let mut header = vec![0x10, 1, 0x20, 2];
    header.resize(20, 0);
    header[12] = 0x50;
    header
}

fn udp() -> Vec<u8> {
    vec![0x10, 1, 0x20, 2, 0, 8, 0, 0]
}

/// An extension header of 8 bytes that says what follows.
fn extension(next: u8) -> Vec<u8> {
    vec![next, 0, 0, 0, 0, 0, 0, 0]
}

fn v4(protocol: u8, fragment: u16, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet[2..4].copy_from_slice(&((20 + rest.len()) as u16).to_be_bytes());
    packet[6..8].copy_from_slice(&fragment.to_be_bytes());
    packet.extend(rest);
    packet
}

fn check(packet: &[u8], expected: Result<Transport, NotAPacket>) {
    assert_eq!(Inner::read(packet).map(|inner| inner.transport), expected, "{packet:02x?}");
}

#[test]
fn ports_are_found_behind_extension_headers() {
    let found = Ok(Transport::Tcp { source: 0x1001, target: 0x2002 });
    check(&v6(&[(TCP, tcp())]), found);
    check(&v6(&[(0, extension(TCP)), (TCP, tcp())]), found);
    check(
        &v6(&[(0, extension(43)), (43, extension(60)), (60, extension(TCP)), (TCP, tcp())]),
        found,
    );
    let mut long = extension(TCP);
    long[1] = 2;
    long.resize(24, 0);
    check(&v6(&[(60, long), (TCP, tcp())]), found);
    // Authentication counts in other units.
    let mut authentication = extension(TCP);
    authentication[1] = 4;
    authentication.resize(24, 0);
    check(&v6(&[(51, authentication), (TCP, tcp())]), found);
}

#[test]
fn a_first_fragment_has_ports_and_a_later_one_has_none() {
    let first = vec![UDP, 0, 0, 1, 0, 0, 0, 9];
    let later = vec![UDP, 0, 0, 9, 0, 0, 0, 9];
    check(&v6(&[(44, first), (UDP, udp())]), Ok(Transport::Udp { source: 0x1001, target: 0x2002 }));
    check(&v6(&[(44, later), (UDP, udp())]), Ok(Transport::Fragment { protocol: UDP }));
    check(&v4(UDP, 0x2000, &udp()), Ok(Transport::Udp { source: 0x1001, target: 0x2002 }));
    check(&v4(UDP, 0x0010, &udp()), Ok(Transport::Fragment { protocol: UDP }));
}

#[test]
fn a_fragment_that_would_overwrite_the_ports_is_refused() {
    check(&v4(TCP, 0x0001, &tcp()), Err(NotAPacket::Header));
}

#[test]
fn a_fragment_too_short_for_its_ports_is_refused() {
    check(&v4(TCP, 0x2000, &tcp()[..8]), Err(NotAPacket::Short));
    check(&v4(UDP, 0x2000, &udp()[..4]), Err(NotAPacket::Short));
}

#[test]
fn icmp_is_read_where_it_begins_and_only_in_its_own_family() {
    check(&v4(1, 0, &[8, 0, 0, 0]), Ok(Transport::Icmp { kind: 8, code: 0 }));
    check(&v6(&[(58, vec![128, 0, 0, 0])]), Ok(Transport::Icmp { kind: 128, code: 0 }));
    check(
        &v6(&[(60, extension(58)), (58, vec![1, 4, 0, 0])]),
        Ok(Transport::Icmp { kind: 1, code: 4 }),
    );
    check(&v4(58, 0, &[128, 0, 0, 0]), Ok(Transport::Other { protocol: 58 }));
    check(&v6(&[(1, vec![8, 0, 0, 0])]), Ok(Transport::Other { protocol: 1 }));
}

#[test]
fn what_is_not_known_is_not_guessed() {
    for protocol in [2, 4, 41, 47, 50, 59, 99, 132, 253] {
        check(&v4(protocol, 0, &tcp()), Ok(Transport::Other { protocol }));
        check(&v6(&[(protocol, tcp())]), Ok(Transport::Other { protocol }));
        assert!(!Transport::Other { protocol }.is_known());
    }
}

#[test]
fn a_chain_of_headers_has_an_end() {
    let mut headers: Vec<_> = (0..EXTENSIONS_MAX).map(|_| (60, extension(60))).collect();
    headers.last_mut().expect("there are some").1[0] = TCP;
    headers.push((TCP, tcp()));
    check(&v6(&headers), Ok(Transport::Tcp { source: 0x1001, target: 0x2002 }));
    headers.insert(0, (60, extension(60)));
    check(&v6(&headers), Err(NotAPacket::Extensions));
}

#[test]
fn what_is_cut_off_is_refused_wherever_it_is_cut() {
    let packets =
        [v6(&[(0, extension(44)), (44, extension(TCP)), (TCP, tcp())]), v4(TCP, 0, &tcp())];
    for packet in packets {
        for len in 0..packet.len() {
            assert_eq!(Inner::read(&packet[..len]), Err(NotAPacket::Short), "{len}");
        }
    }
}

#[test]
fn headers_that_contradict_each_other_are_refused() {
    let mut packet = v4(TCP, 0, &tcp());
    packet[0] = 0x44;
    check(&packet, Err(NotAPacket::Header));
    let mut packet = v4(TCP, 0, &tcp());
    packet[3] = 19;
    check(&packet, Err(NotAPacket::Header));
    check(&[0x50; 40], Err(NotAPacket::Version));
    check(&[], Err(NotAPacket::Short));
}

#[test]
fn a_packet_that_is_to_pass_other_hosts_first_is_of_no_protocol_but_that() {
    let routed = Ok(Transport::Other { protocol: 43 });
    let mut header = extension(TCP);
    header[3] = 1;
    check(&v6(&[(43, header.clone()), (TCP, tcp())]), routed);
    check(&v6(&[(60, extension(43)), (43, header), (TCP, tcp())]), routed);
    let with_options = |options: &[u8], fragment: u16| {
        let mut packet = v4(TCP, fragment, &[options, &tcp()].concat());
        packet[0] = 0x45 + (options.len() / 4) as u8;
        packet
    };
    for route in [131, 137] {
        check(&with_options(&[route, 7, 4, 10, 0, 0, 9, 0], 0), routed);
        check(&with_options(&[1, route, 7, 4, 10, 0, 0, 9], 0), routed);
        check(&with_options(&[route, 7, 4, 10, 0, 0, 9, 0], 9), routed);
    }
    check(&with_options(&[7, 0, 0, 0], 0), routed);
    let plain = Ok(Transport::Tcp { source: 0x1001, target: 0x2002 });
    check(&with_options(&[148, 4, 0, 0], 0), plain);
    check(&with_options(&[0, 131, 7, 4], 0), plain);
}
