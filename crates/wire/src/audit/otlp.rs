//! Records as OpenTelemetry's logs: `ExportLogsServiceRequest` in its JSON form.
//!
//! Collectors take it over HTTP at `/v1/logs` (OTLP 1.x). It is plain data; no library of OpenTelemetry is needed.

use serde_json::{Value, json};

use super::record::{End, FlowRecord, Record, RefusalRecord, StreamRecord};
use crate::Time;
use crate::paper::NodeKey;

/// Severities of OpenTelemetry's log model.
const INFO: (u8, &str) = (9, "INFO");
const WARN: (u8, &str) = (13, "WARN");

/// Records of one node as one export request. Names of attributes are those of OpenTelemetry's semantic conventions
/// where there is one, and begin with `iog.` where there is none.
pub fn otlp<'r>(node: &NodeKey, records: impl IntoIterator<Item = &'r Record>) -> Value {
    let records: Vec<Value> = records.into_iter().map(log_record).collect();
    json!({
        "resourceLogs": [{
            "resource": {"attributes": [
                text("service.name", "iog"),
                text("service.instance.id", &node.to_string()),
            ]},
            "scopeLogs": [{"scope": {"name": "iog.audit", "version": "1"}, "logRecords": records}],
        }],
    })
}

fn log_record(record: &Record) -> Value {
    let (event, at, severity, attributes) = match record {
        Record::Flow(flow) => {
            let severity = if flow.verdict.is_allowed() { INFO } else { WARN };
            ("iog.flow", Some(flow.end), severity, of_flow(flow))
        }
        Record::Stream(stream) => ("iog.stream", Some(stream.closed), INFO, of_stream(stream)),
        Record::Refused(refusal) => ("iog.refused", Some(refusal.end), WARN, of_refusal(refusal)),
        Record::Lost(count) => ("iog.lost", None, WARN, vec![number("iog.records", *count)]),
    };
    let (severity_number, severity_text) = severity;
    json!({
        "timeUnixNano": at.map_or_else(|| "0".to_owned(), nanos),
        "severityNumber": severity_number,
        "severityText": severity_text,
        "eventName": event,
        "body": {"stringValue": event},
        "attributes": attributes,
    })
}

fn of_flow(flow: &FlowRecord) -> Vec<Value> {
    let mut attributes = vec![
        text("source.address", &flow.source.to_string()),
        number("source.port", flow.source_port.into()),
        text("destination.address", &flow.target.to_string()),
        number("destination.port", flow.target_port.into()),
        text("network.type", if flow.source.is_ipv4() { "ipv4" } else { "ipv6" }),
        number("iog.protocol", flow.protocol.into()),
        text("iog.source.key", &flow.source_key.to_string()),
        text("iog.destination.key", &flow.target_key.to_string()),
        text("iog.start", &flow.start.to_string()),
        text("iog.by", if flow.by == End::Source { "source" } else { "target" }),
        number("iog.forth.packets", flow.forth.packets),
        number("iog.forth.bytes", flow.forth.bytes),
        number("iog.back.packets", flow.back.packets),
        number("iog.back.bytes", flow.back.bytes),
        text("iog.verdict", flow.verdict.name()),
        number("iog.policy.version", flow.policy),
        text("iog.path", flow.path.name()),
        number("iog.part", flow.part.into()),
    ];
    attributes.extend(transport(flow.protocol).map(|name| text("network.transport", name)));
    attributes.extend(flow.grant.map(|grant| number("iog.policy.grant", grant.into())));
    attributes.extend(flow.line.map(|line| number("iog.policy.line", line.into())));
    attributes
}

fn of_stream(stream: &StreamRecord) -> Vec<Value> {
    let mut attributes = vec![
        text("client.address", &stream.visitor.ip().to_string()),
        number("client.port", stream.visitor.port().into()),
        text("iog.relay.key", &stream.relay.to_string()),
        text("iog.node.key", &stream.node.to_string()),
        text("iog.session", &stream.session),
        number("iog.stream", stream.stream.into()),
        text("iog.service", &stream.service),
        text("iog.subject", &stream.subject),
        text("iog.start", &stream.opened.to_string()),
        number("iog.to_service.bytes", stream.to_service),
        number("iog.to_visitor.bytes", stream.to_visitor),
        json!({"key": "iog.whole", "value": {"boolValue": stream.is_whole}}),
    ];
    attributes.extend(stream.worker.map(|worker| text("iog.worker", &worker.to_string())));
    attributes
}

fn of_refusal(refusal: &RefusalRecord) -> Vec<Value> {
    vec![
        text("client.address", &refusal.visitor.to_string()),
        text("iog.relay.key", &refusal.relay.to_string()),
        text("iog.service", &refusal.service),
        text("iog.door", &refusal.door),
        text("iog.subject", &refusal.subject),
        text("iog.start", &refusal.start.to_string()),
        number("iog.times", refusal.times),
    ]
}

fn transport(protocol: u8) -> Option<&'static str> {
    match protocol {
        6 => Some("tcp"),
        17 => Some("udp"),
        _ => None,
    }
}

fn nanos(at: Time) -> String {
    (u128::from(at.0.millis()) * 1_000_000).to_string()
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Whole numbers are text in OTLP's JSON, as they may have 64 bits.
fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}
