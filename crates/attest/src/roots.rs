//! Which roots are believed: those that are compiled in, and those that somebody named beside them.
//!
//! A network believes none beside them. A test has chips of its own, and so may a network for development.

use crate::chain::{self, pinned};
use crate::tdx;

/// Roots that are believed beside the pinned ones, as DER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    nvidia: Vec<Vec<u8>>,
    intel: Vec<Vec<u8>>,
}

/// Why text is not roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a file of certificates in PEM")]
pub struct NotRoots;

impl Roots {
    /// Believes these too, of GPUs: PEM, each a certificate on P-384.
    ///
    /// # Errors
    /// If the text is no PEM.
    pub fn believe_nvidia(&mut self, pem: &[u8]) -> Result<(), NotRoots> {
        self.nvidia.extend(chain::split_pem(pem).ok_or(NotRoots)?);
        Ok(())
    }

    /// Believes these too, of processors with TDX: PEM, each a certificate on P-256.
    ///
    /// # Errors
    /// If the text is no PEM.
    pub fn believe_intel(&mut self, pem: &[u8]) -> Result<(), NotRoots> {
        self.intel.extend(chain::split_pem(pem).ok_or(NotRoots)?);
        Ok(())
    }

    /// Whether any is believed that is not pinned.
    pub fn has_extra(&self) -> bool {
        !self.nvidia.is_empty() || !self.intel.is_empty()
    }

    pub(crate) fn is_of_nvidia(&self, der: &[u8]) -> bool {
        der == pinned(chain::ROOT_PEM) || self.nvidia.iter().any(|root| root == der)
    }

    pub(crate) fn is_of_intel(&self, der: &[u8]) -> bool {
        der == pinned(tdx::ROOT_PEM) || self.intel.iter().any(|root| root == der)
    }
}
