//! What a log shows, and what cannot be done to it unnoticed.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use units::Timestamp;

use super::*;
use crate::Time;
use crate::paper::{MeshKey, NodeKey};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn node() -> NodeKey {
    NodeKey(key().verifying_key().to_bytes())
}

fn flow(bytes: u64, verdict: Verdict) -> Record {
    Record::Flow(FlowRecord {
        by: End::Source,
        start: Time(START),
        end: Time(START.after(Duration::from_secs(2))),
        source_key: MeshKey([1; 32]),
        target_key: MeshKey([2; 32]),
        protocol: 6,
        source: "100.64.0.1".parse().unwrap(),
        source_port: 40_000,
        target: "100.64.0.2".parse().unwrap(),
        target_port: 22,
        forth: Traffic { packets: 3, bytes },
        back: Traffic { packets: 2, bytes: 120 },
        verdict,
        grant: verdict.is_allowed().then_some(4),
        line: verdict.is_allowed().then_some(17),
        policy: 3,
        path: PathName::Direct,
        part: 0,
    })
}

fn stream(
    side: Side,
    number: u32,
    (to_service, to_visitor): (u64, u64),
    is_whole: bool,
) -> StreamRecord {
    StreamRecord {
        side,
        relay: NodeKey([8; 32]),
        node: NodeKey([9; 32]),
        worker: None,
        session: "0a0b".to_owned(),
        stream: number,
        service: "ssh-1".to_owned(),
        visitor: "192.0.2.1:5".parse().unwrap(),
        subject: String::new(),
        opened: Time(START),
        closed: Time(START),
        to_service,
        to_visitor,
        is_whole,
    }
}

/// A log of so many records in each of some segments, and a rest that is not sealed.
fn written(segments: &[u64], rest: u64) -> Vec<String> {
    let (mut log, mut lines, mut number) = (AuditLog::new(node()), Vec::new(), 0);
    let mut write = |log: &mut AuditLog, count: u64| -> Vec<String> {
        let numbers = number + 1..=number + count;
        number += count;
        numbers.flat_map(|bytes| log.record(flow(bytes, Verdict::Closed), START)).collect()
    };
    for count in segments {
        lines.extend(write(&mut log, *count));
        lines.extend(log.seal(&key(), START.after(Duration::from_secs(*count))));
    }
    lines.extend(write(&mut log, rest));
    lines
}

fn read<'l>(lines: impl IntoIterator<Item = &'l String>) -> Result<(Verified, u64), Broken> {
    let (mut verifier, mut records) = (Verifier::new(Some(node())), 0);
    for line in lines {
        records += u64::from(verifier.line(line)?.is_some());
    }
    Ok((verifier.finish(), records))
}

#[test]
fn a_log_reads_as_it_was_written_and_goes_on() {
    let lines = written(&[3, 1], 2);
    let (verified, records) = read(&lines).unwrap();
    assert_eq!((verified.segments, verified.sealed, verified.unsealed, records), (2, 4, 2, 6));
    assert_eq!((verified.node, verified.first, verified.next), (Some(node()), 0, 2));
    // After a restart, the open segment's lines are dropped or kept aside, and the next has its number.
    let sealed = &lines[..lines.len() - 3];
    let (verified, _) = read(sealed).unwrap();
    let mut log = AuditLog::resume(node(), verified.next, verified.previous);
    let mut more = sealed.to_vec();
    more.extend(log.record(Record::Lost(2), START));
    more.extend(log.seal(&key(), START));
    let (verified, _) = read(&more).unwrap();
    assert_eq!((verified.segments, verified.lost), (3, 2));
    // A later piece alone is good too, and says where it begins.
    let (verified, _) = read(&more[5..]).unwrap();
    assert_eq!((verified.first, verified.segments), (1, 2));
}

#[test]
fn a_segment_is_sealed_when_it_is_full_or_old() {
    let mut log = AuditLog::new(node());
    assert!(!log.is_due(START) && log.seal(&key(), START).is_none());
    log.record(Record::Lost(1), START);
    assert!(!log.is_due(START) && log.is_due(START.after(SEGMENT_OPEN_MAX)));
    for _ in 1..SEGMENT_LINES_MAX {
        log.record(Record::Lost(1), START);
    }
    assert!(log.is_due(START));
}

fn refusal() -> Record {
    Record::Refused(RefusalRecord {
        relay: node(),
        service: "ssh-1".to_owned(),
        door: "ssh".to_owned(),
        visitor: "192.0.2.1".parse().unwrap(),
        subject: "acc_1".to_owned(),
        start: Time(START),
        end: Time(START),
        times: 3,
    })
}

#[test]
fn a_refusal_reads_as_it_was_written() {
    let mut log = AuditLog::new(node());
    let lines = log.record(refusal(), START);
    let mut verifier = Verifier::new(None);
    assert_eq!(verifier.line(&lines[0]), Ok(None));
    assert_eq!(verifier.line(&lines[1]), Ok(Some(refusal())));
}

/// A promise to whoever keeps logs: what was written last year verifies this year.
#[test]
fn lines_read_the_same_as_they_always_did() {
    let mut log = AuditLog::new(node());
    let mut lines = log.record(flow(180, Verdict::Closed), START);
    lines.extend(log.record(flow(60, Verdict::Stopped), START));
    lines.extend(log.record(Record::Stream(stream(Side::Relay, 2, (10, 20), true)), START));
    lines.extend(log.seal(&key(), START));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn records_are_told_to_collectors_in_their_own_words() {
    let records = [
        flow(180, Verdict::Closed),
        Record::Stream(stream(Side::Node, 2, (10, 20), true)),
        refusal(),
        Record::Lost(2),
    ];
    let request = otlp(&node(), &records);
    insta::assert_snapshot!(serde_json::to_string_pretty(&request).unwrap());
}

#[test]
fn two_sides_of_a_stream_are_compared_to_the_byte() {
    let check = |relay: ((u64, u64), bool), node: ((u64, u64), bool), expected: &str| {
        let records =
            [stream(Side::Relay, 2, relay.0, relay.1), stream(Side::Node, 2, node.0, node.1)];
        let comparison = compare(&records);
        let said: Vec<String> = comparison.gaps.iter().map(ToString::to_string).collect();
        assert_eq!(said.join("; "), expected);
        assert_eq!(comparison.equal == 1, expected.is_empty());
    };
    check(((100, 50), true), ((100, 50), true), "");
    check(((100, 50), false), ((100, 50), true), "");
    check(
        ((100, 50), false),
        ((99, 53), false),
        "stream 2 of session 0a0b: broken off with 1 bytes on their way to the service and 3 to the visitor",
    );
    check(
        ((100, 50), true),
        ((99, 50), true),
        "stream 2 of session 0a0b: the relay says 100 bytes to ssh-1 and 50 to 192.0.2.1:5, whole, \
         the node says 99 bytes to ssh-1 and 50 to 192.0.2.1:5, whole",
    );
    let more_than_was_sent = compare(&[
        stream(Side::Relay, 2, (100, 50), false),
        stream(Side::Node, 2, (101, 50), false),
    ]);
    assert!(matches!(more_than_was_sent.gaps[..], [Gap::Contradiction { .. }]));
    let one = stream(Side::Relay, 4, (1, 1), true);
    assert!(matches!(compare([&one]).gaps[..], [Gap::OneSided { side: Side::Relay, .. }]));
    assert!(matches!(compare([&one, &one]).gaps[..], [Gap::Twice { .. }, Gap::OneSided { .. }]));
}

#[test]
fn two_ends_of_a_connection_are_compared() {
    let flow = |by, forth: u64, back: u64, verdict| {
        let Record::Flow(flow) = flow(forth, verdict) else { unreachable!() };
        FlowRecord { by, back: Traffic { packets: 1, bytes: back }, ..flow }
    };
    // Each has a record of its own with somebody else, so both are known to write.
    let check = |source: (u64, u64, Verdict), target: (u64, u64, Verdict)| {
        let records = [
            flow(End::Source, source.0, source.1, source.2),
            flow(End::Target, target.0, target.1, target.2),
        ];
        compare_flows(&records)
    };
    let (over, goes_on) = (Verdict::Closed, Verdict::Continues);
    assert_eq!(check((9, 5, over), (9, 5, Verdict::Idle)).equal, 1);
    let lossy = check((9, 4, over), (8, 6, over));
    assert_eq!((lossy.lossy, lossy.lost_bytes, lossy.gaps.len()), (1, 3, 0));
    assert_eq!(check((9, 5, over), (9, 5, goes_on)).open, 1);
    let more = check((9, 5, over), (10, 5, over)).gaps;
    let said = "protocol 6 from 100.64.0.1 port 40000 to 100.64.0.2 port 22: 9 bytes were sent, and 10 arrived";
    assert_eq!(more[0].to_string(), said);
    let stopped = check((9, 5, over), (9, 0, Verdict::Stopped)).gaps;
    assert!(matches!(stopped[..], [FlowGap::OneSided { by: End::Source, .. }]));
    let at = |record: FlowRecord, seconds: u64| {
        let end = Time(record.end.0.after(Duration::from_secs(seconds)));
        FlowRecord { end, ..record }
    };
    for (seconds, gaps) in [(0, 0), (660, 0), (661, 1)] {
        let ended = flow(End::Source, 9, 5, over);
        let found = compare_flows(&[ended, at(flow(End::Target, 9, 5, goes_on), seconds)]);
        assert_eq!((found.gaps.len(), found.open), (gaps, u64::from(gaps == 0)), "{seconds}");
        let one = matches!(found.gaps[..], [] | [FlowGap::GoesOn { by: End::Target, .. }]);
        assert!(one, "{found:?}");
    }
    // Records of one end alone say nothing about the other.
    let alone = [flow(End::Source, 9, 5, over)];
    assert_eq!(compare_flows(&alone), FlowComparison::default());
    let parts = [
        flow(End::Source, 9, 5, goes_on),
        flow(End::Source, 1, 5, over),
        flow(End::Target, 10, 10, over),
    ];
    assert_eq!(compare_flows(&parts).equal, 1);
}

#[test]
fn a_log_of_another_node_is_not_taken_for_this_ones() {
    let lines = written(&[1], 0);
    let mut other = Verifier::new(Some(NodeKey([1; 32])));
    assert_eq!(other.line(&lines[0]).unwrap_err().reason, Reason::Node { found: node() });
    // Whoever seals with a key of their own is found out.
    let mut log = AuditLog::new(node());
    let mut forged = log.record(flow(1, Verdict::Closed), START);
    forged.extend(log.seal(&SigningKey::from_bytes(&[8; 32]), START));
    assert_eq!(read(&forged).unwrap_err(), Broken { line: 3, reason: Reason::Signature });
}

proptest! {
    #[test]
    fn nothing_sealed_is_changed_moved_left_out_or_added(
        segments in prop::collection::vec(1_u64..4, 1..4),
        deed in 0_u8..4,
        (at, to) in any::<(prop::sample::Index, prop::sample::Index)>(),
        byte: u8,
    ) {
        let lines = written(&segments, 0);
        let (mut changed, at, to) = (lines.clone(), at.index(lines.len()), to.index(lines.len()));
        match deed {
            0 => {
                let mut bytes = changed[at].clone().into_bytes();
                let place = usize::from(byte) % bytes.len();
                bytes[place] = if bytes[place] == b'3' { b'4' } else { b'3' };
                changed[at] = String::from_utf8(bytes).unwrap();
            }
            1 => drop(changed.remove(at)),
            2 => changed.insert(at, lines[to].clone()),
            _ => changed.swap(at, to),
        }
        prop_assume!(changed != lines);
        // Only whole segments at either end can go: the start is said, and the end is where the next one goes on.
        let (whole, _) = read(&lines).unwrap();
        match read(&changed) {
            Err(_) => {}
            Ok((verified, _)) => prop_assert!(verified.unsealed > 0 || verified.next != whole.next),
        }
    }

    #[test]
    fn strangers_lines_are_read_without_panic(text: String) {
        let _ = Verifier::new(None).line(&text);
    }
}
