//! A node behind a router that nobody can guess the ports of is met directly if the router leads a port to it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use mesh::mapping::SERVER_PORT;
use mesh::mapping::upnp::SEARCH_AT;
use mesh::{Suite, WayKind};
use namespaces::{Nat, Rig, matrix, rig_or_skip};

use crate::lab::Lab;

const OUTER: u16 = 40_007;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Pcp,
    NatPmp,
    Upnp,
}

/// A router's server for mappings, which has the kernel do what it grants. Until it is dropped.
struct Server {
    stop: Arc<AtomicBool>,
    /// The port outside that it has granted.
    granted: Arc<AtomicU16>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// In the router "nat-a", for whoever asks.
    fn start(rig: &Rig, speaks: Speaks) -> Self {
        let place = rig.at("nat-a");
        let at = |port: u16| place.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)));
        let is_upnp = speaks == Speaks::Upnp;
        let socket = at(if is_upnp { SEARCH_AT.port() } else { SERVER_PORT });
        let (socket, probe) = (socket.expect("the port is free"), at(0).expect("a port is free"));
        let pages = place.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)));
        let pages = pages.expect("a port is free");
        let pages_port = pages.local_addr().expect("it has one").port();
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("it takes a time-out");
        let (stop, outside) = (Arc::<AtomicBool>::default(), place.v4());
        let (stopped, ended) = (stop.clone(), stop.clone());
        let nft = |rule: &str| place.exec("nft").arg(rule).status().expect("it runs").success();
        assert!(nft("add table ip mapped"));
        assert!(nft("add chain ip mapped in { type nat hook prerouting priority -110; }"));
        let netns = place.netns().to_owned();
        let granted = Arc::new(AtomicU16::new(0));
        let known = granted.clone();
        let grant = move |to: SocketAddr, port: u16, outer: u16| {
            let rule = format!(
                "add rule ip mapped in iifname \"wan*\" udp dport {outer} dnat to {}:{port}",
                to.ip()
            );
            known.store(outer, Relaxed);
            let mut command = std::process::Command::new("ip");
            let done = command.args(["netns", "exec", &netns, "nft", &rule]).status();
            assert!(done.expect("it runs").success(), "{rule}");
        };
        let grants = grant.clone();
        let reads = move || serve(&pages, &ended, outside, &grants);
        let body = move || {
            let mut buffer = [0; 1100];
            while !stopped.load(Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                if is_upnp {
                    assert!(buffer.starts_with(b"M-SEARCH * HTTP/1.1\r\n"));
                    probe.connect(from).expect("there is a way back");
                    let own = probe.local_addr().expect("it has one").ip();
                    let found = format!(
                        "HTTP/1.1 200 OK\r\nLOCATION: http://{own}:{pages_port}/desc.xml\r\n\r\n"
                    );
                    let _gone = socket.send_to(found.as_bytes(), from);
                    continue;
                }
                let Some((port, answer)) = answer(&buffer[..len], speaks, outside) else {
                    continue;
                };
                if let Some(port) = port {
                    grant(from, port, OUTER);
                }
                let _gone = socket.send_to(&answer, from);
            }
        };
        Self { stop, granted, threads: vec![std::thread::spawn(body), std::thread::spawn(reads)] }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("the server does not panic");
        }
    }
}

/// Pages of a router that speaks `UPnP`.
fn serve(
    pages: &TcpListener,
    stop: &AtomicBool,
    outside: Ipv4Addr,
    grant: &impl Fn(SocketAddr, u16, u16),
) {
    let refused = |code: u16| format!("<errorCode>{code}</errorCode>");
    let mut asked = 0;
    pages.set_nonblocking(true).expect("it may not wait");
    while !stop.load(Relaxed) {
        let Ok((mut connection, from)) = pages.accept() else {
            std::thread::park_timeout(Duration::from_millis(10));
            continue;
        };
        connection.set_nonblocking(false).expect("it may wait");
        let question = question(&mut connection);
        let within = |name: &str| {
            let (_, rest) = question.split_once(&format!("<{name}>"))?;
            rest.split_once('<').map(|(inside, _)| inside.to_owned())
        };
        let page = if question.starts_with("GET /desc.xml ") {
            "<root><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
             <controlURL>/ctl</controlURL></service></root>"
                .to_owned()
        } else if question.contains("#GetExternalIPAddress\"") {
            format!("<NewExternalIPAddress>{outside}</NewExternalIPAddress>")
        } else if question.contains("#AddPortMapping\"") {
            assert_eq!(within("NewInternalClient"), Some(from.ip().to_string()));
            let port =
                |name: &str| within(name).and_then(|port| port.parse().ok()).expect("a port");
            asked += 1;
            // Another has the first port, and mappings have no end here.
            match (asked, within("NewLeaseDuration").as_deref()) {
                (1, _) => refused(718),
                (_, Some("0")) => {
                    grant(from, port("NewInternalPort"), port("NewExternalPort"));
                    String::new()
                }
                (_, _) => refused(725),
            }
        } else {
            String::new()
        };
        let status = if page.starts_with("<errorCode>") { "500 No" } else { "200 OK" };
        let _gone = connection.write_all(format!("HTTP/1.1 {status}\r\n\r\n{page}").as_bytes());
    }
}

/// What is asked, head and body.
fn question(connection: &mut TcpStream) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        let len = connection.read(&mut piece).unwrap_or(0);
        all.extend_from_slice(&piece[..len]);
        let text = String::from_utf8_lossy(&all);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            length.is_none_or(|length| length.trim().parse() == Ok(body.len()))
        });
        if len == 0 || whole {
            return text.into_owned();
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
        (_, Speaks::Pcp | Speaks::NatPmp | Speaks::Upnp) => None,
    }
}

#[test]
fn a_mapped_port_makes_a_direct_way_where_there_is_none() {
    for speaks in [Speaks::Pcp, Speaks::NatPmp, Speaks::Upnp] {
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
        assert_eq!(at.port(), server.granted.load(Relaxed), "{speaks:?}");
        drop(server);
    }
}
