//! What travels between nodes: four kinds of WireGuard message, one of ours that looks like the fourth, and what nodes
//! and relays tell each other about ways.
//!
//! Numbers are little endian. Reading never fails in another way than `None`: what does not fit is not ours.

use crate::path::Way;
use crate::path::disco::{self, DISCO_LEN_MAX, DISCO_LEN_MIN};
use std::net::SocketAddr;

use crate::noise::{INITIATION_LEN, RESPONSE_LEN};
use crate::relay::{BIND_LEN, BOUND, RELAYED, RELAYED_HEADER_LEN, UNBOUND, UNBOUND_LEN};
use crate::suite::{Suite, TAG_LEN};

/// A session's name at the end that gave it.
pub type Index = u32;

/// Length of each message, in bytes.
pub const HELLO_LEN: usize = 8 + INITIATION_LEN + 2 * MAC_LEN;
/// As above, of the answer.
pub const ANSWER_LEN: usize = 12 + RESPONSE_LEN + 2 * MAC_LEN;
/// As above, of the cookie.
pub const COOKIE_LEN: usize = 8 + 24 + 16 + TAG_LEN;
/// What stands before a data packet: type 4, receiver 4, counter 8.
pub const DATA_HEADER_LEN: usize = 16;
/// What a data packet has beyond its contents.
pub const DATA_OVERHEAD: usize = DATA_HEADER_LEN + TAG_LEN;
/// Length of each of the two codes that handshake messages end in.
pub(crate) const MAC_LEN: usize = 16;

const HELLO: u8 = 1;
const ANSWER: u8 = 2;
const COOKIE: u8 = 3;

/// A received message, by what it must be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody asks for a session.
    Hello,
    /// The answer to our asking.
    Answer,
    /// The peer is busy: prove your address first.
    Cookie,
    /// A sealed packet.
    Data(Suite),
    /// What nodes of ours tell each other about the ways between them.
    Disco,
    /// A relay tells that it knows us, or that it does not.
    Relay,
    /// Another message, handed on by a relay.
    Relayed,
}

/// What kind of message `datagram` is, going by its first four bytes and its length.
#[inline]
pub fn kind_of(datagram: &[u8]) -> Option<Kind> {
    let [kind, 0, 0, 0, ..] = *datagram else { return None };
    match (kind, datagram.len()) {
        (HELLO, HELLO_LEN) => Some(Kind::Hello),
        (ANSWER, ANSWER_LEN) => Some(Kind::Answer),
        (COOKIE, COOKIE_LEN) => Some(Kind::Cookie),
        (disco::DISCO, DISCO_LEN_MIN..=DISCO_LEN_MAX) => Some(Kind::Disco),
        (BOUND, BIND_LEN) | (UNBOUND, UNBOUND_LEN) => Some(Kind::Relay),
        (RELAYED, RELAYED_HEADER_LEN..) => Some(Kind::Relayed),
        (kind, DATA_OVERHEAD..) => Suite::of_message_type(kind).map(Kind::Data),
        (_, _) => None,
    }
}

/// Writes the header of a data packet.
#[inline]
pub(crate) fn write_data_header(
    out: &mut [u8; DATA_HEADER_LEN],
    suite: Suite,
    to: Index,
    counter: u64,
) {
    out[..4].copy_from_slice(&[suite.message_type(), 0, 0, 0]);
    out[4..8].copy_from_slice(&to.to_le_bytes());
    out[8..].copy_from_slice(&counter.to_le_bytes());
}

/// To whom a data packet is addressed, and its counter. Only for datagrams that [`kind_of`] called data.
#[inline]
pub(crate) fn read_data_header(datagram: &[u8]) -> Option<(Index, u64)> {
    let receiver = datagram.get(4..8)?.try_into().ok()?;
    let counter = datagram.get(8..16)?.try_into().ok()?;
    Some((Index::from_le_bytes(receiver), u64::from_le_bytes(counter)))
}

/// Asks for a session. The codes at its end are written by [`crate::cookie`].
pub(crate) fn write_hello(sender: Index, noise: &[u8; INITIATION_LEN]) -> [u8; HELLO_LEN] {
    let mut out = [0; HELLO_LEN];
    out[0] = HELLO;
    out[4..8].copy_from_slice(&sender.to_le_bytes());
    out[8..8 + INITIATION_LEN].copy_from_slice(noise);
    out
}

/// Answers who asked. The codes at its end are written by [`crate::cookie`].
pub(crate) fn write_answer(
    sender: Index,
    receiver: Index,
    noise: &[u8; RESPONSE_LEN],
) -> [u8; ANSWER_LEN] {
    let mut out = [0; ANSWER_LEN];
    out[0] = ANSWER;
    out[4..8].copy_from_slice(&sender.to_le_bytes());
    out[8..12].copy_from_slice(&receiver.to_le_bytes());
    out[12..12 + RESPONSE_LEN].copy_from_slice(noise);
    out
}

/// Sends a sealed cookie to who must prove an address.
pub(crate) fn write_cookie(
    receiver: Index,
    nonce: &[u8; 24],
    sealed: &[u8; 32],
) -> [u8; COOKIE_LEN] {
    let mut out = [0; COOKIE_LEN];
    out[0] = COOKIE;
    out[4..8].copy_from_slice(&receiver.to_le_bytes());
    out[8..32].copy_from_slice(nonce);
    out[32..].copy_from_slice(sealed);
    out
}

/// The sender's index and Noise's part of an initiation.
pub(crate) fn read_hello(message: &[u8; HELLO_LEN]) -> (Index, &[u8; INITIATION_LEN]) {
    (index_at(message, 4), array_at(message, 8))
}

/// The sender's index, ours, and Noise's part of a response.
pub(crate) fn read_answer(message: &[u8; ANSWER_LEN]) -> (Index, Index, &[u8; RESPONSE_LEN]) {
    (index_at(message, 4), index_at(message, 8), array_at(message, 12))
}

/// Which of our questions a message answers, if it is one that answers.
pub(crate) fn answered_index(message: &[u8]) -> Option<Index> {
    match kind_of(message)? {
        Kind::Answer => message.try_into().ok().map(|message| read_answer(message).1),
        Kind::Cookie => message.try_into().ok().map(|message| read_cookie(message).0),
        Kind::Hello | Kind::Data(_) | Kind::Disco | Kind::Relay | Kind::Relayed => None,
    }
}

/// Our index, the nonce and the sealed cookie.
pub(crate) fn read_cookie(message: &[u8; COOKIE_LEN]) -> (Index, &[u8; 24], &[u8; 32]) {
    (index_at(message, 4), array_at(message, 8), array_at(message, 32))
}

fn index_at(message: &[u8], at: usize) -> Index {
    Index::from_le_bytes(*array_at(message, at))
}

/// Only called with constants that lie inside a message of fixed length.
fn array_at<const N: usize>(message: &[u8], at: usize) -> &[u8; N] {
    message[at..at + N].try_into().expect("the range is N long")
}

/// The longest packet inside, where datagrams to `to` may have `outer` bytes with the headers of IP and UDP.
pub(crate) fn inner_mtu(outer: usize, to: &SocketAddr, way: &Way) -> usize {
    let ip = if to.is_ipv6() { 40 } else { 20 };
    outer.saturating_sub(ip + 8 + way.header_len() + DATA_OVERHEAD)
}
