//! What the brain does for a peer's cover: makes its shroud, and its signs of life uneven.

use std::sync::Arc;
use std::time::Duration;

use units::Timestamp;

use super::Shroud;
use crate::hop::over_hops;
use crate::node::Mesh;
use crate::path::Way;
use crate::peer::{Peer, PeerId};

/// A sign of life comes earlier than agreed by up to half of the span: [`Peer::unevenness`] of this.
const UNEVEN_PARTS: u32 = 1 << 17;

impl Peer {
    /// A span until a sign of life: under cover, not always the same.
    pub(crate) fn unevenly(&self, span: Duration) -> Duration {
        span - span / UNEVEN_PARTS * self.unevenness.into()
    }

    /// How long a sign of life is inside: as long as all else under cover, but to a stock peer, which knows only empty
    /// ones.
    pub(crate) fn sign_of_life_len(&self, mtu: usize) -> usize {
        let long = self.cover().pads() && self.config.contact.is_some();
        match self.way() {
            _ if !long => 0,
            Some(Way::Hop { .. }) => over_hops(self.mtu(mtu)).min(self.mtu(mtu)),
            Some(Way::Direct(_) | Way::Relayed { .. } | Way::Stream { .. }) | None => self.mtu(mtu),
        }
    }
}

impl Mesh {
    /// Makes the peer's shroud anew if its cover changed.
    pub(crate) fn draw_shroud(&mut self, id: PeerId, now: Timestamp) {
        let unevenness = self.unevenness_for(id);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let cover = peer.cover();
        peer.unevenness = unevenness;
        if peer.shroud.as_ref().map(|(of, _)| *of) == Some(cover) {
            return;
        }
        let len = peer.mtu(self.config.mtu) + crate::DATA_OVERHEAD;
        let shroud = Shroud::new(cover, self.entropy.draw(), len, now);
        peer.shroud = shroud.map(|shroud| (cover, Arc::new(shroud)));
    }

    /// How uneven the peer's next sign of life is.
    pub(crate) fn unevenness_for(&mut self, id: PeerId) -> u16 {
        let covered = self.peers.get(&id).is_some_and(|peer| peer.cover().pads());
        if !covered {
            return 0;
        }
        let [low, high, ..] = self.entropy.draw();
        u16::from_le_bytes([low, high])
    }
}
