//! The keys of a node: its private key, the public keys of others, and keys shared in advance.
//!
//! # Invariants
//! - A private or preshared key is wiped when it is dropped and never printed.
//! - Text is base64 of exactly 32 bytes, as every WireGuard tool reads and writes it.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use subtle::ConstantTimeEq as _;
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How long every key is, in bytes.
pub const KEY_LEN: usize = 32;

/// Who a node is on the mesh: the X25519 key that others know it by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; KEY_LEN]);

/// What only the node itself knows.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PrivateKey([u8; KEY_LEN]);

/// A key that two nodes were given beforehand: a second lock that holds even if X25519 does not. All zeros is none.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct PresharedKey([u8; KEY_LEN]);

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 44 characters of base64")]
pub struct NotAKey;

impl PrivateKey {
    /// The key that these bytes stand for. Any 32 bytes do; they should come from the system's entropy.
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// What others know the node by.
    pub fn public(&self) -> PublicKey {
        PublicKey(x25519_dalek::PublicKey::from(&StaticSecret::from(self.0)).to_bytes())
    }

    /// What X25519 makes of this key and another's (RFC 7748): the same for both. Nothing if the other is a point of
    /// small order, with which anybody agrees.
    pub fn agree(&self, other: &PublicKey) -> Option<[u8; KEY_LEN]> {
        let shared = StaticSecret::from(self.0).diffie_hellman(&other.0.into());
        shared.was_contributory().then(|| shared.to_bytes())
    }

    pub(crate) const fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl PresharedKey {
    /// The key that these bytes stand for.
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

/// Compared in constant time: how long it takes tells nothing about where two keys differ.
impl PartialEq for PresharedKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for PresharedKey {}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        parse(text).map(Self)
    }
}

impl FromStr for PrivateKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        parse(text).map(Self)
    }
}

impl FromStr for PresharedKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        parse(text).map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(secret)")
    }
}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresharedKey(secret)")
    }
}

fn parse(text: &str) -> Result<[u8; KEY_LEN], NotAKey> {
    let bytes = BASE64.decode(text.trim().as_bytes()).map_err(|_| NotAKey)?;
    bytes.try_into().map_err(|_| NotAKey)
}
