//! The porter: the agent's own program in a node's network.
//!
//! # Invariants
//! - It is told where to go and what to make, once; after that it gives out sockets, and has no privilege left.
//! - It reads nothing of the node's: it stands in the namespaces of its network and of the users who own that, and in
//!   no other.
//! - It ends when nobody holds the other end of its desk.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::desk::Desk;
use super::{Addresses, DEVICE, SocketKind, egress};
use crate::runtime::agent_program::AgentProgram;
use crate::runtime::inside::{self, Inside};
use crate::runtime::process::Process;

/// What the program is told so that it becomes the porter.
const WORDS: [&str; 3] = ["worker", "in-node", "porter"];
/// Settings of a network that make it hand on packets.
const FORWARDING: [&str; 3] = [
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv4/conf/all/route_localnet",
    "/proc/sys/net/ipv6/conf/all/forwarding",
];
/// How long it may take for what it is asked: it waits for nobody itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a porter is told first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The node's first process.
    pub(super) first: Process,
    /// The user to become when all is made, where the agent is root.
    pub(super) user: Option<u32>,
    /// What to do there.
    pub(super) task: Task,
}

/// What a porter is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Make the mesh's device, and give out sockets from then on.
    Serve {
        /// Where the node is in its mesh.
        addresses: Addresses,
        /// What may leave for the Internet; nothing leaves there without.
        rules: Option<String>,
    },
    /// Lay down these rules in place of others, and end.
    LayDown(String),
}

/// Its answers; a file is beside each that is well, but where rules were laid down.
type Answer = Result<(), String>;

/// A porter that stands.
#[derive(Debug)]
pub(in crate::runtime) struct Porter {
    program: AgentProgram,
    desk: Mutex<Desk>,
    child: Mutex<Child>,
    process: Process,
}

impl Porter {
    /// Sends a porter to a node. Returns the mesh's device, too.
    pub(super) fn start(
        program: &AgentProgram,
        inside: &Inside,
        asked: &Asked,
    ) -> Result<(Self, OwnedFd)> {
        let (desk, mut child) = send(program, inside)?;
        let tun = desk.say(asked, &[]).and_then(|()| answered(&desk));
        let tun = tun.inspect_err(|_| end(&mut child)).context("make the node's network")?;
        let process = Process::with_pid(child.id()).context("find the porter")?;
        let (desk, child) = (Mutex::new(desk), Mutex::new(child));
        Ok((Self { program: program.clone(), desk, child, process }, tun))
    }

    /// The agent's program.
    pub(super) const fn program(&self) -> &AgentProgram {
        &self.program
    }

    pub(super) fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    /// Its number, whose namespaces are those of the network.
    pub(super) const fn pid(&self) -> i32 {
        self.process.pid
    }

    pub(super) fn socket(&self, kind: SocketKind) -> io::Result<OwnedFd> {
        let desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = desk.say(&kind, &[]).and_then(|()| heard(&desk));
        if asked.is_err() {
            // What comes late would be taken for the answer to the next question.
            self.process.signal(rustix::process::Signal::KILL);
        }
        let given = asked.and_then(|answer| answer.map_err(|fault| anyhow!("{fault}")));
        given.map_err(|fault| io::Error::other(format!("{fault:#}")))
    }
}

impl Drop for Porter {
    fn drop(&mut self) {
        end(self.child.get_mut().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Has somebody else than the one who serves lay down rules: he has no right to any more.
pub(super) fn lay_down(program: &AgentProgram, inside: &Inside, asked: &Asked) -> Result<()> {
    let (desk, mut child) = send(program, inside)?;
    let answer = desk.say(asked, &[]).and_then(|()| desk.hear::<Answer>());
    end(&mut child);
    let (answer, _) = answer?.context("hear the porter: it has ended")?;
    answer.map_err(|fault| anyhow!("{fault}"))
}

/// Starts a porter, who waits to be told what to do.
fn send(program: &AgentProgram, inside: &Inside) -> Result<(Desk, Child)> {
    let (desk, theirs) = Desk::pair().context("make a desk for a porter")?;
    desk.wait_at_most(Some(PATIENCE)).context("bound the patience with a porter")?;
    let mut command = Command::new(program.path()?);
    command.args(WORDS).env_clear().envs(inside.environment()).current_dir("/");
    command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().context("start a porter")?;
    Ok((desk, child))
}

fn end(child: &mut Child) {
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// The file that it gives, or why it gives none.
fn heard(desk: &Desk) -> Result<Result<OwnedFd, String>> {
    let (answer, files): (Answer, _) = desk.hear()?.context("hear the porter: it has ended")?;
    Ok(match answer {
        Ok(()) => Ok(files.into_iter().next().context("take what the porter gives")?),
        Err(fault) => Err(fault),
    })
}

fn answered(desk: &Desk) -> Result<OwnedFd> {
    heard(desk)?.map_err(|fault| anyhow!("{fault}"))
}

/// Is the porter that the agent started this process for, until nobody asks any more.
///
/// # Errors
/// If nobody is there to be answered.
pub fn porter() -> Result<()> {
    let desk = Desk::inherited()?;
    let (asked, _) = desk.hear::<Asked>()?.context("hear what to do")?;
    let done = enter(asked.first).and_then(|()| match &asked.task {
        Task::Serve { addresses, rules } => {
            set_up(addresses, rules.as_deref(), asked.user).map(Some)
        }
        Task::LayDown(rules) => egress::lay_down(rules).map(|()| None),
    });
    match done {
        Ok(Some(tun)) => desk.say(&Answer::Ok(()), &[tun.as_fd()])?,
        Ok(None) => return desk.say(&Answer::Ok(()), &[]),
        Err(fault) => return desk.say(&Answer::Err(format!("{fault:#}")), &[]),
    }
    while let Some((kind, _)) = desk.hear::<SocketKind>()? {
        let (family, of) = kind.of();
        match rustix::net::socket_with(family, of, SocketFlags::CLOEXEC, None) {
            Ok(socket) => desk.say(&Answer::Ok(()), &[socket.as_fd()])?,
            Err(fault) => desk.say(&Answer::Err(fault.to_string()), &[])?,
        }
    }
    Ok(())
}

/// Makes what is to be in the node's network, and gives up what it needed for that.
fn set_up(addresses: &Addresses, rules: Option<&str>, user: Option<u32>) -> Result<OwnedFd> {
    if let Some(rules) = rules {
        egress::lay_down(rules)?;
    }
    forward_nothing()?;
    let tun = mesh_shell::make_device(DEVICE, addresses.mtu, &addresses.blocks())?;
    inside::drop_privileges(user).context("give up the porter's privileges")?;
    Ok(tun)
}

/// Makes this network hand nothing on from one device to another: a network begins with the machine's own settings, and
/// those of a router, or of a machine with containers, would have the mesh lead through the node to its supplier's.
fn forward_nothing() -> Result<()> {
    for setting in FORWARDING {
        match fs::write(setting, "0") {
            Ok(()) => {}
            // The system has no such protocol.
            Err(fault) if fault.kind() == ErrorKind::NotFound => {}
            Err(fault) => {
                // Where settings cannot be written, they may be right.
                let is_off = fs::read_to_string(setting).is_ok_and(|now| now.trim() == "0");
                ensure!(is_off, "keep the node from being a router: write {setting}: {fault}");
            }
        }
    }
    Ok(())
}

/// Goes into a process's network, and to the users who own it.
fn enter(first: Process) -> Result<()> {
    let pid = Pid::from_raw(first.pid).context("name the node's first process")?;
    let held = rustix::process::pidfd_open(pid, PidfdFlags::empty());
    let _held = held.context("find the node's first process")?;
    let network = File::open(format!("/proc/{}/ns/net", first.pid));
    let network = network.context("find the node's network")?;
    // Its number may have been given to another meanwhile, but not since it is held.
    ensure!(first.is_alive(), "find the node's first process: it has ended");
    let is_own = |file: &File, name: &str| -> Result<bool> {
        let own = std::fs::metadata(format!("/proc/self/ns/{name}"));
        Ok(own.context("look at the own namespaces")?.ino() == file.metadata()?.ino())
    };
    if is_own(&network, "net")? {
        bail!("enter the node's network: it is the machine's own");
    }
    let owner = mesh_shell::owner_of_namespace(network.as_fd());
    let owner = File::from(owner.context("find the owner of the node's network")?);
    if !is_own(&owner, "user")? {
        join(&owner, LinkNameSpaceType::User)?;
    }
    join(&network, LinkNameSpaceType::Network)
}

fn join(namespace: &File, kind: LinkNameSpaceType) -> Result<()> {
    let joined: Result<(), Errno> = move_into_link_name_space(namespace.as_fd(), Some(kind));
    joined.context("enter the node's network")
}
