//! Processes by what the kernel says of them: who lives, who belongs to a node, and how one is ended.
//!
//! # Invariants
//! - A process is its number *and* the moment it started, so a reused number is never mistaken for it.
//! - A signal goes through a descriptor taken before that moment is checked, so it cannot hit a stranger.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use serde::{Deserialize, Serialize};

/// How often a dying process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One process of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Process {
    /// Its number.
    pub(super) pid: i32,
    /// When it started, in clock ticks since boot.
    pub(super) started: u64,
}

/// What `/proc/<pid>/stat` says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Which process.
    pub(super) process: Process,
    /// Whether it can still do anything; a zombie cannot.
    pub(super) alive: bool,
    /// Its parent's number.
    pub(super) parent: i32,
    /// Its session's number.
    pub(super) session: i32,
}

/// Reads a line of `/proc/<pid>/stat`. The command's name may hold anything, closing parentheses too.
pub(super) fn parse_stat(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(')')?;
    let pid = head.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    Some(Stat {
        process: Process { pid, started: fields.get(19)?.parse().ok()? },
        alive: !matches!(*fields.first()?, "Z" | "X" | "x"),
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
    })
}

pub(super) fn stat_of(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The effective user of `/proc/<pid>/status`.
fn parse_user(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

impl Process {
    /// The process that has this number now.
    pub(super) fn with_pid(pid: u32) -> Option<Self> {
        stat_of(i32::try_from(pid).ok()?).map(|stat| stat.process)
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&self) -> bool {
        stat_of(self.pid).is_some_and(|stat| stat.process == *self && stat.alive)
    }

    /// Its living children, by number.
    pub(super) fn children(&self) -> Vec<Self> {
        let of_ours = |stat: &Stat| stat.alive && stat.parent == self.pid;
        all().into_iter().filter(of_ours).map(|stat| stat.process).collect()
    }

    /// Sends a signal, unless it is gone already.
    pub(super) fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
        if self.is_alive() {
            // It may end between the look and the signal; then there is nobody to tell.
            let _ = rustix::process::pidfd_send_signal(handle, signal);
        }
    }

    /// Takes its exit status from the kernel if it was a child of ours, so that it does not stay as a zombie.
    pub(super) fn reap(&self) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Every process there is.
fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pid_of = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    entries.flatten().filter_map(pid_of).filter_map(stat_of).collect()
}

/// Whether any process runs as this user.
pub(super) fn runs_as(user: u32) -> bool {
    let of = |stat: &Stat| fs::read_to_string(format!("/proc/{}/status", stat.process.pid)).ok();
    all().iter().any(|stat| of(stat).as_deref().and_then(parse_user) == Some(user))
}

/// How the processes of a node are told from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// A variable, `NAME=value`, that every process of the node inherits unless it rewrites its own environment.
    pub(super) variable: String,
    /// The user only this node runs as.
    pub(super) user: Option<u32>,
    /// The process that leads, or led, its session.
    pub(super) leader: Option<Process>,
}

impl Mark {
    pub(super) fn is_on(&self, stat: &Stat) -> bool {
        let proc = Path::new("/proc").join(stat.process.pid.to_string());
        let user = || fs::read_to_string(proc.join("status")).ok().as_deref().and_then(parse_user);
        let environ = || fs::read(proc.join("environ")).unwrap_or_default();
        // A number is not given to another process while a session still bears it.
        let led = |leader: &Process| {
            leader.pid == stat.session
                && stat_of(leader.pid).is_none_or(|now| now.process == *leader)
        };
        self.leader.as_ref().is_some_and(led)
            || (self.user.is_some() && user() == self.user)
            || environ().split(|byte| *byte == 0).any(|entry| entry == self.variable.as_bytes())
    }

    /// The living processes that bear it.
    pub(super) fn bearers(&self) -> Vec<Process> {
        let borne = |stat: &Stat| stat.alive && self.is_on(stat);
        all().into_iter().filter(borne).map(|stat| stat.process).collect()
    }

    /// Kills every process that bears it, for at most `patience`. Says whether none is left.
    pub(super) fn kill_bearers(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            let left = self.bearers();
            if left.is_empty() {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            left.iter().for_each(|process| process.signal(Signal::KILL));
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Waits until `done`, for at most `patience`. Says whether it came to pass.
pub(super) fn wait_until(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    while !done() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_command_is_called() {
        let line = "42 (a) b) S 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        let process = Process { pid: 42, started: 98_765 };
        assert_eq!(parse_stat(line), Some(Stat { process, alive: true, parent: 7, session: 40 }));
        assert!(parse_stat(&line.replace(") S", ") Z")).is_some_and(|stat| !stat.alive));
        for wrong in ["", "42", "42 (x) S 1", "x (x) S 1 2 3"] {
            assert_eq!(parse_stat(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_effective_user_is_the_one_that_counts() {
        assert_eq!(parse_user("Name:\tx\nUid:\t1\t2\t3\t4\n"), Some(2));
        assert_eq!(parse_user("Name:\tx\n"), None);
    }

    #[test]
    fn a_process_is_not_taken_for_another_with_its_number() {
        let me = Process::with_pid(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!Process { started: me.started + 1, ..me }.is_alive());
    }

    #[test]
    fn a_marked_process_is_found_and_killed() {
        let mark = Mark {
            variable: format!("IOG_BOX=test-{}", std::process::id()),
            user: None,
            leader: None,
        };
        let (name, value) = mark.variable.split_once('=').unwrap();
        let mut child =
            std::process::Command::new("sleep").arg("600").env(name, value).spawn().unwrap();
        let process = Process::with_pid(child.id()).unwrap();
        assert!(wait_until(Duration::from_secs(10), || mark.bearers() == [process]));
        assert!(mark.kill_bearers(Duration::from_secs(10)));
        assert!(!process.is_alive());
        assert!(!child.wait().unwrap().success());
    }
}
