//! What is gathered for one send is what the kernel cuts back into the datagrams it was made of.

use mesh::{DATAGRAMS_MAX, GATHERED_BYTES_MAX, Gather, VNET_LEN};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::pair::{End, Pair, udp};
use crate::shapes::{ACK, Shape};

/// A frame of the device: one packet, or a super-packet.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..1300_usize).prop_map(|len| {
            let packet = udp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), &vec![1; len]);
            [&[0; VNET_LEN], &packet[..]].concat()
        }),
        (1..60_000_usize, 500..1380_u16).prop_map(|(len, size)| {
            let data = vec![2; len];
            let shape = Shape {
                v6: false,
                tcp: true,
                flow: 1,
                sequence: 1,
                id: 1,
                flags: ACK,
                options: vec![],
                data,
            };
            shape.frame(size)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_datagram_arrives_in_order_whatever_is_gathered(frames in vec(frame(), 1..30), turns in vec(0..6_u8, 30)) {
        let mut pair = Pair::new(End::default(), End::default());
        pair.send("hello");
        pair.b.texts();
        let mut sent: Vec<Vec<u8>> = Vec::new();
        let mut expected = 0;
        let mut gather = Gather::default();
        let mut take = |gather: &mut Gather| {
            let Some(gathered) = gather.take() else { return Ok(false) };
            prop_assert!(gathered.datagrams.len() <= GATHERED_BYTES_MAX);
            prop_assert!(gathered.datagrams.chunks(gathered.size).len() <= DATAGRAMS_MAX);
            sent.extend(gathered.datagrams.chunks(gathered.size).map(<[u8]>::to_vec));
            Ok(true)
        };
        for (frame, turn) in frames.iter().zip(turns) {
            let plane = pair.a.plane.clone();
            let departure = plane.depart(frame, pair.now).expect("there is a session");
            expected += departure.count();
            let mut done = 0;
            while done < departure.count() {
                let before = done;
                done = gather.put(&departure, done, pair.now);
                prop_assert!(done > before || take(&mut gather)?, "no datagram here is too long to be sent");
            }
            // Sometimes there is nothing more to read, and what was gathered leaves.
            if turn == 0 {
                take(&mut gather)?;
            }
        }
        take(&mut gather)?;
        prop_assert_eq!(sent.len(), expected);
        let counter = |datagram: &Vec<u8>| u64::from_le_bytes(datagram[8..16].try_into().expect("8 bytes"));
        prop_assert!(sent.iter().map(counter).is_sorted(), "in the order they were sealed");
        for datagram in sent {
            pair.b.receive(pair.a.address, datagram, pair.now);
        }
        prop_assert_eq!(pair.b.delivered.len(), expected);
    }
}
