//! Who this machine is to the control plane: its key and the id it was given.
//!
//! # Invariants
//! - The key never leaves its file; the file is its owner's alone and is never overwritten.
//! - The key is on disk before anybody hears of it: a machine that crashes while it joins joins with the same key.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};
use units::{BlobId, Name, WorkerId};

const IDENTITY: &str = "identity.json";
/// Holds the key while the machine joins.
const JOINING: &str = "joining.key";

/// A machine's private key.
pub(crate) struct Key(SigningKey);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    fn from_hex(text: &str) -> Result<Self> {
        let bytes = HEXLOWER.decode(text.trim().as_bytes()).ok();
        let seed = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        Ok(Self(SigningKey::from_bytes(&seed.context("understand the key")?)))
    }

    fn to_hex(&self) -> String {
        HEXLOWER.encode(self.0.as_bytes())
    }

    /// The public half; 32 bytes, as the wire has them.
    pub(crate) fn public(&self) -> BlobId {
        BlobId::from_sha256(self.0.verifying_key().to_bytes())
    }

    /// The key itself, for proofs.
    pub(crate) fn signing(&self) -> &SigningKey {
        &self.0
    }

    /// A signature of this text, in hexadecimal.
    pub(crate) fn sign(&self, text: &str) -> String {
        HEXLOWER.encode(&self.0.sign(text.as_bytes()).to_bytes())
    }
}

/// Who this machine is.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The id it was given.
    pub(crate) worker: WorkerId,
    /// Where the control plane was when it joined.
    pub(crate) server: String,
    /// What it is called.
    pub(crate) name: Name,
    /// Its key.
    pub(crate) key: Key,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    worker: WorkerId,
    server: String,
    name: Name,
    key: String,
}

impl Identity {
    /// Who this folder's machine is; `None` if it has not joined.
    pub(crate) fn read(data: &Path) -> Result<Option<Self>> {
        let path = data.join(IDENTITY);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
            Err(fault) => {
                let hint = "run the agent as the owner of its folder, or name another with --data";
                bail!("read {}: {fault} (hint: {hint})", path.display())
            }
        };
        let understood: Result<Written, _> = serde_json::from_str(&text);
        // The error of the parser might quote the key.
        let whole = understood.ok().and_then(|written| {
            let Written { worker, server, name, key } = written;
            Some(Self { worker, server, name, key: Key::from_hex(&key).ok()? })
        });
        let Some(identity) = whole else {
            bail!(
                "understand {}: it is damaged (hint: restore it from a copy; without one remove it, and join again \
                 with a token of `iog worker invite --replace wkr_…`)",
                path.display()
            )
        };
        Ok(Some(identity))
    }

    /// Who this folder's machine is, which must have joined.
    pub(crate) fn of(data: &Path) -> Result<Self> {
        let known = Self::read(data)?;
        known.with_context(|| {
            format!(
                "find this machine's identity in {}: it has not joined \
                 (hint: `iog worker join TOKEN --server URL --data {}`, or name its own folder with --data)",
                data.display(),
                data.display()
            )
        })
    }

    /// Whether this folder says who its machine is.
    pub(crate) fn is_in(data: &Path) -> bool {
        data.join(IDENTITY).exists()
    }

    /// Whether others than its owner may read the key of this folder's machine.
    pub(crate) fn is_open_to_others(data: &Path) -> bool {
        let about = fs::metadata(data.join(IDENTITY));
        about.is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
    }

    /// Writes it down, and forgets that it was joining.
    pub(crate) fn write(&self, data: &Path) -> Result<()> {
        let (worker, server) = (self.worker, self.server.clone());
        let written = Written { worker, server, name: self.name.clone(), key: self.key.to_hex() };
        let text = serde_json::to_string_pretty(&written).context("put the identity into words")?;
        write_new(&data.join(IDENTITY), &text).context("write the identity")?;
        let _ = fs::remove_file(data.join(JOINING));
        Ok(())
    }
}

/// The key to join with: that of an attempt that was cut short, or a new one.
pub(crate) fn key_to_join(data: &Path) -> Result<Key> {
    let path = data.join(JOINING);
    if let Ok(text) = fs::read_to_string(&path) {
        if let Ok(key) = Key::from_hex(&text) {
            return Ok(key);
        }
        fs::remove_file(&path).context("remove a damaged key")?;
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|fault| anyhow!("make a key: {fault}"))?;
    let key = Key(SigningKey::from_bytes(&seed));
    write_new(&path, &key.to_hex()).context("write a key")?;
    Ok(key)
}

/// Writes a file that must not exist, for its owner alone. It is there whole or not at all.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // A link, because a rename would overwrite.
    fs::hard_link(&new, path)?;
    fs::remove_file(&new)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn an_identity_reads_back_as_written_is_its_owners_alone_and_is_never_overwritten() {
        let scratch = Scratch::new("identity");
        let data = scratch.path();
        assert!(Identity::read(data).unwrap().is_none());
        let key = key_to_join(data).unwrap();
        assert_eq!(key_to_join(data).unwrap().public(), key.public(), "the key of the first try");
        let identity = Identity {
            worker: WorkerId::from_bits(5),
            server: "http://127.0.0.1:1".to_owned(),
            name: "rack-3".parse().unwrap(),
            key,
        };
        identity.write(data).unwrap();
        let read = Identity::of(data).unwrap();
        assert_eq!((read.worker, &read.name), (identity.worker, &identity.name));
        assert_eq!(read.key.public(), identity.key.public());
        let mode = fs::metadata(data.join(IDENTITY)).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, Identity::is_open_to_others(data)), (0o600, false));
        assert!(identity.write(data).is_err(), "there is one");
        assert!(!data.join(JOINING).exists());
    }

    #[test]
    fn a_damaged_identity_is_refused_without_showing_it() {
        let scratch = Scratch::new("identity-damaged");
        fs::write(scratch.path().join(IDENTITY), r#"{"key":"5ec2e7","worker":7}"#).unwrap();
        let fault = format!("{:#}", Identity::of(scratch.path()).unwrap_err());
        assert!(fault.contains("damaged") && !fault.contains("5ec2e7"), "{fault}");
        assert!(fault.contains("--replace"), "{fault}");
    }
}
