//! How sessions come to be: what the brain does with the messages of the handshake.
//!
//! Checks run from cheap to dear: form, first code, load and cookie, sender's share, and only then the curve.

use std::sync::Arc;
use std::time::Duration;

use units::Timestamp;

use crate::message::{self, ANSWER_LEN, COOKIE_LEN, HELLO_LEN, Index, Kind};
use crate::news::News;
use crate::node::{Effect, Mesh};
use crate::noise;
use crate::path::Way;
use crate::peer::{Asking, PeerId};
use crate::session::{Session, Terms};
use crate::suite::Suite;

/// How soon after one initiation a peer may send another. As in Linux: 50 in a second.
const HELLO_EVERY: Duration = Duration::from_millis(20);

impl Mesh {
    /// A message of the handshake came in. What does not verify has no effect.
    pub(crate) fn on_handshake(&mut self, from: Way, message: &[u8], now: Timestamp) {
        // The length names the kind; what the kind is called inside must agree.
        match message::kind_of(message) {
            Some(Kind::Hello) => {
                let Ok(hello) = message.try_into() else { return };
                if self.is_admitted(from, message, message::read_hello(hello).0, now) {
                    self.on_hello(from, hello, now);
                }
            }
            Some(Kind::Answer) => {
                let Ok(answer) = message.try_into() else { return };
                if self.is_admitted(from, message, message::read_answer(answer).0, now) {
                    self.on_answer(from, answer, now);
                }
            }
            Some(Kind::Cookie) => {
                let Ok(cookie) = message.try_into() else { return };
                self.on_cookie(cookie, now);
            }
            Some(Kind::Data(_) | Kind::Disco | Kind::Relay | Kind::Relayed) | None => {}
        }
    }

    /// Whether a message is worth multiplying on the curve for.
    fn is_admitted(&mut self, from: Way, message: &[u8], sender: Index, now: Timestamp) -> bool {
        if !self.plane.door.lets_pass(message) {
            return false;
        }
        if !self.limiter.under_load(now) {
            return true;
        }
        if self.doorman.has_cookie(message, from.sender(), now) {
            return self.limiter.admit(from.sender().ip(), now);
        }
        let reply = self.doorman.ask_cookie(message, sender, from.sender(), &mut self.entropy, now);
        self.effects.push_back(Effect::Send { to: from, datagram: reply.to_vec() });
        false
    }

    /// Somebody asks: answer, if it is a peer and asks for the first time.
    fn on_hello(&mut self, from: Way, message: &[u8; HELLO_LEN], now: Timestamp) {
        let (remote, noise) = message::read_hello(message);
        let seed = self.entropy.draw();
        let Ok(heard) = noise::hear(&self.config.private, seed, noise) else { return };
        let Some(id) = self.by_key.get(&heard.from).copied() else { return };
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.may_be_at(from)) else {
            return;
        };
        let too_soon = peer.last_hello_at.is_some_and(|last| now.since(last) < HELLO_EVERY);
        if heard.timestamp <= peer.last_hello || too_soon {
            return;
        }
        let timestamp = heard.timestamp;
        let Ok((answer, keys)) = heard.answer(&peer.config.preshared) else { return };
        (peer.last_hello, peer.last_hello_at) = (timestamp, Some(now));
        peer.on_heard(from, now);
        peer.link.on_heard(1, message.len(), false, now);

        let terms = self.terms(id, remote, false);
        let session = Arc::new(Session::new(terms, &keys, &self.config.timing, now));
        let mut answer = message::write_answer(session.local, remote, &answer);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.stamp.stamp(&mut answer, now);
        peer.link.on_sent(1, answer.len(), false, now);
        let pushed_out = peer.on_asked(session);
        self.forget_sessions(pushed_out.into_iter().flatten());
        self.publish_peer(id);
        self.effects.push_back(Effect::Send { to: from, datagram: answer.to_vec() });
        self.look(id, now);
    }

    /// The peer answered: the session is ours to use, and a first packet tells the peer that it is its, too.
    fn on_answer(&mut self, from: Way, message: &[u8; ANSWER_LEN], now: Timestamp) {
        let (remote, local, noise) = message::read_answer(message);
        let Some(id) = self.indices.get(&local).copied() else { return };
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.may_be_at(from)) else {
            return;
        };
        let Some(asking) = peer.asking.as_mut().filter(|asking| asking.index == local) else {
            return;
        };
        let Ok(keys) = asking.noise.on_answer(noise) else { return };
        peer.asking = None;
        self.asked.remove(local);
        peer.on_heard(from, now);
        peer.link.on_heard(1, message.len(), false, now);

        let terms = self.terms_with(id, local, remote, true);
        let session = Arc::new(Session::new(terms, &keys, &self.config.timing, now));
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let pushed_out = peer.on_answered(session);
        let peer = peer.config.key;
        self.tell(News::Session { peer });
        self.forget_sessions(pushed_out.into_iter().flatten());
        self.publish_peer(id);
        if !self.release_waiting(id) {
            self.say_here(id, now);
        }
        self.look(id, now);
    }

    /// The peer is busy and wants us to prove our address when we next ask.
    fn on_cookie(&mut self, message: &[u8; COOKIE_LEN], now: Timestamp) {
        let (local, _, _) = message::read_cookie(message);
        let Some(id) = self.indices.get(&local) else { return };
        if let Some(peer) = self.peers.get_mut(id) {
            peer.stamp.on_cookie(message, now);
        }
    }

    /// The peer used the session that it asked for: it has the keys, so we may seal with them.
    pub(crate) fn on_confirmed(&mut self, index: Index, now: Timestamp) {
        let Some(id) = self.indices.get(&index).copied() else { return };
        let Some(pushed_out) = self.peers.get_mut(&id).and_then(|peer| peer.on_confirmed(index))
        else {
            return;
        };
        self.forget_sessions(pushed_out);
        if let Some(peer) = self.peers.get(&id).map(|peer| peer.config.key) {
            self.tell(News::Session { peer });
        }
        self.publish_peer(id);
        self.release_waiting(id);
        self.look(id, now);
    }

    /// Asks a peer for a session; `began` is when we first asked.
    pub(crate) fn ask(&mut self, id: PeerId, began: Timestamp, now: Timestamp) {
        let timestamp = self.stamp(now);
        let seed = self.entropy.draw();
        let jitter = self.entropy.draw_u32();
        let Some(peer) = self.peers.get(&id) else { return };
        let ways = peer.ways_to_ask();
        if ways.is_empty() {
            // Asked again in time, not at every tick of the clock.
            let again_at = now.after(self.config.timing.rekey_timeout);
            if let Some(asking) = self.peers.get_mut(&id).and_then(|peer| peer.asking.as_mut()) {
                asking.again_at = again_at;
            }
            return;
        }
        let config = &peer.config;
        let asked =
            noise::ask(&self.config.private, &config.key, &config.preshared, seed, timestamp);
        let Ok((noise, hello)) = asked else { return };

        let index = self.new_index(id);
        self.asked.insert(index);
        let timing = &self.config.timing;
        let jitter = timing.jitter_max * (jitter >> 16) / (1 << 16);
        let again_at = now.after(timing.rekey_timeout + jitter);
        let mut hello = message::write_hello(index, &hello);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.stamp.stamp(&mut hello, now);
        peer.link.on_sent(1, hello.len(), false, now);
        let before = peer.asking.replace(Asking { noise, index, began, again_at });
        if let Some(before) = before {
            self.forget(before.index);
        }
        for to in ways {
            self.effects.push_back(Effect::Send { to, datagram: hello.to_vec() });
        }
    }

    /// Sends an empty packet, or one that is as long as all others, if there is a session to seal it.
    pub(crate) fn say_here(&mut self, id: PeerId, now: Timestamp) -> bool {
        let unevenness = self.unevenness_for(id);
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        peer.unevenness = unevenness;
        let (Some(session), Some(to)) = (&peer.current, peer.way()) else { return false };
        let Ok(counter) = session.reserve(1, now) else { return false };
        let len = peer.sign_of_life_len(self.config.mtu);
        let mut datagram = vec![0; message::DATA_OVERHEAD + len];
        session.seal(counter, &mut datagram, len);
        peer.link.on_sent(1, datagram.len(), false, now);
        if len > 0 {
            peer.link.on_decoy_sent(datagram.len());
        }
        self.effects.push_back(Effect::Send { to, datagram });
        true
    }

    /// Lets the frames go that waited. False if there were none.
    fn release_waiting(&mut self, id: PeerId) -> bool {
        self.release_parcels(id, self.told_at);
        let frames = self.take_waiting(id);
        let any = !frames.is_empty();
        if any {
            self.effects.push_back(Effect::Depart { frames });
        }
        any
    }

    fn terms(&mut self, id: PeerId, remote: Index, initiator: bool) -> Terms {
        let local = self.new_index(id);
        self.terms_with(id, local, remote, initiator)
    }

    fn terms_with(&self, id: PeerId, local: Index, remote: Index, initiator: bool) -> Terms {
        let theirs = self.peers.get(&id).map_or(Suite::Standard, |peer| peer.config.suite);
        // We seal with what they open only if we have it ourselves; by our record they open it if we say so.
        let suite = if self.config.opens_fast { theirs } else { Suite::Standard };
        Terms { peer: id, local, remote, initiator, suite, opens_fast: self.config.opens_fast }
    }
}
