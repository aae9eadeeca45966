//! The fuzzer's doors, tried with chance: any bytes, and true messages with some bytes changed.

use mesh::fuzz;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::pair::{End, Pair};
use crate::shapes::{PSH_ACK, Shape};

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let shape =
        (any::<(bool, bool)>(), 1..3000_usize, 1..1400_u16).prop_map(|((v6, tcp), len, size)| {
            let shape = Shape {
                v6,
                tcp,
                flow: 1,
                sequence: 1,
                id: 1,
                flags: PSH_ACK,
                options: vec![],
                data: vec![7; len],
            };
            shape.frame(size)
        });
    let changes = vec((0..80_usize, any::<u8>()), 0..6);
    (shape, changes).prop_map(|(mut frame, changes)| {
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame
    })
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<usize>(), any::<u8>()), 0..4);
    (0..4_usize, changes).prop_map(|(which, changes)| {
        let mut pair = Pair::new(End::default(), End::default());
        pair.send("hello");
        let count = pair.heard.len();
        let mut message = pair.heard[which % count].1.clone();
        for (at, value) in changes {
            let len = message.len();
            message[at % len] = value;
        }
        message
    })
}

proptest! {
    #[test]
    fn any_bytes_may_come_as_a_packet(bytes in vec(any::<u8>(), 0..200)) {
        fuzz::classify(&bytes);
        fuzz::merge(&bytes);
        fuzz::ways(&bytes);
    }

    #[test]
    fn any_bytes_may_come_as_a_frame(bytes in vec(any::<u8>(), 0..200), frame in frame()) {
        fuzz::cut(&bytes);
        fuzz::cut(&frame);
        fuzz::classify(&frame[10..]);
        fuzz::merge(&frame);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_bytes_may_come_as_a_message(bytes in vec(any::<u8>(), 0..200), message in message()) {
        fuzz::handshake(&bytes);
        fuzz::handshake(&message);
    }
}

#[test]
fn what_the_fuzzer_begins_with_passes_every_door() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut seen = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus is there") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("it can be read");
        for door in [fuzz::classify, fuzz::cut, fuzz::merge, fuzz::handshake, fuzz::ways] {
            door(&bytes);
        }
        seen += 1;
    }
    assert!(seen > 10, "only {seen} files");
}
