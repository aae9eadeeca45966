//! The agent's own program, as processes run it that go into a node: a sealed copy in memory.
//!
//! What runs in a node may have the agent's user, sees such a process, and may open the file that it runs (`exe` in
//! `/proc`). Were that the file on the machine's disk, the node could write to it as soon as nobody runs it.
//!
//! # Invariants
//! - No process of the agent that enters a namespace of a node runs a file of the machine's disks.
//! - Nobody can change the copy, its owner not excepted; nor can it be made one that nobody may run, since Linux 6.3.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

/// What the copy is called in lists of processes' files.
const NAME: &str = "iog";

/// The program that stands for the agent in nodes. It is copied when it is needed for the first time; the copy is there
/// as long as any clone of this.
#[derive(Clone, Debug)]
pub struct AgentProgram(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    from: PathBuf,
    copy: Mutex<Option<OwnedFd>>,
}

impl AgentProgram {
    /// The program in this file.
    pub fn of(file: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Shared { from: file.into(), copy: Mutex::default() }))
    }

    /// The running program, also where its file was replaced meanwhile.
    pub fn running() -> Self {
        static RUNNING: OnceLock<AgentProgram> = OnceLock::new();
        RUNNING.get_or_init(|| Self::of("/proc/self/exe")).clone()
    }

    /// Where processes of the same user find the copy, as long as this process runs and holds the program.
    ///
    /// # Errors
    /// If the program cannot be read, or there is no memory for it.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let mut copy = self.0.copy.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *copy {
            Some(file) => file,
            none => none.insert(sealed(&self.0.from).context("copy the agent's program")?),
        };
        Ok(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into())
    }
}

/// The program that this process runs, to be run again where its file has no name: what is run is `/proc/self/fd/` and
/// its number. It cannot be read by this.
///
/// # Errors
/// If there is no `/proc`.
pub(crate) fn held_open() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::open("/proc/self/exe", flags, Mode::empty()).context("find the own program")
}

fn sealed(from: &Path) -> Result<OwnedFd> {
    let mut from = File::open(from).with_context(|| format!("open {}", from.display()))?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let made = match rustix::fs::memfd_create(NAME, flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 all such files can be run.
        Err(Errno::INVAL) => rustix::fs::memfd_create(NAME, flags),
        made => made,
    };
    let mut copy = File::from(made.context("make a file in memory")?);
    std::io::copy(&mut from, &mut copy).context("fill it")?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
    match rustix::fs::fcntl_add_seals(&copy, seals | SealFlags::EXEC | SealFlags::SEAL) {
        Err(Errno::INVAL) => rustix::fs::fcntl_add_seals(&copy, seals | SealFlags::SEAL),
        done => done,
    }
    .context("seal it")?;
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_copy_runs_and_nobody_changes_it() {
        let program = AgentProgram::of("/bin/true");
        let path = program.path().unwrap();
        assert!(Command::new(&path).status().unwrap().success());
        assert_eq!(program.path().unwrap(), path, "it is copied once");
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read("/bin/true").unwrap());
        let mut opened = File::options().write(true).open(&path).unwrap();
        assert!(opened.write(b"x").is_err() && opened.set_len(0).is_err());
        let seals = rustix::fs::fcntl_get_seals(&opened).unwrap();
        assert!(seals.contains(SealFlags::WRITE | SealFlags::SEAL), "{seals:?}");
    }

    #[test]
    fn a_program_that_is_not_there_is_said_to_be() {
        let fault = AgentProgram::of("/nowhere/iog").path().unwrap_err();
        assert!(format!("{fault:#}").contains("/nowhere/iog"), "{fault:#}");
    }
}
