//! Runs the binary with an environment of its own.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder for one test, gone when dropped.
pub(crate) struct Home(pub(crate) PathBuf);

impl Home {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("iog-it-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the binary said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The binary, with no environment but what is given.
pub(crate) fn iog(home: &Home, variables: &[(&str, &str)], arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
    command.args(arguments).env_clear().env("HOME", &home.0).stdin(Stdio::null());
    command.envs(variables.iter().copied()).current_dir(&home.0);
    let Output { status, stdout, stderr } = command.output().unwrap();
    Said {
        code: status.code().expect("it was not killed"),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}
