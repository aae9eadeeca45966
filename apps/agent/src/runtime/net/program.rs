//! A program in a node, started from outside: a shell of a renter who came by SSH.
//!
//! ```text
//!   agent ──desk──► in the node's namespaces, halfway ──desk──► inside: the node's user ──exec──► program
//!         ◄─fds, end──┘ makes the terminal, waits for the end             without privileges
//! ```
//!
//! # Invariants
//! - What the renter says, the program's environment with it, means nothing to any process before the program itself:
//!   it travels in messages, neither in variables nor in arguments.
//! - A program ends with whoever asked for it; what it leaves in the background ends with the node.

use std::fs::File;
use std::io::BufReader;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use serde::{Deserialize, Serialize};

use super::desk::Desk;
use crate::runtime::agent_program::{self, AgentProgram};
use crate::runtime::inside::{Inside, Way};
use crate::sftp;

/// What the program is told so that it becomes the process outside of the program, and the one inside.
const WORDS: [&str; 3] = ["worker", "in-node", "program"];
/// The place of terminals in a node.
const TERMINALS: &str = "/dev/ptmx";
/// How long what goes into a node may take until the program runs, and whoever asked for it waits for that: the longer,
/// so that the first is heard. A node can stop what is inside of it.
const INSIDE_PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(15);
const SHELL: &str = "/bin/sh";
/// The shell of people, where the machine has it.
const SHELL_OF_PEOPLE: &str = "/bin/bash";

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// A command for the shell; a shell for people if absent.
    pub command: Option<String>,
    /// Whether files are served in place of a command, to who speaks SFTP.
    pub files: bool,
    /// Columns and rows of its terminal; none if absent.
    pub terminal: Option<(u16, u16)>,
    /// Variables beside the node's own, over which they win.
    pub env: Vec<(String, String)>,
}

/// A program that runs. It is ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Its terminal, to be read and written, if it has one.
    pub terminal: Option<File>,
    /// What it reads, if it has no terminal.
    pub stdin: Option<File>,
    /// What it writes, if it has no terminal.
    pub stdout: Option<File>,
    /// What it writes of errors, if it has no terminal.
    pub stderr: Option<File>,
    desk: Desk,
    child: Child,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What the processes in the node are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Told {
    way: Way,
    command: Option<String>,
    files: bool,
    terminal: Option<(u16, u16)>,
    environment: Vec<(String, String)>,
}

/// What is heard of them.
#[derive(Debug, Serialize, Deserialize)]
enum Heard {
    /// It runs; the terminal is beside this, if there is one.
    Runs,
    /// It does not, and why.
    Fails(String),
    /// It has ended.
    Ended(Ended),
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// If nobody can say how it ended: the node is gone.
    pub fn wait(&self) -> Result<Ended> {
        match self.desk.hear()? {
            Some((Heard::Ended(ended), _)) => Ok(ended),
            Some((Heard::Runs | Heard::Fails(_), _)) | None => bail!("hear how it ended"),
        }
    }

    /// Ends it, also while somebody waits for its end.
    pub fn end(&self) {
        // Who hears nothing more of whoever asked ends the program.
        let _ = rustix::net::shutdown(&self.desk, rustix::net::Shutdown::Both);
    }

    /// Changes the size of its terminal.
    ///
    /// # Errors
    /// If it has none.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let terminal = self.terminal.as_ref().context("find its terminal")?;
        rustix::termios::tcsetwinsize(terminal, size(columns, rows)).context("change its terminal")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Starts a program in a node.
pub(super) fn start(
    agent: &AgentProgram,
    inside: &Inside,
    environment: &[(String, String)],
    what: &Run,
) -> Result<Running> {
    let (desk, theirs) = Desk::pair().context("make a desk for a program")?;
    let mut words = inside.prefix();
    words.push(agent.path()?.to_string_lossy().into_owned());
    let (first, rest) = words.split_first().context("name the program")?;
    let mut command = Command::new(first);
    command.args(rest).args(WORDS).env_clear().envs(inside.environment()).current_dir("/");
    command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().context("start a process for the node")?;
    drop(command);
    let environment = environment.iter().chain(&what.env).cloned().collect();
    let (way, terminal) = (inside.way.clone(), what.terminal);
    let (command, files) = (what.command.clone(), what.files);
    let told = Told { way, command, files, terminal, environment };
    let mut running =
        Running { terminal: None, stdin: None, stdout: None, stderr: None, desk, child };
    let mut theirs = Vec::new();
    if what.terminal.is_none() {
        let [input, output, errors] = [(); 3].map(|()| std::io::pipe());
        let ((input, to), (from, output), (bad, errors)) = (input?, output?, errors?);
        theirs = vec![OwnedFd::from(input), output.into(), errors.into()];
        let [to, from, bad] = [OwnedFd::from(to), from.into(), bad.into()].map(File::from);
        (running.stdin, running.stdout, running.stderr) = (Some(to), Some(from), Some(bad));
    }
    let files: Vec<_> = theirs.iter().map(AsFd::as_fd).collect();
    running.desk.say(&told, &files)?;
    running.terminal = runs(&running.desk, PATIENCE)?;
    Ok(running)
}

/// Hears that the program runs, and takes its terminal if it has one. How long it runs is not bounded.
fn runs(desk: &Desk, patience: Duration) -> Result<Option<File>> {
    desk.wait_at_most(Some(patience)).context("bound the patience with a program")?;
    match desk.hear()?.context("hear of the program: its process has ended")? {
        (Heard::Runs, files) => {
            desk.wait_at_most(None).context("wait for a program")?;
            Ok(files.into_iter().next().map(File::from))
        }
        (Heard::Fails(why), _) => bail!("run it in the node: {why}"),
        (Heard::Ended(_), _) => bail!("run it in the node: it ended at once"),
    }
}

/// Is the process that starts a program in a node, for the agent that started this process.
///
/// # Errors
/// If nobody is there to be answered, or the program cannot be started.
pub fn program() -> Result<()> {
    let desk = Desk::inherited()?;
    let (told, files) = desk.hear::<Told>()?.context("hear what to run")?;
    if !told.way.leads_inside() {
        return become_it(desk, &told, &files);
    }
    let mut child = match go_inside(&told, files) {
        Ok((child, terminal)) => {
            let terminal: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
            desk.say(&Heard::Runs, &terminal)?;
            child
        }
        Err(fault) => return desk.say(&Heard::Fails(format!("{fault:#}")), &[]),
    };
    if let Some(status) = wait(&mut child, &desk)? {
        desk.say(&Heard::Ended(ended(status)), &[])?;
    }
    Ok(())
}

fn ended(status: ExitStatus) -> Ended {
    let of_signal = || Ended::Signal(status.signal().unwrap_or_default());
    status.code().map_or_else(of_signal, Ended::Code)
}

/// Waits for a program's end; `None` if whoever asked for it is gone before, and it with him.
fn wait(child: &mut Child, desk: &Desk) -> Result<Option<ExitStatus>> {
    let pid = Pid::from_raw(child.id().cast_signed()).context("name the program")?;
    let held = rustix::process::pidfd_open(pid, PidfdFlags::empty()).context("find the program")?;
    loop {
        let mut waits = [PollFd::new(&held, PollFlags::IN), PollFd::new(desk, PollFlags::IN)];
        match poll(&mut waits, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(fault) => return Err(fault).context("wait for the program"),
        }
        if !waits[0].revents().is_empty() {
            return child.wait().map(Some).context("wait for the program");
        }
        if !waits[1].revents().is_empty() {
            // Nothing is said to it any more but by going.
            let _ = child.kill();
            return child.wait().map(|_| None).context("wait for the program");
        }
    }
}

/// Starts this program again in the node, and hands it what it is to be. Returns the terminal's end for the agent.
fn go_inside(told: &Told, files: Vec<OwnedFd>) -> Result<(Child, Option<OwnedFd>)> {
    // Held open: inside, its file has no name.
    let program = agent_program::held_open()?;
    told.way.enter()?;
    let (terminal, files) = match told.terminal {
        Some((columns, rows)) => terminal(told.way.user(), size(columns, rows))?,
        None => (None, files),
    };
    let (desk, theirs) = Desk::pair().context("make a desk for what is inside")?;
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.args(WORDS).stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().context("start inside the node")?;
    drop(command);
    let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let told = Told { way: told.way.rest(), ..told.clone() };
    let became = desk.say(&told, &files).and_then(|()| becomes(&desk, INSIDE_PATIENCE));
    match became {
        Ok(()) => Ok((child, terminal)),
        Err(fault) => {
            // It may have ended already. Killed, it ends also where the node has stopped it.
            let _ = child.kill();
            let _ = child.wait();
            Err(fault)
        }
    }
}

/// Waits until what is inside is the program.
fn becomes(desk: &Desk, patience: Duration) -> Result<()> {
    desk.wait_at_most(Some(patience)).context("bound the patience with what is inside")?;
    match desk.hear().context("hear what is inside")? {
        // The end of its desk: it has become the program.
        None => Ok(()),
        Some((Heard::Fails(why), _)) => Err(anyhow!("{why}")),
        Some((Heard::Runs | Heard::Ended(_), _)) => bail!("understand what is inside"),
    }
}

/// A terminal of the node: the agent's end, and the program's three streams.
fn terminal(user: Option<u32>, size: Winsize) -> Result<(Option<OwnedFd>, Vec<OwnedFd>)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let ours = rustix::fs::open(TERMINALS, flags, Mode::empty()).context("open a terminal")?;
    rustix::io::ioctl_fionbio(&ours, false).context("open a terminal")?;
    rustix::pty::unlockpt(&ours).context("unlock a terminal")?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags).context("open a terminal's end")?;
    if let Some(id) = user {
        let (user, group) = (rustix::fs::Uid::from_raw(id), rustix::fs::Gid::from_raw(id));
        rustix::fs::fchown(&theirs, Some(user), Some(group)).context("give the terminal away")?;
    }
    rustix::termios::tcsetwinsize(&ours, size).context("size a terminal")?;
    let copy = || theirs.try_clone().context("share a terminal");
    let streams = vec![copy()?, copy()?, copy()?];
    Ok((Some(ours), streams))
}

/// Becomes the program. Returns only if it cannot.
fn become_it(desk: Desk, told: &Told, files: &[OwnedFd]) -> Result<()> {
    let turned = give_up(told, files);
    let fault = match turned.map(|()| told.files) {
        Ok(true) => {
            // Its end says that what serves files runs.
            drop(desk);
            return serve_files(told, files);
        }
        Ok(false) => exec(told),
        Err(fault) => fault,
    };
    desk.say(&Heard::Fails(format!("{fault:#}")), &[])
}

/// Has the program's streams and terminal, and nothing that the program may not have.
fn give_up(told: &Told, files: &[OwnedFd]) -> Result<()> {
    let [input, output, errors] = files else { bail!("have three streams") };
    rustix::stdio::dup2_stdin(input).context("set standard input")?;
    rustix::stdio::dup2_stdout(output).context("set standard output")?;
    rustix::stdio::dup2_stderr(errors).context("set standard error")?;
    rustix::process::setsid().context("begin a session")?;
    if told.terminal.is_some() {
        rustix::process::ioctl_tiocsctty(input).context("take the terminal")?;
    }
    told.way.give_up()
}

/// Where the program begins.
fn home(told: &Told) -> &str {
    let home = told.environment.iter().rev().find(|(name, _)| name == "HOME");
    home.map_or("/", |(_, home)| home.as_str())
}

fn serve_files(told: &Told, files: &[OwnedFd]) -> Result<()> {
    // One who has no home begins where this process did.
    let _ = std::env::set_current_dir(home(told));
    let [input, output, _] = files else { bail!("have three streams") };
    let stream = |file: &OwnedFd| file.try_clone().map(File::from).context("have a stream");
    sftp::serve(BufReader::new(stream(input)?), stream(output)?).context("serve files")
}

/// Becomes the program; returns why it cannot.
fn exec(told: &Told) -> anyhow::Error {
    let shell = if Path::new(SHELL_OF_PEOPLE).exists() { SHELL_OF_PEOPLE } else { SHELL };
    let mut command = Command::new(shell);
    match &told.command {
        Some(text) => command.args(["-c", text]),
        None => command.arg("-l"),
    };
    command.env_clear().envs(told.environment.iter().map(|(name, value)| (name, value)));
    command.env("SHELL", shell).current_dir(home(told));
    anyhow::Error::new(command.exec()).context("become the program")
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::Timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    #[test]
    fn what_is_stopped_in_a_node_is_not_waited_for() {
        let (ours, _theirs) = Desk::pair().unwrap();
        assert!(becomes(&ours, SHORT).is_err() && runs(&ours, SHORT).is_err());
    }

    #[test]
    fn a_program_that_runs_may_run_for_ever() {
        let (ours, theirs) = Desk::pair().unwrap();
        let theirs = Desk::of(theirs);
        theirs.say(&Heard::Runs, &[]).unwrap();
        assert!(runs(&ours, SHORT).unwrap().is_none());
        let patience = rustix::net::sockopt::socket_timeout(&ours, Timeout::Recv).unwrap();
        assert_eq!(patience, None);
        drop(theirs);
        becomes(&ours, SHORT).unwrap();
    }
}
