//! What stock peers once said, played again: ours says the same to it, byte by byte, and understands it.
//!
//! A recording is lines of what our device was given (`text`), what came over the wire (`hear`), what ours said
//! (`say`), and what came out of the device (`came`). The fuzzer's package, which has the stock peer, makes them anew:
//! `cd fuzz && IOG_WRITE=1 cargo test --no-default-features --test stock`.

use data_encoding::HEXLOWER;

use crate::ours::{Ours, end};

#[test]
fn what_boringtun_said_is_answered_as_when_it_understood() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded");
    let mut played = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        play(&std::fs::read_to_string(&path).unwrap(), &path.display().to_string());
        played += 1;
    }
    assert_eq!(played, 2, "ours asks, theirs asks");
}

fn play(tape: &str, name: &str) {
    let mut ours = Ours::new();
    // Nothing is due yet, and nothing came of being asked.
    if let Some(at) = ours.wake_at().filter(|at| *at <= ours.now) {
        ours.wake(at);
    }
    for (number, line) in tape.lines().enumerate() {
        let (what, hex) = line.split_once(' ').expect("a word and bytes");
        let bytes = HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal");
        let place = format!("{name}, line {}", number + 1);
        match what {
            "text" => ours.emit(std::str::from_utf8(&bytes).expect("a text")),
            "hear" => ours.hear(end(2).outside, bytes),
            "say" => {
                let (to, said) =
                    ours.said.pop_front().unwrap_or_else(|| panic!("{place}: ours is silent"));
                assert_eq!(
                    (to, HEXLOWER.encode(&said)),
                    (end(2).outside, hex.to_owned()),
                    "{place}"
                );
            }
            "came" => {
                let packet = ours.came.remove(0);
                assert_eq!(packet[28..], bytes, "{place}");
            }
            strange => panic!("{place}: `{strange}`"),
        }
    }
    assert!(ours.said.is_empty() && ours.came.is_empty(), "{name}: there was more");
}
