//! Whether this machine can give nodes a network of their own: it is tried, with a room like a node's.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use units::RentalId;
use worker::NodeKey;

use super::{Addresses, Making, NodeNet};
use crate::runtime::agent_program::AgentProgram;
use crate::runtime::inside::{Inside, Way};
use crate::runtime::process::{Process, wait_until};
use crate::runtime::sandbox::{self, Kind, Names, Room};

/// What devices of networks are made from.
const TUN: &str = "/dev/net/tun";
/// How much is read of what bubblewrap says.
const SAID_BYTES_MAX: u64 = 4_096;
/// How long the room may take to have a first process.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tries it in a folder, which is left as it was found; `program` is the agent's.
pub(in crate::runtime) fn try_out(
    program: &AgentProgram,
    folder: &Path,
    user: Option<u32>,
) -> Result<(), String> {
    tunnels(Path::new(TUN))?;
    let place = folder.join("network-probe");
    let tried = tried(program, &place, user);
    let _ = std::fs::remove_dir_all(&place);
    tried.map_err(|fault| format!("{fault:#}"))
}

/// Whether the device is there from which devices of networks are made, or what it lacks.
fn tunnels(device: &Path) -> Result<(), String> {
    let fault = match File::options().read(true).write(true).open(device) {
        Ok(_) => return Ok(()),
        Err(fault) => fault,
    };
    let (device, kind) = (device.display(), fault.kind());
    Err(if kind == ErrorKind::NotFound {
        format!(
            "there is no {device} (hint: modprobe tun; a container is given it: --device {device})"
        )
    } else if kind == ErrorKind::PermissionDenied {
        format!("this user may not use {device} (hint: chmod 666 {device})")
    } else {
        format!("{device} does not work: {fault} (hint: modprobe tun)")
    })
}

fn tried(program: &AgentProgram, place: &Path, user: Option<u32>) -> Result<()> {
    let [passwd, resolv, hosts] = ["passwd", "resolv.conf", "hosts"].map(|name| place.join(name));
    std::fs::create_dir_all(place.join("tmp")).context("make a folder")?;
    [&passwd, &resolv, &hosts].into_iter().try_for_each(|file| std::fs::write(file, ""))?;
    let room = Room {
        kind: Kind::Bubblewrap,
        names: Some(Names { resolv: &resolv, hosts: &hosts }),
        user,
        folder: place,
        passwd: &passwd,
        readable: Vec::new(),
        host_name: "probe",
        shared_memory: 1 << 20,
        cards: Vec::new(),
    };
    let words = room.prefix();
    let (first, rest) = words.split_first().context("name the sandbox")?;
    let mut command = Command::new(first);
    command
        .args(rest)
        .arg("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("run bwrap")?;
    let made = in_room(program, place, user, &mut child);
    // It ends with what it reads, and the sandbox with it: killed, it would leave its first process to others.
    drop(child.stdin.take());
    if !wait_until(PATIENCE, || !matches!(child.try_wait(), Ok(None))) {
        let _ = child.kill();
    }
    let _ = child.wait();
    made
}

fn in_room(
    program: &AgentProgram,
    place: &Path,
    user: Option<u32>,
    child: &mut Child,
) -> Result<()> {
    let outer = Process::with_pid(child.id()).context("find the sandbox")?;
    let mut inner = None;
    wait_until(PATIENCE, || {
        inner = outer.children().first().copied();
        inner.is_some() || child.try_wait().is_ok_and(|ended| ended.is_some())
    });
    let Some(first) = inner else {
        let _ = child.kill();
        let mut said = String::new();
        if let Some(from) = &mut child.stderr {
            // What cannot be read was not said.
            let _ = from.take(SAID_BYTES_MAX).read_to_string(&mut said);
        }
        bail!("{}", sandbox::with_hint(said.trim()));
    };
    let inside = Inside::trial(Way::into_room(first, user), place);
    let addresses = Addresses {
        v4: [100, 64, 0, 16].into(),
        v4_block: ([100, 64, 0, 0].into(), 20),
        v6: [0xfd00, 0, 0, 0, 0, 0, 0, 16].into(),
        v6_block: ([0xfd00, 0, 0, 0, 0, 0, 0, 0].into(), 48),
        mtu: 1_280,
        resolver: None,
    };
    let environment = Vec::new();
    let making = Making { program, inside, first, addresses, rules: None, environment };
    let net = NodeNet::make(making)?;
    ensure!(net.key() == trial_key() && net.is_alive(), "keep a porter");
    net.socket(super::SocketKind::Tcp4).map(drop).context("get a socket")
}

/// The node that is none.
pub(in crate::runtime) const fn trial_key() -> NodeKey {
    NodeKey { rental: RentalId::from_bits(0), node: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn a_system_without_devices_of_networks_is_told_what_it_lacks() {
        let scratch = Scratch::new("trial");
        let why = tunnels(&scratch.path().join("tun")).unwrap_err();
        assert!(why.contains("hint: modprobe tun"), "{why}");
        assert!(tunnels(scratch.path()).unwrap_err().contains("does not work"), "a folder");
        tunnels(Path::new("/dev/null")).unwrap();
    }
}
