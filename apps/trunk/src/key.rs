//! Who is at the other end: TLS 1.3 by the ed25519 keys of nodes, without certificates (RFC 7250).
//!
//! # Invariants
//! - A node talks to the relay whose key it was told, and to no other.
//! - A relay knows the key of every node before it reads a word; whether it may come in is decided after that.

use std::sync::Arc;

use anyhow::{Context, Result};
use ed25519_dalek::SigningKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer,
    UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, CommonState, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, ServerConfig, SignatureScheme,
};
use wire::paper::NodeKey;

/// What lines speak: their protocol, and its version.
pub const ALPN: &[u8] = b"iog-relay/1";
/// What dedicated connections under TLS speak.
pub const BULK_ALPN: &[u8] = b"iog-bulk/1";

/// What stands before the key in an ed25519 public key's DER (RFC 8410, 4).
const PUBLIC_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];
/// What stands before the seed in an ed25519 private key's DER (RFC 8410, 7).
const PRIVATE_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

fn read_key(der: &[u8]) -> Option<NodeKey> {
    der.strip_prefix(&PUBLIC_HEAD)?.try_into().ok().map(NodeKey)
}

/// The key that the other end proved.
///
/// # Errors
/// If it proved none, which the handshake of a line does not let happen.
pub fn peer_key(connection: &CommonState) -> Result<NodeKey> {
    let shown = connection.peer_certificates().and_then(|shown| shown.first());
    shown.and_then(|der| read_key(der)).context("know the key of the other end")
}

/// How a node speaks to this relay: [`ALPN`] or [`BULK_ALPN`].
///
/// # Errors
/// If the key cannot be used.
pub fn node_tls(key: &SigningKey, relay: NodeKey, alpn: &[u8]) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Verifier { expected: Some(relay), provider: provider.clone() });
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("speak TLS 1.3")?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(
            key, &provider,
        )?)));
    config.alpn_protocols = vec![alpn.to_vec()];
    // The key is pinned and not named; a name would only tell who watches.
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// How a relay speaks to nodes.
///
/// # Errors
/// If the key cannot be used.
pub fn relay_tls(key: &SigningKey) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Verifier { expected: None, provider: provider.clone() });
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("speak TLS 1.3")?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(
            key, &provider,
        )?)));
    config.alpn_protocols = vec![ALPN.to_vec(), BULK_ALPN.to_vec()];
    // Nothing is resumed: a pass is looked at each time, and lines are few and long.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn certified(key: &SigningKey, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>> {
    let der = [&PRIVATE_HEAD[..], key.as_bytes()].concat();
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der));
    let signing = provider.key_provider.load_private_key(der).context("use the node's key")?;
    let public = CertificateDer::from([&PUBLIC_HEAD[..], key.verifying_key().as_bytes()].concat());
    Ok(Arc::new(CertifiedKey::new(vec![public], signing)))
}

/// Takes a raw ed25519 key: the expected one, or any.
#[derive(Debug)]
struct Verifier {
    expected: Option<NodeKey>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn check(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        let key = read_key(shown).ok_or(CertificateError::BadEncoding)?;
        match self.expected {
            Some(expected) if expected != key => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let der = SubjectPublicKeyInfoDer::from(shown.as_ref());
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &der, signed, schemes)
    }
}

/// Nothing but TLS 1.3 is spoken.
fn is_too_old<T>() -> Result<T, Error> {
    Err(PeerIncompatible::Tls12NotOffered.into())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        is_too_old()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        is_too_old()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
