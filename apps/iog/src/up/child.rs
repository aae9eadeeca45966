//! A process of the network: this binary in another role, with a log file of its own.
//!
//! # Invariants
//! - It ends when this process ends, however that ends: the kernel tells it.
//! - It is in a process group of its own, so that Ctrl-C in a terminal reaches only this process, which then stops
//!   the others in order.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::failure::Failure;
use crate::up::place::Place;

/// How often a process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often a process that was told to stop is looked at: a minute and a half, for a machine that ends its nodes.
const LOOKS_MAX: u32 = 900;
/// How much of a log is shown of a process that failed.
const TAIL_LINES: usize = 15;
/// How much of a log is read for that.
const TAIL_BYTES: u64 = 16 << 10;

/// How many warnings of a process are shown when the story fails.
const TROUBLE_LINES: usize = 5;

/// A process of the network.
#[derive(Debug)]
pub(super) struct Role {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where its log ended before it started.
    log_from: u64,
    ended: Option<ExitStatus>,
}

impl Role {
    /// Starts this binary with these arguments.
    pub(super) fn start(place: &Place, name: &str, arguments: &[String]) -> Result<Self, Failure> {
        let program = std::env::current_exe().context("find this program")?;
        let log = place.log(name);
        let log_from = length_of(&log);
        let output = OpenOptions::new().append(true).create(true).open(&log);
        let output = output.with_context(|| format!("open {}", log.display()))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg("--with-parent")
            .arg(std::process::id().to_string())
            .arg("--hold")
            .arg(place.roles())
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share the log")?)
            .stderr(output)
            .env("NO_COLOR", "1")
            // What installers keep between runs stays in the folder too.
            .env("XDG_CACHE_HOME", place.path("cache"))
            .env("XDG_DATA_HOME", place.path("cache/data"))
            .process_group(0);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log, log_from, ended: None })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A failure if it has ended.
    pub(super) fn must_run(&mut self) -> Result<(), Failure> {
        match self.has_ended()? {
            None => Ok(()),
            Some(status) => Err(self.failure(&format!("ended ({status})"))),
        }
    }

    /// Waits until it has ended, which must go well.
    pub(super) fn must_end(mut self) -> Result<(), Failure> {
        let status = self.child.wait().with_context(|| format!("wait for {}", self.name))?;
        match status.success() {
            true => Ok(()),
            false => Err(self.failure(&format!("ended ({status})"))),
        }
    }

    /// A failure of this process, with the end of its log.
    pub(super) fn failure(&self, what: &str) -> Failure {
        let tail = tail(&self.log);
        let log = Place::short(&self.log);
        let shown: Vec<String> = tail.iter().map(|line| format!("  | {line}")).collect();
        let what = format!("{} {what}; the end of {log}:\n{}", self.name, shown.join("\n"));
        Failure::ended(what, format!("all of it is in {log}"))
    }

    /// What it writes, from its start.
    pub(super) fn lines(&self) -> LogLines {
        LogLines { path: self.log.clone(), offset: self.log_from }
    }

    /// Its last warnings and errors.
    pub(super) fn trouble(&self) -> Vec<String> {
        let is_trouble = |line: &String| line.contains(" WARN ") || line.contains(" ERROR ");
        let lines: Vec<String> = self.lines().fresh().into_iter().filter(is_trouble).collect();
        let from = lines.len().saturating_sub(TROUBLE_LINES);
        lines[from..].iter().map(|line| format!("  {} | {line}", self.name)).collect()
    }

    /// Tells it to stop.
    pub(super) fn tell_to_stop(&mut self) {
        if self.has_ended().is_ok_and(|ended| ended.is_none())
            && let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            // It may end in between; then there is nobody to tell.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits until it has stopped; one that does not is killed. Whether it stopped by itself and well.
    pub(super) fn wait(&mut self) -> bool {
        for _ in 0..LOOKS_MAX {
            match self.has_ended() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => thread::sleep(LOOK_EVERY),
                Err(_) => break,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        false
    }

    fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            let ended = self.child.try_wait();
            self.ended = ended.with_context(|| format!("look at {}", self.name))?;
        }
        Ok(self.ended)
    }
}

fn tail(log: &Path) -> Vec<String> {
    let Ok(mut file) = File::open(log) else { return Vec::new() };
    let length = file.metadata().map(|about| about.len()).unwrap_or_default();
    let _ = file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)));
    let mut bytes = Vec::new();
    let _ = file.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines[from..].iter().map(|line| (*line).to_owned()).collect()
}

fn length_of(path: &Path) -> u64 {
    fs::metadata(path).map(|about| about.len()).unwrap_or_default()
}

/// Lines of a log as they are written.
#[derive(Debug)]
pub(super) struct LogLines {
    path: PathBuf,
    offset: u64,
}

impl LogLines {
    /// The lines that were written since the last call.
    pub(super) fn fresh(&mut self) -> Vec<String> {
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        let mut bytes = Vec::new();
        if file.seek(SeekFrom::Start(self.offset)).is_err() || file.read_to_end(&mut bytes).is_err()
        {
            return Vec::new();
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.offset = self.offset.saturating_add(u64::try_from(whole).unwrap_or_default());
        String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned).collect()
    }
}

/// What a line of a worker's log says of a step that takes time: `step="…"`.
pub(super) fn step_of(line: &str) -> Option<&str> {
    line.split_once("step=\"")?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_in_a_line() {
        let line =
            r#"2026-11-22T17:00:00Z  INFO agent::run: preparing the runtime step="checking""#;
        assert_eq!(step_of(line), Some("checking"));
        assert_eq!(step_of("INFO the agent runs"), None);
    }

    #[test]
    fn only_whole_new_lines_are_told() {
        let path = std::env::temp_dir().join(format!("iog-lines-{}", std::process::id()));
        fs::write(&path, "old\n").unwrap();
        let mut lines = LogLines { path: path.clone(), offset: length_of(&path) };
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"one\ntw").unwrap();
        assert_eq!(lines.fresh(), ["one"]);
        std::io::Write::write_all(&mut file, b"o\n").unwrap();
        assert_eq!(lines.fresh(), ["two"]);
        assert_eq!(lines.fresh(), [""; 0]);
        fs::remove_file(&path).unwrap();
    }
}
