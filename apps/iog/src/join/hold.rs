//! Which program of this user holds this machine's place in a private network: a file that it has locked, with its id
//! in it.
//!
//! # Invariants
//! - Two programs never are one member: the second is refused.
//! - A program that died holds nothing, however it died.
//! - Only the file that the path leads to is held. Whoever locks one that was removed meanwhile takes the next.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::config::{give_to_owner_of_place, make_folder};
use crate::failure::Failure;

/// In the folder of the configuration.
const FOLDER: &str = "networks";
/// How long a program may take to end: whoever waits has Ctrl-C.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// What to do about a program of root's.
const WITH_SUDO: &str = "it was started with sudo: end it with sudo, too (`sudo -E`)";
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
        let mut file = loop {
            let mut file = open(&path).with_context(|| format!("open {}", path.display()))?;
            match lock(&file, &path).context("lock a file")? {
                Locked::Held => break file,
                Locked::Again => thread::sleep(LOOK_EVERY),
                Locked::Taken => {
                    let who = holder(&mut file).map(|pid| format!(" (process {pid})"));
                    let what = format!("this machine is in it already{}", who.unwrap_or_default());
                    return Err(Failure::refused(
                        what,
                        format!("`iog net down {words}` ends that"),
                    ));
                }
            }
        };
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

/// What came of trying to have a file to oneself.
#[derive(Debug, PartialEq, Eq)]
enum Locked {
    Held,
    Taken,
    /// It was removed meanwhile, or somebody only looked whether it is held.
    Again,
}

/// For all to read, as a number is no secret: who may not end the program hears at least that there is one.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o644);
    let file = options.open(path)?;
    match give_to_owner_of_place(path) {
        // Whoever held it has removed it.
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(file),
        given => given.map(|()| file),
    }
}

fn lock(file: &File, path: &Path) -> io::Result<Locked> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(fault)) => return Err(fault),
        Err(TryLockError::WouldBlock) => {
            return match file.try_lock_shared() {
                Ok(()) => Ok(Locked::Again),
                Err(TryLockError::WouldBlock) => Ok(Locked::Taken),
                Err(TryLockError::Error(fault)) => Err(fault),
            };
        }
    }
    let which = |it: fs::Metadata| (it.dev(), it.ino());
    let there = match fs::metadata(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => None,
        there => Some(which(there?)),
    };
    let is_there = there == Some(which(file.metadata()?));
    Ok(if is_there { Locked::Held } else { Locked::Again })
}

/// Ends the program that holds the place, and waits until it has ended. Returns whether there was one.
pub(super) fn end(folder: &Path, network: &str) -> Result<bool, Failure> {
    let path = path_of(folder, network);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(fault) if fault.kind() == io::ErrorKind::PermissionDenied => {
            let what = format!("{} is not yours to read", path.display());
            return Err(Failure::refused(what, WITH_SUDO));
        }
        Err(fault) => {
            let fault = anyhow::Error::new(fault);
            return Err(fault.context(format!("open {}", path.display())).into());
        }
    };
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
            return Err(Failure::refused(what, WITH_SUDO));
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

    fn folder(name: &str) -> PathBuf {
        let name = format!("iog-hold-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        make_folder(&folder.join(FOLDER)).unwrap();
        folder
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_not_taken_for_nobody() {
        let folder = folder("shut");
        fs::remove_dir(folder.join(FOLDER)).unwrap();
        assert!(!end(&folder, "n").unwrap(), "there is none");
        File::create(folder.join(FOLDER)).unwrap();
        assert!(end(&folder, "n").is_err(), "nobody knows");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_root_makes_is_the_owners_of_the_folder() {
        let folder = folder("owner");
        let above = folder.join(FOLDER);
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&above, Some(1_234), Some(1_234)).unwrap();
        }
        let hold = Hold::take(&folder, "n", "n").unwrap();
        let owner = |path: &Path| fs::metadata(path).unwrap().uid();
        assert_eq!(owner(&hold.path), owner(&above));
        drop(hold);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_that_was_removed_holds_no_place() {
        let folder = folder("gone");
        let path = path_of(&folder, "n");
        let removed = open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(lock(&removed, &path).unwrap(), Locked::Again, "nothing is there");
        let next = open(&path).unwrap();
        assert_eq!(lock(&removed, &path).unwrap(), Locked::Again, "another is there");
        assert_eq!(lock(&next, &path).unwrap(), Locked::Held);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn who_only_looks_takes_no_place() {
        let folder = folder("looks");
        let path = path_of(&folder, "n");
        let (looks, comes) = (open(&path).unwrap(), open(&path).unwrap());
        looks.lock_shared().unwrap();
        assert_eq!(lock(&comes, &path).unwrap(), Locked::Again);
        drop((looks, comes));
        drop(Hold::take(&folder, "n", "n").unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }
}
