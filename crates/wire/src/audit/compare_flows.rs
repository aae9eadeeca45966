//! Two ends of the same connections: do both members' records tell the same?

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use units::Timestamp;

use super::limits::ENDS_APART_MAX;
use super::record::{End, FlowRecord, Traffic, Verdict};
use crate::paper::MeshKey;

/// What the records of two ends say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowComparison {
    /// Connections that both ends tell the same of, to the byte.
    pub equal: u64,
    /// Connections of which packets were lost on their way.
    pub lossy: u64,
    /// Bytes that were lost on their way.
    pub lost_bytes: u64,
    /// Connections that go on, and are not compared yet.
    pub open: u64,
    /// Connections that differ, in their order.
    pub gaps: Vec<FlowGap>,
}

/// A connection of which two ends do not tell the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowGap {
    /// One end got more than the other sent.
    #[error("{flow}: {sent} bytes were sent, and {received} arrived")]
    More {
        /// Which connection.
        flow: FlowName,
        /// What one end says it sent.
        sent: u64,
        /// What the other says it got.
        received: u64,
    },
    /// One end has ended it, and the other tells of packets long after: it cannot have been the same.
    #[error("{flow}: only who {} it goes on with it", match .by { End::Source => "began", End::Target => "answered" })]
    GoesOn {
        /// Which connection.
        flow: FlowName,
        /// Which end goes on.
        by: End,
    },
    /// One end let it pass, and the other has no word of it. It may have stopped it, or never have seen a packet.
    #[error("{flow}: only who {} it has a record", match .by { End::Source => "began", End::Target => "answered" })]
    OneSided {
        /// Which connection.
        flow: FlowName,
        /// Which end has a record.
        by: End,
    },
}

/// What tells connections apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowName {
    keys: [MeshKey; 2],
    protocol: u8,
    source: (IpAddr, u16),
    target: (IpAddr, u16),
}

impl std::fmt::Display for FlowName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (source, target) = (self.source, self.target);
        let protocol = self.protocol;
        write!(
            f,
            "protocol {protocol} from {} port {} to {} port {}",
            source.0, source.1, target.0, target.1
        )
    }
}

/// What one end says, all its records together.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    records: u64,
    forth: u64,
    back: u64,
    is_over: bool,
    /// When the last packet came.
    end: Timestamp,
}

/// Compares the records of connections between members both of whose records are given, in any order.
pub fn compare_flows<'r>(records: impl IntoIterator<Item = &'r FlowRecord>) -> FlowComparison {
    let mut flows: BTreeMap<FlowName, [Told; 2]> = BTreeMap::new();
    let mut writers = BTreeSet::new();
    for record in records {
        writers.insert(match record.by {
            End::Source => record.source_key,
            End::Target => record.target_key,
        });
        if record.verdict.is_allowed() {
            let ends = flows.entry(name(record)).or_default();
            ends[usize::from(record.by == End::Target)].add(record);
        }
    }
    let mut comparison = FlowComparison::default();
    for (flow, ends) in flows {
        if flow.keys.iter().all(|key| writers.contains(key)) {
            comparison.add(flow, ends);
        }
    }
    comparison
}

fn name(record: &FlowRecord) -> FlowName {
    FlowName {
        keys: [record.source_key, record.target_key],
        protocol: record.protocol,
        source: (record.source, record.source_port),
        target: (record.target, record.target_port),
    }
}

impl Told {
    fn add(&mut self, record: &FlowRecord) {
        let bytes = |sum: u64, traffic: Traffic| sum.saturating_add(traffic.bytes);
        self.records += 1;
        (self.forth, self.back) = (bytes(self.forth, record.forth), bytes(self.back, record.back));
        // The newest is the last one, in a log.
        self.is_over = record.verdict != Verdict::Continues;
        self.end = self.end.max(record.end.0);
    }
}

impl FlowComparison {
    fn add(&mut self, flow: FlowName, [source, target]: [Told; 2]) {
        match (source.records, target.records) {
            (_, 0) => return self.gaps.push(FlowGap::OneSided { flow, by: End::Source }),
            (0, _) => return self.gaps.push(FlowGap::OneSided { flow, by: End::Target }),
            (_, _) => {}
        }
        if let Some(by) = goes_on(&source, &target) {
            return self.gaps.push(FlowGap::GoesOn { flow, by });
        }
        if !source.is_over || !target.is_over {
            self.open += 1;
            return;
        }
        // Nobody gets more than was sent: what goes forth by the source, what comes back by the target.
        for (sent, received) in [(source.forth, target.forth), (target.back, source.back)] {
            if received > sent {
                return self.gaps.push(FlowGap::More { flow, sent, received });
            }
        }
        let lost = (source.forth - target.forth).saturating_add(target.back - source.back);
        self.lost_bytes = self.lost_bytes.saturating_add(lost);
        match lost {
            0 => self.equal += 1,
            _ => self.lossy += 1,
        }
    }
}

/// Which end tells of packets long after the other ended the connection: who never ends one would never be compared.
fn goes_on(source: &Told, target: &Told) -> Option<End> {
    let (ended, other, by) = match (source.is_over, target.is_over) {
        (true, false) => (source, target, End::Target),
        (false, true) => (target, source, End::Source),
        (true, true) | (false, false) => return None,
    };
    (other.end > ended.end.after(ENDS_APART_MAX)).then_some(by)
}
