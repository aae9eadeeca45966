//! The key that a network signs with, as this side knows it: learned once from its control plane, and held on to.
//!
//! # Invariants
//! - Once it is known, no other key signs papers that are believed: neither a control plane that was broken into nor
//!   whoever stands before it can change it without who owns the file.
//! - A file that is not there is the only thing that makes a key unknown: one that cannot be read, or that holds none,
//!   is trouble.
//! - A key that could not be kept is not believed.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use wire::paper::NodeKey;

/// The key in a file, once it is known.
#[derive(Debug)]
pub struct Pinned {
    path: PathBuf,
    key: Mutex<Option<NodeKey>>,
}

impl Pinned {
    /// As this file has it, or will have it.
    pub fn at(path: PathBuf) -> Self {
        Self { path, key: Mutex::default() }
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key, if it is known.
    ///
    /// # Errors
    /// If its file is there and cannot be read, or holds no key.
    pub fn known(&self) -> Result<Option<NodeKey>> {
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = read(&self.path)?;
        }
        Ok(*known)
    }

    /// From here on this key is the network's. If one is known already, that stays, and is returned.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub fn learn(&self, key: NodeKey) -> Result<NodeKey> {
        if let Some(known) = self.known()? {
            return Ok(known);
        }
        let path = &self.path;
        write_whole(path, &format!("{key}\n"))
            .with_context(|| format!("keep the network's key in {}", path.display()))?;
        tracing::info!(%key, "the network signs with this key; it is held on to");
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(key)
    }
}

fn read(path: &Path) -> Result<Option<NodeKey>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault).with_context(|| format!("read {}", path.display())),
    };
    match text.trim().parse() {
        Ok(key) => Ok(Some(key)),
        Err(_) => bail!(
            "{} holds no key (hint: it held the key by which this side knows its network; put that back, or remove \
             the file to believe the control plane once more)",
            path.display()
        ),
    }
}

/// Writes it beside and puts it in its place, so that no crash leaves half of it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = OsString::from(path.as_os_str());
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o644).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::runtime::scratch::Scratch;

    fn key(number: u8) -> NodeKey {
        NodeKey(SigningKey::from_bytes(&[number; 32]).verifying_key().to_bytes())
    }

    #[test]
    fn the_first_key_stays_though_another_is_told_later() {
        let scratch = Scratch::new("pinned");
        let path = scratch.path().join("network.key");
        let pinned = Pinned::at(path.clone());
        assert_eq!(pinned.known().unwrap(), None);
        assert_eq!(pinned.learn(key(1)).unwrap(), key(1));
        assert_eq!(pinned.learn(key(2)).unwrap(), key(1));
        assert_eq!(Pinned::at(path).learn(key(2)).unwrap(), key(1));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_is_cut_short_or_unreadable_makes_no_key_unknown() {
        let scratch = Scratch::new("pinned-damaged");
        let path = scratch.path().join("network.key");
        let whole = key(1).to_string();
        for text in ["", "\n", "zz", &whole[..40]] {
            fs::write(&path, text).unwrap();
            let pinned = Pinned::at(path.clone());
            assert!(pinned.known().is_err(), "{text:?}");
            assert!(pinned.learn(key(2)).is_err(), "{text:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(Pinned::at(path).learn(key(2)).is_err(), "what is no file cannot be read");
    }

    #[test]
    fn a_key_that_cannot_be_kept_is_not_believed() {
        let scratch = Scratch::new("pinned-nowhere");
        let pinned = Pinned::at(scratch.path().join("no such folder/network.key"));
        assert!(pinned.learn(key(1)).is_err());
        assert_eq!(pinned.known().unwrap(), None);
    }
}
