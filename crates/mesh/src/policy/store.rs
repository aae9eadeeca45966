//! Where connections are kept: a table of buckets that grows to a cap and then gives up what is worth least.
//!
//! # Invariants
//! - Looking one up reads one bucket of [`WAYS`] places, however many there are.
//! - Nobody can choose which bucket a connection falls into: the hash is keyed.
//! - A peer that has its share of a full table displaces its own connections only.

use std::collections::BTreeMap;
use std::net::IpAddr;

use units::Timestamp;

use super::flow::{Key, Track};
use super::tables::Allowed;
use crate::key::PublicKey;

/// Places of a bucket.
pub const WAYS: usize = 8;
/// Buckets of a new table.
const BUCKETS_MIN: usize = 16;
/// Buckets of a full one: 8,192 connections.
const BUCKETS_MAX: usize = 1024;
/// Connections that one peer may have in a table before it displaces its own: half of it.
const PEER_SHARE: usize = BUCKETS_MAX * WAYS / 2;

/// What became of a new connection.
#[derive(Debug)]
pub(super) enum Kept {
    /// It has a place that was free.
    Free,
    /// It has the place of this one.
    InsteadOf(Box<Track>),
    /// Its peer has too many, and none of them stands where it could.
    No,
}

/// Connections.
#[derive(Debug)]
pub(super) struct Store {
    seed: [u64; 2],
    places: Vec<Option<Track>>,
    count: usize,
    by_peer: BTreeMap<PublicKey, usize>,
    by_pair: ByPair,
}

/// How many connections two addresses have with a peer by each protocol, and what allowed one of them.
type ByPair = BTreeMap<(IpAddr, IpAddr, PublicKey), BTreeMap<u8, (usize, Allowed)>>;

fn remember(by_pair: &mut ByPair, track: &Track) {
    let pair = by_pair.entry((track.key.local, track.key.remote, track.peer)).or_default();
    pair.entry(track.key.protocol).or_insert((0, track.allowed)).0 += 1;
}

impl Store {
    pub(super) fn new(seed: [u64; 2]) -> Self {
        let places = vec![None; BUCKETS_MIN * WAYS];
        Self { seed, places, count: 0, by_peer: BTreeMap::new(), by_pair: BTreeMap::new() }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn bucket(&self, key: &Key) -> usize {
        let mask = self.places.len() / WAYS - 1;
        (hash(self.seed, key) as usize & mask) * WAYS
    }

    #[inline]
    pub(super) fn find(&mut self, key: &Key) -> Option<&mut Track> {
        let from = self.bucket(key);
        let places = self.places[from..from + WAYS].iter_mut().flatten();
        places.into_iter().find(|track| track.key == *key)
    }

    /// What allows a connection of a protocol that is kept, between the same addresses and with this peer.
    pub(super) fn any_between(&self, key: &Key, peer: &PublicKey, protocol: u8) -> Option<Allowed> {
        let protocols = self.by_pair.get(&(key.local, key.remote, *peer))?;
        protocols.get(&protocol).map(|(_, allowed)| *allowed)
    }

    /// Keeps a connection that is not there.
    pub(super) fn insert(&mut self, track: Track, now: Timestamp) -> Kept {
        let mut from = self.bucket(&track.key);
        let is_full = |places: &[Option<Track>]| places.iter().all(Option::is_some);
        while is_full(&self.places[from..from + WAYS]) && self.may_grow() {
            self.grow();
            from = self.bucket(&track.key);
        }
        let has_share = self.by_peer.get(&track.peer).is_some_and(|count| *count >= PEER_SHARE);
        let worth = |place: &Option<Track>| match place {
            None => Some((false, false, Timestamp::from_millis(0))),
            Some(old) if has_share && old.peer != track.peer => None,
            Some(old) => Some((old.holds_until() > now, old.is_answered(), old.last)),
        };
        let bucket = self.places[from..from + WAYS].iter().enumerate();
        let places =
            bucket.filter_map(|(index, place)| Some((place.is_some(), worth(place)?, index)));
        let Some((_, _, index)) = places.min() else { return Kept::No };
        let old = self.places[from + index].take();
        if let Some(old) = &old {
            self.forget(old);
        }
        self.remember(&track);
        self.places[from + index] = Some(track);
        match old {
            None => Kept::Free,
            Some(old) => Kept::InsteadOf(Box::new(old)),
        }
    }

    /// Takes out all that are not to be kept.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&mut Track) -> bool) {
        for index in 0..self.places.len() {
            let Some(track) = &mut self.places[index] else { continue };
            if !keeps(track)
                && let Some(gone) = self.places[index].take()
            {
                self.forget(&gone);
            }
        }
    }

    /// Asks about every connection anew, and takes out what is not to be kept. What goes with connections goes when no
    /// connection is left that it could go with.
    pub(super) fn judge_again(&mut self, mut keeps: impl FnMut(&mut Track) -> bool) {
        self.retain(|track| track.key.is_following() || keeps(track));
        self.by_pair.clear();
        for track in self.places.iter().flatten().filter(|track| !track.key.is_following()) {
            remember(&mut self.by_pair, track);
        }
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Track> {
        let from = self.bucket(key);
        let is_it = |place: &&mut Option<Track>| place.as_ref().is_some_and(|it| it.key == *key);
        let gone = self.places[from..from + WAYS].iter_mut().find(is_it)?.take()?;
        self.forget(&gone);
        Some(gone)
    }

    /// Half full is when buckets begin to overflow by chance.
    fn may_grow(&self) -> bool {
        self.places.len() < BUCKETS_MAX * WAYS && self.count * 2 >= self.places.len()
    }

    /// Doubles. A bucket's connections part into two, so all of them find a place.
    fn grow(&mut self) {
        let room = self.places.len() * 2;
        let old = std::mem::replace(&mut self.places, vec![None; room]);
        for track in old.into_iter().flatten() {
            let from = self.bucket(&track.key);
            let place = self.places[from..from + WAYS].iter_mut().find(|place| place.is_none());
            *place.expect("a bucket parts into two of its size") = Some(track);
        }
    }

    fn remember(&mut self, track: &Track) {
        self.count += 1;
        *self.by_peer.entry(track.peer).or_default() += 1;
        if !track.key.is_following() {
            remember(&mut self.by_pair, track);
        }
    }

    fn forget(&mut self, track: &Track) {
        self.count -= 1;
        if let Some(count) = self.by_peer.get_mut(&track.peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&track.peer);
            }
        }
        let pair = (track.key.local, track.key.remote, track.peer);
        if !track.key.is_following()
            && let Some(protocols) = self.by_pair.get_mut(&pair)
            && let Some((count, _)) = protocols.get_mut(&track.key.protocol)
        {
            *count -= 1;
            if *count == 0 {
                protocols.remove(&track.key.protocol);
            }
            if protocols.is_empty() {
                self.by_pair.remove(&pair);
            }
        }
    }
}

/// Folded products of what tells a connection apart, keyed.
#[inline]
fn hash([one, other]: [u64; 2], key: &Key) -> u32 {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        high(product) ^ low(product)
    };
    let halves = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u64::from(v4.to_bits()), 0),
        IpAddr::V6(v6) => (high(v6.to_bits()), low(v6.to_bits())),
    };
    let (local, remote) = (halves(key.local), halves(key.remote));
    let ports = u64::from(key.local_port) << 32
        | u64::from(key.remote_port) << 16
        | u64::from(key.protocol) << 8
        | u64::from(key.exchange);
    let addresses = fold(local.0 ^ one, remote.0 ^ other) ^ fold(local.1 ^ other, remote.1 ^ one);
    let folded = fold(addresses ^ one, ports ^ other);
    u32::try_from(folded >> 32).expect("32 bits are left")
}

#[inline]
fn high(bits: u128) -> u64 {
    u64::try_from(bits >> 64).expect("64 bits are left")
}

#[inline]
fn low(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).expect("64 bits are left")
}

/// Which of `count` stores connections between two addresses are kept in; a power of two.
#[inline]
pub(super) fn shard(seed: [u64; 2], local: IpAddr, remote: IpAddr, count: usize) -> usize {
    let key = Key { local, remote, protocol: 0, local_port: 0, remote_port: 0, exchange: 0 };
    // The high bits, since a store goes by the low ones.
    (hash(seed, &key) >> 16) as usize & (count - 1)
}
