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

impl Scene {
    /// A server for the rental 7, and a visitor with a certificate for this one.
    fn new(name: &str, rental: u128) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let network = NodeKey(key(NETWORK).verifying_key().to_bytes());
        let rented = RentalId::from_bits(7);
        let server = SshServer::new(&key(NODE), network, rented, Arc::new(Here)).unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let at = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(stream));
            }
        });
        let scene = Self { scratch: Scratch::new(name), at, _runtime: runtime };
        scene.write_visitor(RentalId::from_bits(rental));
        scene
    }

    fn write_visitor(&self, rental: RentalId) {
        let secret = self.file("id");
        fs::write(&secret, openssh(VISITOR).to_openssh(LineEnding::LF).unwrap()).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let now = crate::run::now().millis() / 1_000;
        let public = openssh(VISITOR).public_key().key_data().clone();
        let mut builder = Builder::new([1; 16], public, now - 60, now + 600).unwrap();
        builder.valid_principal(rental.to_string()).unwrap();
        for extension in ["permit-pty", "permit-port-forwarding"] {
            builder.extension(extension, "").unwrap();
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
    let input: Vec<u8> = (0..8_000_000_u32).map(|byte| (byte % 251) as u8).collect();
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
fn files_are_copied_by_scp_with_its_old_protocol_and_by_sftp_where_there_is_a_server() {
    let scene = Scene::new("ssh-copy", 7);
    let (from, to) = (scene.file("from"), scene.file("to"));
    fs::write(&from, vec![7; 300_000]).unwrap();
    let copy = |old: &[&str]| {
        let _ = fs::remove_file(&to);
        let mut client = scene.client("scp");
        client.args(old).args(["-q", "-P", &scene.at.port().to_string()]);
        client.arg(&from).arg(format!("visitor@127.0.0.1:{}", to.display()));
        let output = client.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(fs::read(&to).unwrap().len(), 300_000);
    };
    copy(&["-O"]);
    if Path::new("/usr/lib/openssh/sftp-server").exists() {
        copy(&[]);
    }
}

#[test]
fn a_program_whose_visitor_is_gone_ends() {
    let scene = Scene::new("ssh-gone", 7);
    let mark = scene.file("mark");
    let mut client = scene.ssh();
    client.args(["visitor@127.0.0.1", &format!("echo $$ > {}; exec sleep 600", mark.display())]);
    client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = client.spawn().unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let wait_for = |is_so: &dyn Fn() -> bool, what: &str| {
        while !is_so() {
            assert!(std::time::Instant::now() < until, "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let pid = || fs::read_to_string(&mark).ok()?.trim().parse::<u32>().ok();
    wait_for(&|| pid().is_some(), "the program did not start");
    child.kill().unwrap();
    child.wait().unwrap();
    let place = format!("/proc/{}/stat", pid().unwrap());
    let is_gone = || fs::read_to_string(&place).map_or(true, |stat| stat.contains(") Z"));
    wait_for(&is_gone, "the program did not end");
}
