//! Files that only their owner may read.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a secret to a new file. Two at once do not overwrite each other: the later one fails.
pub(crate) fn write(path: &Path, secret: &[u8]) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).with_context(|| format!("make {}", path.display()))?;
    file.write_all(secret).with_context(|| format!("write {}", path.display()))
}
