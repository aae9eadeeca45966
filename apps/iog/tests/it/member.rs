//! A renter's own machine as a member of a rental's private network, on real parts: `iog up`, a rental of two nodes,
//! and `iog net up` with a device of this system's. The programs that reach the nodes are those that any system has.
//!
//! It needs root, and a system that gives nodes networks of their own; elsewhere nothing is looked at.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::Home;

/// How long anything may take that is waited for: a first rental, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// Ray's dashboard, in every node that has a network of its own.
const DASHBOARD: u16 = 20_007;
/// Clients reach the dashboard and nothing else.
const NARROW: &str = r#"{
  "groups": { "group:clients": [], "group:nodes": [] },
  "tagOwners": { "tag:head": [], "tag:worker": [] },
  "grants": [
    { "src": ["group:nodes"], "dst": ["group:nodes"], "ip": ["*"] },
    { "src": ["group:clients"], "dst": ["tag:head"], "ip": ["tcp:20007"] },
  ],
}"#;

/// A network on this machine, and what runs as its renter. All of it is gone when dropped.
struct Stage {
    home: Home,
    up: Child,
    joined: Option<Child>,
    interface: String,
}

impl Stage {
    fn new() -> Self {
        let home = Home::new("member");
        let data = home.0.join("net");
        fs::create_dir(&data).unwrap();
        let runtimes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtimes");
        fs::create_dir_all(&runtimes).unwrap();
        std::os::unix::fs::symlink(runtimes, data.join("runtimes")).unwrap();
        let log = File::create(home.0.join("up.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
        command.args(["up", "--workers", "2", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        command.env("HOME", &home.0).current_dir(&home.0).stdin(Stdio::null());
        let up = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let interface = format!("iogt{}", std::process::id());
        let mut stage = Self { home, up, joined: None, interface };
        stage.until("the network is up", |stage| {
            assert!(stage.up.try_wait().unwrap().is_none(), "{}", stage.logs());
            stage.logs().contains("The network is up").then_some(())
        });
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.0.join(name)
    }

    fn logs(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        format!("── up\n{}\n── net up\n{}", read("up.log"), read("joined.err"))
    }

    fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < until, "in vain: {what}\n{}", self.logs());
            thread::park_timeout(Duration::from_millis(200));
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
        command.args(arguments).env("HOME", &self.home.0).current_dir(&self.home.0);
        command.env("IOG_CONFIG", self.path("net/client.json")).stdin(Stdio::null());
        command
    }

    /// What the program says to the renter.
    fn iog(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{arguments:?}: {told}\n{}", self.logs());
        String::from_utf8(stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.iog(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Joins, and says what the program says of that.
    fn join(&mut self) -> Value {
        self.join_by(&["mine"])
    }

    fn join_by(&mut self, words: &[&str]) -> Value {
        let (out, err) = (self.path("joined.json"), self.path("joined.err"));
        let interface = self.interface.clone();
        let about = ["--json", "--interface", &interface];
        let mut command = self.command(&[&["net", "up"], words, &about].concat());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(err).unwrap());
        self.joined = Some(command.spawn().unwrap());
        self.until("this machine is a member", |_| {
            serde_json::from_str(&fs::read_to_string(&out).unwrap()).ok()
        })
    }

    /// Waits until the member has ended, and says how.
    fn ended(&mut self) -> Option<i32> {
        let mut joined = self.joined.take().unwrap();
        let status = self.until("the member ends", |_| joined.try_wait().unwrap());
        let gone = !Path::new("/sys/class/net").join(&self.interface).exists();
        assert!(gone, "its device is left");
        let routes = Command::new("ip").args(["-o", "route", "show", "table", "all"]).output();
        let routes = String::from_utf8(routes.unwrap().stdout).unwrap();
        assert!(!routes.contains(&self.interface), "its routes are left: {routes}");
        status.code()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.joined.as_ref().unwrap().id();
        kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut joined) = self.joined.take() {
            joined.kill().unwrap();
            joined.wait().unwrap();
        }
        let pid = Pid::from_raw(self.up.id().cast_signed()).unwrap();
        let _ = kill_process(pid, Signal::TERM);
        let until = Instant::now() + Duration::from_secs(60);
        while self.up.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                self.up.kill().unwrap();
            }
            thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// A command of this system that asks this name server for names, which no other program is told of.
fn asking(resolver: &str, folder: &Path, line: &str) -> bool {
    let file = folder.join("resolv.conf");
    fs::write(&file, format!("nameserver {resolver}\n")).unwrap();
    let line = format!("mount --bind '{}' /etc/resolv.conf && {line}", file.display());
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &line]).output();
    output.unwrap().status.success()
}

fn is_done(line: &str) -> bool {
    Command::new("sh").args(["-c", line]).output().unwrap().status.success()
}

fn may_be_looked_at() -> bool {
    rustix::process::geteuid().is_root() && Path::new("/dev/net/tun").exists()
}

#[test]
fn heavy_programs_of_a_member_reach_nodes_by_address_and_name_and_no_further_than_the_policy_says()
{
    if !may_be_looked_at() {
        return;
    }
    let mut stage = Stage::new();
    let rent = ["rent", "--nodes", "2", "--vcpus", "1", "--hours", "1", "--name", "mine", "--yes"];
    stage.iog(&rent);
    if stage.json(&["net", "status", "mine"])["mesh"].is_null() {
        // This system gives nodes no network of their own.
        return;
    }
    let told = stage.join();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let members = told["members"].as_array().unwrap();
    let head = members.iter().find(|member| member["name"] == "head.mesh").unwrap().clone();
    let (v4, v6, resolver) = (text(&head["v4"]), text(&head["v6"]), text(&told["resolver"]));
    for at in [&v4, &v6] {
        stage.until("the head answers", |_| is_done(&format!("ping -c 1 -W 5 {at}")).then_some(()));
    }
    let folder = stage.home.0.clone();
    for name in ["head.mesh", "node-1.mine.mesh"] {
        let ping = format!("ping -c 1 -W 5 {name}");
        stage.until("it answers by its name", |_| asking(&resolver, &folder, &ping).then_some(()));
    }
    let page = format!("curl -sSf -m 30 -o /dev/null http://head.mesh:{DASHBOARD}/");
    stage.until("a page by its name", |_| asking(&resolver, &folder, &page).then_some(()));
    let ssh = OpenSsh::including(&stage, &text(&told["ssh_config"]));
    ssh_reaches_nodes_as_any_machine(&mut stage, &ssh);
    the_way_is_shown(&mut stage);
    nobody_else_is_the_same_member(&stage);
    the_policy_holds(&mut stage, &v4, &ssh);
    ends_leave_nothing(&mut stage, &ssh);
    the_operators_network_takes_a_machine(&mut stage);
}

/// Stock OpenSSH of this machine, with no configuration but what this one includes.
struct OpenSsh {
    config: PathBuf,
    /// What is included.
    given: PathBuf,
}

impl OpenSsh {
    fn including(stage: &Stage, given: &str) -> Self {
        let (config, given) = (stage.path("ssh.config"), PathBuf::from(given));
        let all = given.with_file_name("*.config");
        fs::write(&config, format!("Include {}\n", all.display())).unwrap();
        Self { config, given }
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("-F").arg(&self.config).args(["-o", "BatchMode=yes"]);
        command.args(["-o", "ConnectTimeout=30"]).args(words);
        command
    }

    /// What a program says once it comes in: nodes may only just have come up.
    fn says(&self, stage: &mut Stage, (program, words): (&str, &[&str]), input: &str) -> String {
        let file = stage.path("ssh.in");
        fs::write(&file, input).unwrap();
        stage.until(&format!("{program} {words:?} succeeds"), |_| {
            let mut command = self.command(program, words);
            // What it complains of is told with the test.
            command.stdin(File::open(&file).unwrap()).stderr(Stdio::inherit());
            let output = command.output().unwrap();
            output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
        })
    }
}

/// The nodes' own addresses and names, port 22: no name server knows them here, and no relay is in between.
fn ssh_reaches_nodes_as_any_machine(stage: &mut Stage, ssh: &OpenSsh) {
    let mut ssh_says = |words: &[&str], input| ssh.says(stage, ("ssh", words), input);
    assert_eq!(ssh_says(&["root@head.mine.mesh", "cat"], "come in"), "come in");
    let leap = ["-J", "head.mine.mesh", "node-1.mesh", "echo from node to node"];
    assert_eq!(ssh_says(&leap, ""), "from node to node\n");
    let greeting = "python -c 'import socket; print(socket.create_connection((\"node-1.mesh\", 22), 60).recv(8))'";
    assert_eq!(ssh_says(&["head.mesh", greeting], ""), "b'SSH-2.0-'\n");
    let folder = ssh_says(&["head.mesh", "mktemp -d"], "");
    let (here, there, back) = (ssh.given.display(), folder.trim(), stage.path("back"));
    let batch = format!("put {here} {there}/it\nget {there}/it {}\n", back.display());
    ssh.says(stage, ("sftp", &["-b", "-", "head.mine.mesh"]), &batch);
    assert_eq!(fs::read(back).unwrap(), fs::read(&ssh.given).unwrap());
}

fn the_way_is_shown(stage: &mut Stage) {
    let shown = stage.until("the way is told", |stage| {
        let shown = stage.iog(&["net", "status", "mine"]);
        let row = |line: &&str| line.starts_with("client-1 ") && !line.contains(" none ");
        shown.lines().find(row).is_some().then_some(shown)
    });
    assert!(shown.contains("client, this machine"), "{shown}");
    let pinged = stage.iog(&["net", "ping", "mine", "0", "--count", "1"]);
    assert!(pinged.contains("in the private network: "), "{pinged}");
}

fn nobody_else_is_the_same_member(stage: &Stage) {
    let second = stage.command(&["net", "up", "mine"]).output().unwrap();
    let told = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(10), "{told}");
    assert!(told.contains("this machine is in it already"), "{told}");
}

fn the_policy_holds(stage: &mut Stage, head: &str, ssh: &OpenSsh) {
    fs::write(stage.path("narrow.hujson"), NARROW).unwrap();
    stage.iog(&["net", "policy", "set", "narrow.hujson"]);
    // One in vain may only be late.
    let pings = format!("ping -c 10 -W 5 {head}");
    stage.until("the head is pinged in vain", |_| (!is_done(&pings)).then_some(()));
    let page = format!("curl -sSf -m 30 -o /dev/null http://{head}:{DASHBOARD}/");
    stage.until("what is allowed passes", |_| is_done(&page).then_some(()));
    let mut visit = ssh.command("ssh", &["head.mesh", "true"]);
    assert_eq!(visit.status().unwrap().code(), Some(255), "the port of SSH is not allowed");
    stage.iog(&["net", "policy", "reset"]);
    let ping = format!("ping -c 1 -W 5 {head}");
    stage.until("the head answers again", |_| is_done(&ping).then_some(()));
}

fn ends_leave_nothing(stage: &mut Stage, ssh: &OpenSsh) {
    stage.iog(&["net", "down", "mine"]);
    assert_eq!(stage.ended(), Some(0), "{}", stage.logs());
    assert!(!ssh.given.exists(), "what ssh included is left");
    stage.until("it is no member", |stage| {
        let members = stage.json(&["net", "status", "mine"])["members"].clone();
        let is_client = |member: &Value| member["kind"] == "client";
        (!members.as_array().unwrap().iter().any(is_client)).then_some(())
    });
    stage.join();
    stage.signal(Signal::KILL);
    assert_eq!(stage.ended(), None, "it was killed");
    stage.join();
    stage.iog(&["end", "mine"]);
    assert_eq!(stage.ended(), Some(10), "a rental that is over has no network: {}", stage.logs());
}

fn the_operators_network_takes_a_machine(stage: &mut Stage) {
    let as_operator = ["--profile", "operator", "--network", "operator"];
    let named = ["--name", "relay-1", "--tag", "relay"];
    let told = stage.join_by(&[&as_operator[..], &named].concat());
    assert_eq!(told["name"], "relay-1.mesh", "{told}");
    let shown = stage.iog(&[&["net", "status"], &as_operator[..]].concat());
    let row = shown.lines().find(|line| line.starts_with("relay-1.mesh ")).unwrap_or_default();
    assert!(row.contains("machine tag:relay, this machine"), "{shown}");
    let renters = stage.command(&["net", "status", "--network", "operator"]).output().unwrap();
    assert_eq!(renters.status.code(), Some(10), "it is the operator's alone");
    stage.signal(Signal::INT);
    assert_eq!(stage.ended(), Some(0), "{}", stage.logs());
    stage.until("nobody is in it", |stage| {
        let shown = stage.iog(&[&["net", "status"], &as_operator[..]].concat());
        shown.contains("Nobody is in it").then_some(())
    });
}
