//! A program that runs at a place: its words are kept, and it ends with the test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};

use crate::kernel;
use crate::place::Place;

/// How often a log is looked at again for a line.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a program may take to end when asked to.
const FAREWELL: Duration = Duration::from_secs(5);
/// What is printed of a log when a test fails.
const TAIL_LINES: usize = 100;

/// A running program. Dropping it kills it; when a test fails, the end of what it said is printed.
#[derive(Debug)]
pub struct Peer {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Peer {
    pub(crate) fn start(
        place: &Place<'_>,
        name: &str,
        mut command: Command,
    ) -> anyhow::Result<Peer> {
        let name = format!("{}-{name}", place.name());
        let log = place.rig.new_file(&format!("{name}.log"))?;
        let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let same = file.try_clone().context("share a log")?;
        command.stdin(Stdio::null()).stdout(file).stderr(same);
        let child = place.spawn(&mut command)?;
        Ok(Peer { name, child, log })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// All it has said so far, on both streams.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The first line that contains some text, as soon as it is there.
    pub fn line_with(&mut self, text: &str, within: Duration) -> anyhow::Result<String> {
        let end = Instant::now() + within;
        loop {
            // Looked at before the log: what it said before it ended is there.
            let ended = self.child.try_wait().context("look at a process")?;
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            if let Some(status) = ended {
                bail!("{} ended ({status}) and never said `{text}`", self.name);
            }
            if Instant::now() >= end {
                bail!("{} did not say `{text}` within {within:?}", self.name);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// How it ended, or a fault if it did not in that time.
    pub fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let ended = kernel::wait(&mut self.child, within)?;
        ended.with_context(|| format!("{} did not end within {within:?}", self.name))
    }

    /// How long its threads, and those of processes that it started, have run on processors so far; those that have
    /// ended do not count.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let mut nanos = 0;
        for pid in family(self.pid()) {
            for task in tasks(pid).with_context(|| format!("list threads of {}", self.name))? {
                // A thread may end in between.
                let said = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
                nanos += said.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0);
            }
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Memory of its own and of processes that it started that is in use, in KiB.
    pub fn resident_kib(&self) -> anyhow::Result<u64> {
        let of = |pid: u32| -> anyhow::Result<u64> {
            let said =
                fs::read_to_string(format!("/proc/{pid}/status")).context("read a status")?;
            let line = said.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.context("the process has ended")
        };
        family(self.pid()).into_iter().map(of).sum()
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, and ends it if it does not.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        if let Some(status) = kernel::wait(&mut self.child, FAREWELL)? {
            return Ok(status);
        }
        self.kill()
    }

    /// As if its machine had lost power.
    pub fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.kill().context("kill a process")?;
        self.child.wait().context("wait for a process")
    }

    /// [`Signal::STOP`] holds it, [`Signal::CONT`] lets it go on.
    pub fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        if self.is_running() {
            rustix::process::kill_process(Pid::from_child(&self.child), signal)
                .context("signal a process")?;
        }
        Ok(())
    }
}

/// A process, and all that it started and that have not ended: a server may have one for each connection.
fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(pid) = family.get(next).copied() {
        next += 1;
        for task in tasks(pid).unwrap_or_default() {
            let children = fs::read_to_string(task.join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    family
}

fn tasks(pid: u32) -> std::io::Result<Vec<PathBuf>> {
    fs::read_dir(format!("/proc/{pid}/task"))?.map(|task| Ok(task?.path())).collect()
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            print_tail(&self.name, &self.log());
        }
    }
}

#[expect(clippy::print_stderr, reason = "a failed test shows what its programs said")]
fn print_tail(name: &str, log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    eprintln!(
        "--- {name}, the last {} of {} lines ---\n{}",
        tail.len(),
        lines.len(),
        tail.join("\n")
    );
}
