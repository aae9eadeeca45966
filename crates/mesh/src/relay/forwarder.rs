//! The forwarder of a relay: who may send through it, to whom, how much, and where they are. Reads no packet.
//!
//! # Invariants
//! - Nothing is forwarded but between two nodes that were admitted, are bound, and share a private network.
//! - Nothing is forwarded beyond a node's allowance.
//! - No datagram is answered by a longer one, and only [`ANSWERS_PER_SECOND`] of those whose sender is unknown.
//! - A node's address changes only by a question that carries the code of its key and a stamp never seen before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use units::{MeshId, Timestamp};

use super::wire::{self, PortKey};
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

/// Why datagrams are not forwarded, in the order it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForwarded {
    /// The sender's address is nobody's: it should be told so, if [`Forwarder::may_answer`] says so.
    #[error("the sender is not bound")]
    UnknownSender,
    /// Nobody of that name is bound.
    #[error("the receiver is not bound")]
    UnknownReceiver,
    /// They share no private network.
    #[error("sender and receiver share no private network")]
    Strangers,
    /// The sender has used its allowance.
    #[error("the sender's allowance is used up")]
    Spent,
}

/// What is known of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatView {
    /// Who.
    pub sign: CallSign,
    /// Where it is bound, if it is.
    pub at: Option<SocketAddr>,
    /// Datagrams and bytes that were forwarded for it.
    pub carried: (u64, u64),
    /// Datagrams of it that were not, and their bytes.
    pub refused: (u64, u64),
}

/// All that a relay's UDP port knows.
#[derive(Debug, Default)]
pub struct Forwarder {
    seats: BTreeMap<CallSign, Seat>,
    by_address: BTreeMap<SocketAddr, CallSign>,
    answers: (Timestamp, u32),
}

#[derive(Debug)]
struct Seat {
    key: PortKey,
    allowance: Allowance,
    at: Option<SocketAddr>,
    asked_at: Timestamp,
    last_stamp: u64,
    /// What may be sent at once, in bytes, as it was at `filled_at`.
    credit: u64,
    filled_at: Timestamp,
    carried: (u64, u64),
    refused: (u64, u64),
}

impl Forwarder {
    /// Lets a node in that has shown its key and its pass. Who is in gets the new key and keeps its place.
    /// False if the relay is full.
    pub fn admit(
        &mut self,
        sign: CallSign,
        key: PortKey,
        allowance: Allowance,
        now: Timestamp,
    ) -> bool {
        if let Some(seat) = self.seats.get_mut(&sign) {
            (seat.key, seat.allowance) = (key, allowance);
            return true;
        }
        if self.seats.len() >= SEATS_MAX {
            return false;
        }
        let seat = Seat {
            key,
            credit: burst(&allowance),
            allowance,
            at: None,
            asked_at: now,
            last_stamp: 0,
            filled_at: now,
            carried: (0, 0),
            refused: (0, 0),
        };
        self.seats.insert(sign, seat);
        true
    }

    /// Puts a node out: its pass ended, or its connection did.
    pub fn dismiss(&mut self, sign: CallSign) {
        if let Some(at) = self.seats.remove(&sign).and_then(|seat| seat.at) {
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
        let (message, sign, stamp) = wire::read_bind(datagram)?;
        let seat = self.seats.get_mut(&sign)?;
        if stamp <= seat.last_stamp || !wire::is_true_bind(message, &seat.key) {
            return None;
        }
        (seat.last_stamp, seat.asked_at) = (stamp, now);
        let before = seat.at.replace(from);
        let answer = wire::write_bound(stamp, from, &seat.key);
        if before != Some(from) {
            before.map(|before| self.by_address.remove(&before));
            // Who was at this address is not any more.
            if let Some(other) = self.by_address.insert(from, sign)
                && let Some(other) = self.seats.get_mut(&other)
            {
                other.at = None;
            }
        }
        Some(answer)
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
        let place = self.place_of(sender, to);
        let seat = self.seats.get_mut(&sender).ok_or(NotForwarded::UnknownSender)?;
        let paid = place.and_then(|place| seat.pay(bytes, now).map(|()| place));
        let counts = if paid.is_ok() { &mut seat.carried } else { &mut seat.refused };
        *counts = (counts.0 + count, counts.1 + bytes);
        paid.map(|to| Forwarded { to, sender })
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
            if let Some(at) = seat.at.take_if(|_| now.since(seat.asked_at) >= SEAT_IDLE) {
                self.by_address.remove(&at);
            }
        }
    }

    /// All nodes that were admitted.
    pub fn seats(&self) -> impl Iterator<Item = SeatView> {
        self.seats.iter().map(|(sign, seat)| SeatView {
            sign: *sign,
            at: seat.at,
            carried: seat.carried,
            refused: seat.refused,
        })
    }

    fn place_of(&self, sender: CallSign, to: CallSign) -> Result<SocketAddr, NotForwarded> {
        let receiver = self.seats.get(&to).ok_or(NotForwarded::UnknownReceiver)?;
        let at = receiver.at.ok_or(NotForwarded::UnknownReceiver)?;
        let sender = self.seats.get(&sender).ok_or(NotForwarded::UnknownSender)?;
        let strangers = sender.allowance.meshes.is_disjoint(&receiver.allowance.meshes);
        if strangers { Err(NotForwarded::Strangers) } else { Ok(at) }
    }
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
