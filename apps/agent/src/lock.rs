//! One agent at a time uses a data folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use units::WorkerId;

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

/// Takes the name of this machine among the agents of this host until what is returned is dropped: a folder that was
/// copied has the same key, and two that speak for one machine break the chain of its records.
pub(crate) fn take_name(worker: WorkerId) -> Result<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("iog-agent-{worker}"));
    let taken = name.and_then(|name| UnixListener::bind_addr(&name));
    taken.map_err(|fault| {
        if fault.kind() == ErrorKind::AddrInUse {
            let hint = "stop that one, and keep one of the folders";
            return anyhow!(
                "run as {worker}: another agent does, from a copy of this folder (hint: {hint})"
            );
        }
        anyhow!("take the name of {worker}: {fault}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn a_machine_has_one_agent_at_a_time_whatever_its_folder() {
        let worker = WorkerId::from_bits(u128::from(std::process::id()));
        let held = take_name(worker).unwrap();
        let refused = take_name(worker).unwrap_err().to_string();
        assert!(refused.contains("a copy of this folder"), "{refused}");
        drop(held);
        assert!(take_name(worker).is_ok());
    }

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
