//! The bytes between nodes and the UDP ports of relays. [`super`] draws them.

use std::net::SocketAddr;

use blake2::Blake2sMac;
use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, KeyInit, Update};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::path::CallSign;
use crate::path::disco::{ADDRESS_LEN, read_address, write_address};

/// First bytes.
pub(crate) const RELAYED: u8 = 0x86;
const BIND: u8 = 0x87;
pub(crate) const BOUND: u8 = 0x88;
pub(crate) const UNBOUND: u8 = 0x89;

/// What stands before a relayed datagram, in bytes.
pub const RELAYED_HEADER_LEN: usize = 12;
/// How long a node's question and the relay's answer are, in bytes.
pub const BIND_LEN: usize = 64;
/// How long the notice is that a sender is not bound, in bytes.
pub const UNBOUND_LEN: usize = 12;

const CODE_LEN: usize = 16;
/// How long the proof is that a node receives where it sends from.
const COOKIE_LEN: usize = 16;
const CODED_LEN: usize = BIND_LEN - CODE_LEN;

/// What shows that a node receives where it sends from: the relay sent it there. All zeros is none.
pub(crate) type Cookie = [u8; COOKIE_LEN];

/// No cookie.
pub(crate) const NO_COOKIE: Cookie = [0; COOKIE_LEN];

/// A node's question, as read: whether it is true, only [`is_true_bind`] tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bind<'m> {
    pub(crate) message: &'m [u8; BIND_LEN],
    pub(crate) sign: CallSign,
    pub(crate) stamp: u64,
    pub(crate) cookie: Cookie,
}

/// A relay's answer, as read and verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) stamp: u64,
    pub(crate) seen: SocketAddr,
    /// What is to be shown before the relay moves the node there; [`NO_COOKIE`] if it is there.
    pub(crate) cookie: Cookie,
}

/// What a node shows a relay's UDP port to be let in: a secret that both know and nobody else.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PortKey([u8; 32]);

impl PortKey {
    /// The key of these bytes, which should come from the system's entropy.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be told to the node that it is for, over a connection that hides them.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn code(&self, coded: &[u8]) -> [u8; CODE_LEN] {
        let mut mac = Blake2sMac::<U16>::new_from_slice(&self.0).expect("the key has 32 bytes");
        Update::update(&mut mac, coded);
        mac.finalize_fixed().into()
    }

    fn is_right(&self, message: &[u8; BIND_LEN]) -> bool {
        let (coded, code) = message.split_at(CODED_LEN);
        self.code(coded).ct_eq(code).into()
    }

    fn finish(&self, mut message: [u8; BIND_LEN]) -> [u8; BIND_LEN] {
        let code = self.code(&message[..CODED_LEN]);
        message[CODED_LEN..].copy_from_slice(&code);
        message
    }
}

/// A node's question: let me in, and tell me where I am. `stamp` is greater than all before.
pub(crate) fn write_bind(
    sign: CallSign,
    stamp: u64,
    cookie: &Cookie,
    key: &PortKey,
) -> [u8; BIND_LEN] {
    let mut out = [0; BIND_LEN];
    out[0] = BIND;
    out[4..12].copy_from_slice(&sign.0);
    out[12..20].copy_from_slice(&stamp.to_le_bytes());
    out[20..20 + COOKIE_LEN].copy_from_slice(cookie);
    key.finish(out)
}

/// Who asks to be let in.
pub(crate) fn read_bind(message: &[u8]) -> Option<Bind<'_>> {
    let message: &[u8; BIND_LEN] = message.try_into().ok()?;
    if message[..4] != [BIND, 0, 0, 0] {
        return None;
    }
    let (sign, stamp) = (sign_at_4(message)?, stamp_at(message, 12)?);
    let cookie = *message[20..].first_chunk()?;
    Some(Bind { message, sign, stamp, cookie })
}

/// Whether who asks has the key.
pub(crate) fn is_true_bind(message: &[u8; BIND_LEN], key: &PortKey) -> bool {
    key.is_right(message)
}

/// What a relay's secret makes of an address: a node that shows it in `window` or the next receives there.
pub(crate) fn cookie(secret: &[u8; 32], window: u64, sign: CallSign, at: SocketAddr) -> Cookie {
    let mut mac = Blake2sMac::<U16>::new_from_slice(secret).expect("the secret has 32 bytes");
    Update::update(&mut mac, &window.to_le_bytes());
    Update::update(&mut mac, &sign.0);
    Update::update(&mut mac, &write_address(at));
    mac.finalize_fixed().into()
}

/// Whether two cookies are the same, in constant time.
pub(crate) fn is_same_cookie(one: &Cookie, other: &Cookie) -> bool {
    one.ct_eq(other).into()
}

/// The relay's answer: this is where you are, and you are in, or must show the cookie first.
pub(crate) fn write_bound(bound: &Bound, key: &PortKey) -> [u8; BIND_LEN] {
    let mut out = [0; BIND_LEN];
    out[0] = BOUND;
    out[4..12].copy_from_slice(&bound.stamp.to_le_bytes());
    out[12..12 + ADDRESS_LEN].copy_from_slice(&write_address(bound.seen));
    out[12 + ADDRESS_LEN..][..COOKIE_LEN].copy_from_slice(&bound.cookie);
    key.finish(out)
}

/// What the relay says, if it is the relay that does.
pub(crate) fn read_bound(message: &[u8], key: &PortKey) -> Option<Bound> {
    let message: &[u8; BIND_LEN] = message.try_into().ok()?;
    if message[..4] != [BOUND, 0, 0, 0] || !key.is_right(message) {
        return None;
    }
    let (stamp, seen) = (stamp_at(message, 4)?, read_address(&message[12..])?);
    let cookie = *message[12 + ADDRESS_LEN..].first_chunk()?;
    Some(Bound { stamp, seen, cookie })
}

/// The relay's notice to a sender it does not know.
pub(crate) fn write_unbound(to: CallSign) -> [u8; UNBOUND_LEN] {
    let mut out = [UNBOUND, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    out[4..].copy_from_slice(&to.0);
    out
}

/// Writes what stands before a relayed datagram.
#[inline]
pub fn write_relayed_header(out: &mut [u8; RELAYED_HEADER_LEN], sign: CallSign) {
    out[..4].copy_from_slice(&[RELAYED, 0, 0, 0]);
    out[4..].copy_from_slice(&sign.0);
}

/// The call sign and the datagram inside, if it is a relayed one.
#[inline]
pub fn read_relayed(datagram: &[u8]) -> Option<(CallSign, &[u8])> {
    let (header, inner) = datagram.split_first_chunk::<RELAYED_HEADER_LEN>()?;
    (header[..4] == [RELAYED, 0, 0, 0]).then_some((sign_at_4(header)?, inner))
}

fn sign_at_4(message: &[u8]) -> Option<CallSign> {
    message.get(4..12)?.try_into().ok().map(CallSign)
}

fn stamp_at(message: &[u8], at: usize) -> Option<u64> {
    message.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

impl std::fmt::Debug for PortKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PortKey(secret)")
    }
}
