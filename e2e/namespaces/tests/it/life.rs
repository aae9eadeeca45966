//! The life of a rig: what it leaves behind, and programs that run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use namespaces::{Nat, Node, Plan, rig_or_skip};

use crate::eventually;

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_rig_leaves_nothing_behind() {
    let Some(rig) = rig_or_skip(&Plan::v4([Node::host("a"), Node::host("b")])) else { return };
    let path = path_of(rig.at("a").netns());
    let mut sleeper = rig.at("b").spawn(Command::new("sleep").arg("100")).unwrap();
    let log = rig.new_file("log").unwrap();
    std::fs::write(&log, "said").unwrap();
    assert!(path.exists());
    drop(rig);
    assert!(!path.exists() && !log.exists());
    assert!(!sleeper.wait().unwrap().success(), "it was ended with its network");
}

#[test]
fn what_a_killed_process_left_goes_with_the_next_rig() {
    let plan = Plan::v4([Node::host("a")]);
    let Some(first) = rig_or_skip(&plan) else { return };
    // No process has this id: they end at 2^22.
    let orphan = "iog-4194305-0-orphan";
    ip(&["netns", "add", orphan]);
    let mut stray = Command::new("ip");
    stray.args(["netns", "exec", orphan, "sleep", "100"]).stdout(Stdio::null());
    let mut stray = stray.spawn().unwrap();
    // Another test may be building at this very time, and sweep first.
    eventually(|| !said_of_processes_in(orphan).is_empty() || !path_of(orphan).exists());
    let second = rig_or_skip(&plan).unwrap();
    assert!(!path_of(orphan).exists());
    assert!(!stray.wait().unwrap().success());
    for rig in [&first, &second] {
        assert!(path_of(rig.at("a").netns()).exists(), "the living stay");
    }
}

fn path_of(netns: &str) -> PathBuf {
    Path::new("/run/netns").join(netns)
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success());
}

fn said_of_processes_in(netns: &str) -> Vec<u8> {
    Command::new("ip").args(["netns", "pids", netns]).output().unwrap().stdout
}

#[test]
fn what_a_program_says_is_kept_and_its_end_is_seen() {
    let Some(rig) = rig_or_skip(&Plan::v4([Node::host("a")])) else { return };
    let a = rig.at("a");
    let mut peer = a
        .peer(
            "sh",
            &["-c", "ip -o -4 addr show dev eth0; echo ready >&2; read line; exec sleep 100"],
        )
        .unwrap();
    let line = peer.line_with(&a.v4().to_string(), SOON).unwrap();
    assert!(line.contains("eth0"), "{line}");
    peer.line_with("ready", SOON).unwrap();
    assert!(peer.is_running());
    let fault = peer.line_with("never said", Duration::from_millis(20)).unwrap_err();
    assert!(fault.to_string().contains("did not say"), "{fault}");
    assert!(!peer.stop().unwrap().success());
    let fault = peer.line_with("never said", SOON).unwrap_err();
    assert!(fault.to_string().contains("ended"), "{fault}");
    // The same name again is another log.
    let mut other = a.peer("sh", &["-c", "echo other"]).unwrap();
    assert_eq!(other.wait(SOON).unwrap().code(), Some(0));
    assert!(peer.log().contains("ready") && other.log() == "other\n");
}

#[test]
fn a_program_sees_its_own_interfaces_and_server_of_names() {
    let Some(rig) = rig_or_skip(&Plan::v4([Node::host("a")])) else { return };
    let a = rig.at("a");
    rig.name_server("a", a.v4().into()).unwrap();
    let mut command = a.exec("sh");
    command.args(["-c", "ls /sys/class/net; cat /etc/resolv.conf; exec sleep 100"]);
    let mut peer = a.start("look", command).unwrap();
    peer.line_with(&format!("nameserver {}", a.v4()), SOON).unwrap();
    assert!(peer.log().starts_with("eth0\nlo\n"), "{}", peer.log());
    assert!(peer.resident_kib().unwrap() > 0 && peer.cpu().unwrap() > Duration::ZERO);
}

#[test]
fn what_a_program_started_counts_as_its_own() {
    let Some(rig) = rig_or_skip(&Plan::v4([Node::host("a")])) else { return };
    let count = "n=0; while [ $n -lt 30000 ]; do n=$((n+1)); done; echo counted; exec sleep 100";
    let mut peer = rig.at("a").peer("sh", &["-c", &format!("({count}) & wait")]).unwrap();
    peer.line_with("counted", SOON).unwrap();
    let own = std::fs::read_to_string(format!("/proc/{}/schedstat", peer.pid())).unwrap();
    let own: u64 = own.split(' ').next().unwrap().parse().unwrap();
    assert!(peer.cpu().unwrap() > 2 * Duration::from_nanos(own), "{own}");
}

#[test]
fn many_nodes_are_built_together() {
    let homes = (0..12).flat_map(|n| {
        let home = format!("home-{n}");
        [Node::router(&home, Nat::Easy), Node::host(&format!("node-{n}")).behind(&home)]
    });
    let Some(rig) = rig_or_skip(&Plan::both([Node::host("relay")].into_iter().chain(homes))) else {
        return;
    };
    for n in 0..12 {
        let (socket, reflector, _) = crate::asked(&rig, &format!("node-{n}"), "relay");
        assert!(crate::answers(&socket, &reflector), "node-{n}");
    }
}
