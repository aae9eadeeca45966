//! A server of a test's own, and its operator at the command line.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::program::{Home, Said, iog};

/// How often something that is awaited is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often at most it is looked whether a server has started: a minute.
const STARTED_LOOKS: usize = 300;

/// What a look finds, once it finds something; looked at so many times at most.
pub(crate) fn within<T>(looks: usize, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..looks {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("waited too long for: {what}");
}

/// What a look finds within ten minutes: so long takes a first installation of Ray.
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(3_000, what, look)
}

/// How a test runs a server of its own over this folder, in its own process.
pub(crate) fn server_config(data: &Path) -> server::Config {
    server::Config::new(data.to_owned(), "127.0.0.1:0".parse().unwrap(), 10_000)
}

/// How a test runs an agent of its own at the server with this address, without sandboxes: a small part of the machine
/// is on offer, with its cards.
pub(crate) fn agent_config(home: &Home, url: &str) -> agent::Config {
    let (vcpus, memory_mib, disk_mib) = (Some(1), Some(64), Some(64));
    agent::Config {
        data: home.0.join("worker"),
        server: url.to_owned(),
        name: Some("rack-1".parse().unwrap()),
        part: 0,
        offers: agent::Offers { vcpus, memory_mib, disk_mib, no_gpus: false },
        country: None,
        address: IpAddr::from([127, 0, 0, 1]),
        ports: 20_000..=20_999,
        runtimes: home.0.join("runtimes"),
        sandbox: agent::Sandbox::Plain,
        own_network: false,
        egress: agent::Egress::Internet,
        stop_foreign: false,
        driver: None,
        reports: None,
    }
}

/// A program of the test's, that says nothing here.
pub(crate) fn quiet<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env("HOME", home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// A server, a process that can be killed and started again, and who runs it.
pub(crate) struct Desk {
    pub(crate) home: Home,
    pub(crate) url: String,
    key: String,
    flags: &'static [&'static str],
    server: Child,
}

impl Desk {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, &[])
    }

    /// With a server that is started with these flags, too.
    pub(crate) fn with(name: &str, flags: &'static [&'static str]) -> Self {
        let home = Home::new(name);
        let server = start(&home.0, "127.0.0.1:0", flags);
        let ready = home.0.join("ready");
        let address = within(STARTED_LOOKS, "the server", || {
            std::fs::read_to_string(&ready).ok().filter(|it| it.contains(':'))
        });
        let key = std::fs::read_to_string(home.0.join("server/operator.key")).unwrap();
        let (url, key) = (format!("http://{}", address.trim()), key.trim().to_owned());
        Self { home, url, key, flags, server }
    }

    pub(crate) fn tries(&self, arguments: &[&str]) -> Said {
        iog(&self.home, &[("IOG_SERVER", &self.url), ("IOG_KEY", &self.key)], arguments)
    }

    /// What a command says that must go well.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        let Said { code, out, err } = self.tries(arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        out
    }

    /// The same as data; `--json` is added where it is not said.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut words = arguments.to_vec();
        if !words.contains(&"--json") {
            words.push("--json");
        }
        serde_json::from_str(&self.says(&words)).unwrap()
    }

    pub(crate) fn patch(&self, patch: &str) {
        let file = self.home.0.join("patch.json");
        std::fs::write(&file, patch).unwrap();
        self.says(&["operator", "parameters", "set", file.to_str().unwrap()]);
    }

    /// The server dies, and another comes in its place.
    pub(crate) fn revive(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        self.server = start(&self.home.0, self.url.trim_start_matches("http://"), self.flags);
        eventually("the server again", || (self.tries(&["network"]).code == 0).then_some(()));
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn start(home: &Path, listen: &str, flags: &[&str]) -> Child {
    let ready = home.join("ready");
    let _ = std::fs::remove_file(&ready);
    let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
    command.args(["server", "--listen", listen]).args(flags);
    command.arg("--data").arg(home.join("server"));
    quiet(command.arg("--ready-file").arg(ready), home).spawn().unwrap()
}
