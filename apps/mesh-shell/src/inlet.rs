//! The way in of one thread: memory for datagrams, and what opens and joins them.

use std::sync::Arc;

use mesh::{CallSign, Ecn, Merger, Way};

use crate::shard::Shard;
use crate::showcase::Viewer;
use crate::tun::Tun;

/// The longest datagram that a connection to a relay carries.
const STREAMED_MAX: usize = 2048;

/// What a thread that carries in has for itself.
#[derive(Debug)]
pub(crate) struct Inlet {
    pub(crate) buffer: Box<[u8]>,
    pub(crate) merger: Merger,
    pub(crate) viewer: Viewer,
}

impl Inlet {
    pub(crate) fn new(tun: &Tun, viewer: Viewer, len: usize) -> Self {
        let merger = Merger::new(tun.takes_many(), tun.takes_udp());
        Self { buffer: vec![0; len].into_boxed_slice(), merger, viewer }
    }
}

/// Where datagrams enter that came over a connection to a relay. Each thread that has some takes one of its own.
#[derive(Debug)]
pub struct StreamInlet {
    shard: Arc<Shard>,
    inlet: Inlet,
}

impl StreamInlet {
    pub(crate) fn new(shard: Arc<Shard>, viewer: Viewer) -> Self {
        let inlet = Inlet::new(&shard.tun, viewer, STREAMED_MAX);
        Self { shard, inlet }
    }

    /// Takes a datagram that node `far` sent over relay `relay`. What is too long is lost.
    pub fn put(&mut self, relay: CallSign, far: CallSign, datagram: &[u8]) -> anyhow::Result<()> {
        let len = datagram.len();
        let Some(place) = self.inlet.buffer.get_mut(..len) else { return Ok(()) };
        place.copy_from_slice(datagram);
        // Connections have their own control of congestion, and tell nothing of it.
        let from = (Way::Stream { relay, far }, Ecn::Deaf);
        self.shard.open(&mut self.inlet, 0..len, len, from);
        self.shard.deliver(&mut self.inlet)
    }
}
