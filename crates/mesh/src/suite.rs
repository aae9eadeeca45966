//! The two ciphers that packets are sealed with, and how their keys come from a handshake.
//!
//! `Standard` is WireGuard's ChaCha20-Poly1305, message type 4. `Fast` is AES-256-GCM between our own nodes: message
//! type and keys of its own, so that a stock peer sees nothing new and no key serves two ciphers. Which one a node
//! *sends* is decided by its peer's signed membership record, never by what is said in band; what it *receives* it
//! opens by type, if its own record offers the suite. So two nodes whose records arrive at different times still talk.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use blake2::digest::consts::U32;
use blake2::digest::{FixedOutput, KeyInit, Update};

/// How much longer a sealed packet is than the plain one, in bytes, beside its header.
pub const TAG_LEN: usize = 16;

/// How packets of a session are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// ChaCha20-Poly1305, as every WireGuard speaks it.
    #[default]
    Standard,
    /// AES-256-GCM, several times cheaper where the processor has instructions for it.
    Fast,
}

impl Suite {
    /// The first byte of a packet sealed this way.
    pub const fn message_type(self) -> u8 {
        match self {
            Self::Standard => 4,
            Self::Fast => 0x84,
        }
    }

    /// The suite of a data packet's first byte.
    pub const fn of_message_type(kind: u8) -> Option<Self> {
        match kind {
            4 => Some(Self::Standard),
            0x84 => Some(Self::Fast),
            _ => None,
        }
    }

    /// After how many packets under one key a new handshake is due, and after how many the key is dead.
    ///
    /// WireGuard's numbers for ChaCha20. For AES-GCM a full packet is 90 blocks, so that 2^28 packets stay at 2^35
    /// blocks and an attacker's advantage from the birthday bound (n²/2^129) below 2^-59.
    pub const fn message_limits(self) -> (u64, u64) {
        match self {
            Self::Standard => (1 << 60, u64::MAX - (1 << 13)),
            Self::Fast => (1 << 28, 1 << 30),
        }
    }
}

/// One direction's key of a session.
pub(crate) struct SuiteKey(LessSafeKey);

/// A packet that was changed under way, or never sealed for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packet does not verify")]
pub struct Forged;

impl SuiteKey {
    /// The key that `suite` uses where the handshake agreed on `base`.
    pub(crate) fn derive(suite: Suite, base: &[u8; 32]) -> Self {
        let key = match suite {
            Suite::Standard => UnboundKey::new(&CHACHA20_POLY1305, base),
            Suite::Fast => {
                let mut mac = blake2::Blake2sMac::<U32>::new_from_slice(base)
                    .expect("BLAKE2s takes keys of 32 bytes");
                mac.update(b"iog mesh v1 aes-256-gcm transport key");
                UnboundKey::new(&AES_256_GCM, &mac.finalize_fixed())
            }
        };
        Self(LessSafeKey::new(key.expect("both ciphers take keys of 32 bytes")))
    }

    /// Seals `plain` in place; the tag goes behind it.
    #[inline]
    pub(crate) fn seal(&self, counter: u64, plain: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = self.0.seal_in_place_separate_tag(nonce(counter), Aad::empty(), plain);
        let tag = tag.expect("a packet is far below the cipher's limit");
        let mut out = [0; TAG_LEN];
        out.copy_from_slice(tag.as_ref());
        out
    }

    /// Opens `sealed` (with its tag) in place. What it holds after a refusal is meaningless.
    #[inline]
    pub(crate) fn open<'a>(
        &self,
        counter: u64,
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Forged> {
        self.0.open_in_place(nonce(counter), Aad::empty(), sealed).map_err(|_| Forged)
    }
}

impl std::fmt::Debug for SuiteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SuiteKey(secret)")
    }
}

#[inline]
fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}
