//! The Python environment that Ray runs from: made once per machine, shared by all agents and nodes.
//!
//! Its folder is named after the list of packages it holds, so that another list makes another folder and a running
//! node keeps the one it started from.
//!
//! # Invariants
//! - Every package is pinned and checked against the hashes of the list.
//! - An environment is whole or it is not used: the word that it is whole is written last, and what lacks it is
//!   removed and made again.
//! - One process makes it at a time; the others wait.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The packages, pinned, with hashes.
const PACKAGES: &str = include_str!("../../runtimes/ray.txt");
/// Written into an environment when it is whole.
const WHOLE: &str = "whole";
/// The installer, for machines that have none.
const INSTALLER: &str = "uv==0.13.9";
/// Pythons to try, best first: the distribution's own is readable by every user of the machine.
const PYTHONS: [&str; 6] = [
    "/usr/bin/python3",
    "python3",
    "python3.13",
    "python3.12",
    "python3.11",
    "/usr/local/bin/python3",
];
/// The Pythons that the list of packages was resolved for, by minor version.
const PYTHON_MINORS: std::ops::RangeInclusive<u32> = 11..=13;
/// How many of the last lines of a failed command are told.
const LINES_TOLD: usize = 12;

/// Where the environment is, or will be.
#[derive(Clone, Debug)]
pub struct Environment {
    shared: PathBuf,
    folder: PathBuf,
}

/// What is found in an environment's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// One whose making was cut short.
    HalfMade,
    /// One that can be used.
    Whole,
}

/// The first twelve digits of the hash of a list of packages: enough to tell lists apart.
fn name_of(packages: &str) -> String {
    let mut digits = HEXLOWER.encode(&Sha256::digest(packages));
    digits.truncate(12);
    format!("ray-{digits}")
}

impl Environment {
    /// The environment of the built-in list under this folder.
    pub fn under(shared: &Path) -> Self {
        Self { shared: shared.to_owned(), folder: shared.join(name_of(PACKAGES)) }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its Python.
    pub fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// Folders outside of it that its Python needs, where that is not the distribution's.
    pub fn base(&self) -> Option<PathBuf> {
        let home = home_of(&fs::read_to_string(self.folder.join("pyvenv.cfg")).ok()?)?;
        let prefix = home.parent()?.to_owned();
        (!prefix.starts_with("/usr")).then_some(prefix)
    }

    /// How far it is.
    pub fn found(&self) -> Found {
        match (self.folder.exists(), self.folder.join(WHOLE).exists()) {
            (false, _) => Found::Nothing,
            (true, false) => Found::HalfMade,
            (true, true) => Found::Whole,
        }
    }

    /// Makes it unless it is whole, and tells each step to `progress`. Waits for another process that makes it.
    pub fn prepare(&self, progress: &mut dyn FnMut(&str)) -> Result<()> {
        if self.found() == Found::Whole {
            return Ok(());
        }
        fs::create_dir_all(&self.shared).context("make the shared folder")?;
        let lock = self.lock(progress)?;
        let made = match self.found() {
            Found::Whole => Ok(()),
            Found::HalfMade => {
                progress("removing an environment whose making was cut short");
                fs::remove_dir_all(&self.folder).context("remove a half-made environment")?;
                self.make(progress)
            }
            Found::Nothing => self.make(progress),
        };
        drop(lock);
        made
    }

    /// Held until dropped; the kernel lets go of it when its holder dies.
    fn lock(&self, progress: &mut dyn FnMut(&str)) -> Result<File> {
        let path = self.shared.join("ray.lock");
        let file =
            OpenOptions::new().create(true).append(true).open(path).context("open the lock")?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress("waiting for another process that makes the environment");
                file.lock().context("wait for the lock")?;
            }
            Err(TryLockError::Error(fault)) => return Err(fault).context("take the lock"),
        }
        Ok(file)
    }

    fn make(&self, progress: &mut dyn FnMut(&str)) -> Result<()> {
        let python = find_python()?;
        let installer = self.installer(&python, progress)?;
        let folder = self.folder.to_string_lossy();
        progress("making an empty environment");
        run(&[
            &installer,
            "venv",
            "--quiet",
            "--no-python-downloads",
            "--python",
            &python,
            &folder,
        ])?;
        let list = self.folder.join("packages.txt");
        fs::write(&list, PACKAGES).context("write the list of packages")?;
        let (own, list) = (self.python(), list.to_string_lossy().into_owned());
        let own = own.to_string_lossy();
        progress("installing Ray and what it needs");
        // Compiled now: nodes see the environment read-only and would compile it anew at every start, which takes
        // most of the fifteen seconds that a raylet waits for its agent.
        let how = ["--quiet", "--require-hashes", "--compile-bytecode"];
        run(&[&[&*installer, "pip", "install"], &how[..], &["--python", &own, "-r", &list]]
            .concat())?;
        progress("checking the environment");
        run(&[&own, "-c", "import ray, ray.dashboard.dashboard"])?;
        fs::write(self.folder.join(WHOLE), "").context("mark the environment whole")
    }

    /// A working `uv`: the machine's, or one of our own.
    fn installer(&self, python: &str, progress: &mut dyn FnMut(&str)) -> Result<String> {
        if Command::new("uv").arg("--version").output().is_ok_and(|output| output.status.success())
        {
            return Ok("uv".to_owned());
        }
        progress("installing the installer");
        let home = self.shared.join("installer");
        if home.exists() {
            fs::remove_dir_all(&home).context("remove an old installer")?;
        }
        let text = home.to_string_lossy();
        run(&[python, "-m", "venv", &text])
            .context("make the installer's environment (python3-venv)")?;
        run(&[&format!("{text}/bin/python"), "-m", "pip", "install", "--quiet", INSTALLER])?;
        Ok(format!("{text}/bin/uv"))
    }
}

/// Where the Python of an environment lives, by its `pyvenv.cfg`.
fn home_of(config: &str) -> Option<PathBuf> {
    let value_of = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "home").then(|| PathBuf::from(value.trim()))
    };
    config.lines().find_map(value_of)
}

/// Reads `3.11` as what Python says of itself.
fn is_known(version: &str) -> bool {
    let parts = version.trim().split_once('.');
    parts.is_some_and(|(major, minor)| {
        major == "3" && minor.parse().is_ok_and(|minor: u32| PYTHON_MINORS.contains(&minor))
    })
}

/// A Python of this machine that an environment can be made with.
pub(crate) fn find_python() -> Result<String> {
    let ask = "import sys; print('%d.%d' % sys.version_info[:2])";
    let answers =
        |python: &str| -> io::Result<Output> { Command::new(python).args(["-c", ask]).output() };
    let known = |python: &&str| {
        answers(python).is_ok_and(|output| is_known(&String::from_utf8_lossy(&output.stdout)))
    };
    match PYTHONS.into_iter().find(known) {
        Some(python) => Ok(python.to_owned()),
        None => bail!("find a Python from 3.11 to 3.13 on this machine"),
    }
}

/// Runs a command so that what it makes is readable by other users, whatever the agent's own umask.
fn run(command: &[&str]) -> Result<()> {
    let output = Command::new("sh")
        .args(["-c", "umask 022; exec \"$@\"", "sh"])
        .args(command)
        .output()
        .with_context(|| format!("run {}", command[0]))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    let told = lines[lines.len().saturating_sub(LINES_TOLD)..].join("\n");
    bail!("`{}` ended with {}: {told}", command.join(" "), output.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn another_list_makes_another_folder() {
        assert_eq!(name_of("a"), "ray-ca978112ca1b");
        assert_ne!(name_of("a"), name_of("b"));
        assert!(PACKAGES.contains("\nray==2.60.0 ") && PACKAGES.contains("--hash=sha256:"));
    }

    #[test]
    fn an_environment_counts_only_when_whole() {
        let scratch = Scratch::new("environment");
        let environment = Environment::under(scratch.path());
        assert_eq!(environment.found(), Found::Nothing);
        fs::create_dir(environment.folder()).unwrap();
        assert_eq!(environment.found(), Found::HalfMade);
        fs::write(environment.folder().join(WHOLE), "").unwrap();
        assert_eq!(environment.found(), Found::Whole);
        environment.prepare(&mut |line| panic!("nothing is left to do: {line}")).unwrap();
    }

    #[test]
    fn a_python_of_its_own_is_found_by_its_configuration() {
        assert_eq!(home_of("home = /opt/py/bin\nuv = 1\n"), Some(PathBuf::from("/opt/py/bin")));
        assert_eq!(home_of("homes = /opt\n"), None);
    }

    #[test]
    fn only_pythons_the_list_was_made_for_are_taken() {
        assert!(is_known("3.11\n") && is_known("3.13"));
        assert!(!is_known("3.9") && !is_known("3.14") && !is_known("2.11") && !is_known(""));
    }

    #[test]
    fn a_failed_command_says_what_it_said() {
        let fault = run(&["sh", "-c", "echo no such thing >&2; exit 3"]).unwrap_err();
        assert!(fault.to_string().contains("no such thing"), "{fault}");
    }
}
