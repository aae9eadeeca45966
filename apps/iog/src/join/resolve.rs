//! Names of members for the programs of this machine.
//!
//! # Invariants
//! - No file of the system is written: what is set goes with the device.
//! - Nobody is waited for longer than a few seconds, whatever a service of the system does.
//! - That programs find names is said only after one was found as they find it.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What tells systemd-resolved.
const PROGRAM: &str = "resolvectl";
/// What the names end in.
const ZONE: &str = "~mesh";
/// How long one thing may take to be told, or to be found.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How programs of this machine come by names of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolves {
    /// They find them.
    Yes,
    /// The system's resolver finds them, and programs do not ask it.
    NotAsked,
    /// They do not: nobody is there who could be told.
    No,
}

/// Has the system's resolver ask the network's own for names of members. Says whether programs find this one there.
pub(super) fn set(device: &str, resolver: Ipv4Addr, (name, at): (&str, Ipv4Addr)) -> Resolves {
    let is_told = tell(PROGRAM, device, resolver, PATIENCE);
    match (finds(name, at), is_told) {
        (true, _) => Resolves::Yes,
        (false, true) => Resolves::NotAsked,
        (false, false) => Resolves::No,
    }
}

fn tell(program: &str, device: &str, resolver: Ipv4Addr, patience: Duration) -> bool {
    let resolver = resolver.to_string();
    // The first fails where there is no such program, or no service behind it.
    let steps = [["dns", device, &resolver], ["domain", device, ZONE]];
    let is_told = steps.iter().all(|words| is_done(program, words, patience))
        // Other names are asked elsewhere even where nobody else answers.
        && is_done(program, &["default-route", device, "no"], patience);
    if is_told {
        // Nor are members asked whether they are somebody without a dot. Where it cannot be said, it is so.
        for kind in ["llmnr", "mdns"] {
            is_done(program, &[kind, device, "no"], patience);
        }
    }
    is_told
}

fn is_done(program: &str, words: &[&str], patience: Duration) -> bool {
    let mut command = Command::new(program);
    let command = command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    let Ok(mut child) = command.stderr(Stdio::null()).spawn() else { return false };
    let until = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < until => thread::sleep(LOOK_EVERY),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// Whether programs of this machine find this name there.
fn finds(name: &str, at: Ipv4Addr) -> bool {
    let (found, wait) = mpsc::channel();
    let asked = (name.to_owned(), 0);
    // The system's own way to look names up has no bound that one could set.
    thread::spawn(move || {
        let is_there = |ip: IpAddr| ip == IpAddr::V4(at);
        let answer = asked.to_socket_addrs();
        let _ = found.send(answer.is_ok_and(|mut all| all.any(|one| is_there(one.ip()))));
    });
    wait.recv_timeout(PATIENCE).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    const RESOLVER: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 1);

    /// A program that writes down what it is told, and does this.
    fn program(folder: &Path, does: &str) -> String {
        let path = folder.join("resolvectl");
        let text = format!("#!/bin/sh\necho \"$@\" >> {}/told\n{does}\n", folder.display());
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path.display().to_string()
    }

    fn check(name: &str, does: &str, patience: Duration, (is_told, told): (bool, &str)) {
        let folder = std::env::temp_dir().join(format!("iog-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let program = program(&folder, does);
        assert_eq!(tell(&program, "iog0", RESOLVER, patience), is_told, "{name}");
        assert_eq!(fs::read_to_string(folder.join("told")).unwrap_or_default(), told, "{name}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_resolver_is_asked_for_these_names_alone_and_not_waited_for() {
        let all = "dns iog0 100.64.0.1\ndomain iog0 ~mesh\ndefault-route iog0 no\nllmnr iog0 no\nmdns iog0 no\n";
        let long = Duration::from_secs(60);
        check("well", "exit 0", long, (true, all));
        check("absent", "exit 1", long, (false, "dns iog0 100.64.0.1\n"));
        check("older", "case $1 in llmnr|mdns) exit 1; esac", long, (true, all));
        // Whether it came as far as writing that down is chance.
        let folder = std::env::temp_dir().join(format!("iog-stuck-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let stuck = program(&folder, "exec sleep 600");
        assert!(!tell(&stuck, "iog0", RESOLVER, Duration::from_millis(50)));
        fs::remove_dir_all(folder).unwrap();
        assert!(!tell("/nowhere/resolvectl", "iog0", RESOLVER, long));
    }

    #[test]
    fn a_name_is_found_as_programs_find_it() {
        assert!(finds("localhost", Ipv4Addr::LOCALHOST));
        assert!(!finds("localhost", RESOLVER));
    }
}
