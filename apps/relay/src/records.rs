//! What streams came to: the relay's own records, beside what the nodes say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tunnel::{Reconciled, StreamRecord, Traffic};

/// Records that wait for their node's word, at most; the oldest go unreconciled.
const WAITING_MAX: usize = 4_096;

/// Takes records of streams that are over.
pub trait Records: Send + Sync + 'static {
    /// A stream is over. The other record says what its node saw; nothing if the node did not say.
    fn over(&self, record: &StreamRecord, node: Option<Reconciled>);
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
            Some(Reconciled::Equal | Reconciled::Lost(_)) | None => {}
        }
        tracing::info!(target: "relay::event", session, stream, %service, %visitor, subject, to_service,
            to_visitor, millis, is_whole, reconciled = ?node);
    }
}

/// The records of one line that wait for the node's word, and the words that wait for the record.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Sides>);

#[derive(Debug, Default)]
struct Sides {
    ours: BTreeMap<u32, StreamRecord>,
    theirs: BTreeMap<u32, (Traffic, bool)>,
}

impl Waiting {
    fn with(&self, call: impl FnOnce(&mut Sides)) {
        call(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// This side's record of a stream.
    pub(crate) fn ours(&self, record: StreamRecord, records: &Arc<dyn Records>) {
        self.with(|sides| match sides.theirs.remove(&record.stream) {
            Some(node) => tell(&record, node, records),
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
            for record in std::mem::take(&mut sides.ours).into_values() {
                records.over(&record, None);
            }
        });
    }
}

fn tell(ours: &StreamRecord, (traffic, is_whole): (Traffic, bool), records: &Arc<dyn Records>) {
    let theirs = StreamRecord { traffic, is_whole, ..ours.clone() };
    records.over(ours, Some(ours.reconcile(&theirs)));
}
