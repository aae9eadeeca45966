//! What SSH servers of the network go by: doors of relays, and nodes.
//!
//! # Invariants
//! - What is sealed is authenticated with it: ciphers have tags.
//! - Who comes proves a key: there are no passwords.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};

/// Tries of one connection. Agents with many keys try all of them.
const TRIES: usize = 20;

/// What a server goes by that says this of itself and has this key; a visitor who says nothing for so long is gone.
#[must_use]
pub fn ssh_config(server: &'static str, host_key: PrivateKey, quiet: Duration) -> Arc<Config> {
    Arc::new(Config {
        server_id: SshId::Standard(Cow::Borrowed(server)),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        // A refused key tells nothing that the next one could use: no need to wait.
        auth_rejection_time: Duration::ZERO,
        keys: vec![host_key],
        preferred: preferred(),
        max_auth_attempts: TRIES,
        inactivity_timeout: Some(quiet),
        nodelay: true,
        ..Config::default()
    })
}

/// Ciphers with tags only, and exchanges that current OpenSSH prefers.
fn preferred() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::EXTENSION_SUPPORT_AS_SERVER,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]),
        key: Cow::Borrowed(&[
            Algorithm::Ed25519,
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
            Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
            Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
        ]),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(&[
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_128_GCM,
        ]),
        mac: Cow::Borrowed(&[mac::HMAC_SHA256_ETM]),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}
