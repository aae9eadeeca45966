//! Nodes with a network of their own, by the kernel's word: a small program stands for Ray. As root, and as an ordinary
//! user. Where this system does not let them be made, the runtime must say so, and nothing else is looked at.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agent::runtime::net::{Addresses, Ended, Nets, NodeNet, Run};
use agent::runtime::{AgentProgram, RayConfig, RayRuntime, Secrets};
use agent::{Egress, Sandbox};
use mesh_shell::{Config, Engine};
use units::{RentalId, Resources};
use worker::{NodeKey, NodeOrder, NodePhase};

const PATIENCE: Duration = Duration::from_secs(60);
const ORDINARY_USER: &str = "61234";

/// What stands for Ray: it answers every question, where Ray would listen.
const RAY: &str = r#"
import http.server, sys, threading
words = sys.argv
get = lambda flag: words[words.index(flag) + 1]
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_):
        pass
ports = [get("--dashboard-agent-listen-port")]
if "--head" in words:
    ports += [get("--dashboard-port"), get("--port")]
for port in ports:
    at = (get("--node-ip-address"), int(port))
    threading.Thread(target=http.server.ThreadingHTTPServer(at, Answer).serve_forever).start()
"#;

/// The networks that were told of, newest last, and where others see this machine.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<Arc<NodeNet>>>, Mutex<BTreeSet<Ipv4Addr>>);

impl Nets for Told {
    fn is_up(&self, net: Arc<NodeNet>) {
        self.0.lock().unwrap().push(net);
    }

    fn is_down(&self, key: NodeKey) {
        self.0.lock().unwrap().retain(|net| net.key() != key);
    }

    fn seen_at(&self) -> BTreeSet<Ipv4Addr> {
        self.1.lock().unwrap().clone()
    }
}

struct Scene {
    folder: PathBuf,
    told: Arc<Told>,
}

impl Scene {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("iog-own-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, told: Arc::default() }
    }

    fn runtime(&self, egress: Egress) -> RayRuntime {
        let runtime = RayRuntime::new(RayConfig {
            data_dir: self.folder.join("data"),
            shared_dir: self.folder.join("shared"),
            address: "127.0.0.1".parse().unwrap(),
            ports: 20_000..=20_999,
            worker_name: "rack-3".to_owned(),
            sandbox: Sandbox::Auto,
            driver: None,
            own_network: true,
            egress,
            nets: self.told.clone(),
            program: AgentProgram::of(program()),
        });
        let runtime = runtime.unwrap();
        let environment = runtime.environment().folder();
        let bin = environment.join("bin");
        fs::create_dir_all(&bin).unwrap();
        let ray = environment.join("ray.py");
        fs::write(&ray, RAY).unwrap();
        let python = format!("#!/bin/sh\nexec python3 {} \"$@\"\n", ray.display());
        fs::write(bin.join("python"), python).unwrap();
        fs::set_permissions(bin.join("python"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(environment.join("whole"), "").unwrap();
        runtime
    }

    fn net(&self, node: u32) -> Arc<NodeNet> {
        let told = self.told.0.lock().unwrap();
        told.iter().rfind(|net| net.key().node == node).unwrap().clone()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A program that has the agent's part in nodes: this package's example.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().parent().unwrap().join("examples/ray_try");
    assert!(program.exists(), "cargo builds examples with all tests: build {}", program.display());
    program
}

fn addresses(node: u32) -> Addresses {
    let at = u8::try_from(16 + node).unwrap();
    Addresses {
        v4: [100, 64, 32, at].into(),
        v4_block: ([100, 64, 32, 0].into(), 20),
        v6: [0xfd20, 0, 0, 0, 0, 0, 0, at.into()].into(),
        v6_block: ([0xfd20, 0, 0, 0, 0, 0, 0, 0].into(), 48),
        mtu: 1_380,
        resolver: None,
    }
}

fn order(node: u32) -> NodeOrder {
    NodeOrder {
        key: key(node),
        nodes: 2,
        resources: Resources { gpus: 0, vcpus: 1, memory_mib: 256, disk_mib: 64 },
        gpus: Vec::new(),
        has_mesh: true,
        head: (node > 0).then(|| SocketAddr::new(addresses(0).v4.into(), 20_000)),
        jobs: Vec::new(),
    }
}

fn key(node: u32) -> NodeKey {
    NodeKey { rental: RentalId::from_bits(u128::from(std::process::id())), node }
}

fn start(runtime: &mut RayRuntime, node: u32) {
    let secrets = Secrets { token: "5ecret".to_owned() };
    runtime.start(&order(node), &secrets, Some(&addresses(node))).unwrap();
    until("the node is ready", || match runtime.inspect(key(node)).phase {
        NodePhase::Ready => true,
        NodePhase::Starting => false,
        NodePhase::Gone { reason } => panic!("{reason}"),
    });
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a command in the node prints, and how it ends.
fn said(net: &NodeNet, command: &str) -> (String, Ended) {
    let run = Run { command: Some(command.to_owned()), ..Run::default() };
    let mut running = net.run(&run).unwrap();
    drop(running.stdin.take());
    let mut text = String::new();
    running.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    running.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (text, running.wait().unwrap())
}

/// Has a folder made in the node by what serves files there. Returns what it answered, and how it ended.
fn made_by_files(net: &NodeNet, name: &str) -> (Vec<u8>, Ended) {
    let mut running = net.run(&Run { files: true, ..Run::default() }).unwrap();
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap().to_be_bytes();
    // SFTP: the greeting of version 3, and message 7, which makes a folder.
    let greeting = [1, 0, 0, 0, 3];
    let name = [&length(name.as_bytes()), name.as_bytes()].concat();
    let make = [&[14, 0, 0, 0, 7], name.as_slice(), &[0; 4]].concat();
    let said = [&length(&greeting), greeting.as_slice(), &length(&make), &make].concat();
    running.stdin.take().unwrap().write_all(&said).unwrap();
    let mut answers = Vec::new();
    running.stdout.take().unwrap().read_to_end(&mut answers).unwrap();
    (answers, running.wait().unwrap())
}

/// An engine for each network, and each the other's peer.
fn mesh(nets: [&NodeNet; 2]) -> [Engine; 2] {
    let engines = nets.map(|net| {
        let key = data_encoding::BASE64.encode(&[1 + u8::try_from(net.key().node).unwrap(); 32]);
        let text = format!("[Interface]\nPrivateKey = {key}\nMTU = 1380\n");
        let config = Config::parse("mesh0", &text).unwrap();
        let public = config.mesh.private.public();
        (Engine::start_on(config, net.tun().unwrap()).unwrap(), public)
    });
    let [(one, key_of_one), (other, key_of_other)] = engines;
    for (engine, peer, key, net) in
        [(&one, &other, key_of_other, nets[1]), (&other, &one, key_of_one, nets[0])]
    {
        let (v4, v6) = (net.addresses().v4, net.addresses().v6);
        let key = data_encoding::BASE64.encode(&key.0);
        let text = format!(
            "[Interface]\nPrivateKey = {key}\n[Peer]\nPublicKey = {key}\nAllowedIPs = {v4}/32, {v6}/128\n\
             Endpoint = 127.0.0.1:{}\n",
            peer.port().unwrap()
        );
        let peers = Config::parse("mesh0", &text).unwrap().peers;
        peers.into_iter().for_each(|peer| engine.set_peer(peer).unwrap());
    }
    [one, other]
}

/// The processes in this network.
fn processes_in(network: u64) -> impl Iterator<Item = PathBuf> {
    let of = |path: &PathBuf| fs::metadata(path.join("ns/net")).map(|it| it.ino()).ok();
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    all.filter(move |path| of(path) == Some(network))
}

/// Whether any process is in this network.
fn is_used(network: u64) -> bool {
    processes_in(network).next().is_some()
}

/// What says that a network hands on packets.
const FORWARDING: [&str; 2] =
    ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];

/// Has a network hand on packets, as one does from its beginning on a machine that is a router.
fn forward(network: u64) {
    let process = processes_in(network).next().unwrap();
    let net = format!("--net={}", process.join("ns/net").display());
    for setting in FORWARDING {
        let write = format!("test ! -e {setting} || echo 1 > {setting}");
        assert!(
            Command::new("nsenter").args([&net, "sh", "-c", &write]).status().unwrap().success()
        );
    }
}

fn network_of(net: &NodeNet) -> u64 {
    let (text, _) = said(net, "readlink /proc/self/ns/net");
    text.trim().trim_start_matches("net:[").trim_end_matches(']').parse().unwrap()
}

/// Does this once as it is, and if it is root, once more as an ordinary user: `name` is the test's.
fn as_root_and_ordinary_user(name: &str, test: impl Fn(&mut RayRuntime, &Scene), egress: Egress) {
    let scene = Scene::new(name);
    let mut runtime = scene.runtime(egress);
    match runtime.can_mesh() {
        Ok(()) => test(&mut runtime, &scene),
        Err(why) => assert!(!could(&runtime), "{why}"),
    }
    if rustix::process::geteuid().is_root() {
        let ids = ["--reuid", ORDINARY_USER, "--regid", ORDINARY_USER, "--clear-groups"];
        let mut again = Command::new("setpriv");
        again.args(ids).arg(reachable_copy(&scene));
        let ran = again.args(["--exact", &format!("own_network::{name}"), "--nocapture"]).output();
        let ran = ran.unwrap();
        let text = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && text.contains("1 passed"), "as an ordinary user: {text}");
    }
}

/// This program and the one beside it, where everybody can reach them: what is built may lie in root's own folder.
fn reachable_copy(scene: &Scene) -> PathBuf {
    let (tests, examples) = (scene.folder.join("copy/deps"), scene.folder.join("copy/examples"));
    fs::create_dir_all(&tests).unwrap();
    fs::create_dir_all(&examples).unwrap();
    fs::copy(program(), examples.join("ray_try")).unwrap();
    let copy = tests.join("it");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    copy
}

/// Whether this system has all that it takes.
fn could(runtime: &RayRuntime) -> bool {
    let device = fs::File::options().read(true).write(true).open("/dev/net/tun");
    runtime.sandbox() == agent::runtime::sandbox::Kind::Bubblewrap && device.is_ok()
}

#[test]
fn two_nodes_meet_in_their_mesh_and_leave_nothing() {
    as_root_and_ordinary_user(
        "two_nodes_meet_in_their_mesh_and_leave_nothing",
        |runtime, scene| {
            start(runtime, 0);
            start(runtime, 1);
            let nets = [scene.net(0), scene.net(1)];
            let engines = mesh([&nets[0], &nets[1]]);
            let head = SocketAddr::new(addresses(0).v4.into(), 20_007);
            let asked = format!(
                "python3 -c \"import urllib.request as r; print(r.urlopen('http://{head}/').status)\""
            );
            assert_eq!(said(&nets[1], &asked), ("200\n".to_owned(), Ended::Code(0)));
            assert!(nets[1].dial(head, PATIENCE).is_ok(), "from the node next door");
            let listener = nets[0].listen("[::]:22".parse().unwrap()).unwrap();
            let mut to =
                nets[1].dial(SocketAddr::new(IpAddr::V6(addresses(0).v6), 22), PATIENCE).unwrap();
            to.write_all(b"hello").unwrap();
            drop(to);
            let mut text = String::new();
            listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");

            let networks = nets.each_ref().map(|net| network_of(net));
            assert!(networks[0] != networks[1] && networks.iter().all(|network| is_used(*network)));
            drop((engines, nets, listener));
            runtime.stop(key(1)).unwrap();
            runtime.stop(key(0)).unwrap();
            assert!(scene.told.0.lock().unwrap().is_empty());
            until("nobody is in the networks", || {
                !networks.iter().any(|network| is_used(*network))
            });
        },
        Egress::Off,
    );
}

#[test]
fn a_node_stays_in_its_mesh_while_its_agent_is_gone() {
    as_root_and_ordinary_user(
        "a_node_stays_in_its_mesh_while_its_agent_is_gone",
        |runtime, scene| {
            start(runtime, 0);
            let net = scene.net(0);
            let own = SocketAddr::new(addresses(0).v4.into(), 20_007);
            let (network, mut before) = (network_of(&net), net.dial(own, PATIENCE).unwrap());
            drop(net);
            scene.told.0.lock().unwrap().clear();
            if rustix::process::geteuid().is_root() {
                forward(network);
            }
            // What an agent that is killed leaves: the record, and the node.
            drop(std::mem::replace(runtime, scene.runtime(Egress::Off)));
            assert_eq!(runtime.adopt(), [key(0)]);
            assert_eq!(runtime.inspect(key(0)).phase, NodePhase::Ready);
            let net = scene.net(0);
            assert_eq!(network_of(&net), network);
            let (text, _) = said(&net, &format!("cat {}", FORWARDING.join(" ")));
            assert!(text.lines().all(|line| line != "1"), "the node is a router: {text}");
            before.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            let mut text = String::new();
            before.read_to_string(&mut text).unwrap();
            assert!(text.contains("200"), "a connection of before holds: {text}");
            assert!(net.dial(own, PATIENCE).is_ok() && net.tun().is_ok());
            drop(net);
            runtime.stop(key(0)).unwrap();
            until("nobody is in the network", || !is_used(network));
        },
        Egress::Off,
    );
}

#[test]
fn a_program_in_a_node_has_the_nodes_user_environment_and_terminal() {
    as_root_and_ordinary_user(
        "a_program_in_a_node_has_the_nodes_user_environment_and_terminal",
        |runtime, scene| {
            start(runtime, 0);
            let net = scene.net(0);
            let (text, ended) = said(
                &net,
                "id -u; pwd; echo $IOG_NODE; ls /; grep CapEff /proc/self/status; exit 3",
            );
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!((lines[1], lines[2], ended), ("/iog/home", "0", Ended::Code(3)), "{text}");
            let is_root = rustix::process::geteuid().is_root();
            assert!(
                lines[0] != "0" && (!is_root || lines[0].parse::<u32>().unwrap() > 0x7000_0000)
            );
            assert!(lines.contains(&"CapEff:\t0000000000000000"), "{text}");
            let env = vec![("TERM".to_owned(), "xterm".to_owned())];
            let run = Run { terminal: Some((100, 40)), env, ..Run::default() };
            let mut shell = net.run(&run).unwrap();
            let mut terminal = shell.terminal.take().unwrap();
            terminal.write_all(b"tty; stty size; echo $TERM; exit 5\n").unwrap();
            let mut bytes = Vec::new();
            // A terminal whose other end is closed is a fault to read.
            let _ = terminal.read_to_end(&mut bytes);
            let text = String::from_utf8_lossy(&bytes);
            for told in ["/dev/pts/", "40 100", "xterm"] {
                assert!(text.contains(told), "{text}");
            }
            assert_eq!(shell.wait().unwrap(), Ended::Code(5));
            let (answers, ended) = made_by_files(&net, "made");
            assert_eq!((answers[4], ended), (2, Ended::Code(0)), "a greeting first");
            let done = [101, 0, 0, 0, 7, 0, 0, 0, 0];
            assert!(answers.windows(done.len()).any(|words| words == done), "{answers:?}");
            let (text, _) = said(&net, "id -u; stat -c %u /iog/home/made");
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines[0], lines[1], "it is the node's own user who makes it");
            let run = Run { command: Some("sleep 600".to_owned()), ..Run::default() };
            let running = net.run(&run).unwrap();
            drop(running);
            until("it ends with whoever asked", || said(&net, "pgrep -x sleep").0.is_empty());
            drop(net);
            runtime.stop(key(0)).unwrap();
        },
        Egress::Off,
    );
}

#[test]
fn a_node_reaches_the_outside_and_nothing_of_its_machine() {
    as_root_and_ordinary_user(
        "a_node_reaches_the_outside_and_nothing_of_its_machine",
        |runtime, scene| {
            start(runtime, 0);
            let net = scene.net(0);
            let (has_pasta, dial) = (runtime.leads_out().is_ok(), |to: &str| dialed(&net, to));
            let own = own_address();
            let listener = std::net::TcpListener::bind((own, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let refused = |to: &str| {
                let text = dial(to);
                assert!(text.trim().parse::<i32>().is_ok_and(|code| code != 0), "{to}: {text}");
            };
            until("there is a way out", || !has_pasta || has_way_out(&net));
            refused(&format!("{own}:{port}"));
            for near in ["192.168.1.1:80", "10.0.0.1:80", "169.254.169.254:80", "127.0.0.1:22"] {
                refused(near);
            }
            let (rules, _) = said(&net, "cat /etc/resolv.conf");
            assert_eq!(rules.contains("192.0.0.3"), has_pasta, "{rules}");
            drop(net);
            runtime.stop(key(0)).unwrap();
            let log = scene.folder.join("data/ray");
            assert_eq!(fs::read_dir(log).unwrap().count(), 0);
        },
        Egress::Internet,
    );
}

#[test]
fn a_node_can_change_neither_the_agents_program_nor_what_starts_programs() {
    as_root_and_ordinary_user(
        "a_node_can_change_neither_the_agents_program_nor_what_starts_programs",
        |runtime, scene| {
            start(runtime, 0);
            let net = scene.net(0);
            for made in ["/x", "/dev/x", "/etc/x"] {
                let (text, ended) = said(&net, &format!("touch {made}"));
                assert_eq!(ended, Ended::Code(1), "{made}: {text}");
            }
            let taken = "rm -f /lib64 /dev/ptmx 2> /dev/null; ls -d /lib64 /dev/ptmx";
            assert_eq!(said(&net, taken).0, "/dev/ptmx\n/lib64\n");
            let (text, ended) = said(&net, "touch /tmp/x /iog/x /dev/shm/x && echo 1 > /dev/null");
            assert_eq!(ended, Ended::Code(0), "{text}");
            let run = Run { command: Some("sleep 600".to_owned()), ..Run::default() };
            let running = net.run(&run).unwrap();
            let network = network_of(&net);
            let of = |path: PathBuf| fs::read_link(path.join("exe")).ok();
            let run: Vec<PathBuf> = processes_in(network).filter_map(of).collect();
            assert!(!run.contains(&program()), "no file of the machine is run in there: {run:?}");
            let copies = run.iter().filter(|path| path.starts_with("/memfd:iog (deleted)")).count();
            assert_eq!(copies, 2, "a porter, and what waits for the program: {run:?}");
            drop(running);
            drop(net);
            runtime.stop(key(0)).unwrap();
        },
        Egress::Off,
    );
}

#[test]
fn a_way_out_is_shut_by_an_agent_that_is_told_so_and_opened_by_the_next() {
    as_root_and_ordinary_user(
        "a_way_out_is_shut_by_an_agent_that_is_told_so_and_opened_by_the_next",
        |runtime, scene| {
            if runtime.leads_out().is_err() {
                return;
            }
            start(runtime, 0);
            until("there is a way out", || has_way_out(&scene.net(0)));
            for egress in [Egress::Off, Egress::Internet] {
                scene.told.0.lock().unwrap().clear();
                drop(std::mem::replace(runtime, scene.runtime(egress)));
                assert_eq!(runtime.inspect(key(0)).phase, NodePhase::Ready);
                let net = scene.net(0);
                let is_open = egress == Egress::Internet;
                until("the way out is as it was told", || has_way_out(&net) == is_open);
                let (names, _) = said(&net, "cat /etc/resolv.conf");
                assert_eq!(names.contains("192.0.0.3"), is_open, "{names}");
            }
            runtime.stop(key(0)).unwrap();
        },
        Egress::Internet,
    );
}

#[test]
fn where_others_see_a_machine_its_nodes_do_not_reach_it() {
    as_root_and_ordinary_user(
        "where_others_see_a_machine_its_nodes_do_not_reach_it",
        |runtime, scene| {
            start(runtime, 0);
            let net = scene.net(0);
            until("there is a way out", || runtime.leads_out().is_err() || has_way_out(&net));
            let prohibited = rustix::io::Errno::HOSTUNREACH.raw_os_error().to_string();
            let is_refused = || dialed(&net, "198.51.100.7:9").trim() == prohibited;
            if runtime.leads_out().is_ok() && !is_refused() {
                scene.told.1.lock().unwrap().insert([198, 51, 100, 7].into());
                until("the rules are laid down anew", || {
                    assert_eq!(runtime.inspect(key(0)).phase, NodePhase::Ready);
                    is_refused()
                });
            }
            drop(net);
            runtime.stop(key(0)).unwrap();
        },
        Egress::Internet,
    );
}

fn has_way_out(net: &NodeNet) -> bool {
    said(net, "ls /proc/sys/net/ipv4/conf").0.contains("up0")
}

/// What comes of connecting from the node: a number of the system's, 0 if all is well.
fn dialed(net: &NodeNet, to: &str) -> String {
    let (host, port) = to.split_once(':').unwrap();
    let script = "import socket; s = socket.socket(); s.settimeout(5)";
    let asked = format!("{script}; print(s.connect_ex(('{host}', {port})))");
    said(net, &format!("python3 -c \"{asked}\"")).0
}

/// An address of this machine that is not its loopback, if it has one.
fn own_address() -> IpAddr {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent.
    let _ = socket.connect("198.51.100.1:9");
    let found = socket.local_addr().map(|at| at.ip());
    found.ok().filter(|ip| !ip.is_unspecified()).unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

#[test]
fn a_machine_that_is_told_not_to_gives_no_node_a_network() {
    let scene = Scene::new("told-not-to");
    let runtime = RayRuntime::new(RayConfig {
        data_dir: scene.folder.join("data"),
        shared_dir: scene.folder.join("shared"),
        address: "127.0.0.1".parse().unwrap(),
        ports: 20_000..=20_999,
        worker_name: "rack-3".to_owned(),
        sandbox: Sandbox::Plain,
        driver: None,
        own_network: true,
        egress: Egress::Off,
        nets: scene.told.clone(),
        program: AgentProgram::running(),
    });
    let mut runtime = runtime.unwrap();
    let why = runtime.can_mesh().unwrap_err().to_owned();
    assert!(why.contains("sandbox"), "{why}");
    let secrets = Secrets { token: "5ecret".to_owned() };
    let fault = runtime.start(&order(0), &secrets, Some(&addresses(0))).unwrap_err();
    assert!(format!("{fault:#}").contains(&why), "{fault:#}");
    assert!(!Path::new("/sys/class/net/mesh0").exists());
}
