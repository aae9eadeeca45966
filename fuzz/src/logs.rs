//! Logs of connections that a node or a relay hands over: read to where they break, and written truly again.

use ed25519_dalek::SigningKey;
use serde_json::Value;
use units::Timestamp;
use wire::audit::{
    AuditLog, FlowRecord, LINE_BYTES_MAX, Record, StreamRecord, Verifier, compare, compare_flows,
    otlp,
};
use wire::paper::NodeKey;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_060_000);

/// Lines as they are, and each that is a record in a log that is truly sealed.
pub fn logs(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (mut verifier, mut records) = (Verifier::new(None), Vec::new());
    for line in text.lines() {
        let Ok(record) = verifier.line(line) else { break };
        records.extend(record);
    }
    let came_to = verifier.finish();
    let counted = usize::try_from(came_to.sealed + came_to.unsealed);
    assert!(counted.is_ok_and(|counted| counted <= records.len()), "none is counted twice");
    told(came_to.node.unwrap_or(NodeKey([1; 32])), &records);
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let parts = lines.filter_map(|mut line| line.get_mut("record").map(Value::take));
    let parts: Vec<Record> = parts.filter_map(|part| serde_json::from_value(part).ok()).collect();
    written(&parts);
}

/// What is made of records for those who want to know.
fn told(node: NodeKey, records: &[Record]) {
    drop(otlp(&node, records));
    let streams = records.iter().filter_map(|record| match record {
        Record::Stream(stream) => Some(stream),
        Record::Flow(_) | Record::Refused(_) | Record::Lost(_) => None,
    });
    drop(compare(streams.collect::<Vec<&StreamRecord>>()));
    let flows = records.iter().filter_map(|record| match record {
        Record::Flow(flow) => Some(flow),
        Record::Stream(_) | Record::Refused(_) | Record::Lost(_) => None,
    });
    drop(compare_flows(flows.collect::<Vec<&FlowRecord>>()));
}

/// What was written and sealed reads as the same, and is counted whole.
fn written(records: &[Record]) {
    let key = SigningKey::from_bytes(&[1; 32]);
    let node = NodeKey(key.verifying_key().to_bytes());
    let (mut log, mut lines) = (AuditLog::new(node), Vec::new());
    for record in records {
        lines.extend(log.record(record.clone(), NOW));
    }
    lines.extend(log.seal(&key, NOW));
    if lines.iter().any(|line| line.len() > LINE_BYTES_MAX) {
        return;
    }
    let mut verifier = Verifier::new(Some(node));
    let read: Vec<Record> = lines
        .iter()
        .filter_map(|line| verifier.line(line).expect("what was written is a log"))
        .collect();
    assert_eq!(read, records, "what was read is what was written");
    let came_to = verifier.finish();
    assert_eq!(
        (came_to.sealed, came_to.unsealed),
        (records.len() as u64, 0),
        "all of it is sealed"
    );
    told(node, &read);
}
