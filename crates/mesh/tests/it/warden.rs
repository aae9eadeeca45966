//! What a warden lets pass, ends, counts, and reports.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use mesh::policy::{
    Allowed, FlowReport, Member, Policy, REPORT_EVERY, STOPPED_EVERY, STOPPED_MAX, TCP_EDGE_MAX,
    TCP_IDLE_MAX, Tables, UNANSWERED_IDLE_MAX, Warden, Why,
};
use mesh::{Crossing, Direction, Flow, Guard, PublicKey, Transport};
use proptest::prelude::*;
use units::Timestamp;

use Direction::{In, Out};

const PEER: PublicKey = PublicKey([2; 32]);
const START: Timestamp = Timestamp::from_millis(1_000_000);
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const FIN: u8 = 0x11;
const RST: u8 = 0x04;

/// One node, another, and the clock.
struct Pair {
    warden: Warden,
    now: Timestamp,
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(100, 64, 0, last).into()
}

/// The grants, as tables of node 1.
fn tables(version: u64, grants: &str) -> Arc<Tables> {
    let file = format!(
        "{{\"hosts\": {{\"one\": \"100.64.0.1\", \"two\": \"100.64.0.2\"}}, \"grants\": [{grants}]}}"
    );
    let policy = Policy::parse(&file).expect("a policy");
    let member = |number| Member {
        key: PublicKey([number; 32]),
        name: String::new(),
        user: None,
        groups: [].into(),
        tags: [].into(),
        addresses: vec![ip(number)],
    };
    let members = [member(1), member(2)];
    Arc::new(Tables::new(
        version,
        &policy.compile(&members).expect("no tests").rules_of(&members[0]),
    ))
}

/// Two may reach node 1 by SSH and echo, and node 1 may ask two for names.
const GRANTS: &str = r#"{"src": ["two"], "dst": ["one"], "ip": ["tcp:22", "icmp:*"]},
    {"src": ["one"], "dst": ["two"], "ip": ["udp:53"]}"#;

/// A flow between node 1, which is here, and node 2.
fn flow(direction: Direction, transport: Transport) -> Flow {
    let (source, target) = if direction == Out { (ip(1), ip(2)) } else { (ip(2), ip(1)) };
    Flow { source, target, transport }
}

impl Pair {
    fn new() -> Self {
        let pair = Self { warden: Warden::new([3, 5]), now: START };
        pair.warden.set_tables(&tables(1, GRANTS));
        pair
    }

    fn passes(&self, direction: Direction, transport: Transport, tcp_flags: u8) -> bool {
        let flow = flow(direction, transport);
        self.crosses(&self.crossing(direction, flow, tcp_flags))
    }

    fn crossing(&self, direction: Direction, flow: Flow, tcp_flags: u8) -> Crossing<'static> {
        Crossing { direction, peer: &PEER, flow, quoted: None, tcp_flags, now: self.now }
    }

    /// An error about a packet that went the other way.
    fn error(&self, direction: Direction, about: Transport) -> bool {
        let unreachable = Transport::Icmp { kind: 3, code: 3 };
        let back = if direction == Out { In } else { Out };
        let quoted = Some(flow(back, about));
        self.crosses(&Crossing {
            quoted,
            ..self.crossing(direction, flow(direction, unreachable), 0)
        })
    }

    fn crosses(&self, crossing: &Crossing<'_>) -> bool {
        let direction = crossing.direction;
        let passes = self.warden.lets_pass(crossing);
        match (passes, direction) {
            (true, _) => self.warden.on_carried(crossing, 2, 200),
            (false, In) => self.warden.on_stopped(crossing, 2, 200),
            (false, Out) => {}
        }
        passes
    }

    /// A packet of TCP between a port of node 2 and port 22 of node 1.
    fn ssh(&self, direction: Direction, flags: u8) -> bool {
        let (source, target) = if direction == Out { (22, 4000) } else { (4000, 22) };
        self.passes(direction, Transport::Tcp { source, target }, flags)
    }

    fn udp(&self, direction: Direction, local: u16, remote: u16) -> bool {
        let (source, target) = if direction == Out { (local, remote) } else { (remote, local) };
        self.passes(direction, Transport::Udp { source, target }, 0)
    }

    fn icmp(&self, direction: Direction, kind: u8) -> bool {
        self.passes(direction, Transport::Icmp { kind, code: 0 }, 0)
    }

    fn later(&mut self, span: Duration) -> Vec<FlowReport> {
        self.now = self.now.after(span);
        self.warden.collect(self.now)
    }
}

#[test]
fn answers_to_what_was_allowed_come_back_and_nothing_else_does() {
    let pair = Pair::new();
    assert!(!pair.ssh(Out, SYN_ACK), "nobody has asked yet");
    assert!(pair.ssh(In, SYN) && pair.ssh(Out, SYN_ACK) && pair.ssh(In, 0x10));
    assert!(pair.udp(Out, 5353, 53) && pair.udp(In, 5353, 53));
    assert!(!pair.udp(In, 53, 5353), "the other way is another matter");
    assert!(!pair.udp(In, 5354, 53), "another port was not asked from");
    assert!(!pair.passes(Out, Transport::Tcp { source: 4000, target: 22 }, SYN));
}

#[test]
fn a_connection_cannot_be_turned_around() {
    let pair = Pair::new();
    assert!(pair.ssh(In, SYN) && pair.ssh(Out, SYN_ACK));
    assert!(!pair.ssh(Out, SYN), "node 1 may not begin, from whichever port");
    assert!(pair.ssh(Out, 0x18), "what is open stays open");
}

#[test]
fn echoes_are_answered_and_errors_go_with_what_they_are_about() {
    let pair = Pair::new();
    assert!(!pair.icmp(Out, 3), "about nothing");
    assert!(!pair.icmp(Out, 0), "an answer without a question");
    assert!(pair.icmp(In, 8) && pair.icmp(Out, 0));
    assert!(!pair.icmp(Out, 8), "node 1 may not ask");
    assert!(!pair.icmp(In, 0), "and is not answered");
    let echo = Transport::Icmp { kind: 8, code: 0 };
    assert!(pair.error(Out, echo), "about the question");
    assert!(!pair.error(In, echo), "node 1 has asked nothing");
}

#[test]
fn an_error_passes_only_with_the_connection_that_it_quotes() {
    let mut pair = Pair::new();
    assert!(pair.udp(Out, 5353, 53));
    let asked = Transport::Udp { source: 5353, target: 53 };
    assert!(pair.error(In, asked));
    assert!(!pair.error(In, Transport::Udp { source: 5353, target: 54 }), "of another port");
    assert!(!pair.error(In, Transport::Tcp { source: 5353, target: 53 }), "of another protocol");
    assert!(!pair.error(Out, asked), "nobody has sent that");
    assert!(!pair.icmp(In, 3), "about nothing that can be read");
    let elsewhere = Flow { source: ip(1), target: ip(3), transport: asked };
    let unreachable = flow(In, Transport::Icmp { kind: 3, code: 3 });
    let crossing = Crossing { quoted: Some(elsewhere), ..pair.crossing(In, unreachable, 0) };
    assert!(!pair.crosses(&crossing), "about what went to somebody else");
    pair.now = pair.now.after(UNANSWERED_IDLE_MAX);
    assert!(!pair.error(In, asked), "about what is over");
}

#[test]
fn a_connection_is_one_peers() {
    let mut pair = Pair::new();
    let other = PublicKey([9; 32]);
    assert!(pair.udp(Out, 5353, 53));
    let answer = flow(In, Transport::Udp { source: 53, target: 5353 });
    let from_other = Crossing { peer: &other, ..pair.crossing(In, answer, 0) };
    assert!(!pair.crosses(&from_other), "the address is another's since, who was not asked");
    assert!(pair.udp(Out, 5353, 53));
    let fragment = flow(In, Transport::Fragment { protocol: 17 });
    let of_other = Crossing { peer: &other, ..pair.crossing(In, fragment, 0) };
    assert!(!pair.crosses(&of_other));
    assert!(pair.crosses(&pair.crossing(In, fragment, 0)));
    let reports = pair.later(Duration::ZERO);
    assert!(reports.iter().any(|it| it.why == Why::Idle && it.peer == PEER), "it was ended");
}

#[test]
fn an_older_policy_changes_nothing_and_one_that_ended_allows_nothing() {
    let mut pair = Pair::new();
    let ends = pair.now.after(Duration::from_secs(60));
    let newer = Arc::new(Tables::clone(&tables(5, GRANTS)).until(ends));
    assert!(pair.warden.set_tables(&newer));
    assert!(!pair.warden.set_tables(&tables(4, r#"{"src": ["*"], "dst": ["*"], "ip": ["*"]}"#)));
    assert!(!pair.ssh(Out, SYN), "only the older one would allow it");
    assert!(pair.ssh(In, SYN) && pair.ssh(Out, SYN_ACK));
    pair.now = ends;
    assert!(!pair.ssh(In, 0x10), "what was open is closed");
    assert!(!pair.udp(Out, 5353, 53));
    let reports = pair.later(Duration::ZERO);
    assert!(reports.iter().any(|it| it.why == Why::Revoked));
    assert!(!pair.warden.set_tables(&tables(4, GRANTS)), "nor does it come back then");
    assert!(pair.warden.set_tables(&tables(5, GRANTS)), "the same may be told anew");
    assert!(pair.ssh(In, SYN));
}

#[test]
fn icmp_of_the_other_family_is_allowed_by_no_rule() {
    let pair = Pair::new();
    pair.warden.set_tables(&tables(2, r#"{"src": ["*"], "dst": ["*"], "ip": ["*", "icmp:*"]}"#));
    assert!(pair.icmp(In, 8));
    assert!(!pair.passes(In, Transport::Other { protocol: 58 }, 0));
    assert!(!pair.passes(In, Transport::Other { protocol: 1 }, 0));
}

#[test]
fn later_fragments_go_with_the_first_one_and_unknown_protocols_need_a_name() {
    let pair = Pair::new();
    let fragment = Transport::Fragment { protocol: 17 };
    assert!(!pair.passes(Out, fragment, 0));
    assert!(pair.udp(Out, 5353, 53));
    assert!(pair.passes(Out, fragment, 0) && pair.passes(In, fragment, 0));
    assert!(!pair.passes(In, Transport::Fragment { protocol: 6 }, 0), "of another protocol");
    assert!(!pair.passes(In, Transport::Other { protocol: 47 }, 0));
    pair.warden.set_tables(&tables(2, r#"{"src": ["two"], "dst": ["one"], "ip": ["gre:*"]}"#));
    assert!(pair.passes(In, Transport::Other { protocol: 47 }, 0));
    assert!(pair.passes(Out, Transport::Other { protocol: 47 }, 0));
}

#[test]
fn what_is_silent_is_over() {
    let mut pair = Pair::new();
    assert!(pair.ssh(In, SYN));
    pair.now = pair.now.after(TCP_EDGE_MAX);
    assert!(!pair.ssh(Out, SYN_ACK), "too late");
    assert!(pair.ssh(In, SYN) && pair.ssh(Out, SYN_ACK));
    pair.now = pair.now.after(TCP_IDLE_MAX - Duration::from_millis(1));
    assert!(pair.ssh(Out, 0x18));
    assert!(pair.udp(Out, 5353, 53));
    pair.now = pair.now.after(UNANSWERED_IDLE_MAX);
    assert!(!pair.udp(In, 5353, 53));
    assert_eq!(pair.warden.counts().connections, 1, "the one that is in use");
}

#[test]
fn both_ends_end_a_connection_and_a_reset_does_at_once() {
    let mut pair = Pair::new();
    assert!(pair.ssh(In, SYN) && pair.ssh(Out, SYN_ACK) && pair.ssh(In, FIN) && pair.ssh(Out, FIN));
    assert!(pair.ssh(In, 0x10), "the last word");
    let reports = pair.later(TCP_EDGE_MAX);
    assert_eq!(reports.iter().map(|it| it.why).collect::<Vec<_>>(), [Why::Closed]);
    assert!(pair.ssh(In, SYN) && pair.ssh(Out, RST));
    assert!(pair.ssh(In, SYN), "the same ports again, at once");
    let reports = pair.later(Duration::ZERO);
    assert_eq!(reports.iter().map(|it| it.why).collect::<Vec<_>>(), [Why::Closed]);
    assert!(!Pair::new().ssh(In, RST), "a reset begins nothing");
}

#[test]
fn a_new_version_ends_what_it_does_not_allow_and_renames_what_it_does() {
    let mut pair = Pair::new();
    assert!(pair.ssh(In, SYN) && pair.ssh(Out, SYN_ACK) && pair.udp(Out, 5353, 53));
    let only_names = r#"{"src": ["two"], "dst": ["one"], "ip": ["tcp:23"]},
        {"src": ["one"], "dst": ["two"], "ip": ["udp:54"]},
        {"src": ["one"], "dst": ["two"], "ip": ["udp:53"]}"#;
    pair.warden.set_tables(&tables(2, only_names));
    assert!(!pair.ssh(Out, 0x18) && !pair.ssh(In, 0x18));
    assert!(pair.udp(In, 5353, 53), "it was asked before, and may still be answered");
    let reports = pair.later(Duration::ZERO);
    let revoked: Vec<_> = reports.iter().filter(|it| it.why == Why::Revoked).collect();
    assert_eq!(revoked.len(), 1);
    assert_eq!((revoked[0].version, revoked[0].allowed.map(|by| by.grant)), (1, Some(0)));
    let reports = pair.warden.finish(pair.now);
    let names = reports.iter().find(|it| it.protocol == 17).unwrap();
    assert_eq!((names.version, names.allowed.map(|by| by.grant)), (2, Some(2)));
}

#[test]
fn reports_say_who_what_when_and_by_which_grant() {
    let mut pair = Pair::new();
    assert!(pair.ssh(In, SYN) && pair.ssh(Out, SYN_ACK));
    assert!(pair.later(REPORT_EVERY - Duration::from_millis(1)).is_empty());
    assert!(pair.ssh(Out, 0x18));
    let reports = pair.later(Duration::from_millis(1));
    let [first] = reports[..] else { panic!("{reports:?}") };
    assert_eq!((first.why, first.part, first.version), (Why::Continues, 0, 1));
    assert_eq!(first.allowed, Some(Allowed { grant: 0, line: 1 }));
    assert_eq!((first.began, first.local_port, first.remote_port), (In, 22, 4000));
    assert_eq!((first.sent.packets, first.sent.bytes, first.received.bytes), (4, 400, 200));
    assert_eq!(first.start, START);
    assert!(pair.ssh(In, 0x18));
    let last = pair.warden.finish(pair.now)[0];
    assert_eq!((last.part, last.sent.bytes, last.received.bytes), (1, 0, 200));
}

#[test]
fn attempts_are_reported_once_a_minute_with_their_number() {
    let mut pair = Pair::new();
    for port in 0..100 {
        pair.passes(In, Transport::Tcp { source: port, target: 23 }, SYN);
    }
    let told = |reports: &[FlowReport]| -> Vec<(u64, u32)> {
        reports.iter().map(|it| (it.received.packets, it.part)).collect()
    };
    let reports = pair.later(Duration::ZERO);
    assert_eq!(told(&reports), [(200, 0)]);
    assert_eq!(
        (reports[0].why, reports[0].local_port, reports[0].remote_port),
        (Why::Stopped, 23, 0)
    );
    assert_eq!(reports[0].allowed, None);
    pair.passes(In, Transport::Tcp { source: 7, target: 23 }, SYN);
    assert!(pair.later(STOPPED_EVERY - Duration::from_millis(1)).is_empty());
    assert_eq!(told(&pair.later(Duration::from_millis(1))), [(2, 1)]);
    assert!(pair.later(STOPPED_EVERY).is_empty());
    // A scan of all ports is counted, and most of it not told one by one.
    for port in 0..5_000 {
        pair.passes(In, Transport::Tcp { source: 7, target: port }, SYN);
    }
    assert_eq!(pair.later(Duration::ZERO).len(), STOPPED_MAX);
    assert_eq!(pair.warden.counts().stopped, 202 + 2 * 4_999);
}

#[test]
fn a_flood_displaces_itself_and_not_what_is_in_use() {
    let pair = Pair::new();
    pair.warden.set_tables(&tables(1, r#"{"src": ["two"], "dst": ["one"], "ip": ["*"]}"#));
    assert!(pair.ssh(In, SYN) && pair.ssh(Out, SYN_ACK));
    for number in 0..100_000_u32 {
        let (source, target) = ((number >> 8) as u16 | 0x8000, (number & 0xff) as u16 | 0x8000);
        pair.passes(In, Transport::Udp { source, target }, 0);
    }
    assert!(pair.warden.counts().connections <= 8 * 1024);
    assert!(pair.ssh(Out, 0x18), "what was answered outlives what was not");
}

#[test]
fn threads_that_ask_at_the_same_time_lose_no_byte() {
    let pair = Pair::new();
    pair.warden.set_tables(&tables(1, r#"{"src": ["*"], "dst": ["*"], "ip": ["*"]}"#));
    let (each, threads) = (2_000_u16, 4_u16);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let pair = &pair;
            scope.spawn(move || {
                for number in 0..each {
                    let direction = if thread % 2 == 0 { Out } else { In };
                    assert!(pair.udp(direction, number % 100, 7));
                    if number % 500 == 0 {
                        let other = tables(
                            number.into(),
                            r#"{"src": ["*"], "dst": ["*"], "ip": ["udp:*"]}"#,
                        );
                        pair.warden.set_tables(&other);
                    }
                }
            });
        }
    });
    let reports = pair.warden.finish(pair.now);
    let told: u64 = reports.iter().map(|report| report.sent.bytes + report.received.bytes).sum();
    let unlisted = pair.warden.counts().carried_unlisted.bytes;
    assert_eq!(told + unlisted, u64::from(each) * u64::from(threads) * 200);
}

#[test]
fn both_ends_write_the_same_about_what_nobody_lost() {
    let (near, far) = (Pair::new(), Pair::new());
    near.warden.set_tables(&tables(1, r#"{"src": ["one"], "dst": ["two"], "ip": ["tcp:22"]}"#));
    // The other end sees the same packets the other way round: node 1 is far from there.
    far.warden.set_tables(&tables(1, r#"{"src": ["two"], "dst": ["one"], "ip": ["tcp:22"]}"#));
    for (direction, flags) in
        [(Out, SYN), (In, SYN_ACK), (Out, 0x18), (In, 0x10), (Out, FIN), (In, FIN)]
    {
        let (source, target) = if direction == Out { (4000, 22) } else { (22, 4000) };
        let transport = Transport::Tcp { source, target };
        let turned = if direction == Out { In } else { Out };
        assert!(near.passes(direction, transport, flags) && far.passes(turned, transport, flags));
    }
    let (here, there) = (near.warden.finish(near.now)[0], far.warden.finish(far.now)[0]);
    assert_eq!((here.sent, here.received), (there.received, there.sent));
    assert_eq!((here.local_port, here.remote_port), (there.remote_port, there.local_port));
    assert_eq!((here.why, here.began, there.began), (there.why, Out, In));
}

#[derive(Clone, Debug)]
enum Deed {
    Packet(Direction, Transport, u8),
    Wait(u64),
    Version(bool),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let direction = prop::sample::select(vec![In, Out]);
    let port = prop::sample::select(vec![22_u16, 53, 4000, 4001]);
    let transport = prop_oneof![
        (port.clone(), port.clone()).prop_map(|(source, target)| Transport::Tcp { source, target }),
        (port.clone(), port).prop_map(|(source, target)| Transport::Udp { source, target }),
        prop::sample::select(vec![0, 3, 8]).prop_map(|kind| Transport::Icmp { kind, code: 0 }),
        prop::sample::select(vec![6, 17]).prop_map(|protocol| Transport::Fragment { protocol }),
        Just(Transport::Other { protocol: 47 }),
    ];
    let flags = prop::sample::select(vec![0, SYN, SYN_ACK, FIN, RST]);
    let packet =
        (direction, transport, flags).prop_map(|(way, what, flags)| Deed::Packet(way, what, flags));
    let deed = prop_oneof![
        8 => packet,
        1 => (0_u64..200_000).prop_map(Deed::Wait),
        1 => any::<bool>().prop_map(Deed::Version),
    ];
    prop::collection::vec(deed, 0..200)
}

proptest! {
    #[test]
    fn every_byte_that_passed_is_reported_once_and_by_an_allowing_grant(deeds in deeds()) {
        let mut pair = Pair::new();
        let (mut passed, mut reports, mut version) = ((0, 0), Vec::new(), 1);
        for deed in deeds {
            match deed {
                Deed::Packet(direction, transport, flags) => {
                    let flags = if matches!(transport, Transport::Tcp { .. }) { flags } else { 0 };
                    if pair.passes(direction, transport, flags) {
                        match direction {
                            Out => passed.0 += 200,
                            In => passed.1 += 200,
                        }
                    }
                }
                Deed::Wait(millis) => reports.extend(pair.later(Duration::from_millis(millis))),
                Deed::Version(is_open) => {
                    version += 1;
                    pair.warden.set_tables(&tables(version, if is_open { GRANTS } else { "" }));
                    if !is_open {
                        prop_assert!(!pair.ssh(In, SYN) && !pair.ssh(Out, 0x10));
                        let fragment = Transport::Fragment { protocol: 6 };
                        prop_assert!(!pair.passes(In, fragment, 0));
                    }
                }
            }
        }
        reports.extend(pair.warden.finish(pair.now));
        let (told, stopped): (Vec<&FlowReport>, Vec<_>) =
            reports.iter().partition(|report| report.allowed.is_some());
        let sum = |of: fn(&FlowReport) -> u64| told.iter().map(|report| of(report)).sum::<u64>();
        prop_assert_eq!(sum(|it| it.sent.bytes), passed.0);
        prop_assert_eq!(sum(|it| it.received.bytes), passed.1);
        prop_assert!(stopped.iter().all(|it| matches!(it.why, Why::Stopped | Why::TooMany)));
    }
}
