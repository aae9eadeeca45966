//! What the brain does because time passed: renew, repeat, give up, keep alive.
//!
//! The threads that carry packets tell moments only by leaving them in [`crate::link::Link`], so the brain looks at a
//! peer with a session at least every [`crate::Timing::look_every`], and otherwise when something is due.

use std::time::Duration;

use units::Timestamp;

use crate::news::News;
use crate::node::Mesh;
use crate::peer::{Peer, PeerId};
use crate::timing::Timing;

/// The least the clock moves.
const MOMENT: Duration = Duration::from_millis(1);

/// What is due for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// Ask for a session; first asked at the given moment.
    Ask { began: Timestamp },
    /// Give up asking.
    GiveUp,
    /// Say that we are here.
    SayHere,
}

impl Mesh {
    /// Looks at one peer: does what is due, and sets when to look again.
    pub(crate) fn look(&mut self, id: PeerId, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let dead: Vec<_> = peer.drop_dead(now).collect();
        if !dead.is_empty() {
            self.forget_sessions(dead);
            self.publish_peer(id);
        }
        self.look_for_ways(id, now);
        let Some(peer) = self.peers.get(&id) else { return };
        match due(peer, &self.config.timing, now) {
            Some(Due::Ask { began }) => self.ask(id, began, now),
            Some(Due::GiveUp) => self.give_up(id),
            Some(Due::SayHere) => {
                self.say_here(id, now);
            }
            None => {}
        }
        let next = self.peers.get(&id).and_then(|peer| look_at(peer, &self.config.timing, now));
        // Never at once again: whatever could not be done now waits for the clock to move.
        self.set_deadline(id, next.map(|at| at.max(now.after(MOMENT))));
    }

    fn give_up(&mut self, id: PeerId) {
        self.take_waiting(id);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.link.forgive();
        let (asking, peer) = (peer.asking.take(), peer.config.key);
        if let Some(asking) = asking {
            self.forget(asking.index);
        }
        self.tell(News::Silent { peer });
    }
}

/// The first thing that is due, if any.
fn due(peer: &Peer, timing: &Timing, now: Timestamp) -> Option<Due> {
    if let Some(asking) = &peer.asking {
        let over = now.since(asking.began) >= timing.rekey_attempt;
        let again = now >= asking.again_at;
        return again.then_some(if over { Due::GiveUp } else { Due::Ask { began: asking.began } });
    }
    if peer.way().is_some() && wants_session(peer, timing, now) {
        return Some(Due::Ask { began: now });
    }
    let patience = peer.unevenly(timing.keepalive);
    let owed = peer.link.owed_since().is_some_and(|since| now >= since.after(patience));
    let periodic = periodic_at(peer).is_some_and(|at| now >= at);
    (peer.current.is_some() && (owed || periodic)).then_some(Due::SayHere)
}

/// Whether a new session should be asked for.
fn wants_session(peer: &Peer, timing: &Timing, now: Timestamp) -> bool {
    let silent = timing.keepalive + timing.rekey_timeout;
    if peer.link.unanswered_since().is_some_and(|since| now >= since.after(silent)) {
        return true;
    }
    let Some(session) = &peer.current else {
        return periodic_at(peer).is_some_and(|at| now >= at);
    };
    let used_after =
        |at: Option<Timestamp>, age| at.is_some_and(|at| at >= session.born.after(age));
    // With a session so old that the peer may not answer in time, hearing is reason enough.
    let late = timing.reject_after.saturating_sub(silent);
    let old = used_after(peer.link.sent_at(), timing.rekey_after)
        || used_after(peer.link.heard_at(), late.max(timing.rekey_after));
    session.is_worn() || session.initiator && old
}

/// When the next periodic sign of life is due.
fn periodic_at(peer: &Peer) -> Option<Timestamp> {
    let every = peer.unevenly(peer.config.keepalive_every?);
    let last = peer.link.sent_at().max(peer.link.heard_at());
    Some(last.map_or(Timestamp::default(), |last| last.after(every)))
}

/// When to look at the peer again.
fn look_at(peer: &Peer, timing: &Timing, now: Timestamp) -> Option<Timestamp> {
    let asking = peer.asking.as_ref().map(|asking| asking.again_at);
    let session = peer.sessions().next().map(|_| now.after(timing.look_every));
    // Without an endpoint there is nobody to speak to, whatever is due.
    let reachable = peer.way().is_some() && peer.asking.is_none();
    let soon = now.after(timing.look_every);
    let periodic = periodic_at(peer).filter(|_| reachable).map(|at| at.max(soon));
    let patience = peer.unevenly(timing.keepalive);
    let owed = peer.link.owed_since().map(|since| since.after(patience));
    let owed = owed.filter(|at| *at > now && peer.current.is_some());
    let ways = peer.search.as_ref().and_then(|search| search.wake_at(peer.mood(now)));
    [asking, session, periodic, owed, ways].into_iter().flatten().min()
}
