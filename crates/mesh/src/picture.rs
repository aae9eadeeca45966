//! What the brain shows the threads that carry packets: it draws what changed, and leaves the rest.

use std::sync::Arc;

use crate::node::Mesh;
use crate::peer::{Peer, PeerId};
use crate::plane::Lane;
use crate::routes::Routes;

/// A block this short or shorter is where a peer leads, not where the mesh is.
const INTERNET_BITS: u8 = 8;

impl Mesh {
    /// Draws what changed of one peer into the picture.
    pub(crate) fn publish_peer(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get(&id) {
            let lane: Lane = peer.lane(self.config.mtu);
            match &lane.shroud {
                Some(shroud) => self.plane.shrouds.insert(id, shroud.clone()),
                None => self.plane.shrouds.remove(&id),
            };
            self.plane.lanes.insert(id, Arc::new(lane));
            self.plane
                .sessions
                .extend(peer.sessions().map(|session| (session.local, session.clone())));
        }
        self.unseen = true;
    }

    /// Draws the routes anew if peers came, went, or were given other blocks.
    pub(crate) fn settle_routes(&mut self) {
        if std::mem::take(&mut self.rerouted) {
            self.reroute();
            self.unseen = true;
        }
    }

    /// Of two peers that are allowed the same block, the later one has it.
    fn reroute(&mut self) {
        let (mut routes, mut inside) = (Routes::default(), Routes::default());
        for block in &self.config.inside {
            inside.insert(*block, ());
        }
        for (id, peer) in &self.peers {
            for block in &peer.config.allowed {
                routes.insert(*block, *id);
                if block.bits() > INTERNET_BITS {
                    inside.insert(*block, ());
                }
            }
        }
        self.plane.routes = Arc::new(routes);
        self.plane.inside = Arc::new(inside);
        self.plane.tags = Arc::new(self.by_tag.keys().copied().collect());
        self.plane.relays = Arc::new(self.relays.ports().collect());
        let sign = |(id, peer): (&PeerId, &Peer)| Some((peer.config.contact.as_ref()?.sign, *id));
        self.plane.by_sign = Arc::new(self.peers.iter().filter_map(sign).collect());
    }
}
