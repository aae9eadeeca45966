//! A node behind a router that nobody can guess the ports of is met directly if the router leads a port to it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use mesh::mapping::SERVER_PORT;
use mesh::{Suite, WayKind};
use namespaces::{Nat, Rig, matrix, rig_or_skip};

use crate::lab::Lab;

const OUTER: u16 = 40_007;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Pcp,
    NatPmp,
}

/// A router's server for mappings, which has the kernel do what it grants. Until it is dropped.
struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// In the router "nat-a", for whoever asks.
    fn start(rig: &Rig, speaks: Speaks) -> Self {
        let place = rig.at("nat-a");
        let socket = place.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, SERVER_PORT)));
        let socket = socket.expect("the port is free");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("it takes a time-out");
        let (stop, outside) = (Arc::<AtomicBool>::default(), place.v4());
        let stopped = stop.clone();
        let nft = |rule: &str| place.exec("nft").arg(rule).status().expect("it runs").success();
        assert!(nft("add table ip mapped"));
        assert!(nft("add chain ip mapped in { type nat hook prerouting priority -110; }"));
        let netns = place.netns().to_owned();
        let grant = move |to: SocketAddr, port: u16| {
            let rule = format!(
                "add rule ip mapped in iifname \"wan*\" udp dport {OUTER} dnat to {}:{port}",
                to.ip()
            );
            let mut command = std::process::Command::new("ip");
            let granted = command.args(["netns", "exec", &netns, "nft", &rule]).status();
            assert!(granted.expect("it runs").success(), "{rule}");
        };
        let body = move || {
            let mut buffer = [0; 1100];
            while !stopped.load(Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                let Some((port, answer)) = answer(&buffer[..len], speaks, outside) else {
                    continue;
                };
                if let Some(port) = port {
                    grant(from, port);
                }
                let _gone = socket.send_to(&answer, from);
            }
        };
        Self { stop, thread: Some(std::thread::spawn(body)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server does not panic");
        }
    }
}

/// What the router answers, and which port inside it leads to, if it is asked for one.
fn answer(question: &[u8], speaks: Speaks, outside: Ipv4Addr) -> Option<(Option<u16>, Vec<u8>)> {
    let short = |at: usize| u16::from_be_bytes([question[at], question[at + 1]]);
    match (question, speaks) {
        ([2, 1, ..], Speaks::Pcp) if question.len() == 60 => {
            let wants = question[4..8] != [0; 4];
            let mut answer = question.to_vec();
            answer[1] = 0x81;
            answer[42..44].copy_from_slice(&OUTER.to_be_bytes());
            answer[44..60].copy_from_slice(&outside.to_ipv6_mapped().octets());
            Some((wants.then(|| short(40)), answer))
        }
        ([0, 0], Speaks::NatPmp) => {
            Some((None, [&[0, 128, 0, 0, 0, 0, 0, 9][..], &outside.octets()].concat()))
        }
        ([0, 1, ..], Speaks::NatPmp) if question.len() == 12 => {
            let wants = question[8..12] != [0; 4];
            let head = [0, 129, 0, 0, 0, 0, 0, 9, question[4], question[5]];
            let answer = [&head[..], &OUTER.to_be_bytes(), &question[8..12]].concat();
            Some((wants.then(|| short(4)), answer))
        }
        // What it does not speak it says so (RFC 6886, 3.5).
        ([2, ..], Speaks::NatPmp) => Some((None, vec![0, 128, 0, 1, 0, 0, 0, 9])),
        (_, Speaks::Pcp | Speaks::NatPmp) => None,
    }
}

#[test]
fn a_mapped_port_makes_a_direct_way_where_there_is_none() {
    for speaks in [Speaks::Pcp, Speaks::NatPmp] {
        assert!(!matrix::meet_directly(Nat::Symmetric, Nat::Easy), "they meet over a relay");
        let Some(rig) = rig_or_skip(&matrix::plan(Nat::Symmetric, Nat::Easy)) else { return };
        let server = Server::start(&rig, speaks);
        let lab = Lab::with(rig, &["a", "b"], &["relay-1"], Suite::Fast, |number, config| {
            config.maps_ports = number == 1;
        });
        assert!(lab.reaches(1, 0, false, 32), "{speaks:?}");
        assert!(lab.goes(1, 0, WayKind::Direct) && lab.goes(0, 1, WayKind::Direct), "{speaks:?}");
        let peers = lab.nodes[1].peers().expect("the node lives");
        let at = peers[0].way.and_then(|way| way.socket()).expect("a direct way");
        assert_eq!(at.port(), OUTER, "{speaks:?}");
        drop(server);
    }
}
