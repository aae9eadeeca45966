//! Two ends against a model, strangers' bytes, and stories.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::limits::{ANSWERS_MAX, PAYLOAD_MAX, STREAMS_MAX, UNSENT_MAX};
use crate::strategies;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn settings(side: Side) -> Settings {
    Settings { side, streams_max: STREAMS_MAX }
}

fn open() -> Open {
    Open {
        service: "ssh-1".parse().unwrap(),
        proto: crate::Proto::Ssh,
        visitor: "192.0.2.1:5".parse().unwrap(),
        local: "192.0.2.9:443".parse().unwrap(),
        subject: String::new(),
    }
}

fn welcome() -> Frame<'static> {
    Frame::Welcome(Welcome {
        session: [7; 16],
        streams_max: 100,
        observed: "192.0.2.1:5".parse().unwrap(),
        time: NOW,
        udp: None,
    })
}

/// A relay and a node that have greeted each other, and the wires between them.
struct Pair {
    relay: Mux,
    node: Mux,
    to_node: Vec<u8>,
    to_relay: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        let mut relay = Mux::new(settings(Side::Relay), NOW);
        let mut node = Mux::new(settings(Side::Node), NOW);
        node.say(&Frame::Hello(Hello { version: 1, pass: b"pass".to_vec() }));
        relay.say(&welcome());
        let mut pair = Self { relay, node, to_node: Vec::new(), to_relay: Vec::new() };
        pair.settle();
        while pair.relay.next_event().is_some() || pair.node.next_event().is_some() {}
        pair
    }

    /// Both know how long their path is, and nothing moves.
    fn quiet() -> Self {
        let mut pair = Self::new();
        for end in [&mut pair.relay, &mut pair.node] {
            end.on_wake(NOW.after(PROBE_AFTER)).unwrap();
        }
        pair.settle();
        pair
    }

    /// Carries all both ways, at this time.
    fn settle_at(&mut self, now: Timestamp) {
        for _ in 0..4 {
            self.node.fill(&mut self.to_relay, 1 << 20);
            self.relay.on_bytes(&std::mem::take(&mut self.to_relay), now).unwrap();
            self.relay.fill(&mut self.to_node, 1 << 20);
            self.node.on_bytes(&std::mem::take(&mut self.to_node), now).unwrap();
        }
    }

    /// Carries at most so many bytes one way.
    fn carry(&mut self, is_to_node: bool, most: usize) -> usize {
        let (from, to, wire) = match is_to_node {
            true => (&mut self.relay, &mut self.node, &mut self.to_node),
            false => (&mut self.node, &mut self.relay, &mut self.to_relay),
        };
        from.fill(wire, most);
        let many = wire.len().min(most);
        to.on_bytes(&wire[..many], NOW).unwrap();
        wire.drain(..many);
        from.audit();
        to.audit();
        many
    }

    fn settle(&mut self) {
        while self.carry(true, 70_000) + self.carry(false, 70_000) > 0 {}
    }

    fn end(&mut self, is_node: bool) -> &mut Mux {
        if is_node { &mut self.node } else { &mut self.relay }
    }
}

/// The byte of a stream at this place: streams do not look alike.
fn byte(number: u32, at: usize) -> u8 {
    u8::try_from((at.wrapping_mul(31) ^ (at >> 8) ^ number as usize) & 0xff).unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Open(bool),
    Send(bool, usize, usize),
    Read(bool, usize, usize),
    Finish(bool, usize),
    Carry(bool, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => any::<bool>().prop_map(Step::Open),
        4 => (any::<bool>(), 0_usize..8, 0_usize..100_000).prop_map(|(side, at, many)| Step::Send(side, at, many)),
        4 => (any::<bool>(), 0_usize..8, 1_usize..200_000).prop_map(|(side, at, many)| Step::Read(side, at, many)),
        1 => (any::<bool>(), 0_usize..8).prop_map(|(side, at)| Step::Finish(side, at)),
        8 => (any::<bool>(), 1_usize..40_000).prop_map(|(side, many)| Step::Carry(side, many)),
    ]
}

/// What the model knows of one direction of a stream.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    sent: usize,
    read: usize,
    is_finished: bool,
    is_ended: bool,
}

/// A stream's two ways; by whether it is the node that sends.
#[derive(Clone, Copy, Debug, Default)]
struct Both([Way; 2]);

struct Model {
    pair: Pair,
    streams: BTreeMap<u32, Both>,
}

impl Model {
    fn number(&self, at: usize) -> Option<StreamId> {
        self.streams.keys().nth(at).copied().map(StreamId)
    }

    fn way(&mut self, stream: StreamId, is_node: bool) -> &mut Way {
        &mut self.streams.get_mut(&stream.0).unwrap().0[usize::from(is_node)]
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Open(is_node) => {
                let stream = self.pair.end(is_node).open(&open()).unwrap();
                self.streams.insert(stream.0, Both::default());
            }
            Step::Send(is_node, at, many) => self.send(is_node, at, many),
            Step::Read(is_node, at, many) => {
                if let Some(stream) = self.number(at) {
                    self.read(is_node, stream, many);
                }
            }
            Step::Finish(is_node, at) => {
                if let Some(stream) = self.number(at) {
                    self.pair.end(is_node).finish(stream);
                    let is_known = self.pair.end(is_node).lanes.contains_key(&stream.0);
                    self.way(stream, is_node).is_finished |= is_known;
                }
            }
            Step::Carry(is_to_node, many) => drop(self.pair.carry(is_to_node, many)),
        }
    }

    fn send(&mut self, is_node: bool, at: usize, many: usize) {
        let Some(stream) = self.number(at) else { return };
        let way = *self.way(stream, is_node);
        let bytes: Vec<u8> = (way.sent..way.sent + many).map(|at| byte(stream.0, at)).collect();
        // The side that did not open it may not know it yet.
        match self.pair.end(is_node).send(stream, &bytes) {
            Ok(taken) => {
                assert!(!way.is_finished);
                self.way(stream, is_node).sent += taken;
            }
            Err(Gone::Ended) => assert!(way.is_finished),
            Err(gone) => assert_eq!(gone, Gone::Stream(Code::BrokenOff)),
        }
    }

    fn read(&mut self, is_node: bool, stream: StreamId, many: usize) -> bool {
        let mut into = vec![0; many];
        let read = self.pair.end(is_node).read(stream, &mut into);
        // What one side reads the other sent.
        let way = self.way(stream, !is_node);
        match read {
            Read::Bytes(many) => {
                assert!(many > 0 && way.read + many <= way.sent);
                for (at, got) in into[..many].iter().enumerate() {
                    assert_eq!(*got, byte(stream.0, way.read + at), "in order and once");
                }
                way.read += many;
                true
            }
            Read::End => {
                assert!(way.is_finished && way.read == way.sent);
                !std::mem::replace(&mut way.is_ended, true)
            }
            Read::Wait => false,
            Read::Broken(code) => {
                assert_eq!(code, Code::BrokenOff, "it is not known there yet");
                false
            }
            Read::Elsewhere(_) => panic!("nothing moved"),
        }
    }

    /// Lets everything arrive and be read.
    fn finish(&mut self) {
        let streams: Vec<_> = self.streams.keys().copied().map(StreamId).collect();
        loop {
            self.pair.settle();
            let mut any = false;
            for stream in &streams {
                any |= self.read(true, *stream, 1 << 20) | self.read(false, *stream, 1 << 20);
            }
            if !any {
                break;
            }
        }
        for (stream, both) in &self.streams {
            for way in both.0 {
                assert_eq!(way.read, way.sent, "all of stream {stream} arrived");
                assert!(!way.is_finished || way.is_ended, "the end of stream {stream} arrived");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_in_order_however_the_line_is_cut(steps in prop::collection::vec(step(), 0..120)) {
        let mut model = Model { pair: Pair::new(), streams: BTreeMap::new() };
        for step in steps {
            model.take(step);
        }
        let open: Vec<_> = model.streams.keys().copied().map(StreamId).collect();
        model.finish();
        // What is finished on both sides and let go is forgotten.
        for stream in open {
            for is_node in [true, false] {
                model.pair.end(is_node).finish(stream);
            }
        }
        model.finish_quietly();
        prop_assert_eq!(model.pair.relay.streams() + model.pair.node.streams(), 0);
        prop_assert_eq!(model.pair.relay.grown + model.pair.node.grown, 0);
    }

    #[test]
    fn no_bytes_of_a_stranger_are_too_strange(
        is_node: bool, bytes in prop::collection::vec(any::<u8>(), 0..2_000), cut in 1_usize..100,
    ) {
        let mut pair = Pair::new();
        let end = pair.end(is_node);
        for piece in bytes.chunks(cut) {
            if end.on_bytes(piece, NOW).is_err() {
                break;
            }
            end.audit();
        }
    }

    #[test]
    fn no_order_of_frames_is_too_strange(
        is_node: bool,
        frames in prop::collection::vec((strategies::frame(), 0_u32..9), 0..60),
    ) {
        let mut pair = Pair::new();
        let mut wire = Vec::new();
        for (frame, stream) in frames {
            frame.write(stream, &mut wire);
        }
        let end = pair.end(is_node);
        for piece in wire.chunks(50) {
            if end.on_bytes(piece, NOW).is_err() {
                return Ok(());
            }
            end.audit();
            while let Some(event) = end.next_event() {
                if let Event::Opened(stream, _) = event {
                    end.accept(stream);
                    end.forget(stream);
                }
            }
        }
    }
}

impl Model {
    /// Both sides read on to the end and let go.
    fn finish_quietly(&mut self) {
        let streams: Vec<_> = self.streams.keys().copied().map(StreamId).collect();
        self.pair.settle();
        for stream in streams {
            for is_node in [true, false] {
                self.pair.end(is_node).forget(stream);
            }
        }
        self.pair.settle();
    }
}

fn story() -> (Pair, StreamId) {
    let mut pair = Pair::new();
    let stream = pair.relay.open(&open()).unwrap();
    pair.settle();
    assert_eq!(pair.node.next_event(), Some(Event::Opened(stream, open())));
    pair.node.accept(stream);
    pair.settle();
    assert_eq!(pair.relay.next_event(), Some(Event::Accepted(stream)));
    (pair, stream)
}

#[test]
fn a_stream_is_opened_taken_used_and_over() {
    let (mut pair, stream) = story();
    let mut into = [0; 100];
    assert_eq!(pair.node.read(stream, &mut into), Read::Wait);
    assert_eq!(pair.relay.send(stream, b"hello"), Ok(5));
    pair.relay.finish(stream);
    assert_eq!(pair.relay.send(stream, b"more"), Err(Gone::Ended));
    pair.settle();
    assert_eq!(pair.node.next_event(), Some(Event::Readable(stream)));
    assert_eq!(pair.node.read(stream, &mut into), Read::Bytes(5));
    assert_eq!(pair.node.read(stream, &mut into), Read::End);
    assert_eq!(pair.node.send(stream, b"the other half is open"), Ok(22));
    pair.node.finish(stream);
    pair.node.forget(stream);
    assert_eq!(pair.node.streams(), 1, "the last of it still goes out");
    pair.settle();
    assert_eq!(pair.node.streams(), 0);
    assert_eq!(pair.relay.read(stream, &mut into), Read::Bytes(22));
    assert_eq!(pair.relay.read(stream, &mut into), Read::End);
    pair.relay.forget(stream);
    assert_eq!(pair.relay.streams(), 0);
}

#[test]
fn who_lets_go_in_the_middle_breaks_it_off_and_what_comes_late_is_passed_over() {
    let (mut pair, stream) = story();
    pair.relay.forget(stream);
    assert_eq!(pair.node.send(stream, b"on its way"), Ok(10));
    pair.settle();
    assert_eq!(pair.node.next_event(), Some(Event::Closed(stream, Code::BrokenOff)));
    assert_eq!(pair.node.read(stream, &mut [0; 9]), Read::Broken(Code::BrokenOff));
    assert_eq!(pair.node.send(stream, b"x"), Err(Gone::Stream(Code::BrokenOff)));
    pair.node.forget(stream);
    assert_eq!((pair.node.streams(), pair.relay.streams()), (0, 0));
}

#[test]
fn a_stream_that_moves_keeps_its_order_on_the_line() {
    let (mut pair, stream) = story();
    let ticket = TicketId::from_bytes([3; 16]);
    pair.relay.send(stream, b"before").unwrap();
    pair.relay.move_to(stream, ticket);
    assert_eq!(pair.relay.send(stream, b"after"), Err(Gone::Ended));
    pair.settle();
    let mut into = [0; 100];
    assert_eq!(pair.node.read(stream, &mut into), Read::Bytes(6));
    assert_eq!(pair.node.read(stream, &mut into), Read::Elsewhere(ticket));
    pair.node.send(stream, b"last").unwrap();
    pair.node.move_to(stream, ticket);
    pair.node.forget(stream);
    pair.settle();
    assert_eq!(pair.relay.read(stream, &mut into), Read::Bytes(4));
    assert_eq!(pair.relay.read(stream, &mut into), Read::Elsewhere(ticket));
    pair.relay.forget(stream);
    assert_eq!((pair.node.streams(), pair.relay.streams()), (0, 0));
}

#[test]
fn a_slow_reader_stops_its_own_stream_and_no_other() {
    let (mut pair, slow) = story();
    let quick = pair.relay.open(&open()).unwrap();
    let chunk = vec![1; 32 << 10];
    let mut into = vec![0; 1 << 20];
    let (mut sent, mut read) = (0, 0);
    for _ in 0..64 {
        sent += pair.relay.send(slow, &chunk).unwrap();
        pair.relay.send(quick, &chunk).unwrap();
        pair.settle();
        while let Read::Bytes(many) = pair.node.read(quick, &mut into) {
            read += many;
        }
    }
    assert_eq!(sent, WINDOW_FIRST as usize + UNSENT_MAX, "a window on its way, and the rest waits");
    assert!(read > 1 << 20, "{read}");
    let window = |mux: &Mux, stream: StreamId| mux.lanes[&stream.0].window();
    assert!(window(&pair.node, quick) > WINDOW_FIRST, "who reads fast is sent more");
    assert_eq!(window(&pair.node, slow), WINDOW_FIRST);
}

#[test]
fn streams_take_turns() {
    let (mut pair, first) = story();
    let second = pair.relay.open(&open()).unwrap();
    pair.settle();
    pair.relay.send(first, &vec![1; UNSENT_MAX]).unwrap();
    pair.relay.send(second, b"short").unwrap();
    let mut wire = Vec::new();
    pair.relay.fill(&mut wire, 1);
    pair.relay.fill(&mut wire, PAYLOAD_MAX + 100);
    pair.node.on_bytes(&wire, NOW).unwrap();
    assert_eq!(pair.node.read(second, &mut [0; 100]), Read::Bytes(5), "it waited for one frame");
}

#[test]
fn what_breaks_a_line() {
    let data = |many: usize| vec![0_u8; many];
    check(&[(Frame::Data(b"x"), 7)], Broken::NotItsNumber(7));
    check(&[(Frame::Open(open()), 2)], Broken::NotItsNumber(2));
    check(&[(Frame::Open(open()), 3), (Frame::Open(open()), 1)], Broken::NotItsNumber(1));
    check(&[(Frame::Open(open()), 0)], Broken::NotItsNumber(0));
    check(&[(Frame::Open(open()), 1), (Frame::Accept, 1)], Broken::OutOfTurn(3));
    check(&[(welcome(), 0)], Broken::OutOfTurn(17));
    check(&[(Frame::Drain(1), 0)], Broken::OutOfTurn(13));
    let moved = Frame::Moved(TicketId::from_bytes([1; 16]));
    check(&[(Frame::Open(open()), 1), (moved, 1)], Broken::OutOfTurn(11));
    let (open, finish) = ((Frame::Open(open()), 1), (Frame::Finish, 1));
    check(&[open.clone(), finish.clone(), (Frame::Data(b"x"), 1)], Broken::AfterEnd(1));
    check(&[open.clone(), finish.clone(), finish], Broken::AfterEnd(1));
    check(&[open.clone(), (Frame::Credit(u32::MAX), 1)], Broken::BeyondReason(1));
    let full = data(PAYLOAD_MAX);
    let mut many = vec![open];
    many.extend((0..5).map(|_| (Frame::Data(&full), 1)));
    check(&many, Broken::BeyondCredit(1));
}

/// What a relay says to these frames of a node.
fn check(frames: &[(Frame<'_>, u32)], expected: Broken) {
    let mut wire = Vec::new();
    for (frame, stream) in frames {
        frame.write(*stream, &mut wire);
    }
    assert_eq!(Pair::new().relay.on_bytes(&wire, NOW), Err(expected), "{frames:?}");
}

#[test]
fn a_relay_and_a_node_say_who_they_are_first() {
    let mut relay = Mux::new(settings(Side::Relay), NOW);
    relay.on_wake(NOW.after(PROBE_AFTER)).unwrap();
    assert!(!relay.has_output(), "it asks nothing before");
    let mut wire = Vec::new();
    Frame::Ping(1).write(0, &mut wire);
    assert_eq!(relay.on_bytes(&wire, NOW), Err(Broken::OutOfTurn(8)));
}

#[test]
fn frames_that_nobody_knows_are_passed_over_only_if_they_say_so() {
    let mut relay = Pair::new().relay;
    let mut wire = vec![99, crate::frame::MAY_SKIP, 3, 0, 0, 0, 0, 0, 1, 2, 3];
    Frame::Ping(5).write(0, &mut wire);
    for byte in wire {
        relay.on_bytes(&[byte], NOW).unwrap();
    }
    assert_eq!(relay.pong, Some(5));
    assert_eq!(relay.on_bytes(&[99, 0, 0, 0, 0, 0, 0, 0], NOW), Err(Broken::UnknownKind(99)));
    let mut relay = Pair::new().relay;
    assert_eq!(
        relay.on_bytes(&[4, 0, 255, 255, 1, 0, 0, 0], NOW),
        Err(Broken::TooLong { kind: 4, bytes: 65_535 })
    );
}

#[test]
fn who_asks_without_listening_floods() {
    let mut relay = Pair::new().relay;
    relay.set_streams_max(0);
    let mut last = Ok(());
    for at in 0..100_000 {
        let mut wire = Vec::new();
        Frame::Open(open()).write(1 + 2 * at, &mut wire);
        last = relay.on_bytes(&wire, NOW);
        assert!(relay.words.len() <= ANSWERS_MAX + 100);
        if last.is_err() {
            break;
        }
    }
    assert_eq!(last, Err(Broken::Flood));
}

#[test]
fn a_line_that_is_quiet_is_asked_after_and_one_that_is_silent_is_given_up() {
    let mut pair = Pair::quiet();
    let quiet = NOW.after(QUIET_NODE);
    assert_eq!((pair.node.wake_at(), pair.relay.wake_at()), (quiet, NOW.after(QUIET_RELAY)));
    pair.node.on_wake(NOW.after(QUIET_NODE - Duration::from_millis(1))).unwrap();
    assert!(!pair.node.has_output());
    pair.node.on_wake(quiet).unwrap();
    assert!(pair.node.has_output());
    assert_eq!(pair.node.wake_at(), quiet.after(ANSWER_WITHIN));
    assert_eq!(pair.node.on_wake(quiet.after(ANSWER_WITHIN)), Err(Broken::Silent));
    pair.settle();
    assert_eq!(pair.node.on_wake(quiet.after(ANSWER_WITHIN)), Ok(()), "it answered");
}

#[test]
fn a_line_on_which_something_moved_is_asked_after_soon_and_once() {
    let mut pair = Pair::quiet();
    let later = NOW.after(Duration::from_secs(20));
    let stream = pair.relay.open(&open()).unwrap();
    pair.relay.fill(&mut pair.to_node, 1 << 20);
    assert!(pair.relay.wake_at() <= later, "an idle line is asked after when a stream is opened");
    pair.relay.on_wake(later).unwrap();
    assert!(pair.relay.has_output());
    // Who only hears is as curious.
    pair.node.on_bytes(&std::mem::take(&mut pair.to_node), later).unwrap();
    let soon = later.after(PROBE_AFTER);
    assert_eq!(pair.node.wake_at(), soon);
    pair.node.on_wake(soon).unwrap();
    pair.settle_at(soon);
    assert_eq!(pair.relay.wake_at(), soon.after(QUIET_RELAY), "one question is enough");
    pair.node.send(stream, b"x").unwrap();
    pair.settle_at(soon);
    assert_eq!(pair.relay.wake_at(), soon.after(PROBE_AFTER));
    pair.relay.stir();
    assert_eq!(pair.relay.wake_at(), soon.after(PROBE_AFTER));
}

#[test]
fn patience_follows_the_length_of_the_path() {
    let patience_at = |millis: u64| {
        let mut pair = Pair::new();
        assert_eq!(pair.node.patience(), PATIENCE_UNKNOWN);
        for _ in 0..50 {
            let asked = pair.node.wake_at();
            pair.node.on_wake(asked).unwrap();
            pair.settle_at(asked.after(Duration::from_millis(millis)));
            pair.node.stir();
        }
        pair.node.patience()
    };
    assert_eq!(patience_at(0), PATIENCE_MIN);
    assert_eq!(patience_at(100), PATIENCE_MIN);
    assert_eq!(patience_at(300), Duration::from_millis(1_200));
    assert_eq!(patience_at(9_000), ANSWER_WITHIN);
}

#[test]
fn words_of_ones_own_are_no_flood_and_answers_are() {
    let mut pair = Pair::new();
    let long = "w".repeat(200);
    for _ in 0..2_000 {
        pair.relay.say(&Frame::Turned { code: Code::Other, why: long.clone() });
    }
    let mut wire = Vec::new();
    Frame::Ping(1).write(0, &mut wire);
    assert_eq!(pair.relay.on_bytes(&wire, NOW), Ok(()));
    assert_eq!(pair.relay.open(&open()), Err(Gone::Full), "it takes nothing of what it is told");
    pair.settle();
    assert!(pair.relay.open(&open()).is_ok());
    for _ in 0..2_000 {
        pair.relay.answer(&Frame::Turned { code: Code::Other, why: long.clone() });
    }
    assert_eq!(pair.relay.on_bytes(&wire, NOW), Err(Broken::Flood));
}

#[test]
fn packets_that_are_not_taken_are_lost_and_break_nothing() {
    let mut pair = Pair::new();
    let body = vec![7; 4_000];
    let packet = || Frame::Packet { peer: [1; 32], body: body.clone() };
    let taken = (0..1_000).take_while(|_| pair.relay.signal(&packet())).count();
    assert!((32..40).contains(&taken), "{taken}");
    let mut wire = Vec::new();
    Frame::Ping(1).write(0, &mut wire);
    assert_eq!(pair.relay.on_bytes(&wire, NOW), Ok(()));
    pair.settle();
    assert!(pair.relay.signal(&packet()));
}

#[test]
fn what_was_handed_over_arrives_though_the_stream_was_let_go_of_after_it() {
    for is_finished in [true, false] {
        let (mut pair, stream) = story();
        pair.node.send(stream, &[7; 50_000]).unwrap();
        if is_finished {
            pair.node.finish(stream);
        }
        pair.node.forget(stream);
        pair.settle();
        assert_eq!(pair.node.streams(), 0);
        let mut into = vec![0; 60_000];
        assert_eq!(pair.relay.read(stream, &mut into), Read::Bytes(50_000));
        let end = if is_finished { Read::End } else { Read::Broken(Code::BrokenOff) };
        assert_eq!(pair.relay.read(stream, &mut into), end);
        assert_eq!(pair.relay.send(stream, b"x"), Err(Gone::Stream(Code::BrokenOff)));
        pair.relay.forget(stream);
        assert_eq!(pair.relay.streams(), 0);
    }
}

#[test]
fn who_takes_nothing_keeps_no_stream_that_was_broken_off() {
    let (mut pair, stream) = story();
    while pair.node.send(stream, &[7; 10_000]).unwrap() > 0 {
        pair.settle();
    }
    pair.node.forget(stream);
    assert_eq!(pair.node.streams(), 0);
}

#[test]
fn no_more_streams_are_open_than_may_be() {
    let mut pair = Pair::new();
    pair.relay.set_streams_max(1);
    let first = pair.relay.open(&open()).unwrap();
    assert_eq!(pair.relay.open(&open()), Err(Gone::Full));
    let refused = pair.node.open(&open()).unwrap();
    pair.settle();
    while let Some(event) = pair.node.next_event() {
        if let Event::Closed(stream, code) = event {
            assert_eq!((stream, code), (refused, Code::Limit));
            pair.relay.forget(first);
            assert!(pair.relay.open(&open()).is_ok());
            return;
        }
    }
    panic!("it was not refused");
}
