//! What a stream came to, in the words of logs: relay and node write it down by the same words, so that their logs can
//! be compared.

use tunnel::StreamRecord;
use wire::Time;
use wire::audit::Side;
use wire::paper::NodeKey;

/// What is written down of a stream of `node` over a line to `relay`, by one of these sides. The machine is not named.
pub fn told(
    record: &StreamRecord,
    side: Side,
    relay: NodeKey,
    node: NodeKey,
) -> wire::audit::StreamRecord {
    wire::audit::StreamRecord {
        side,
        relay,
        node,
        worker: None,
        session: record.session.clone(),
        stream: record.stream,
        service: record.service.to_string(),
        visitor: record.visitor,
        subject: record.subject.clone(),
        opened: Time(record.opened),
        closed: Time(record.closed),
        to_service: record.traffic.to_service,
        to_visitor: record.traffic.to_visitor,
        is_whole: record.is_whole,
    }
}
