//! A network of real processes for tests that need machines: a control plane, relays, machines, and Ray.
//!
//! It needs what `./x setup` installs.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use agent::runtime::environment::Environment;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};

use crate::program::Home;

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Processes of one network, gone when dropped.
pub(crate) struct Town {
    home: Home,
    roles: Vec<(String, Child)>,
    pub(crate) url: String,
    network: Option<OwnNetwork>,
}

impl Town {
    pub(crate) fn new() -> Self {
        // Before there is no Internet any more.
        let prepared = Environment::under(&runtimes()).prepare(&mut |_| ());
        prepared.unwrap();
        let network = OwnNetwork::enter();
        let home = Home::new("town");
        let mut town = Self { home, roles: Vec::new(), url: String::new(), network };
        let (data, ready) = (town.text("server"), town.text("ready"));
        let listen = ["--listen", "127.0.0.1:0", "--ready-file", &ready];
        town.start("server", &[&["server", "--data", &data][..], &listen].concat());
        let at = town.until("the control plane is up", |town| {
            fs::read_to_string(town.path("ready")).ok().filter(|text| !text.is_empty())
        });
        town.url = format!("http://{}", at.trim());
        town
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.0.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
        command.args(arguments).env("HOME", &self.home.0).current_dir(&self.home.0);
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn start(&mut self, name: &str, arguments: &[&str]) {
        self.start_as(name, arguments, "");
    }

    /// Starts a process whose key to the API is this.
    pub(crate) fn start_as(&mut self, name: &str, arguments: &[&str], key: &str) {
        let mut log = fs::File::options();
        let log = log.create(true).append(true).open(self.path(&format!("{name}.log"))).unwrap();
        let mut command = self.command(arguments);
        command.env("IOG_KEY", key).stdout(log.try_clone().unwrap()).stderr(log);
        self.roles.push((name.to_owned(), command.spawn().unwrap()));
    }

    /// The network that all of it is in, if that is one of its own.
    pub(crate) const fn network(&self) -> Option<&OwnNetwork> {
        self.network.as_ref()
    }

    /// Waits for something; tells all logs if it is in vain.
    pub(crate) fn until<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < until, "in vain: {what}\n{}", self.logs());
            thread::park_timeout(Duration::from_millis(200));
        }
    }

    pub(crate) fn logs(&self) -> String {
        let log = |(name, _): &(String, Child)| {
            let text = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
            format!("── {name}\n{text}")
        };
        self.roles.iter().map(log).collect()
    }

    /// Asks the API.
    pub(crate) fn ask(&self, method: &str, path: &str, key: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.try_ask(method, path, key, body);
        assert!(status < 300, "{method} {path}: {status} {answer}\n{}", self.logs());
        answer
    }

    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        key: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = ureq::Agent::new_with_config(config.build());
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let mut answer = agent.run(request.body(text).unwrap()).unwrap();
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Opens an account. Returns its key.
    pub(crate) fn person(&self, operator: &str, name: &str) -> String {
        let account = self.ask("POST", "/v1/accounts", operator, Some(json!({ "name": name })));
        let key = json!({
            "label": name, "scopes": ["read", "write"], "account": account["id"],
        });
        let issued = self.ask("POST", "/v1/keys", operator, Some(key));
        issued["secret"].as_str().unwrap().to_owned()
    }

    /// A control plane that was killed begins anew where it was.
    pub(crate) fn start_server_again(&mut self) {
        let at = self.url.trim_start_matches("http://").to_owned();
        let (data, ready) = (self.text("server"), self.text("ready-again"));
        let _ = fs::remove_file(&ready);
        self.start("server", &["server", "--data", &data, "--listen", &at, "--ready-file", &ready]);
        self.until("the control plane is up again", |_| fs::read_to_string(&ready).ok());
    }

    /// Ends a process at once, as a crash does.
    pub(crate) fn kill(&mut self, name: &str) {
        let at = self.roles.iter().position(|(known, _)| known == name).unwrap();
        let (_, mut child) = self.roles.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        // Machines first: they remove their nodes.
        for is_machine in [true, false] {
            let those = |(name, _): &&mut (String, Child)| name.starts_with('w') == is_machine;
            let mut roles: Vec<_> = self.roles.iter_mut().filter(those).collect();
            for (_, child) in &roles {
                let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
                let _ = kill_process(pid, Signal::TERM);
            }
            let until = Instant::now() + Duration::from_secs(60);
            for (_, child) in &mut roles {
                while child.try_wait().unwrap().is_none() {
                    if Instant::now() > until {
                        child.kill().unwrap();
                    }
                    thread::park_timeout(Duration::from_millis(50));
                }
            }
        }
    }
}

/// A port of this machine that is free for TCP and UDP, and that nothing takes by chance: it is below those that the
/// system gives away, above those of the town's machines, and processes of tests begin to look at places of their own.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 24_000;
    const COUNT: u32 = 8_000;
    /// How many ports one process may look at before it comes to those of the next.
    const OF_ONE: u32 = 8;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(OF_ONE);
    let is_free = |port: &u16| {
        let at = ("127.0.0.1", *port);
        TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok()
    };
    let ports = (0..COUNT).map(|_| {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        u16::try_from(FIRST + begin.wrapping_add(step) % COUNT).unwrap()
    });
    { ports }.find(is_free).expect("one of thousands is free")
}

/// The shared environment of Ray, as other tests make it.
pub(crate) fn runtimes() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtimes")
}

/// The device in a network of its own, and the address there that others find the machine at: one of loopback is none.
const DEVICE: &str = "lo";
const ADDRESS: &str = "10.77.0.1";
/// Where it is after it has moved.
pub(crate) const OTHER_ADDRESS: &str = "10.77.1.1";

/// A network that this thread and whatever it starts are in: a loopback, an address, and rules of its own.
pub(crate) struct OwnNetwork;

impl OwnNetwork {
    /// Goes into a new one, for good. Only root can.
    fn enter() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let mut unshare = Command::new("unshare");
        let mut holder = unshare.args(["--net", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let there = PathBuf::from(format!("/proc/{}/ns/net", holder.id()));
        let until = Instant::now() + PATIENCE;
        while fs::read_link(&there).unwrap() == own {
            assert!(Instant::now() < until, "in vain: a network of its own");
            thread::park_timeout(Duration::from_millis(10));
        }
        let there = fs::File::open(there).unwrap();
        move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        drop(holder.stdin.take());
        holder.wait().unwrap();
        let network = Self;
        network.ip("link set lo up");
        network.ip(&format!("address add {ADDRESS}/24 dev {DEVICE}"));
        Some(network)
    }

    fn ip(&self, words: &str) {
        assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success(), "{words}");
    }

    /// Has another address from here on, as a machine that was carried to another place.
    pub(crate) fn move_away(&self) {
        self.ip(&format!("address add {OTHER_ADDRESS}/24 dev {DEVICE}"));
        self.ip(&format!("address delete {ADDRESS}/24 dev {DEVICE}"));
    }

    /// Lets UDP go to these ports and from them, and nowhere else: nobody meets anybody but there.
    pub(crate) fn let_through(&self, ports: &[u16]) {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let ports = ports.join(", ");
        let rule = format!(
            "table inet only {{ chain out {{ type filter hook output priority 0; \
             udp dport {{ {ports} }} accept; udp sport {{ {ports} }} accept; meta l4proto udp drop; }}; }}"
        );
        assert!(Command::new("nft").arg(&rule).status().unwrap().success(), "{rule}");
    }
}
