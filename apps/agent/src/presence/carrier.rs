//! Packets of a private network over lines to relays, where UDP does not get through.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError, RwLock};

use mesh::CallSign;
use mesh_shell::{StreamInlet, Streams};
use trunk::Line;
use tunnel::Frame;
use wire::paper::NodeKey;

/// Stands between one member's lines and its engine.
#[derive(Default)]
pub struct Carrier {
    ways: RwLock<Ways>,
    inlet: Mutex<Option<StreamInlet>>,
}

/// Ways for packets over lines.
#[derive(Default)]
struct Ways {
    /// By their own numbers: to which relay, and the line.
    lines: BTreeMap<u64, (CallSign, Line)>,
    /// Members by what relays call them.
    members: BTreeMap<CallSign, NodeKey>,
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").finish_non_exhaustive()
    }
}

impl Carrier {
    /// These are the members; packets of others are lost.
    pub(super) fn set_members(&self, members: impl Iterator<Item = NodeKey>) {
        let members = members.map(|member| (CallSign::of_node(&member.0), member)).collect();
        self.ways.write().unwrap_or_else(PoisonError::into_inner).members = members;
    }

    /// Packets that come over lines go in here.
    pub(super) fn set_inlet(&self, inlet: Option<StreamInlet>) {
        *self.inlet.lock().unwrap_or_else(PoisonError::into_inner) = inlet;
    }

    /// A line to a relay is up.
    pub fn on_line(&self, number: u64, relay: NodeKey, line: &Line) {
        let mut ways = self.ways.write().unwrap_or_else(PoisonError::into_inner);
        ways.lines.insert(number, (CallSign::of_node(&relay.0), line.clone()));
    }

    /// The line with this number is over.
    pub fn on_line_over(&self, number: u64) {
        self.ways.write().unwrap_or_else(PoisonError::into_inner).lines.remove(&number);
    }

    /// A packet came over a line to this relay.
    pub fn on_packet(&self, relay: NodeKey, from: NodeKey, packet: &[u8]) {
        let (relay, far) = (CallSign::of_node(&relay.0), CallSign::of_node(&from.0));
        let mut inlet = self.inlet.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inlet) = inlet.as_mut() {
            // A device that is gone is noticed by the engine.
            let _ = inlet.put(relay, far, packet);
        }
    }
}

impl Streams for Carrier {
    fn send(&self, relay: CallSign, far: CallSign, datagram: &[u8]) {
        let ways = self.ways.read().unwrap_or_else(PoisonError::into_inner);
        let Some(member) = ways.members.get(&far) else { return };
        let mut there = ways.lines.values().filter(|(sign, _)| *sign == relay);
        if let Some((_, line)) = there.next_back() {
            // Where there is no room the packet is lost, as on any network.
            line.signal(&Frame::Packet { peer: member.0, body: datagram.to_vec() });
        }
    }
}
