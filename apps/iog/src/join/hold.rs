//! Which program of this user holds this machine's place in a private network: a file that it has locked, with its id
//! in it.
//!
//! # Invariants
//! - Two programs never are one member: the second is refused.
//! - A program that died holds nothing, however it died.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::config::make_folder;
use crate::failure::Failure;

/// In the folder of the configuration.
const FOLDER: &str = "networks";
/// How long a program may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A place that is held; given up when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    file: File,
    path: PathBuf,
}

impl Hold {
    /// Takes the place in this network, which command lines name by these words.
    pub(super) fn take(folder: &Path, network: &str, words: &str) -> Result<Self, Failure> {
        let path = path_of(folder, network);
        let above = folder.join(FOLDER);
        make_folder(&above).with_context(|| format!("make {}", above.display()))?;
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = opened.open(&path).with_context(|| format!("open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let who = holder(&mut file).map(|pid| format!(" (process {pid})"));
                let what = format!("this machine is in it already{}", who.unwrap_or_default());
                return Err(Failure::refused(what, format!("`iog net down {words}` ends that")));
            }
            Err(TryLockError::Error(fault)) => {
                return Err(anyhow::Error::new(fault).context("lock a file").into());
            }
        }
        let id = std::process::id();
        let written = file.set_len(0).and_then(|()| writeln!(file, "{id}"));
        written.with_context(|| format!("write {}", path.display()))?;
        Ok(Self { file, path })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Removed before it is unlocked: who comes next makes another.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Ends the program that holds the place, and waits until it has ended. Returns whether there was one.
pub(super) fn end(folder: &Path, network: &str) -> Result<bool, Failure> {
    let path = path_of(folder, network);
    let Ok(mut file) = File::open(&path) else { return Ok(false) };
    let is_held = |file: &File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    if !is_held(&file) {
        return Ok(false);
    }
    let pid = holder(&mut file).and_then(Pid::from_raw);
    let pid = pid.with_context(|| format!("find the process that holds {}", path.display()))?;
    match kill_process(pid, Signal::TERM) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(Errno::PERM) => {
            let what = format!("process {} is not yours to end", pid.as_raw_nonzero());
            return Err(Failure::refused(what, "it was started with sudo: end it with sudo, too"));
        }
        Err(fault) => return Err(anyhow::Error::new(fault).context("end a process").into()),
    }
    let until = Instant::now() + ENDS_WITHIN;
    while is_held(&file) {
        if Instant::now() > until {
            let what = format!("process {} does not end", pid.as_raw_nonzero());
            return Err(Failure::ended(what, "kill -9 it: what it made goes with it"));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(true)
}

fn holder(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn path_of(folder: &Path, network: &str) -> PathBuf {
    folder.join(FOLDER).join(format!("{network}.pid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_held_once_and_free_again_afterwards() {
        let folder = std::env::temp_dir().join(format!("iog-hold-{}", std::process::id()));
        let first = Hold::take(&folder, "n", "--network n").unwrap();
        let Err(Failure::Refused { what, hint }) = Hold::take(&folder, "n", "--network n") else {
            panic!("held twice")
        };
        assert!(hint.unwrap().contains("`iog net down --network n`"), "it says what to do");
        assert!(what.contains(&std::process::id().to_string()), "{what}");
        Hold::take(&folder, "other", "other").unwrap();
        drop(first);
        assert!(!end(&folder, "n").unwrap(), "nobody is there");
        Hold::take(&folder, "n", "--network n").unwrap();
        assert_eq!(fs::read_dir(folder.join(FOLDER)).unwrap().count(), 0, "nothing is left");
        fs::remove_dir_all(&folder).unwrap();
    }
}
