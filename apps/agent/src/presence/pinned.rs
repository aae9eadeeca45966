//! The key that the network signs with, as this machine knows it: asked once over the connection to the control plane,
//! and held on to.
//!
//! # Invariants
//! - Once it is known, no other key makes a node join a network: neither a control plane that was broken into nor
//!   whoever stands before it can change it without the owner of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use wire::paper::NodeKey;

use super::switch::lock;
use crate::link::{Link, Trouble};

/// In the agent's folder.
const FILE: &str = "network.key";

/// The key, once it is known.
#[derive(Debug)]
pub(super) struct Pinned {
    path: PathBuf,
    key: Mutex<Option<NodeKey>>,
}

impl Pinned {
    /// As the agent's folder has it.
    pub(super) fn in_folder(data: &Path) -> Self {
        let path = data.join(FILE);
        let key = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        Self { path, key: Mutex::new(key) }
    }

    /// The key; asked for if it is not known.
    ///
    /// # Errors
    /// If it is not known, and the control plane does not say.
    pub(super) fn key(&self, link: &Link) -> Result<NodeKey, Trouble> {
        let mut known = lock(&self.key);
        if let Some(key) = *known {
            return Ok(key);
        }
        let told = link.network_key()?;
        let key: NodeKey = told.parse().map_err(|why| Trouble::Weather(format!("{why}")))?;
        tracing::info!(%key, "the network signs with this key; it is held on to");
        if let Err(fault) = fs::write(&self.path, format!("{key}\n")) {
            tracing::warn!(%fault, file = %self.path.display(), "the network's key could not be kept");
        }
        *known = Some(key);
        Ok(key)
    }
}
