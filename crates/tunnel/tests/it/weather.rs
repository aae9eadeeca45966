//! Lines under weather, from a seed: connections that are slow, stall, and break in the middle of a frame; readers that
//! pause; machines that sleep. At any time what was read of a stream is the beginning of what was sent, each byte once
//! and in order, and no more is on its way than its window; when the weather is over, all of it arrives.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tunnel::limits::{STREAMS_MAX, UNSENT_MAX, WINDOW_MAX};
use tunnel::{
    Code, Event, Frame, Gone, Hello, Mux, Open, Proto, Read, Settings, Side, StreamId, TicketId,
    Welcome,
};
use units::Timestamp;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Stories that every run of the tests plays, and those that are played when somebody asks.
const SEEDS: std::ops::Range<u64> = 0..6;
const MORE_SEEDS: std::ops::Range<u64> = 100..2_000;
/// Deeds in one story.
const DEEDS: usize = 300;
const STREAMS: usize = 6;
/// What a connection holds that the other end has not taken.
const PIPE_BYTES: usize = 256 << 10;
/// In which everything arrives once nothing is in its way.
const CALM: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(5);
const SIDES: [Side; 2] = [Side::Relay, Side::Node];

/// One way of a stream.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    sent: usize,
    read: usize,
    is_over: bool,
    end_was_read: bool,
}

/// From one end to the other.
#[derive(Default)]
struct Pipe {
    pieces: VecDeque<(Timestamp, Vec<u8>)>,
    delay: Duration,
    is_stalled: bool,
}

struct Story {
    seed: u64,
    chance: u64,
    now: Timestamp,
    /// By how much the clocks of both ends are ahead.
    ahead: [Duration; 2],
    muxes: [Mux; 2],
    /// By who writes.
    pipes: [Pipe; 2],
    /// Open streams; their flows by who writes.
    streams: BTreeMap<StreamId, [Flow; 2]>,
    lines: u32,
    carried: usize,
}

fn side(end: usize) -> Side {
    SIDES[end]
}

/// The byte of a stream at this place: streams and directions do not look alike.
fn byte(stream: StreamId, writer: usize, at: usize) -> u8 {
    let salt = stream.number() as usize * 2 + writer;
    u8::try_from((at.wrapping_mul(31) ^ (at >> 8) ^ salt.wrapping_mul(97)) & 0xff).expect("a byte")
}

impl Story {
    fn new(seed: u64) -> Self {
        let mux = |end: usize| Mux::new(settings(end), START);
        let mut story = Self {
            seed,
            chance: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            now: START,
            ahead: [Duration::ZERO; 2],
            muxes: [mux(0), mux(1)],
            pipes: [Pipe::default(), Pipe::default()],
            streams: BTreeMap::new(),
            lines: 0,
            carried: 0,
        };
        story.dial();
        story
    }

    fn below(&mut self, count: usize) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        usize::try_from(self.chance >> 33).expect("31 bits") % count
    }

    fn local(&self, end: usize) -> Timestamp {
        self.now.after(self.ahead[end])
    }

    /// A new line: what was on the old one is over.
    fn dial(&mut self) {
        self.lines += 1;
        self.streams.clear();
        for end in 0..2 {
            self.muxes[end] = Mux::new(settings(end), self.local(end));
            let delay = Duration::from_millis([1, 5, 40, 120][self.below(4)]);
            self.pipes[end] = Pipe { delay, ..Pipe::default() };
        }
        self.muxes[1].say(&Frame::Hello(Hello { version: Hello::VERSION, pass: b"pass".to_vec() }));
        self.muxes[0].say(&Frame::Welcome(Welcome {
            session: [7; 16],
            streams_max: STREAMS_MAX,
            observed: "192.0.2.1:5".parse().expect("an address"),
            udp: None,
            time: self.now,
        }));
    }

    fn deed(&mut self) {
        let (end, many, which) = (self.below(2), self.below(100_000), self.below(STREAMS));
        let stream = self.streams.keys().nth(which).copied();
        match (self.below(40), stream) {
            (0..=3, _) if self.streams.len() < STREAMS => self.open(end),
            (4..=15, Some(stream)) => self.write(end, stream, many),
            (16..=27, Some(stream)) => drop(self.read(end, stream, 1 + many)),
            (28, Some(stream)) => self.finish(end, stream),
            (29, Some(stream)) => self.move_away(0, stream),
            (30, Some(stream)) => self.let_go(end, stream),
            (31, _) => self.pipes[end].is_stalled = true,
            (32 | 33, _) => self.pipes[end].is_stalled = false,
            // Its machine slept, or its calendar was set.
            (34, _) => {
                let slept = [0, 1, 20, 3_600][self.below(4)];
                self.ahead[end] += Duration::from_secs(slept);
            }
            (35, _) if self.below(8) == 0 => self.dial(),
            _ => {}
        }
        let millis = [0, 1, 20, 200, 2_000][self.below(5)];
        self.pass(Duration::from_millis(millis));
    }

    fn open(&mut self, end: usize) {
        let address = "192.0.2.1:5".parse().expect("an address");
        let open = Open {
            service: "ssh-1".parse().expect("a name"),
            proto: Proto::Ssh,
            visitor: address,
            local: address,
            subject: String::new(),
        };
        if let Ok(stream) = self.muxes[end].open(&open) {
            self.streams.insert(stream, <[Flow; 2]>::default());
        }
    }

    fn flow(&mut self, stream: StreamId, writer: usize) -> &mut Flow {
        &mut self.streams.get_mut(&stream).expect("it is open")[writer]
    }

    fn write(&mut self, end: usize, stream: StreamId, many: usize) {
        let flow = *self.flow(stream, end);
        let bytes: Vec<u8> =
            (flow.sent..flow.sent + many).map(|at| byte(stream, end, at)).collect();
        match self.muxes[end].send(stream, &bytes) {
            Ok(taken) => {
                assert!(!flow.is_over, "seed {}: after its end", self.seed);
                let flow = self.flow(stream, end);
                flow.sent += taken;
                // What was granted and what waits to go out.
                let held = flow.sent - flow.read;
                let most = WINDOW_MAX as usize + UNSENT_MAX;
                assert!(held <= most, "seed {}: {held} bytes of a stream are held", self.seed);
            }
            // The other end may have let go, or does not know it yet.
            Err(Gone::Ended | Gone::Stream(_)) => {}
            Err(gone) => panic!("seed {}: {gone}", self.seed),
        }
    }

    /// Whether there was something.
    fn read(&mut self, end: usize, stream: StreamId, most: usize) -> bool {
        let mut room = vec![0; most];
        let read = self.muxes[end].read(stream, &mut room);
        let (seed, writer) = (self.seed, 1 - end);
        let flow = self.flow(stream, writer);
        match read {
            Read::Bytes(many) => {
                let from = flow.read;
                flow.read += many;
                assert!(many > 0 && flow.read <= flow.sent, "seed {seed}: more than was sent");
                let is_right = |(at, got): (usize, &u8)| *got == byte(stream, writer, from + at);
                assert!(room[..many].iter().enumerate().all(is_right), "seed {seed}: out of order");
                self.carried += many;
                true
            }
            Read::End | Read::Elsewhere(_) => {
                let is_whole = flow.is_over && flow.read == flow.sent;
                assert!(is_whole, "seed {seed}: an end before the end");
                let is_new = !std::mem::replace(&mut flow.end_was_read, true);
                // A node moves what its relay has moved.
                if is_new && end == 1 && matches!(read, Read::Elsewhere(_)) {
                    self.move_away(1, stream);
                }
                is_new
            }
            Read::Wait | Read::Broken(_) => false,
        }
    }

    fn finish(&mut self, end: usize, stream: StreamId) {
        let is_known = !matches!(self.muxes[end].send(stream, &[]), Err(Gone::Stream(_)));
        self.muxes[end].finish(stream);
        self.flow(stream, end).is_over |= is_known;
    }

    fn move_away(&mut self, end: usize, stream: StreamId) {
        if self.muxes[end].send(stream, &[]) == Ok(0) {
            self.muxes[end].move_to(stream, TicketId::from_bytes([3; 16]));
            self.flow(stream, end).is_over = true;
        }
    }

    fn let_go(&mut self, end: usize, stream: StreamId) {
        self.muxes[end].forget(stream);
        self.streams.remove(&stream);
    }

    /// Time passes, and with it what is under way.
    fn pass(&mut self, span: Duration) {
        let until = self.now.after(span);
        loop {
            self.carry();
            if self.now >= until {
                return;
            }
            self.now = self.now.after(TICK).min(until);
        }
    }

    fn carry(&mut self) {
        for end in 0..2 {
            let held: usize = self.pipes[end].pieces.iter().map(|(_, piece)| piece.len()).sum();
            let mut out = Vec::new();
            if held < PIPE_BYTES {
                self.muxes[end].fill(&mut out, PIPE_BYTES - held);
            }
            let lands = self.now.after(self.pipes[end].delay);
            let cut = 1 + self.below(5_000);
            let pieces = out.chunks(cut).map(|piece| (lands, piece.to_vec()));
            self.pipes[end].pieces.extend(pieces);
            if self.land(end) && self.wake(1 - end) {
                self.events(1 - end);
                self.muxes[1 - end].audit();
            } else {
                // Somebody was silent for too long: its end gives the line up, and the node dials again.
                self.dial();
                return;
            }
        }
    }

    /// What arrives at the other end.
    fn land(&mut self, end: usize) -> bool {
        let (now, local) = (self.now, self.local(1 - end));
        let pipe = &mut self.pipes[end];
        while !pipe.is_stalled
            && let Some((_, piece)) = pipe.pieces.pop_front_if(|(at, _)| *at <= now)
        {
            let heard = self.muxes[1 - end].on_bytes(&piece, local);
            assert_eq!(heard, Ok(()), "seed {}: an honest end is understood", self.seed);
        }
        true
    }

    fn wake(&mut self, end: usize) -> bool {
        let now = self.local(end);
        self.muxes[end].wake_at() > now || self.muxes[end].on_wake(now).is_ok()
    }

    fn events(&mut self, end: usize) {
        while let Some(event) = self.muxes[end].next_event() {
            // All else is tried anyway.
            let (mut opened, mut closed) = (None, None);
            if let Event::Opened(stream, _) = event {
                opened = Some(stream);
            } else if let Event::Closed(stream, _) = event {
                closed = Some(stream);
            }
            if let Some(stream) = opened.filter(|stream| self.streams.contains_key(stream)) {
                match self.below(10) {
                    0 => {
                        self.muxes[end].reset(stream, Code::NotListening);
                        self.let_go(end, stream);
                    }
                    _ => self.muxes[end].accept(stream),
                }
            } else if let Some(stream) = opened.or(closed) {
                // Who opened it has let go meanwhile; or it was broken off.
                self.muxes[end].forget(stream);
                self.streams.remove(&stream);
            }
        }
    }

    /// Nothing is in the way any more, and all read.
    fn calm(&mut self) {
        self.pipes.iter_mut().for_each(|pipe| pipe.is_stalled = false);
        self.settle();
        for (stream, flows) in &self.streams {
            for flow in flows {
                let is_whole = flow.read == flow.sent && flow.is_over == flow.end_was_read;
                assert!(is_whole, "seed {}: of {stream:?} {flow:?}", self.seed);
            }
        }
        // The line, whichever it is now, is of use.
        let before = self.carried;
        for _ in 0..8 {
            self.open(1);
            let Some(stream) = self.streams.keys().next_back().copied() else { continue };
            self.write(1, stream, 40_000);
            self.settle();
        }
        assert!(self.carried > before, "seed {}: nothing arrives", self.seed);
    }

    fn settle(&mut self) {
        let until = self.now.after(CALM);
        let mut idle = 0;
        while self.now < until && idle < 200 {
            self.pass(TICK);
            let streams: Vec<StreamId> = self.streams.keys().copied().collect();
            let mut any = false;
            for stream in streams {
                any |= self.read(0, stream, 1 << 20) | self.read(1, stream, 1 << 20);
            }
            idle = if any { 0 } else { idle + 1 };
        }
    }
}

fn settings(end: usize) -> Settings {
    Settings { side: side(end), streams_max: STREAMS_MAX }
}

fn play(seed: u64) -> usize {
    let mut story = Story::new(seed);
    (0..DEEDS).for_each(|_| story.deed());
    story.calm();
    story.carried
}

#[test]
fn in_any_weather_bytes_arrive_in_order_once_within_the_window_and_after_it_all_of_them() {
    assert!(SEEDS.map(play).sum::<usize>() > 1 << 20, "something was carried");
}

/// `cargo test --release -p tunnel --test it weather -- --ignored`
#[test]
#[ignore = "takes minutes"]
fn in_much_more_weather_as_well() {
    assert!(MORE_SEEDS.map(play).sum::<usize>() > 1 << 20, "something was carried");
}
