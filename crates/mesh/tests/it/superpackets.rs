//! Cutting and merging undo each other, and neither hides a wrong checksum.

use std::ops::Range;

use mesh::{Cutter, Inner, Merger, VNET_LEN};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::shapes::{ACK, PSH_ACK, Shape, sum};

fn shape(data_max: usize) -> impl Strategy<Value = Shape> {
    let options = prop_oneof![Just(vec![]), Just(vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2])];
    let flags =
        prop_oneof![Just(ACK), Just(PSH_ACK), Just(ACK | 0x01), Just(ACK | 0x80), Just(ACK | 0x40)];
    let numbers = (any::<u32>(), any::<u16>(), 0..4_u8);
    let data = vec(any::<u8>(), 1..data_max);
    (any::<(bool, bool)>(), numbers, flags, options, data).prop_map(
        |((v6, tcp), (sequence, id, flow), flags, options, data)| {
            let options = if tcp { options } else { vec![] };
            Shape { v6, tcp, flow, sequence, id, flags, options, data }
        },
    )
}

/// A run of packets of one flow, as a sender's kernel cuts them, perhaps with one that was changed under way.
fn run() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (shape(6000), 1..1400_usize, proptest::option::of(any::<(u16, u16)>())).prop_map(
        |(shape, size, change)| {
            let mut pieces = shape.pieces(size.max(shape.data.len() / 20 + 1));
            if let Some((which, at)) = change {
                let count = pieces.len();
                let piece = &mut pieces[usize::from(which) % count];
                let at = shape.ip_len() + usize::from(at) % (piece.len() - shape.ip_len());
                piece[at] ^= 0x20;
            }
            pieces
        },
    )
}

/// Changes a packet's headers, and then makes its checksums right again.
fn with_right_checksums(shape: &Shape, mut packet: Vec<u8>, changes: &[(usize, u8)]) -> Vec<u8> {
    let ip = shape.ip_len();
    for (at, value) in changes {
        if let Some(byte) = packet.get_mut(*at) {
            *byte = *value;
        }
    }
    let (at, protocol) = if shape.tcp { (ip + 16, 6) } else { (ip + 6, 17) };
    packet[at..at + 2].fill(0);
    let len = (packet.len() - ip) as u16;
    let addresses = if shape.v6 { 8..40 } else { 12..20 };
    let value = !sum(&[&packet[addresses], &[0, protocol], &len.to_be_bytes(), &packet[ip..]]);
    packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
    if !shape.v6 {
        packet[10..12].fill(0);
        let value = !sum(&[&packet[..20]]);
        packet[10..12].copy_from_slice(&value.to_be_bytes());
    }
    packet
}

fn cut(frame: &[u8]) -> Vec<Vec<u8>> {
    let cutter = Cutter::read(frame).expect("a frame of the device");
    let piece = |index| {
        let mut out = vec![0xee; cutter.longest()];
        let len = cutter.write(index, &mut out);
        out.truncate(len);
        out
    };
    (0..cutter.count()).map(piece).collect()
}

/// Merges packets that lie in one buffer with gaps, as they do when they were sealed, into frames of the device.
fn merge(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    const GAP: usize = 32;
    let mut buffer = Vec::new();
    let mut places: Vec<Range<usize>> = Vec::new();
    for packet in packets {
        buffer.extend_from_slice(&[0xaa; GAP]);
        places.push(buffer.len()..buffer.len() + packet.len());
        buffer.extend_from_slice(packet);
    }
    let mut merger = Merger::new(true, true);
    for (packet, place) in packets.iter().zip(places) {
        merger.push(&buffer, place, Inner::read(packet).expect("a packet"));
    }
    let mut frames = Vec::new();
    merger.finish(&mut buffer, |vnet, buffer, parts| {
        let parts = parts.iter().flat_map(|part| &buffer[part.clone()]);
        frames.push(vnet.iter().chain(parts).copied().collect());
    });
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn cutting_gives_the_packets_that_the_rfcs_ask_for(shape in shape(20_000), size in 1..9000_u16) {
        let size = size.max((shape.data.len() / 60 + 1) as u16);
        prop_assert_eq!(cut(&shape.frame(size)), shape.pieces(size.into()));
    }

    #[test]
    fn merging_what_was_cut_gives_one_frame(shape in shape(20_000), size in 1..9000_u16) {
        let size = size.max((shape.data.len() / 60 + 1) as u16);
        let shape = Shape { flags: shape.flags & PSH_ACK, ..shape };
        let frames = merge(&shape.pieces(size.into()));
        prop_assert_eq!(frames.len(), 1);
        if shape.data.len() > usize::from(size) {
            prop_assert_eq!(&frames[0], &shape.frame(size));
        }
    }

    #[test]
    fn cutting_what_was_merged_gives_the_same_packets_in_order(
        runs in vec(run(), 1..5),
        turns in vec(0..5_usize, 0..80),
    ) {
        // Interleaves the runs by the turns, then the rest in order.
        let mut queues: Vec<_> = runs.into_iter().map(Vec::into_iter).collect();
        let mut packets = Vec::new();
        for turn in turns {
            let count = queues.len();
            packets.extend(queues[turn % count].next());
        }
        packets.extend(queues.into_iter().flatten());

        let again: Vec<Vec<u8>> = merge(&packets).iter().flat_map(|frame| cut(frame)).collect();
        let flow = |packet: &Vec<u8>| {
            let (protocol, ports_at) = if packet[0] == 0x45 { (packet[9], 20) } else { (packet[6], 40) };
            (packet[0], protocol, packet[ports_at..ports_at + 4].to_vec())
        };
        for one in packets.iter().map(flow).collect::<std::collections::BTreeSet<_>>() {
            let of_flow = |all: &[Vec<u8>]| -> Vec<Vec<u8>> {
                all.iter().filter(|packet| flow(packet) == one).cloned().collect()
            };
            prop_assert!(of_flow(&again) == of_flow(&packets));
        }
    }

    #[test]
    fn a_packet_with_a_wrong_checksum_leaves_alone_and_unchanged(
        shape in shape(4000),
        size in 100..1400_usize,
        at in any::<usize>(),
    ) {
        let mut pieces = shape.pieces(size);
        let broken = pieces.len() / 2;
        let at = shape.ip_len() + at % (pieces[broken].len() - shape.ip_len());
        pieces[broken][at] ^= 0x01;
        let frames = merge(&pieces);
        prop_assert!(frames.iter().any(|frame| frame[VNET_LEN..] == pieces[broken][..] && frame[..2] == [0, 0]));
    }

    #[test]
    fn odd_headers_with_right_checksums_come_through_unchanged(
        shape in shape(400),
        changes in vec((0..60_usize, any::<u8>()), 1..4),
        size in 50..200_usize,
    ) {
        let odd: Vec<Vec<u8>> = shape
            .pieces(size)
            .into_iter()
            .map(|piece| with_right_checksums(&shape, piece, &changes))
            .filter(|piece| Inner::read(piece).is_ok_and(|inner| inner.len == piece.len()))
            .collect();
        let again: Vec<Vec<u8>> = merge(&odd).iter().flat_map(|frame| cut(frame)).collect();
        prop_assert_eq!(again, odd);
    }

    #[test]
    fn long_tcp_is_cut_shorter_for_a_narrow_way(shape in shape(20_000), mtu in 200..1400_usize) {
        let shape = Shape { tcp: true, ..shape };
        let frame = shape.frame(1380);
        let mut cutter = Cutter::read(&frame).expect("a frame of the device");
        prop_assert!(cutter.shorten(mtu));
        prop_assert!(cutter.longest() <= mtu);
        let mut out = vec![0; cutter.longest()];
        let data: Vec<u8> = (0..cutter.count()).flat_map(|index| {
            let len = cutter.write(index, &mut out);
            out[shape.header_len()..len].to_vec()
        }).collect();
        prop_assert_eq!(data, shape.data);
    }

    #[test]
    fn the_sum_is_that_of_rfc_1071(bytes in vec(any::<u8>(), 0..4000)) {
        let expected = !sum(&[&bytes]);
        prop_assert_eq!(mesh::Sum::of(&bytes).finish(), expected.to_be_bytes());
        let (even, rest) = bytes.split_at(bytes.len() / 4 * 2);
        let parts = mesh::Sum::of(even).plus(mesh::Sum::of(rest));
        prop_assert_eq!(parts.finish(), expected.to_be_bytes());
    }
}

#[test]
fn a_checksum_left_to_us_is_completed() {
    let shape = Shape {
        v6: false,
        tcp: false,
        flow: 1,
        sequence: 0,
        id: 7,
        flags: 0,
        options: vec![],
        data: b"text".to_vec(),
    };
    let mut frame = shape.frame(0);
    // Whole, but with the checksum to complete.
    frame[1] = 0;
    assert_eq!(cut(&frame), [shape.packet()]);
}

#[test]
fn a_header_length_below_the_least_is_not_merged_by() {
    let shape = |v6, sequence| Shape {
        v6,
        tcp: true,
        flow: 1,
        sequence,
        id: 0,
        flags: ACK,
        options: vec![],
        data: vec![7; 100],
    };
    for (v6, words) in [(false, 0), (false, 2), (false, 3), (true, 2), (true, 4)] {
        // Each continues the one before, going by the length that its header claims.
        let step = 100 + 20 - words * 4;
        let one = |number: u32| {
            let shape = Shape { id: number as u16, ..shape(v6, number * step) };
            let at = shape.ip_len() + 12;
            with_right_checksums(&shape, shape.packet(), &[(at, (words as u8) << 4)])
        };
        let packets = [one(0), one(1), one(2)];
        assert_eq!(merge(&packets).len(), 3, "{words} words");
    }
}

#[test]
fn a_checksum_is_never_written_over_what_a_packet_is_judged_by() {
    let packet = crate::pair::udp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), b"text");
    for (start, offset, is_taken) in
        [(20_u16, 6_u16, true), (0, 0, false), (0, 16, false), (20, 0, false), (20, 2, false)]
    {
        let mut frame = vec![0; VNET_LEN];
        frame[0] = 1;
        frame[6..8].copy_from_slice(&start.to_ne_bytes());
        frame[8..10].copy_from_slice(&offset.to_ne_bytes());
        frame.extend(&packet);
        assert_eq!(Cutter::read(&frame).is_ok(), is_taken, "{start}, {offset}");
    }
}
