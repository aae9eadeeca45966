//! The forwarder of a relay: who may send through it, to whom, how much, and where they are. Reads no packet.
//!
//! # Invariants
//! - Nothing is forwarded but between two nodes that were admitted and share a private network. One of them is bound;
//!   the other may have nothing but its connection.
//! - Nothing is forwarded beyond a node's allowance.
//! - No datagram is answered by a longer one, and only [`ANSWERS_PER_SECOND`] of those whose sender is unknown.
//! - A node's address changes only by a question that carries the code of its key, a stamp never seen before, and a
//!   cookie that was sent to that address: so nobody is moved to where it does not receive.
//! - A call sign is one node's, by its whole key.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use units::{MeshId, Timestamp};

use super::wire::{self, Bind, Bound, NO_COOKIE, PortKey};
use crate::path::CallSign;

/// How many nodes one relay seats.
pub const SEATS_MAX: usize = 65_536;
/// A node that has not asked for so long is not where it was: NATs forget a UDP port after 30 seconds at the least.
pub const SEAT_IDLE: Duration = Duration::from_secs(60);
/// How many senders that are not bound are told so per second.
pub const ANSWERS_PER_SECOND: u32 = 1000;
/// How much of an allowance may be used at once, in milliseconds' worth of it.
const BURST_MILLIS: u64 = 500;
/// The least that may be used at once: one send of 64 KiB, however small the allowance.
const BURST_BYTES_MIN: u64 = 65_536;
/// How long a cookie is good at least, in milliseconds; twice as long at most.
const COOKIE_MILLIS: u64 = 120_000;
/// IPv4 and IPv6: a node may be bound at one address of each.
const FAMILIES: usize = 2;

/// What an admitted node may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The private networks whose members it may exchange packets with.
    pub meshes: BTreeSet<MeshId>,
    /// How much it may send, lasting.
    pub bytes_per_second: u64,
}

/// Where datagrams go, and under which name of their sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Where to.
    pub to: SocketAddr,
    /// Who sent them, to be written in the header.
    pub sender: CallSign,
}

/// Between whom datagrams go, by their whole keys, where one of them has only a connection to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// Who sent them.
    pub sender: [u8; 32],
    /// Whom they are for.
    pub receiver: [u8; 32],
}

/// Why a node is not let in, in the order it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Another key has the same call sign: somebody searched for one that does.
    #[error("another node has the same call sign")]
    SignTaken,
    /// There are [`SEATS_MAX`] nodes.
    #[error("the relay is full")]
    Full,
}

/// Why datagrams are not forwarded, in the order it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForwarded {
    /// The sender's address is nobody's: it should be told so, if [`Forwarder::may_answer`] says so.
    #[error("the sender is not bound")]
    UnknownSender,
    /// The sender names itself.
    #[error("the receiver is the sender")]
    Oneself,
    /// They share no private network.
    #[error("sender and receiver share no private network")]
    Strangers,
    /// Nobody of that name is bound.
    #[error("the receiver is not bound")]
    UnknownReceiver,
    /// The sender has used its allowance.
    #[error("the sender's allowance is used up")]
    Spent,
}

/// What is known of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatView {
    /// Who.
    pub sign: CallSign,
    /// Where it is bound: at most one address of each family.
    pub at: [Option<SocketAddr>; FAMILIES],
    /// Datagrams and bytes that were forwarded for it.
    pub carried: (u64, u64),
    /// Datagrams of it that were not, and their bytes.
    pub refused: (u64, u64),
}

/// All that a relay's UDP port knows.
#[derive(Debug)]
pub struct Forwarder {
    secret: [u8; 32],
    seats: BTreeMap<CallSign, Seat>,
    by_address: BTreeMap<SocketAddr, CallSign>,
    answers: (Timestamp, u32),
}

#[derive(Debug)]
struct Seat {
    node: [u8; 32],
    key: PortKey,
    allowance: Allowance,
    places: [Place; FAMILIES],
    /// What may be sent at once, in bytes, as it was at `filled_at`.
    credit: u64,
    filled_at: Timestamp,
    carried: (u64, u64),
    refused: (u64, u64),
}

/// Where a node is by one family of addresses.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    at: Option<SocketAddr>,
    asked_at: Timestamp,
    last_stamp: u64,
}

impl Forwarder {
    /// A forwarder that has let nobody in. The secret must be unknown to others: cookies are made of it.
    pub const fn new(secret: [u8; 32]) -> Self {
        let answers = (Timestamp::from_millis(0), 0);
        Self { secret, seats: BTreeMap::new(), by_address: BTreeMap::new(), answers }
    }

    /// Lets a node in that has shown its key `node` and its pass. Who is in gets the new port key and keeps its place.
    pub fn admit(
        &mut self,
        node: &[u8; 32],
        key: PortKey,
        allowance: Allowance,
        now: Timestamp,
    ) -> Result<(), NotAdmitted> {
        let sign = CallSign::of_node(node);
        if let Some(seat) = self.seats.get_mut(&sign) {
            if seat.node != *node {
                return Err(NotAdmitted::SignTaken);
            }
            if seat.key != key {
                // What was stamped for another key says nothing about this one: a clock may have been set back.
                seat.places.iter_mut().for_each(|place| place.last_stamp = 0);
            }
            (seat.key, seat.allowance) = (key, allowance);
            return Ok(());
        }
        if self.seats.len() >= SEATS_MAX {
            return Err(NotAdmitted::Full);
        }
        let seat = Seat {
            node: *node,
            key,
            allowance,
            places: [Place::default(); FAMILIES],
            // Nothing in advance: who comes and goes would have it each time.
            credit: 0,
            filled_at: now,
            carried: (0, 0),
            refused: (0, 0),
        };
        self.seats.insert(sign, seat);
        Ok(())
    }

    /// A node that was let in by `key` showed another pass. Who was let in anew by another key goes by that one's.
    pub fn renew(&mut self, sign: CallSign, key: &PortKey, allowance: Allowance) {
        if let Some(seat) = self.seats.get_mut(&sign).filter(|seat| seat.key == *key) {
            seat.allowance = allowance;
        }
    }

    /// Puts a node out that was let in by `key`: its pass ended, or its connection did. Who was let in anew by another
    /// key stays.
    pub fn dismiss(&mut self, sign: CallSign, key: &PortKey) {
        if self.seats.get(&sign).is_none_or(|seat| seat.key != *key) {
            return;
        }
        let gone = self.seats.remove(&sign).into_iter();
        for at in gone.flat_map(|seat| seat.places).filter_map(|place| place.at) {
            self.by_address.remove(&at);
        }
    }

    /// Answers a node that asks to be bound. `None` for everything else, and for what is not true.
    pub fn on_bind(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Timestamp,
    ) -> Option<[u8; wire::BIND_LEN]> {
        let bind = wire::read_bind(datagram)?;
        let seat = self.seats.get_mut(&bind.sign)?;
        let place = &mut seat.places[family(from)];
        if bind.stamp <= place.last_stamp || !wire::is_true_bind(bind.message, &seat.key) {
            return None;
        }
        place.last_stamp = bind.stamp;
        let receives = place.at == Some(from) || receives(&self.secret, &bind, from, now);
        let cookie = match receives {
            true => NO_COOKIE,
            false => wire::cookie(&self.secret, window(now), bind.sign, from),
        };
        let bound = Bound { stamp: bind.stamp, seen: from, cookie };
        let answer = wire::write_bound(&bound, &seat.key);
        if receives {
            place.asked_at = now;
            self.seat_at(bind.sign, from);
        }
        Some(answer)
    }

    /// The node is here from now on, and nobody else.
    fn seat_at(&mut self, sign: CallSign, at: SocketAddr) {
        let Some(seat) = self.seats.get_mut(&sign) else { return };
        let before = seat.places[family(at)].at.replace(at);
        if before == Some(at) {
            return;
        }
        before.map(|before| self.by_address.remove(&before));
        if let Some(other) = self.by_address.insert(at, sign)
            && let Some(other) = self.seats.get_mut(&other)
        {
            other.places[family(at)].at = None;
        }
    }

    /// Where datagrams go that came from `from` for `to`: `count` of them, `bytes` in all, headers and all.
    pub fn forward(
        &mut self,
        from: SocketAddr,
        to: CallSign,
        (count, bytes): (u64, u64),
        now: Timestamp,
    ) -> Result<Forwarded, NotForwarded> {
        let sender = *self.by_address.get(&from).ok_or(NotForwarded::UnknownSender)?;
        let place = self.place_of(sender, to, family(from));
        let place = self.charge(sender, place, (count, bytes), now)?;
        Ok(Forwarded { to: place, sender })
    }

    /// Whether a node is at the port: who is not may be reached over its connection.
    pub fn is_bound(&self, node: CallSign) -> bool {
        let seat = self.seats.get(&node);
        seat.is_some_and(|seat| seat.places.iter().any(|place| place.at.is_some()))
    }

    /// Between whom datagrams go that came from `from` for a node that is not at the port, but was let in.
    pub fn hand_over(
        &mut self,
        from: SocketAddr,
        to: CallSign,
        load: (u64, u64),
        now: Timestamp,
    ) -> Result<Between, NotForwarded> {
        let sender = *self.by_address.get(&from).ok_or(NotForwarded::UnknownSender)?;
        let between = self
            .between(sender, to)
            .map(|[sender, receiver]| Between { sender: sender.node, receiver: receiver.node });
        self.charge(sender, between, load, now)
    }

    /// Where datagrams go that a node sent over its connection, whose owner sees to how much that is.
    pub fn take_over(&self, sender: CallSign, to: CallSign) -> Result<Forwarded, NotForwarded> {
        let to = self.place_of(sender, to, family((Ipv4Addr::UNSPECIFIED, 0).into()))?;
        Ok(Forwarded { to, sender })
    }

    /// Pays for what is carried, and counts it.
    fn charge<T>(
        &mut self,
        sender: CallSign,
        found: Result<T, NotForwarded>,
        (count, bytes): (u64, u64),
        now: Timestamp,
    ) -> Result<T, NotForwarded> {
        let seat = self.seats.get_mut(&sender).ok_or(NotForwarded::UnknownSender)?;
        let paid = found.and_then(|found| seat.pay(bytes, now).map(|()| found));
        let counts = if paid.is_ok() { &mut seat.carried } else { &mut seat.refused };
        *counts = (counts.0 + count, counts.1 + bytes);
        paid
    }

    /// Whether to tell a sender that is not bound: only so often, so that nobody has us shout.
    pub fn may_answer(&mut self, now: Timestamp) -> bool {
        let (since, answered) = &mut self.answers;
        if now.since(*since) >= Duration::from_secs(1) {
            (*since, *answered) = (now, 0);
        }
        *answered += 1;
        *answered <= ANSWERS_PER_SECOND
    }

    /// The notice to a sender that is not bound.
    pub fn unbound(to: CallSign) -> [u8; wire::UNBOUND_LEN] {
        wire::write_unbound(to)
    }

    /// Forgets the addresses of nodes that were silent for [`SEAT_IDLE`]. To be called every few seconds.
    pub fn on_wake(&mut self, now: Timestamp) {
        for seat in self.seats.values_mut() {
            for Place { at, asked_at, .. } in &mut seat.places {
                if let Some(at) = at.take_if(|_| now.since(*asked_at) >= SEAT_IDLE) {
                    self.by_address.remove(&at);
                }
            }
        }
    }

    /// All nodes that were admitted.
    pub fn seats(&self) -> impl Iterator<Item = SeatView> {
        self.seats.iter().map(|(sign, seat)| SeatView {
            sign: *sign,
            at: seat.places.map(|place| place.at),
            carried: seat.carried,
            refused: seat.refused,
        })
    }

    /// Where the receiver is: by the sender's family of addresses, if it is there by that.
    fn place_of(
        &self,
        sender: CallSign,
        to: CallSign,
        family: usize,
    ) -> Result<SocketAddr, NotForwarded> {
        let [_, receiver] = self.between(sender, to)?;
        let places = &receiver.places;
        places[family].at.or(places[1 - family].at).ok_or(NotForwarded::UnknownReceiver)
    }

    /// The two, if they may exchange packets.
    fn between(&self, sender: CallSign, to: CallSign) -> Result<[&Seat; 2], NotForwarded> {
        if sender == to {
            return Err(NotForwarded::Oneself);
        }
        let sender = self.seats.get(&sender).ok_or(NotForwarded::UnknownSender)?;
        let receiver = self.seats.get(&to).ok_or(NotForwarded::UnknownReceiver)?;
        let strangers = sender.allowance.meshes.is_disjoint(&receiver.allowance.meshes);
        if strangers { Err(NotForwarded::Strangers) } else { Ok([sender, receiver]) }
    }
}

/// Which family an address is of.
const fn family(at: SocketAddr) -> usize {
    match at {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(_) => 1,
    }
}

/// Which cookies are handed out.
const fn window(now: Timestamp) -> u64 {
    now.millis() / COOKIE_MILLIS
}

/// Whether a question shows a cookie that was sent to where it comes from, in this window or the one before.
fn receives(secret: &[u8; 32], bind: &Bind<'_>, from: SocketAddr, now: Timestamp) -> bool {
    let windows = [Some(window(now)), window(now).checked_sub(1)];
    windows.into_iter().flatten().any(|window| {
        wire::is_same_cookie(&wire::cookie(secret, window, bind.sign, from), &bind.cookie)
    })
}

impl Seat {
    fn pay(&mut self, bytes: u64, now: Timestamp) -> Result<(), NotForwarded> {
        let passed = u64::try_from(now.since(self.filled_at).as_millis()).unwrap_or(u64::MAX);
        let earned = self.allowance.bytes_per_second.saturating_mul(passed) / 1000;
        if earned > 0 {
            self.credit = self.credit.saturating_add(earned).min(burst(&self.allowance));
            self.filled_at = now;
        }
        self.credit = self.credit.checked_sub(bytes).ok_or(NotForwarded::Spent)?;
        Ok(())
    }
}

fn burst(allowance: &Allowance) -> u64 {
    (allowance.bytes_per_second.saturating_mul(BURST_MILLIS) / 1000).max(BURST_BYTES_MIN)
}
