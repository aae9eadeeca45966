//! Two sides of the same streams: do a relay's records and a node's tell the same, to the byte?

use std::collections::BTreeMap;

use super::reconcile::{Carried, Reconciled};
use super::record::{Side, StreamRecord};
use crate::paper::NodeKey;

/// What two sides' records say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Streams that both sides tell the same of, to the byte.
    pub equal: u64,
    /// What those carried, both ways together.
    pub bytes: u64,
    /// Streams that differ, in their order.
    pub gaps: Vec<Gap>,
}

/// A stream of which two sides do not tell the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// It was broken off, and bytes that one side sent did not reach the other.
    #[error(
        "stream {stream} of session {session}: broken off with {to_service} bytes on their way to the service \
         and {to_visitor} to the visitor"
    )]
    OnTheWay {
        /// The line's session.
        session: String,
        /// The stream's number.
        stream: u32,
        /// Bytes that the relay sent and the node did not get.
        to_service: u64,
        /// Bytes that the node sent and the relay did not get.
        to_visitor: u64,
    },
    /// Both records cannot be true.
    #[error("stream {stream} of session {session}: the relay says {relay}, the node says {node}")]
    Contradiction {
        /// The line's session.
        session: String,
        /// The stream's number.
        stream: u32,
        /// What the relay says.
        relay: String,
        /// What the node says.
        node: String,
    },
    /// Only one side has a record.
    #[error("stream {stream} of session {session}: only the {} has a record", name(*.side))]
    OneSided {
        /// The line's session.
        session: String,
        /// The stream's number.
        stream: u32,
        /// Who has it.
        side: Side,
    },
    /// One side has two records of it.
    #[error("stream {stream} of session {session}: the {} has two records", name(*.side))]
    Twice {
        /// The line's session.
        session: String,
        /// The stream's number.
        stream: u32,
        /// Who has them.
        side: Side,
    },
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Relay => "relay",
        Side::Node => "node",
    }
}

/// A stream, whichever side tells of it.
type Name = (NodeKey, NodeKey, String, u32);
type Sides<'r> = [Option<&'r StreamRecord>; 2];

/// Compares all records of streams of two sides, in any order. Streams between other pairs of relay and node than the
/// two sides have in common are one-sided.
pub fn compare<'r>(records: impl IntoIterator<Item = &'r StreamRecord>) -> Comparison {
    let mut comparison = Comparison::default();
    let mut streams: BTreeMap<Name, Sides<'_>> = BTreeMap::new();
    for record in records {
        let stream = (record.relay, record.node, record.session.clone(), record.stream);
        let sides = streams.entry(stream).or_default();
        let place = &mut sides[usize::from(record.side == Side::Node)];
        if place.replace(record).is_some() {
            let (session, stream) = (record.session.clone(), record.stream);
            comparison.gaps.push(Gap::Twice { session, stream, side: record.side });
        }
    }
    for ((_, _, session, stream), sides) in streams {
        match sides {
            [Some(relay), Some(node)] => match gap(relay, node) {
                None => {
                    comparison.equal += 1;
                    comparison.bytes += relay.to_service.saturating_add(relay.to_visitor);
                }
                Some(gap) => comparison.gaps.push(gap),
            },
            [Some(_), None] => {
                comparison.gaps.push(Gap::OneSided { session, stream, side: Side::Relay });
            }
            [None, Some(_)] => {
                comparison.gaps.push(Gap::OneSided { session, stream, side: Side::Node });
            }
            [None, None] => {}
        }
    }
    comparison
}

/// What two records of one stream do not tell the same of.
fn gap(relay: &StreamRecord, node: &StreamRecord) -> Option<Gap> {
    let is_same = (&relay.service, relay.visitor, &relay.subject)
        == (&node.service, node.visitor, &node.subject);
    let (session, stream) = (relay.session.clone(), relay.stream);
    match (is_same, carried(relay).reconcile(&carried(node))) {
        (true, Reconciled::Equal) => None,
        (true, Reconciled::OnTheWay { to_service, to_visitor }) => {
            Some(Gap::OnTheWay { session, stream, to_service, to_visitor })
        }
        (true, Reconciled::Contradictory) | (false, _) => {
            Some(Gap::Contradiction { session, stream, relay: said(relay), node: said(node) })
        }
    }
}

fn carried(record: &StreamRecord) -> Carried {
    let StreamRecord { to_service, to_visitor, is_whole, .. } = *record;
    Carried { to_service, to_visitor, is_whole }
}

fn said(record: &StreamRecord) -> String {
    let StreamRecord { service, visitor, to_service, to_visitor, .. } = record;
    let end = if record.is_whole { "whole" } else { "broken off" };
    format!("{to_service} bytes to {service} and {to_visitor} to {visitor}, {end}")
}
