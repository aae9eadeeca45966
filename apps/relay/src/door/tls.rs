//! TLS as visitors get it.

use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;

use super::certificate::Certificates;

/// What a visitor may speak inside: HTTP/2 is not offered, because one connection of it could ask for many hosts.
const HTTP: &[u8] = b"http/1.1";

/// TLS 1.2 and 1.3 with these certificates; old tools still come with 1.2.
pub(crate) fn config(
    certificates: Arc<Certificates>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .context("choose versions of TLS")?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![HTTP.to_vec()];
    Ok(Arc::new(config))
}
