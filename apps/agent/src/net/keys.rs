//! Who a rented node is in its private network: an ed25519 key of its own, and an X25519 key that packets are sealed
//! for.
//!
//! # Invariants
//! - They are the agent's and stay out of the sandbox: what runs in a node can use the network, and never be it.
//! - They are on disk, for the agent's user alone, before anybody hears of them, and outlive the agent.
//! - They end with the node.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use mesh::PrivateKey;
use serde::{Deserialize, Serialize};
use wire::paper::{MeshKey, NodeKey};

const FILE: &str = "keys.json";

/// The keys of one node.
pub(super) struct Keys {
    /// What it is known by, and signs with.
    pub(super) node: SigningKey,
    /// What packets to it are opened with.
    pub(super) packets: PrivateKey,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.public())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    node: String,
    packets: String,
}

impl Keys {
    /// The keys in this folder; made when there are none. A file that is damaged is replaced: the node is then somebody
    /// else to its network, which only its own peers notice.
    pub(super) fn kept_in(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                if let Some(keys) = Self::read(&text) {
                    return Ok(keys);
                }
                tracing::warn!(file = %path.display(), "a node's keys are damaged and made anew");
            }
            Err(fault) if fault.kind() == ErrorKind::NotFound => {}
            Err(fault) => return Err(fault).with_context(|| format!("read {}", path.display())),
        }
        let (node, packets) = (draw()?, draw()?);
        let written = Written { node: HEXLOWER.encode(&node), packets: HEXLOWER.encode(&packets) };
        let text = serde_json::to_string(&written).context("put keys into words")?;
        write_secret(folder, &text)?;
        Ok(Self::of(&node, packets))
    }

    fn read(text: &str) -> Option<Self> {
        let Written { node, packets } = serde_json::from_str(text).ok()?;
        let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok();
        let node: [u8; 32] = bytes(&node)?;
        Some(Self::of(&node, bytes(&packets)?))
    }

    fn of(node: &[u8; 32], packets: [u8; 32]) -> Self {
        Self { node: SigningKey::from_bytes(node), packets: PrivateKey::from_bytes(packets) }
    }

    /// What the node is known by.
    pub(super) fn public(&self) -> NodeKey {
        NodeKey(self.node.verifying_key().to_bytes())
    }

    /// What packets to it are sealed for.
    pub(super) fn x25519(&self) -> MeshKey {
        MeshKey(self.packets.public().0)
    }
}

fn draw() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|fault| anyhow!("make a key: {fault}"))?;
    Ok(bytes)
}

/// Replaces the file whole.
fn write_secret(folder: &Path, text: &str) -> Result<()> {
    let new = folder.join("keys.new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new).with_context(|| format!("open {}", new.display()))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context("write keys")?;
    fs::rename(&new, folder.join(FILE)).context("keep keys")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn keys_outlive_the_agent_and_are_its_users_alone() {
        let scratch = Scratch::new("node-keys");
        let first = Keys::kept_in(scratch.path()).unwrap();
        let second = Keys::kept_in(scratch.path()).unwrap();
        assert_eq!((first.public(), first.x25519()), (second.public(), second.x25519()));
        let mode = fs::metadata(scratch.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let shown = format!("{first:?}");
        assert!(!shown.contains(&HEXLOWER.encode(first.node.as_bytes())), "{shown}");
    }

    #[test]
    fn a_damaged_file_makes_another_node() {
        let scratch = Scratch::new("node-keys-damaged");
        let first = Keys::kept_in(scratch.path()).unwrap();
        fs::write(scratch.path().join(FILE), "{}").unwrap();
        let second = Keys::kept_in(scratch.path()).unwrap();
        assert_ne!(first.public(), second.public());
        assert_eq!(Keys::kept_in(scratch.path()).unwrap().public(), second.public());
    }
}
