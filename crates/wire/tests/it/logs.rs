//! Logs that nodes and relays hand over: what the fuzzer begins with is what [`made`] makes, to the byte. After a
//! change of a record: `IOG_WRITE=1 cargo nextest run -p wire logs`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use units::{Timestamp, WorkerId};
use wire::Time;
use wire::audit::{
    AuditLog, End, FlowRecord, PathName, Record, RefusalRecord, Side, StreamRecord, Traffic,
    Verdict,
};
use wire::paper::{MeshKey, NodeKey};

use crate::inputs::{Inputs, committed, must_be, run};
use crate::lines::logs;
use crate::mutate::Chance;

/// All of it, in a checkout.
const SEEDS_BYTES_MAX: usize = 16 << 10;
/// Inputs that are changed by chance in an ordinary test.
const CHANGED: usize = 2_000;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/logs"))
}

const fn at(seconds: u64) -> Time {
    Time(Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000))
}

const fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(100, 64, 0, last))
}

fn flow(by: End) -> Record {
    Record::Flow(FlowRecord {
        by,
        start: at(1),
        end: at(9),
        source_key: MeshKey([1; 32]),
        target_key: MeshKey([2; 32]),
        protocol: 6,
        source: ip(16),
        source_port: 40_001,
        target: ip(17),
        target_port: 22,
        forth: Traffic { packets: 10, bytes: 9_000 },
        back: Traffic { packets: 8, bytes: 700 },
        verdict: Verdict::Closed,
        grant: Some(0),
        line: Some(3),
        policy: 7,
        path: PathName::Direct,
        part: 0,
    })
}

fn stream(side: Side) -> Record {
    Record::Stream(StreamRecord {
        side,
        relay: NodeKey([3; 32]),
        node: NodeKey([4; 32]),
        worker: Some(WorkerId::from_bits(7)),
        session: "5a".repeat(16),
        stream: 12,
        service: "jupyter-00000000000000000000000013".to_owned(),
        visitor: "192.0.2.1:51820".parse().unwrap(),
        subject: String::new(),
        opened: at(2),
        closed: at(8),
        to_service: 1_000,
        to_visitor: 90_000,
        is_whole: true,
    })
}

fn refused() -> Record {
    Record::Refused(RefusalRecord {
        relay: NodeKey([3; 32]),
        service: "ssh-00000000000000000000000013".to_owned(),
        door: "ssh".to_owned(),
        visitor: ip(99),
        subject: "acc_00000000000000000000000005".to_owned(),
        start: at(3),
        end: at(4),
        times: 2,
    })
}

/// A log of two segments, one that is still open, and one that was changed after it was sealed.
fn made() -> Inputs {
    let key = SigningKey::from_bytes(&[1; 32]);
    let mut log = AuditLog::new(NodeKey(key.verifying_key().to_bytes()));
    let mut lines = Vec::new();
    let first = [flow(End::Source), flow(End::Target), Record::Lost(3)];
    let second = [stream(Side::Relay), stream(Side::Node), refused()];
    for records in [first, second] {
        let told = records.into_iter().flat_map(|record| log.record(record, at(10).0));
        lines.extend(told.collect::<Vec<String>>());
        lines.extend(log.seal(&key, at(20).0));
    }
    let whole = lines.join("\n");
    let open = lines[..lines.len() - 1].join("\n");
    let changed = whole.replacen("9000", "9001", 1);
    let inputs = [("whole", whole), ("open", open), ("changed", changed)];
    inputs.map(|(name, text)| (name.to_owned(), text.into_bytes())).into()
}

#[test]
fn the_logs_are_what_their_generator_makes() {
    must_be(&folder(), &made(), SEEDS_BYTES_MAX, |_| false);
}

#[test]
fn no_bytes_of_strangers_make_a_reader_of_logs_panic() {
    run(&committed(&folder()), CHANGED, &mut Chance(3), logs);
}
