//! The folder of a network on this machine.
//!
//! ```text
//!   <data>/  up.lock      held by the `iog up` that runs
//!            roles.lock   held by each of its processes
//!            client.json  the renter's server, key and project (only its owner reads it)
//!            server/      the control plane's
//!            worker-N/    the machines'
//!            runtimes/    Ray, once for all machines
//!            cache/       what its installer fetched
//!            log/         what the processes wrote
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::failure::Failure;

/// How often a lock is tried.
const TRY_EVERY: Duration = Duration::from_millis(200);
/// How often it is tried: for as long as machines may take to end their nodes.
const TRIES_MAX: u32 = 450;

/// The folder of a network, held by this process.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    _held: File,
}

impl Place {
    /// Makes the folder where it is missing, and takes it.
    pub(super) fn take(root: &Path) -> Result<Self, Failure> {
        for folder in ["", "log"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        }
        let root = fs::canonicalize(root).with_context(|| format!("find {}", root.display()))?;
        let mut held = open(&root.join("up.lock"))?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(root.join("up.lock")).unwrap_or_default();
                return Err(Failure::usage(
                    format!("another `iog up` (process {}) uses {}", pid.trim(), root.display()),
                    "stop that one with Ctrl-C, or name another folder with --data",
                ));
            }
            Err(TryLockError::Error(why)) => {
                return Err(Failure::Fault(anyhow!(why).context("lock the folder")));
            }
        }
        held.set_len(0).context("write the lock")?;
        writeln!(held, "{}", std::process::id()).context("write the lock")?;
        Ok(Self { root, _held: held })
    }

    /// Waits until no process of a network in this folder is left; tells `waiting` if that takes time.
    pub(super) fn wait_for_silence(&self, waiting: impl FnOnce()) -> Result<(), Failure> {
        let roles = open(&self.roles())?;
        let mut waiting = Some(waiting);
        for _ in 0..TRIES_MAX {
            match roles.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(why)) => {
                    return Err(Failure::Fault(anyhow!(why).context("lock the roles")));
                }
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            thread::sleep(TRY_EVERY);
        }
        let what = format!("processes of an earlier network in {} do not end", self.root.display());
        Err(Failure::ended(what, format!("`fuser {}` names them", self.roles().display())))
    }

    /// The file that roles hold.
    pub(super) fn roles(&self) -> PathBuf {
        self.root.join("roles.lock")
    }

    /// Something in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// What a process writes.
    pub(super) fn log(&self, role: &str) -> PathBuf {
        self.root.join("log").join(format!("{role}.log"))
    }

    /// The key of the operator, once the server has started.
    pub(super) fn operator_key(&self) -> PathBuf {
        self.root.join("server/operator.key")
    }

    /// A path as people type it: from where they are, if it is below.
    pub(super) fn short(path: &Path) -> String {
        let here = std::env::current_dir().ok();
        let below = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
        below.unwrap_or(path).display().to_string()
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    Ok(opened.with_context(|| format!("open {}", path.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_network() {
        let root = std::env::temp_dir().join(format!("iog-place-{}", std::process::id()));
        let held = Place::take(&root).unwrap();
        assert!(matches!(Place::take(&root), Err(Failure::Usage { .. })));
        held.wait_for_silence(|| panic!("nothing runs")).unwrap();
        drop(held);
        assert!(Place::take(&root).is_ok());
        fs::remove_dir_all(&root).unwrap();
    }
}
