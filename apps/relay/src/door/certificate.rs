//! The certificates that visitors are shown: from files, read again when they change, or made by the relay itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::{Context, Result};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::authority::Authority;

/// Where a relay's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// Files in PEM: a chain, which should name `*.<domain>`, and its key.
    Files {
        /// The chain, the relay's own certificate first.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// The relay makes them, by an authority of its own, which browsers do not know: for development.
    Made {
        /// Where the authority is kept: `authority.pem` is what a visitor can trust.
        folder: PathBuf,
    },
}

/// Finds the certificate for a visitor.
#[derive(Debug)]
pub(crate) struct Certificates(Source);

#[derive(Debug)]
enum Source {
    Files { chain: PathBuf, key: PathBuf, read: RwLock<Read>, provider: Arc<CryptoProvider> },
    Made(Mutex<Authority>),
}

/// What was read from files, and of when they were.
#[derive(Debug)]
struct Read {
    certified: Arc<CertifiedKey>,
    changed: Changed,
}

type Changed = (Option<SystemTime>, Option<SystemTime>);

impl Certificates {
    /// Reads or makes what is needed.
    pub(crate) fn from(
        source: &CertificateSource,
        domain: &str,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self> {
        let source = match source {
            CertificateSource::Files { chain, key } => {
                let read = RwLock::new(read(chain, key, provider)?);
                Source::Files {
                    chain: chain.clone(),
                    key: key.clone(),
                    read,
                    provider: Arc::clone(provider),
                }
            }
            CertificateSource::Made { folder } => {
                Source::Made(Mutex::new(Authority::kept_in(folder, domain, provider)?))
            }
        };
        Ok(Self(source))
    }

    /// Reads the files again when they are others than before. What cannot be used changes nothing.
    pub(crate) fn look_again(&self) -> Result<bool> {
        let Source::Files { chain, key, read: held, provider } = &self.0 else {
            return Ok(false);
        };
        let before = held.read().unwrap_or_else(PoisonError::into_inner).changed;
        if before == changed(chain, key) {
            return Ok(false);
        }
        let new = read(chain, key, provider)?;
        *held.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(true)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match &self.0 {
            Source::Files { read, .. } => {
                Some(Arc::clone(&read.read().unwrap_or_else(PoisonError::into_inner).certified))
            }
            Source::Made(authority) => authority
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .certificate_for(hello.server_name()),
        }
    }
}

fn changed(chain: &Path, key: &Path) -> Changed {
    let of = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
    (of(chain), of(key))
}

fn read(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<Read> {
    // Looked at first: what changes while it is read is read again.
    let changed = changed(chain, key);
    let named = |path: &Path| path.display().to_string();
    let certificates = std::fs::read(chain).with_context(|| format!("read {}", named(chain)))?;
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&certificates)
        .collect::<Result<_, _>>()
        .with_context(|| format!("read certificates of {}", named(chain)))?;
    let secret = std::fs::read(key).with_context(|| format!("read {}", named(key)))?;
    let secret = PrivateKeyDer::from_pem_slice(&secret)
        .with_context(|| format!("read the private key of {}", named(key)))?;
    let certified = CertifiedKey::from_der(certificates, secret, provider)
        .with_context(|| format!("use {} with {}", named(chain), named(key)))?;
    Ok(Read { certified: Arc::new(certified), changed })
}
