//! What is secret here, and what is made from it.

use std::path::Path;

use anyhow::{Context, bail};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use units::{BlobId, RentalId};

use crate::clock::random;

/// The server's own secret. From it follow all that need not be stored.
pub(crate) struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Reads it from its file, which is made at the first start.
    pub(crate) fn open(path: &Path, is_first_start: bool) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => {
                let bytes = bytes.try_into().ok().with_context(|| {
                    format!("understand {}: it has 32 bytes where it is whole", path.display())
                })?;
                Ok(Self(bytes))
            }
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound && !is_first_start => {
                bail!(
                    "find {}: clusters that run depend on it (hint: bring it back from a backup)",
                    path.display()
                )
            }
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
                let bytes: [u8; 32] = random();
                write_private(path, &bytes)?;
                Ok(Self(bytes))
            }
            Err(why) => Err(why).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Sixty-four hexadecimal digits that follow from the secret, what they are for, and for whom.
    pub(crate) fn derive(&self, purpose: &str, whom: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length of key will do");
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(whom.as_bytes());
        BlobId::from_sha256(mac.finalize().into_bytes().into()).to_string()
    }

    /// What the nodes of one cluster prove themselves to each other with.
    pub(crate) fn cluster_token(&self, rental: RentalId) -> String {
        self.derive("cluster", &rental.to_string())
    }
}

/// SHA-256 of a text.
pub(crate) fn sha256(text: impl AsRef<[u8]>) -> BlobId {
    BlobId::from_sha256(Sha256::digest(text).into())
}

/// Whether two digests agree, in a time that does not tell where they differ.
pub(crate) fn agree(one: &BlobId, other: &BlobId) -> bool {
    let differences = one.sha256().iter().zip(other.sha256()).fold(0, |sum, (a, b)| sum | (a ^ b));
    differences == 0
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let half = path.with_extension("half");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&half)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&half, path)?;
        sync_folder_of(path)
    };
    write().with_context(|| format!("write {}", path.display()))
}

/// Makes durable that a file is called as it is called.
pub(crate) fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_secret_depends_on_what_it_is_for() {
        let secret = Secret([7; 32]);
        assert_ne!(secret.derive("a", "b"), secret.derive("ab", ""));
        assert_eq!(secret.derive("a", "b"), secret.derive("a", "b"));
        assert!(!format!("{secret:?}").contains('7'));
    }

    #[test]
    fn digests_agree_only_with_themselves() {
        assert!(agree(&sha256("a"), &sha256("a")) && !agree(&sha256("a"), &sha256("b")));
    }
}
