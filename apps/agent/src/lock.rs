//! One agent at a time uses a data folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Makes the folder if need be, for its owner alone, and takes it until the returned file is dropped. The kernel
/// lets go of it when its holder dies.
pub(crate) fn take(data: &Path) -> Result<File> {
    // Folders above it are made as usual: they are not the agent's own.
    let above = data.parent().map_or(Ok(()), fs::create_dir_all);
    let mut builder = fs::DirBuilder::new();
    let made = above.and_then(|()| builder.recursive(true).mode(0o700).create(data));
    made.with_context(|| format!("make the folder {}", data.display()))?;
    let mut options = OpenOptions::new();
    let opened = options.create(true).append(true).open(data.join("agent.lock"));
    let file = opened.with_context(|| format!("write in {}", data.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "use the folder {}: another agent uses it (hint: stop that one, or name another folder)",
            data.display()
        ),
        Err(TryLockError::Error(fault)) => Err(fault).context("lock the data folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn a_folder_has_one_agent_at_a_time() {
        let scratch = Scratch::new("lock");
        let held = take(scratch.path()).unwrap();
        let refused = take(scratch.path()).unwrap_err().to_string();
        assert!(refused.contains("another agent"), "{refused}");
        drop(held);
        assert!(take(scratch.path()).is_ok());
    }
}
