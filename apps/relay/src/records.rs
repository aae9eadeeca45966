//! What streams came to: the relay's own records, beside what the nodes say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tunnel::{ServiceName, StreamRecord, Traffic};
use wire::audit::{Carried, Reconciled};
use wire::paper::NodeKey;

use crate::opener::Visitor;

/// Records that wait for their node's word, at most; the oldest go unreconciled.
const WAITING_MAX: usize = 4_096;

/// Takes records of streams that are over.
pub trait Records: Send + Sync + 'static {
    /// A stream to this node has ended here.
    fn ended(&self, _record: &StreamRecord, _node: NodeKey) {}

    /// A stream is over. The other record says what its node saw; nothing if the node did not say.
    fn over(&self, record: &StreamRecord, node: Option<Reconciled>);

    /// A visitor was not let to a service, because it is not for them.
    fn refused(&self, _service: &ServiceName, _visitor: &Visitor) {}

    /// Nothing more will be said: what waits is written, and waited for.
    fn close(&self) {}
}

/// Writes records to the log, as events for machines.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToLog;

impl Records for ToLog {
    fn over(&self, record: &StreamRecord, node: Option<Reconciled>) {
        let StreamRecord { session, stream, service, visitor, subject, traffic, .. } = record;
        let (to_service, to_visitor) = (traffic.to_service, traffic.to_visitor);
        let millis =
            u64::try_from(record.closed.since(record.opened).as_millis()).unwrap_or(u64::MAX);
        let is_whole = record.is_whole;
        match node {
            Some(Reconciled::Contradictory) => {
                tracing::warn!(target: "relay::event", session, stream, %service, to_service, to_visitor,
                    "a node's record of a stream contradicts the relay's");
            }
            Some(Reconciled::Equal | Reconciled::OnTheWay { .. }) | None => {}
        }
        tracing::info!(target: "relay::event", session, stream, %service, %visitor, subject, to_service,
            to_visitor, millis, is_whole, reconciled = ?node);
    }

    fn refused(&self, service: &ServiceName, visitor: &Visitor) {
        let Visitor { address, entry, subject, .. } = visitor;
        tracing::info!(target: "relay::event", %service, visitor = %address, ?entry, subject, "refused");
    }
}

/// The records of one line that wait for the node's word, and the words that wait for the record.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Sides>);

#[derive(Debug, Default)]
struct Sides {
    ours: BTreeMap<u32, StreamRecord>,
    theirs: BTreeMap<u32, (Traffic, bool)>,
    /// Whether the line is over, and its node says nothing more.
    is_closed: bool,
}

impl Waiting {
    fn with(&self, call: impl FnOnce(&mut Sides)) {
        call(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// This side's record of a stream to this node.
    pub(crate) fn ours(&self, record: StreamRecord, node: NodeKey, records: &Arc<dyn Records>) {
        records.ended(&record, node);
        self.with(|sides| match sides.theirs.remove(&record.stream) {
            Some(node) => tell(&record, node, records),
            None if sides.is_closed => records.over(&record, None),
            None => {
                sides.ours.insert(record.stream, record);
                if sides.ours.len() > WAITING_MAX
                    && let Some((_, oldest)) = sides.ours.pop_first()
                {
                    records.over(&oldest, None);
                }
            }
        });
    }

    /// What the node saw.
    pub(crate) fn theirs(&self, stream: u32, node: (Traffic, bool), records: &Arc<dyn Records>) {
        self.with(|sides| match sides.ours.remove(&stream) {
            Some(record) => tell(&record, node, records),
            None => {
                sides.theirs.insert(stream, node);
                if sides.theirs.len() > WAITING_MAX {
                    sides.theirs.pop_first();
                }
            }
        });
    }

    /// The line is over: nothing more is said.
    pub(crate) fn close(&self, records: &Arc<dyn Records>) {
        self.with(|sides| {
            sides.is_closed = true;
            for record in std::mem::take(&mut sides.ours).into_values() {
                records.over(&record, None);
            }
        });
    }
}

fn tell(ours: &StreamRecord, (traffic, is_whole): (Traffic, bool), records: &Arc<dyn Records>) {
    let said =
        |Traffic { to_service, to_visitor }, is_whole| Carried { to_service, to_visitor, is_whole };
    let (relay, node) = (said(ours.traffic, ours.is_whole), said(traffic, is_whole));
    records.over(ours, Some(relay.reconcile(&node)));
}

#[cfg(test)]
mod tests {
    use units::Timestamp;

    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<(u32, Option<Reconciled>)>>);

    impl Records for Kept {
        fn over(&self, record: &StreamRecord, node: Option<Reconciled>) {
            self.0.lock().unwrap().push((record.stream, node));
        }
    }

    fn record(stream: u32) -> StreamRecord {
        StreamRecord {
            session: "00".to_owned(),
            stream,
            service: "ssh-1".parse().unwrap(),
            visitor: "192.0.2.1:5".parse().unwrap(),
            subject: String::new(),
            opened: Timestamp::from_millis(1),
            closed: Timestamp::from_millis(2),
            traffic: Traffic::default(),
            is_whole: true,
        }
    }

    #[test]
    fn a_record_finds_the_word_of_the_node_or_the_end_of_the_line() {
        let (kept, node) = (Arc::new(Kept::default()), NodeKey([7; 32]));
        let records: Arc<dyn Records> = kept.clone();
        let waiting = Waiting::default();
        waiting.ours(record(2), node, &records);
        waiting.theirs(2, (Traffic::default(), true), &records);
        waiting.theirs(4, (Traffic::default(), true), &records);
        waiting.ours(record(4), node, &records);
        waiting.ours(record(6), node, &records);
        waiting.close(&records);
        // Streams that were open when the line ended end after it.
        waiting.ours(record(8), node, &records);
        let equal = Some(Reconciled::Equal);
        let expected = vec![(2, equal), (4, equal), (6, None), (8, None)];
        assert_eq!(*kept.0.lock().unwrap(), expected);
    }
}
