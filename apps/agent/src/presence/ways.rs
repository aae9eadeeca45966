//! How a member reaches another, in the words that the control plane is told.

use mesh::{CallSign, PeerView, Way, WayKind};
use wire::paper::{NodeKey, RelayRecord};

use super::papers::Papers;
use super::words;

/// How a member is reached.
pub fn way(peer: NodeKey, view: Option<&PeerView>, papers: &Papers) -> wire::Way {
    let used = view.and_then(|view| view.way);
    let shown = view.and_then(|view| view.ways.iter().find(|way| way.in_use));
    let relay = used.and_then(|way| match way {
        Way::Direct(_) | Way::Hop { .. } => None,
        Way::Relayed { relay, .. } => papers
            .relays
            .iter()
            .find(|record| record.udp.contains(&relay))
            .map(|record| record.relay),
        Way::Stream { relay, .. } => {
            let signs = |record: &&RelayRecord| CallSign::of_node(&record.relay.0) == relay;
            papers.relays.iter().find(signs).map(|record| record.relay)
        }
    });
    let trip = shown.and_then(|way| way.round_trip);
    wire::Way {
        peer,
        kind: used.map_or(wire::WayKind::None, |way| words::way_kind(way.kind())),
        address: used.and_then(|way| way.socket()),
        relay,
        rtt_micros: trip.map(|trip| u64::try_from(trip.as_micros()).unwrap_or(u64::MAX)),
        loss_bp: shown.map_or(0, |way| way.loss_bp),
        why: why(view).to_owned(),
    }
}

/// Why it is this way, in words.
fn why(view: Option<&PeerView>) -> &'static str {
    let Some(view) = view else { return "the node does not run yet" };
    let works = |kind| view.ways.iter().any(|way| way.works && way.way.kind() == kind);
    match view.way.map(|way| way.kind()) {
        None => "nothing was sent yet, or nothing gets through",
        Some(WayKind::Direct) => "",
        Some(WayKind::Hop) => "another member carries it: the policy says so",
        Some(_) if works(WayKind::Direct) => "a relay is much quicker",
        Some(WayKind::Relayed) => "no direct way gets through",
        Some(WayKind::Stream) => "UDP does not get through",
    }
}
