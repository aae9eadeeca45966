//! How a node of ours is found: what the brain does with pings, their answers, calls, and what relays tell.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use units::Timestamp;

use crate::entropy::Entropy;
use crate::news::News;
use crate::node::{Effect, Mesh};
use crate::path::disco::{self, Disco, DiscoKeys};
use crate::path::{
    AWAKE_FOR, BUSY_FOR, CALL_EVERY_MAX, CALL_EVERY_MIN, CALLED_FOR, CALLED_MAX, CALLS_TOGETHER,
    LOCAL_MAX, Mood, PONGS_PER_SECOND, Way, Ways,
};
use crate::peer::{Peer, PeerId};
use crate::relay::{RelayConfig, RelayView};
use crate::replay::Window;

/// How far back a message about ways may come: a thousand numbers, which is seconds at the least.
const NUMBERS_WORDS: usize = 17;

/// What is known of the ways to one peer, and of the search for more.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) keys: DiscoKeys,
    pub(crate) ways: Ways,
    /// When a frame last waited for it, or a first one left.
    wanted_at: Option<Timestamp>,
    /// When it last called.
    called_at: Option<Timestamp>,
    /// When to call next, and how far apart calls are.
    call_at: Timestamp,
    call_gap: std::time::Duration,
    /// Pings answered in the second that began at the moment.
    pongs: (Timestamp, u32),
    /// Calls that may be heard, and since when one more is earned.
    calls: (u32, Timestamp),
    /// The number of the next message to it.
    number: u64,
    /// The numbers of messages that came from it: each has its effect once.
    heard: Window<NUMBERS_WORDS>,
}

/// Where the numbers of messages about ways stand, to go on from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    /// The next to be sent.
    pub(crate) sent: u64,
    /// The next to be heard.
    pub(crate) heard: u64,
}

impl Search {
    /// A search that goes on from these numbers; behind a restart, the clock goes on from them.
    pub(crate) fn new(keys: DiscoKeys, numbers: Numbers, now: Timestamp) -> Self {
        Self {
            calls: (CALLS_TOGETHER, now),
            number: numbers.sent.max(now.millis()),
            heard: Window::from_next(numbers.heard),
            keys,
            ways: Ways::default(),
            wanted_at: None,
            called_at: None,
            call_at: Timestamp::default(),
            call_gap: CALL_EVERY_MIN,
            pongs: (Timestamp::default(), 0),
        }
    }

    /// Somebody here wants to talk to the peer.
    pub(crate) fn on_wanted(&mut self, now: Timestamp) {
        let lately = self.wanted_at.is_some_and(|at| now.since(at) < AWAKE_FOR);
        if !lately {
            (self.call_at, self.call_gap) = (now, CALL_EVERY_MIN);
        }
        self.wanted_at = Some(now);
    }

    pub(crate) const fn numbers(&self) -> Numbers {
        Numbers { sent: self.number, heard: self.heard.next() }
    }

    fn draw_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Whether a message has its effect: once, and not too late.
    fn is_new(&mut self, message: &Disco) -> bool {
        match message {
            Disco::Ping { number, .. } | Disco::Call { number, .. } => {
                self.heard.accept(*number).is_ok()
            }
            // It has an effect only if its ping waits for it.
            Disco::Pong { .. } => true,
        }
    }

    fn may_hear_call(&mut self, now: Timestamp) -> bool {
        let (left, since) = &mut self.calls;
        while *left < CALLS_TOGETHER && now.since(*since) >= CALL_EVERY_MIN {
            (*left, *since) = (*left + 1, since.after(CALL_EVERY_MIN));
        }
        if *left == CALLS_TOGETHER {
            *since = now;
        }
        let heard = *left > 0;
        *left = left.saturating_sub(1);
        heard
    }

    fn may_answer(&mut self, now: Timestamp) -> bool {
        let (since, answered) = &mut self.pongs;
        if now.since(*since) >= BUSY_FOR {
            (*since, *answered) = (now, 0);
        }
        *answered += 1;
        *answered <= PONGS_PER_SECOND
    }

    fn call_due(&self, mood: Mood) -> Option<Timestamp> {
        (mood != Mood::Asleep && !self.ways.is_direct()).then_some(self.call_at)
    }

    /// When there is next something to do.
    pub(crate) fn wake_at(&self, mood: Mood) -> Option<Timestamp> {
        [self.ways.wake_at(mood), self.call_due(mood)].into_iter().flatten().min()
    }

    fn seal(&self, message: &Disco, chance: &mut Entropy) -> Vec<u8> {
        let mut nonce = [0; 24];
        nonce.copy_from_slice(&chance.draw()[..24]);
        self.keys.seal(message, nonce)
    }
}

impl Peer {
    /// How much its ways matter.
    pub(crate) fn mood(&self, now: Timestamp) -> Mood {
        let within = |at: Option<Timestamp>, span| at.is_some_and(|at| now.since(at) < span);
        let (wanted, called) = self
            .search
            .as_ref()
            .map_or((None, None), |search| (search.wanted_at, search.called_at));
        let sent = self.link.sent_at().max(wanted);
        let awake = self.config.keepalive_every.is_some()
            || within(sent.max(self.link.heard_at()), AWAKE_FOR)
            || within(called, CALLED_FOR);
        match (within(sent, BUSY_FOR), awake) {
            (true, _) => Mood::Busy,
            (false, true) => Mood::Idle,
            (false, false) => Mood::Asleep,
        }
    }
}

impl Mesh {
    /// Our own addresses with the port that peers reach us at: of interfaces, and mapped at routers.
    pub fn set_local(&mut self, mut local: Vec<SocketAddr>, now: Timestamp) {
        local.truncate(LOCAL_MAX);
        if self.local != local {
            self.local = local;
            self.tell(News::Addresses);
            self.call_all(now);
        }
    }

    /// The relays that let us in, ours and those of peers. What changes for the rest changes nothing for the others.
    pub fn set_relays(&mut self, relays: Vec<RelayConfig>, now: Timestamp) {
        self.relays.set(relays);
        self.rerouted = true;
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        for id in ids {
            self.draw_relayed(id, now);
            self.look(id, now);
        }
        self.on_wake(now);
    }

    /// What is known of relays' ports.
    pub fn relays(&self) -> impl Iterator<Item = RelayView> {
        self.relays.views()
    }

    /// The addresses that calls name: our own, and where relays see us.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let all: BTreeSet<_> = self.relays.seen().filter(|at| !self.local.contains(at)).collect();
        self.local.iter().copied().chain(all).take(CALLED_MAX).collect()
    }

    /// Ways over the relays that both ends know.
    pub(crate) fn draw_relayed(&mut self, id: PeerId, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let (Some(search), Some(contact)) = (&mut peer.search, &peer.config.contact) else {
            return;
        };
        if let Some(via) = &contact.via {
            let far = contact.sign;
            let hops = via.iter().map(|hop| Way::Hop { hop: *hop, far }).collect();
            search.ways.set_hops(&hops, now);
            return self.publish_peer(id);
        }
        let mut ways = BTreeSet::new();
        let shared = |relay: &&RelayConfig| contact.relays.contains(&relay.sign);
        for relay in self.relays.configs().iter().filter(shared) {
            let far = contact.sign;
            ways.extend(relay.ports.iter().map(|at| Way::Relayed { relay: *at, far }));
            ways.extend(relay.stream.then_some(Way::Stream { relay: relay.sign, far }));
        }
        search.ways.set_relayed(&ways, now);
        self.publish_peer(id);
    }

    /// A message about ways came in. What does not verify has no effect, and what does has it once.
    pub(crate) fn on_disco(&mut self, from: Way, message: &[u8], now: Timestamp) {
        self.settle_routes();
        let id = disco::tag_of(message).and_then(|tag| self.by_tag.get(&tag)).copied();
        let Some((id, peer)) = id.and_then(|id| Some((id, self.peers.get_mut(&id)?))) else {
            return;
        };
        if !peer.may_be_at(from) {
            return;
        }
        let is_open = peer.via().is_none();
        let Some(search) = &mut peer.search else { return };
        let known = search.ways.count();
        match search.keys.open(message).filter(|message| search.is_new(message)) {
            Some(Disco::Ping { id, .. }) => {
                search.ways.add(from, now);
                if search.may_answer(now) {
                    let heard = peer.link.heard();
                    let pong = Disco::Pong { id, seen: from.sender(), heard };
                    let datagram = search.seal(&pong, &mut self.entropy);
                    self.effects.push_back(Effect::Send { to: from, datagram });
                }
            }
            Some(Disco::Pong { id, heard, .. }) => search.ways.on_pong(from, id, heard, now),
            Some(Disco::Call { at, answer, .. }) if is_open && search.may_hear_call(now) => {
                let inside = &self.plane.inside;
                let named = at.into_iter().filter(|at| may_be_named(*at));
                let outside = named.filter(|at| inside.owner(at.ip()).is_none());
                outside.for_each(|at| search.ways.add(Way::Direct(at), now));
                search.called_at = Some(now);
                if answer {
                    search.call_at = now;
                }
            }
            Some(Disco::Call { .. }) | None => return,
        }
        let learned = search.ways.count() != known;
        self.look(id, now);
        if learned {
            self.publish_peer(id);
        }
    }

    /// A relay's port said something.
    pub(crate) fn on_relay(&mut self, from: SocketAddr, message: &[u8], now: Timestamp) {
        if message.first() == Some(&crate::relay::UNBOUND) {
            self.relays.doubt(from, now);
        } else if self.relays.on_bound(from, message, now) {
            self.tell(News::Addresses);
            self.call_all(now);
        }
    }

    /// Does what is due for the ways to a peer.
    pub(crate) fn look_for_ways(&mut self, id: PeerId, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let (mood, is_open) = (peer.mood(now), peer.via().is_none());
        let packets = peer.packets_one_way();
        let Some(search) = &mut peer.search else { return };
        let before = search.ways.active();
        for (to, id) in search.ways.pings(mood, packets, now, &mut self.entropy) {
            let number = search.draw_number();
            let datagram = search.seal(&Disco::Ping { id, number }, &mut self.entropy);
            self.effects.push_back(Effect::Send { to, datagram });
        }
        if mood != Mood::Asleep {
            search.ways.relays_in_doubt().for_each(|relay| self.relays.doubt(relay, now));
        }
        let changed = search.ways.choose(now);
        let calls = is_open && search.call_due(mood).is_some_and(|at| now >= at);
        if calls {
            self.call(id, now);
        }
        if changed {
            self.on_way_changed(id, before.is_none(), now);
        }
    }

    /// Packets to the peer go another way.
    pub(crate) fn on_way_changed(&mut self, id: PeerId, first: bool, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        // What was learned about the old way says nothing about the new one.
        peer.mtu = None;
        let began = peer.asking.as_ref().map(|asking| asking.began);
        let news = News::Way { peer: peer.config.key, way: peer.way() };
        self.tell(news);
        self.publish_peer(id);
        if let Some(began) = began.filter(|_| first) {
            // What was asked before there was a way was most likely not heard.
            self.ask(id, began, now);
        }
    }

    /// Tells the peer where we may be reached.
    fn call(&mut self, id: PeerId, now: Timestamp) {
        let at = self.addresses();
        // Who is reached through hops must not learn where we are.
        let peer = self.peers.get_mut(&id).filter(|peer| peer.via().is_none());
        let Some(search) = peer.and_then(|peer| peer.search.as_mut()) else { return };
        let answer = search.called_at.is_none_or(|at| now.since(at) >= CALLED_FOR);
        for to in search.ways.over_relays() {
            let call = Disco::Call { number: search.draw_number(), at: at.clone(), answer };
            let datagram = search.seal(&call, &mut self.entropy);
            self.effects.push_back(Effect::Send { to, datagram });
        }
        search.call_at = now.after(search.call_gap);
        search.call_gap = (search.call_gap * 2).min(CALL_EVERY_MAX);
    }

    /// Our addresses changed: peers that are awake should know.
    fn call_all(&mut self, now: Timestamp) {
        let awake = |(id, peer): (&PeerId, &Peer)| {
            (peer.search.is_some() && peer.mood(now) != Mood::Asleep).then_some(*id)
        };
        let ids: Vec<PeerId> = self.peers.iter().filter_map(awake).collect();
        for id in ids {
            self.call(id, now);
            self.look(id, now);
        }
    }
}

/// Whether a peer may say that it is there: not where only this machine or its wire could be meant.
const fn may_be_named(at: SocketAddr) -> bool {
    match at.ip() {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && v4.octets()[0] != 0,
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_calls_all_the_time_is_heard_now_and_then() {
        let (me, peer) = (1, 2);
        let [me, peer] = [me, peer].map(|byte| crate::key::PrivateKey::from_bytes([byte; 32]));
        let keys = DiscoKeys::new(&me, &peer.public()).expect("a key");
        let start = Timestamp::from_millis(1_000_000);
        let mut search = Search::new(keys, Numbers::default(), start);
        let mut heard = |from: u64, until: u64| {
            let at = |millis| start.after(std::time::Duration::from_millis(millis));
            (from..until).filter(|millis| search.may_hear_call(at(*millis))).count()
        };
        assert_eq!(heard(0, 100), CALLS_TOGETHER as usize);
        assert_eq!(heard(100, 10_100), 20);
        assert_eq!(heard(100_000, 100_001), 1, "who calls seldom is heard");
    }
}
