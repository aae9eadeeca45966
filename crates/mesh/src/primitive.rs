//! The primitives that `snow` is lent: X25519, ChaCha20-Poly1305, BLAKE2s, and chance from a seed.
//!
//! Lending them keeps one implementation of each cipher in the program, and keeps the system's entropy out of a crate
//! that must be replayable.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use blake2::{Blake2s256, Digest};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use x25519_dalek::StaticSecret;
use zeroize::Zeroize;

use crate::entropy::Entropy;
use crate::suite::TAG_LEN;

/// Hands `snow` its primitives for one handshake.
pub(crate) struct Primitives {
    seed: [u8; 32],
}

impl Primitives {
    /// Every secret of the handshake is drawn from `seed`, which must be used once.
    pub(crate) const fn seeded(seed: [u8; 32]) -> Self {
        Self { seed }
    }
}

impl Drop for Primitives {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Chance(Entropy::new(self.seed))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(X25519::default()) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::Blake2s).then(|| Box::new(Blake2s::default()) as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::ChaChaPoly)
            .then(|| Box::new(ChaCha::default()) as Box<dyn Cipher>)
    }
}

struct Chance(Entropy);

impl Random for Chance {
    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Error> {
        for piece in into.chunks_mut(32) {
            piece.copy_from_slice(&self.0.draw()[..piece.len()]);
        }
        Ok(())
    }
}

#[derive(Default)]
struct X25519 {
    private: [u8; 32],
    public: [u8; 32],
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        self.private.copy_from_slice(private);
        self.public = x25519_dalek::PublicKey::from(&StaticSecret::from(self.private)).to_bytes();
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut private = [0; 32];
        rng.try_fill_bytes(&mut private)?;
        self.set(&private);
        private.zeroize();
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.private
    }

    /// Refuses points of low order: with them everybody would know the shared secret.
    fn dh(&self, theirs: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let theirs: [u8; 32] = theirs.get(..32).and_then(|b| b.try_into().ok()).ok_or(Error::Dh)?;
        let shared = StaticSecret::from(self.private).diffie_hellman(&theirs.into());
        if !shared.was_contributory() {
            return Err(Error::Dh);
        }
        out[..32].copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

impl Drop for X25519 {
    fn drop(&mut self) {
        self.private.zeroize();
    }
}

#[derive(Default)]
struct Blake2s(Blake2s256);

impl Hash for Blake2s {
    fn name(&self) -> &'static str {
        "BLAKE2s"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        Digest::reset(&mut self.0);
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.0.finalize_reset());
    }
}

#[derive(Default)]
struct ChaCha(Option<LessSafeKey>);

impl ChaCha {
    fn key(&self) -> Result<&LessSafeKey, Error> {
        self.0.as_ref().ok_or(Error::Decrypt)
    }
}

impl Cipher for ChaCha {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the cipher's length");
        self.0 = Some(LessSafeKey::new(key));
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let sealed_len = plaintext.len() + TAG_LEN;
        let (body, tag) = out[..sealed_len].split_at_mut(plaintext.len());
        body.copy_from_slice(plaintext);
        let key = self.key().expect("snow sets a key before it encrypts");
        let made = key
            .seal_in_place_separate_tag(noise_nonce(nonce), Aad::from(authtext), body)
            .expect("a handshake message is far below the cipher's limit");
        tag.copy_from_slice(made.as_ref());
        sealed_len
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let mut sealed = ciphertext.to_vec();
        let plain = self
            .key()?
            .open_in_place(noise_nonce(nonce), Aad::from(authtext), &mut sealed)
            .map_err(|_| Error::Decrypt)?;
        out.get_mut(..plain.len()).ok_or(Error::Decrypt)?.copy_from_slice(plain);
        Ok(plain.len())
    }
}

/// Noise and WireGuard number messages alike: 32 bits of zero, then the counter, little endian.
fn noise_nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}
