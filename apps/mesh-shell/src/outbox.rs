//! The way out of one thread: frames in, sealed datagrams gathered and sent.

use std::sync::Arc;
use std::time::Duration;

use mesh::{Gather, Note, Plane, Stays};
use units::Timestamp;

use crate::sys;
use crate::udp::{Sent, UdpPort};

/// How often the system is asked how long a way's packets may be, while sends say that ours are too long.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Datagrams being gathered, and where they leave.
#[derive(Debug)]
pub(crate) struct Outbox {
    gather: Gather,
    port: Arc<UdpPort>,
    /// When the system was last asked how long a way's packets may be.
    asked_at: Timestamp,
}

impl Outbox {
    pub(crate) fn new(port: Arc<UdpPort>) -> Self {
        Self { gather: Gather::default(), port, asked_at: Timestamp::default() }
    }

    /// Seals a frame of the device into the box, sending what does not fit; says why the frame stays, if it does.
    pub(crate) fn put(
        &mut self,
        plane: &Plane,
        frame: &[u8],
        now: Timestamp,
        note: &mut impl FnMut(Note),
    ) -> Option<Stays> {
        let departure = match plane.depart(frame, now) {
            Ok(departure) => departure,
            Err(Stays::Waits(peer)) => {
                note(Note::Wanted { peer, frame: frame.to_vec() });
                return None;
            }
            Err(stays) => return Some(stays),
        };
        let mut done = 0;
        while done < departure.count() {
            let before = done;
            done = self.gather.put(&departure, done, now);
            if done == before && !self.send(now, note) {
                // Longer than any send: lost, as on a network that does not carry it.
                return None;
            }
        }
        None
    }

    /// Sends what is in the box. False if it is empty.
    pub(crate) fn send(&mut self, now: Timestamp, note: &mut impl FnMut(Note)) -> bool {
        let Some(gathered) = self.gather.take() else { return false };
        let (to, peer) = (gathered.to, gathered.peer);
        let sent = self.port.send(to, gathered.datagrams, gathered.size);
        if sent == Sent::TooLong && now.since(self.asked_at) >= ASK_EVERY {
            self.asked_at = now;
            if let Ok(mtu) = sys::path_mtu(to) {
                note(Note::PathMtu { peer, mtu });
            }
        }
        true
    }
}
