//! The two codes that handshake messages end in, and cookies, which make a flood of handshakes cheap to refuse.
//!
//! The first code shows that the sender knows whom it talks to; every message has it. The second shows that the sender
//! receives at the address it sends from; it is asked for only under load.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac, Digest};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::AeadInPlace;
use subtle::ConstantTimeEq;
use units::Timestamp;

use crate::entropy::Entropy;
use crate::key::PublicKey;
use crate::message::{self, COOKIE_LEN, Index, Kind, MAC_LEN};

/// How long a cookie is good, at both ends.
pub(crate) const COOKIE_LIFE: Duration = Duration::from_secs(120);

/// What a cookie is: a code over the address it was sent to.
type Cookie = [u8; MAC_LEN];

/// One end's outgoing codes to one peer, with the cookie that the peer may have sent.
#[derive(Debug)]
pub(crate) struct Stamp {
    first_key: [u8; 32],
    cookie_key: [u8; 32],
    last_first_code: Option<[u8; MAC_LEN]>,
    cookie: Option<(Cookie, Timestamp)>,
}

impl Stamp {
    pub(crate) fn new(peer: &PublicKey) -> Self {
        Self {
            first_key: label(b"mac1----", peer),
            cookie_key: label(b"cookie--", peer),
            last_first_code: None,
            cookie: None,
        }
    }

    /// Writes both codes at the end of `message`.
    pub(crate) fn stamp(&mut self, message: &mut [u8], now: Timestamp) {
        let (first_at, second_at) = codes_at(message);
        let first = mac(&self.first_key, &[&message[..first_at]]);
        message[first_at..second_at].copy_from_slice(&first);
        self.last_first_code = Some(first);
        let fresh =
            |(cookie, got): (Cookie, Timestamp)| (now.since(got) < COOKIE_LIFE).then_some(cookie);
        if let Some(cookie) = self.cookie.and_then(fresh) {
            let second = mac(&cookie, &[&message[..second_at]]);
            message[second_at..].copy_from_slice(&second);
        }
    }

    /// Takes the cookie out of the peer's reply. False if it does not belong to our last message.
    pub(crate) fn on_cookie(&mut self, reply: &[u8; COOKIE_LEN], now: Timestamp) -> bool {
        let Some(first) = self.last_first_code else { return false };
        let (_, nonce, sealed) = message::read_cookie(reply);
        let cipher = XChaCha20Poly1305::new(&self.cookie_key.into());
        let mut cookie: Cookie = sealed[..MAC_LEN].try_into().expect("the range has that length");
        let tag = &sealed[MAC_LEN..];
        let opened =
            cipher.decrypt_in_place_detached(nonce.into(), &first, &mut cookie, tag.into());
        if opened.is_ok() {
            self.cookie = Some((cookie, now));
            self.last_first_code = None;
        }
        opened.is_ok()
    }
}

/// Checks the first code of what comes in: cheap enough for the threads that carry packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FirstCode {
    key: [u8; 32],
}

impl FirstCode {
    pub(crate) fn new(me: &PublicKey) -> Self {
        Self { key: label(b"mac1----", me) }
    }

    /// Whether the sender knows our public key. Cookies carry no such code, and pass.
    pub(crate) fn lets_pass(&self, message: &[u8]) -> bool {
        if message::kind_of(message) == Some(Kind::Cookie) {
            return true;
        }
        let (first_at, second_at) = codes_at(message);
        let expected = mac(&self.key, &[&message[..first_at]]);
        expected.ct_eq(&message[first_at..second_at]).into()
    }
}

/// Asks for proof of an address: hands out cookies and recognizes them.
#[derive(Debug)]
pub(crate) struct Doorman {
    cookie_key: [u8; 32],
    secret: [u8; 32],
    secret_since: Option<Timestamp>,
}

impl Doorman {
    pub(crate) fn new(me: &PublicKey) -> Self {
        Self { cookie_key: label(b"cookie--", me), secret: [0; 32], secret_since: None }
    }

    /// Whether the sender has shown that it receives at `from`.
    pub(crate) fn has_cookie(&mut self, message: &[u8], from: SocketAddr, now: Timestamp) -> bool {
        // Without a secret, or with one too old, no cookie of ours can be good.
        let alive = self.secret_since.is_some_and(|since| now.since(since) < COOKIE_LIFE);
        let (_, second_at) = codes_at(message);
        let expected = mac(&self.cookie_for(from), &[&message[..second_at]]);
        alive && bool::from(expected.ct_eq(&message[second_at..]))
    }

    /// The reply that asks `from`, the sender of `message`, to show a cookie.
    pub(crate) fn ask_cookie(
        &mut self,
        message: &[u8],
        sender: Index,
        from: SocketAddr,
        entropy: &mut Entropy,
        now: Timestamp,
    ) -> [u8; COOKIE_LEN] {
        if self.secret_since.is_none_or(|since| now.since(since) >= COOKIE_LIFE) {
            self.secret = entropy.draw();
            self.secret_since = Some(now);
        }
        let (first_at, second_at) = codes_at(message);
        let nonce: [u8; 24] = entropy.draw()[..24].try_into().expect("the range has that length");
        let mut sealed = [0; 32];
        let (cookie, tag) = sealed.split_at_mut(MAC_LEN);
        cookie.copy_from_slice(&self.cookie_for(from));
        let cipher = XChaCha20Poly1305::new(&self.cookie_key.into());
        let made = cipher
            .encrypt_in_place_detached((&nonce).into(), &message[first_at..second_at], cookie)
            .expect("a cookie is far below the cipher's limit");
        tag.copy_from_slice(&made);
        message::write_cookie(sender, &nonce, &sealed)
    }

    fn cookie_for(&self, from: SocketAddr) -> Cookie {
        let port = from.port().to_be_bytes();
        match from.ip() {
            IpAddr::V4(ip) => mac(&self.secret, &[&ip.octets(), &port]),
            IpAddr::V6(ip) => mac(&self.secret, &[&ip.octets(), &port]),
        }
    }
}

/// Where the two codes begin. Messages of the handshake are longer than both: [`message::kind_of`] saw to it.
fn codes_at(message: &[u8]) -> (usize, usize) {
    (message.len() - 2 * MAC_LEN, message.len() - MAC_LEN)
}

fn label(label: &[u8; 8], key: &PublicKey) -> [u8; 32] {
    Blake2s256::new().chain_update(label).chain_update(key.0).finalize().into()
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    let mut mac = Blake2sMac::<U16>::new_from_slice(key).expect("keys here are 16 or 32 bytes");
    for part in parts {
        Update::update(&mut mac, part);
    }
    mac.finalize_fixed().into()
}
