//! The handshake's cryptography: `Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s` with WireGuard's prologue.
//!
//! The pattern itself is run by `snow`; this file lends it primitives ([`crate::primitive`]) and hides its dynamic
//! errors and buffers behind two exchanges of fixed size. Nothing here knows about time, indices or MACs.

use snow::params::NoiseParams;
use snow::{Builder, HandshakeState};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::key::{KEY_LEN, PresharedKey, PrivateKey, PublicKey};
use crate::primitive::Primitives;

/// Noise's part of an initiation: ephemeral 32, sealed static 48, sealed timestamp 28.
pub(crate) const INITIATION_LEN: usize = 108;
/// Noise's part of a response: ephemeral 32, sealed nothing 16.
pub(crate) const RESPONSE_LEN: usize = 48;
/// TAI64N: 8 bytes of seconds, 4 of nanoseconds, big endian, so that later is greater.
pub(crate) const TIMESTAMP_LEN: usize = 12;

const PATTERN: &str = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const PROLOGUE: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";
/// Where the preshared key enters the pattern.
const PSK_AT: u8 = 2;

/// The two keys of a session, as one of its ends sees them.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct SplitKeys {
    pub(crate) send: [u8; KEY_LEN],
    pub(crate) receive: [u8; KEY_LEN],
}

/// A message of the handshake that does not prove what it must. Who sent it learns nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handshake message does not verify")]
pub(crate) struct Unproven;

/// We asked, and wait for the answer.
pub(crate) struct Asked(Box<HandshakeState>);

/// Somebody asked, and we know who: not yet answered.
pub(crate) struct Heard {
    state: Box<HandshakeState>,
    pub(crate) from: PublicKey,
    pub(crate) timestamp: [u8; TIMESTAMP_LEN],
}

/// Asks `peer` for a session.
pub(crate) fn ask(
    me: &PrivateKey,
    peer: &PublicKey,
    psk: &PresharedKey,
    seed: [u8; 32],
    timestamp: [u8; TIMESTAMP_LEN],
) -> Result<(Asked, [u8; INITIATION_LEN]), Unproven> {
    let mut state = Builder::with_resolver(params(), Box::new(Primitives::seeded(seed)))
        .local_private_key(me.bytes())
        .and_then(|b| b.remote_public_key(&peer.0))
        .and_then(|b| b.psk(PSK_AT, psk.bytes()))
        .and_then(|b| b.prologue(PROLOGUE))
        .and_then(Builder::build_initiator)
        .map_err(|_| Unproven)?;
    let mut message = [0; INITIATION_LEN];
    state.write_message(&timestamp, &mut message).map_err(|_| Unproven)?;
    Ok((Asked(Box::new(state)), message))
}

/// Reads what somebody asks. Whether we want to talk to them is the caller's question.
pub(crate) fn hear(
    me: &PrivateKey,
    seed: [u8; 32],
    message: &[u8; INITIATION_LEN],
) -> Result<Heard, Unproven> {
    let mut state = Builder::with_resolver(params(), Box::new(Primitives::seeded(seed)))
        .local_private_key(me.bytes())
        .and_then(|b| b.prologue(PROLOGUE))
        .and_then(Builder::build_responder)
        .map_err(|_| Unproven)?;
    let mut timestamp = [0; TIMESTAMP_LEN];
    state.read_message(message, &mut timestamp).map_err(|_| Unproven)?;
    let from = state.get_remote_static().and_then(|key| key.try_into().ok()).ok_or(Unproven)?;
    Ok(Heard { state: Box::new(state), from: PublicKey(from), timestamp })
}

impl Heard {
    /// Answers, which makes the session's keys.
    pub(crate) fn answer(
        mut self,
        psk: &PresharedKey,
    ) -> Result<([u8; RESPONSE_LEN], SplitKeys), Unproven> {
        self.state.set_psk(usize::from(PSK_AT), psk.bytes()).map_err(|_| Unproven)?;
        let mut message = [0; RESPONSE_LEN];
        self.state.write_message(&[], &mut message).map_err(|_| Unproven)?;
        let (receive, send) = self.state.dangerously_get_raw_split();
        Ok((message, SplitKeys { send, receive }))
    }
}

impl Asked {
    /// Reads the answer, which makes the session's keys. A forged answer leaves the question open.
    pub(crate) fn on_answer(
        &mut self,
        message: &[u8; RESPONSE_LEN],
    ) -> Result<SplitKeys, Unproven> {
        self.0.read_message(message, &mut []).map_err(|_| Unproven)?;
        let (send, receive) = self.0.dangerously_get_raw_split();
        Ok(SplitKeys { send, receive })
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked")
    }
}

fn params() -> NoiseParams {
    PATTERN.parse().expect("the pattern is written as snow reads it")
}
