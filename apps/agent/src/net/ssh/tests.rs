//! The server with the stock client of OpenSSH, and programs of this machine in place of a node's.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::certificate::Builder;

use super::*;
use crate::runtime::scratch::Scratch;

/// This machine, as a node.
#[derive(Debug)]
struct Here;

struct Process(Mutex<Child>);

/// What serves files, on a thread.
struct Files(Mutex<Option<std::thread::JoinHandle<()>>>);

impl Control for Files {
    fn wait(&self) -> u32 {
        let thread = self.0.lock().unwrap().take();
        thread.map_or(1, |thread| u32::from(thread.join().is_err()))
    }

    fn resize(&self, _: u16, _: u16) {}

    fn end(&self) {}
}

fn files() -> Result<Program> {
    let [input, output, errors] = [(); 3].map(|()| io::pipe());
    let ((input, to), (from, output), (errors, _)) = (input?, output?, errors?);
    let serving = std::thread::spawn(move || drop(crate::sftp::serve(input, output)));
    Ok(Program {
        input: to.into(),
        output: from.into(),
        errors: Some(errors.into()),
        control: Arc::new(Files(Mutex::new(Some(serving)))),
    })
}

impl Control for Process {
    fn wait(&self) -> u32 {
        // Looked at again and again, so that it can be ended meanwhile.
        loop {
            if let Some(status) = self.0.lock().unwrap().try_wait().unwrap() {
                return status.code().map_or(128, |code| u32::try_from(code).unwrap());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn resize(&self, _: u16, _: u16) {}

    fn end(&self) {
        let _ = self.0.lock().unwrap().kill();
    }
}

impl Room for Here {
    fn run(&self, asked: &Asked) -> Result<Program> {
        if asked.files {
            return files();
        }
        let mut command = Command::new("sh");
        if let Some(words) = &asked.command {
            command.args(["-c", words]);
        }
        command.envs(asked.variables.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        Ok(Program {
            input: child.stdin.take().unwrap().into(),
            output: child.stdout.take().unwrap().into(),
            errors: Some(child.stderr.take().unwrap().into()),
            control: Arc::new(Process(Mutex::new(child))),
        })
    }

    fn dial(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        TcpStream::connect((host, port))
    }
}

/// A node's server, and a visitor's files.
struct Scene {
    scratch: Scratch,
    server: SshServer,
    at: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn openssh(number: u8) -> PrivateKey {
    PrivateKey::new(Ed25519Keypair::from_seed(&[number; 32]).into(), "").unwrap()
}

const NODE: u8 = 1;
const NETWORK: u8 = 2;
const VISITOR: u8 = 3;
const RIGHTS: [&str; 2] = ["permit-pty", "permit-port-forwarding"];
/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Scene {
    /// A server for the rental 7, and a visitor with a certificate for this one.
    fn new(name: &str, rental: u128) -> Self {
        let scene = Self::within(name, Limits::default());
        scene.write_visitor(RentalId::from_bits(rental), &RIGHTS);
        scene
    }

    /// The same that takes no more than this.
    fn within(name: &str, limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let network = NodeKey(key(NETWORK).verifying_key().to_bytes());
        let rented = RentalId::from_bits(7);
        let authority = Authority::new(network, rented);
        let server = SshServer::within(&key(NODE), authority, Arc::new(Here), limits).unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let at = listener.local_addr().unwrap();
        let serving = server.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        let scene = Self { scratch: Scratch::new(name), server, at, _runtime: runtime };
        scene.write_visitor(rented, &RIGHTS);
        scene
    }

    fn write_visitor(&self, rental: RentalId, rights: &[&str]) {
        let secret = self.file("id");
        fs::write(&secret, openssh(VISITOR).to_openssh(LineEnding::LF).unwrap()).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let now = crate::run::now().millis() / 1_000;
        let public = openssh(VISITOR).public_key().key_data().clone();
        let mut builder = Builder::new([1; 16], public, now - 60, now + 600).unwrap();
        builder.valid_principal(rental.to_string()).unwrap();
        for right in rights {
            builder.extension(*right, "").unwrap();
        }
        let certificate = builder.sign(&openssh(NETWORK)).unwrap();
        fs::write(self.file("id-cert.pub"), certificate.to_openssh().unwrap()).unwrap();
        let host = openssh(NODE).public_key().to_openssh().unwrap();
        let line = format!("[127.0.0.1]:{} {host}\n", self.at.port());
        fs::write(self.file("known_hosts"), line).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let option = |command: &mut Command, name: &str, value: &Path| {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        };
        command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]);
        command.args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]);
        option(&mut command, "UserKnownHostsFile", &self.file("known_hosts"));
        option(&mut command, "IdentityFile", &self.file("id"));
        option(&mut command, "CertificateFile", &self.file("id-cert.pub"));
        command
    }

    fn ssh(&self) -> Command {
        let mut command = self.client("ssh");
        command.args(["-p", &self.at.port().to_string()]);
        command
    }

    /// A visitor whose program runs.
    fn stays(&self, command: &str) -> Child {
        let mark = self.file("mark");
        let _ = fs::remove_file(&mark);
        let mut client = self.ssh();
        let command = format!("echo $$ > {0}.new; mv {0}.new {0}; {command}", mark.display());
        client.args(["visitor@127.0.0.1", &command]);
        client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = client.spawn().unwrap();
        eventually("its program runs", || mark.exists());
        child
    }

    /// Runs a command with this input. Returns its status, its output, and its complaints.
    fn run(&self, command: &str, input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
        let mut client = self.ssh();
        client.args(["visitor@127.0.0.1", command]);
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = client.spawn().unwrap();
        let mut into = child.stdin.take().unwrap();
        let input = input.to_vec();
        let feeding = std::thread::spawn(move || {
            let _ = into.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        feeding.join().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), output.stdout, complaints)
    }
}

#[test]
fn a_command_has_its_input_output_complaints_and_status() {
    let scene = Scene::new("ssh-exec", 7);
    let (status, output, complaints) = scene.run("echo to >&2; cat; exit 7", b"from here");
    assert_eq!((status, output.as_slice()), (Some(7), &b"from here"[..]), "{complaints}");
    assert_eq!(complaints, "to\n");
}

#[test]
fn much_goes_both_ways_at_once() {
    let scene = Scene::new("ssh-much", 7);
    let input: Vec<u8> = (0..40_000_000_u32).map(|byte| (byte % 251) as u8).collect();
    let (status, output, complaints) = scene.run("cat", &input);
    assert_eq!((status, output.len()), (Some(0), input.len()), "{complaints}");
    assert!(output == input);
}

#[test]
fn who_has_no_certificate_for_this_rental_stays_out() {
    let scene = Scene::new("ssh-other", 8);
    let (status, _, complaints) = scene.run("true", b"");
    assert_eq!(status, Some(255));
    assert!(complaints.contains("Permission denied"), "{complaints}");
    let scene = Scene::new("ssh-bare", 7);
    fs::remove_file(scene.file("id-cert.pub")).unwrap();
    let (status, _, complaints) = scene.run("true", b"");
    assert_eq!(status, Some(255), "a bare key opens nothing: {complaints}");
}

#[test]
fn connections_are_forwarded_into_the_node() {
    let scene = Scene::new("ssh-forward", 7);
    let program = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = program.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut visitor, _) = program.accept().unwrap();
        let mut asked = [0; 4];
        visitor.read_exact(&mut asked).unwrap();
        visitor.write_all(&asked).unwrap();
    });
    let mut client = scene.ssh();
    client.args(["-W", &at.to_string(), "visitor@127.0.0.1"]);
    client.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = client.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    child.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ping");
    answering.join().unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn files_are_copied_by_scp_with_its_old_protocol_and_by_sftp() {
    let scene = Scene::new("ssh-copy", 7);
    let (from, to, back) = (scene.file("from"), scene.file("to"), scene.file("back"));
    fs::write(&from, (0..300_000_u32).map(|byte| (byte % 251) as u8).collect::<Vec<_>>()).unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o640)).unwrap();
    // The protocols know seconds.
    let changed = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    fs::File::options().write(true).open(&from).unwrap().set_modified(changed).unwrap();
    let there = format!("visitor@127.0.0.1:{}", to.display());
    let copy = |options: &[&str], from: &str, to: &str| {
        let mut client = scene.client("scp");
        client.args(options).args(["-q", "-p", "-P", &scene.at.port().to_string()]);
        let output = client.args([from, to]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    for old in [&["-O"][..], &[]] {
        let _ = (fs::remove_file(&to), fs::remove_file(&back));
        copy(old, from.to_str().unwrap(), &there);
        copy(old, &there, back.to_str().unwrap());
        for copied in [&to, &back] {
            assert!(fs::read(copied).unwrap() == fs::read(&from).unwrap());
            let [copied, from] = [copied, &from].map(|path| fs::metadata(path).unwrap());
            assert_eq!(copied.permissions().mode() & 0o777, 0o640);
            assert_eq!(copied.modified().unwrap(), from.modified().unwrap());
        }
    }
}

#[test]
fn folders_are_walked_and_changed_by_sftp() {
    let scene = Scene::new("ssh-sftp", 7);
    let folder = scene.file("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("one"), "1").unwrap();
    let mut client = scene.client("sftp");
    client.args(["-q", "-b", "-", "-P", &scene.at.port().to_string(), "visitor@127.0.0.1"]);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = client.spawn().unwrap();
    let commands = "cd FOLDER\npwd\nmkdir deep\nrename one deep/two\nln -s two deep/link\n\
        chmod 600 deep/two\nls -l deep\nget deep/two ../got\nput ../got deep/put\nln deep/two deep/hard\n\
        -rm deep/none\nrename deep/put deep/hard\nrm deep/two\nls deep\n";
    let commands = commands.replace("FOLDER", folder.to_str().unwrap());
    let commands = commands.replace("../got", scene.file("got").to_str().unwrap());
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let [said, complaints] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{said}\n{complaints}");
    assert!(complaints.contains("none"), "what is not there is said: {complaints}");
    for line in [&format!("Remote working directory: {}", folder.display()), "two", "link"] {
        assert!(said.contains(line), "{line} in {said}");
    }
    let mut left: Vec<_> = fs::read_dir(folder.join("deep")).unwrap().flatten().collect();
    left.sort_by_key(fs::DirEntry::file_name);
    let left: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
    assert_eq!(left, ["hard", "link"]);
    assert_eq!(fs::read_to_string(folder.join("deep/hard")).unwrap(), "1");
    assert!(said.contains("-rw-------"), "{said}");
    assert_eq!(fs::read_to_string(scene.file("got")).unwrap(), "1");
}

#[test]
fn a_program_whose_visitor_is_gone_ends() {
    let scene = Scene::new("ssh-gone", 7);
    let mut child = scene.stays("exec sleep 600");
    let pid = fs::read_to_string(scene.file("mark")).unwrap();
    end(&mut child);
    until_gone(&pid);
}

fn until_gone(pid: &str) {
    let place = format!("/proc/{}/stat", pid.trim());
    let is_gone = || fs::read_to_string(&place).map_or(true, |stat| stat.contains(") Z"));
    eventually("the program ends", is_gone);
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn strangers_who_hold_their_places_keep_no_visitor_out() {
    let scene = Scene::within("ssh-strangers", Limits { strangers: 2, ..Limits::default() });
    // Each has its place before the next comes.
    let mut strangers = [(); 5].map(|()| {
        let mut stranger = std::net::TcpStream::connect(scene.at).unwrap();
        stranger.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut greeting = [0; SERVER.len()];
        stranger.read_exact(&mut greeting).unwrap();
        assert_eq!(greeting, SERVER.as_bytes());
        stranger
    });
    let (status, _, complaints) = scene.run("true", b"");
    assert_eq!(status, Some(0), "{complaints}");
    // A reset is an end, too.
    if let Err(fault) = strangers[0].read_to_end(&mut Vec::new()) {
        assert_eq!(fault.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn who_does_not_log_in_and_whose_time_is_over_is_cut_off() {
    let login_within = Duration::from_millis(50);
    let scene = Scene::within("ssh-silent", Limits { login_within, ..Limits::default() });
    let mut heard = Vec::new();
    let mut silent = std::net::TcpStream::connect(scene.at).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    if let Err(fault) = silent.read_to_end(&mut heard) {
        assert_eq!(fault.kind(), io::ErrorKind::ConnectionReset);
    }
    let lasts = Duration::from_millis(50);
    let scene = Scene::within("ssh-over", Limits { lasts, ..Limits::default() });
    let (status, _, complaints) = scene.run("sleep 600", b"");
    assert_eq!(status, Some(255), "{complaints}");
}

#[test]
fn when_a_node_ends_its_visitors_go_and_nobody_is_let_in() {
    let scene = Scene::new("ssh-closes", 7);
    let mut visitor = scene.stays("exec sleep 600");
    scene.server.close();
    eventually("the visitor goes", || visitor.try_wait().unwrap().is_some());
    until_gone(&fs::read_to_string(scene.file("mark")).unwrap());
    assert_eq!(scene.run("true", b"").0, Some(255));
}

#[test]
fn channels_of_all_visitors_together_are_bounded() {
    let scene = Scene::within("ssh-channels", Limits { channels: 1, ..Limits::default() });
    let mut first = scene.stays("exec sleep 600");
    let (status, _, complaints) = scene.run("true", b"");
    assert_eq!(status, Some(255), "{complaints}");
    let pid = fs::read_to_string(scene.file("mark")).unwrap();
    end(&mut first);
    until_gone(&pid);
    eventually("there is room again", || scene.run("true", b"").0 == Some(0));
}

#[test]
fn a_program_that_reads_nothing_holds_up_no_other_visitor() {
    let scene = Scene::new("ssh-unread", 7);
    let mut first = scene.stays("exec sleep 600");
    let mut into = first.stdin.take().unwrap();
    // The rest waits in the client.
    let feeding = std::thread::spawn(move || {
        let _ = into.write_all(&vec![7; 20 << 20]);
    });
    let (status, output, complaints) = scene.run("cat", &[8; 1_000_000]);
    assert_eq!((status, output.len()), (Some(0), 1_000_000), "{complaints}");
    let pid = fs::read_to_string(scene.file("mark")).unwrap();
    end(&mut first);
    feeding.join().unwrap();
    until_gone(&pid);
}

#[test]
fn a_certificate_that_does_not_permit_terminals_or_ports_opens_none() {
    let scene = Scene::new("ssh-rights", 7);
    let tried = |rights: &[&str]| {
        scene.write_visitor(RentalId::from_bits(7), rights);
        let mut terminal = scene.ssh();
        terminal.args(["-tt", "visitor@127.0.0.1", "true"]).stdin(Stdio::null());
        let terminal = terminal.output().unwrap();
        let mut port = scene.ssh();
        port.args(["-W", &scene.at.to_string(), "visitor@127.0.0.1"]).stdin(Stdio::null());
        [terminal, port.output().unwrap()]
            .map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let [terminal, port] = tried(&[]);
    assert!(terminal.contains("PTY allocation request failed"), "{terminal}");
    assert!(port.contains("administratively prohibited"), "{port}");
    let [terminal, port] = tried(&RIGHTS);
    assert!(!terminal.contains("PTY allocation"), "{terminal}");
    assert!(!port.contains("prohibited"), "{port}");
}

#[test]
fn a_kind_of_terminal_is_a_word() {
    for kind in ["xterm-256color", "tmux", "st.x_1+2"] {
        assert!(session::is_kind(kind), "{kind}");
    }
    for kind in ["", "a b", "x\0", "../x", &"x".repeat(65)] {
        assert!(!session::is_kind(kind), "{kind}");
    }
}

/// A node whose addresses are this machine's own, and whose port of SSH is another.
#[derive(Debug, Default)]
struct Home {
    /// Whether a program listens there already.
    is_taken: std::sync::atomic::AtomicBool,
    listens: Mutex<Vec<SocketAddr>>,
}

impl Home {
    fn is_taken(&self, is_taken: bool) {
        self.is_taken.store(is_taken, std::sync::atomic::Ordering::Relaxed);
    }
}

impl crate::net::in_node::InNode for Home {
    fn v4(&self) -> std::net::Ipv4Addr {
        std::net::Ipv4Addr::LOCALHOST
    }

    fn v6(&self) -> std::net::Ipv6Addr {
        std::net::Ipv6Addr::LOCALHOST
    }

    fn device(&self) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn dial(&self, _: SocketAddr, _: Duration) -> io::Result<TcpStream> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn dial_udp(&self, _: SocketAddr) -> io::Result<std::net::UdpSocket> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn listen(&self, at: SocketAddr) -> io::Result<TcpListener> {
        assert_eq!(at.port(), 22);
        if self.is_taken.load(std::sync::atomic::Ordering::Relaxed) || at.is_ipv6() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let listener = TcpListener::bind((at.ip(), 0))?;
        self.listens.lock().unwrap().push(listener.local_addr()?);
        Ok(listener)
    }

    fn run(&self, _: &Asked) -> Result<Program> {
        anyhow::bail!("it runs nothing")
    }
}

#[test]
fn at_a_nodes_own_address_is_the_same_server_and_it_goes_with_the_network() {
    let mut scene = Scene::new("ssh-front", 7);
    let home = Home::default();
    let node = worker::NodeKey { rental: RentalId::from_bits(7), node: 1 };
    let mut front = Front::of(node, scene._runtime.handle().clone());
    home.is_taken(true);
    front.keep(&home, &scene.server);
    front.close();
    home.is_taken(false);
    front.keep(&home, &scene.server);
    // What is there stays; what is not is not tried at once again.
    front.keep(&home, &scene.server);
    let listens = home.listens.lock().unwrap().clone();
    let [at] = listens.as_slice() else { panic!("one listens: {listens:?}") };
    scene.at = *at;
    scene.write_visitor(RentalId::from_bits(8), &RIGHTS);
    let (status, _, complaints) = scene.run("true", b"");
    assert_eq!(status, Some(255), "another rental's visitor: {complaints}");
    scene.write_visitor(RentalId::from_bits(7), &RIGHTS);
    let (status, output, complaints) = scene.run("cat", b"hello");
    assert_eq!((status, output.as_slice()), (Some(0), &b"hello"[..]), "{complaints}");
    let mut visitor = scene.stays("exec sleep 600");
    front.close();
    eventually("the visitor goes", || visitor.try_wait().unwrap().is_some());
    until_gone(&fs::read_to_string(scene.file("mark")).unwrap());
    eventually("nobody listens", || TcpListener::bind(scene.at).is_ok());
}
