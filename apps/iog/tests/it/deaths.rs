//! A job outlives the agent that started it and the server that ordered it, and is neither lost nor run twice.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::program::{Home, Said, iog};

/// Lines the job prints, one every [`LINE_EVERY`]; the deaths fall between them.
const LINES: usize = 24;
const LINE_EVERY: &str = "0.5";
/// How often something that is awaited is looked at, and how often at most: ten minutes, to install Ray.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOKS_MAX: usize = 3_000;

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS_MAX {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("waited too long for: {what}");
}

/// A server and one machine, each a process that can be killed and started again.
struct Scene {
    home: Home,
    url: String,
    key: String,
    server: Child,
    worker: Option<Child>,
}

impl Scene {
    fn new() -> Self {
        let home = Home::new("deaths");
        let server = start_server(&home.0, "127.0.0.1:0");
        let ready = home.0.join("ready");
        let address = eventually("the server", || {
            std::fs::read_to_string(&ready).ok().filter(|it| it.contains(':'))
        });
        let key = std::fs::read_to_string(home.0.join("server/operator.key")).unwrap();
        Self {
            url: format!("http://{}", address.trim()),
            key: key.trim().to_owned(),
            home,
            server,
            worker: None,
        }
    }

    /// What a command says that must go well.
    fn says(&self, arguments: &[&str]) -> String {
        let Said { code, out, err } = self.tries(arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        out
    }

    /// Machines are open as soon as they speak.
    fn open_doors(&self) {
        let file = self.home.0.join("desk.json");
        std::fs::write(&file, control::DESK_PATCH).unwrap();
        self.says(&["operator", "parameters", "set", file.to_str().unwrap()]);
    }

    fn tries(&self, arguments: &[&str]) -> Said {
        iog(&self.home, &[("IOG_SERVER", &self.url), ("IOG_KEY", &self.key)], arguments)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(arguments)).unwrap()
    }

    fn join_worker(&mut self) {
        let invite = self.json(&["worker", "invite", "--json"]);
        let token = invite["token"].as_str().unwrap().to_owned();
        let mut words = vec!["worker", "join", &token, "--quick", "--server", &self.url];
        let data = self.worker_data();
        words.extend(["--data", data.to_str().unwrap()]);
        words.extend(MACHINE);
        self.says(&words);
        self.start_worker();
    }

    /// The machine proves as it comes, and everyone can look that up and check it.
    fn proves(&self) {
        let workers = self.json(&["worker", "list", "--json"]);
        let worker = workers[0]["id"].as_str().unwrap().to_owned();
        let proof = eventually("a proof", || {
            let proofs = self.json(&["proof", "list", &worker, "--status", "pass", "--json"]);
            proofs.get(0).cloned()
        });
        let session = proof["session"].as_str().unwrap();
        let file = self.home.0.join("session.iogproof");
        let shown = self.says(&["proof", "show", session, "--out", file.to_str().unwrap()]);
        assert!(
            shown.contains("which signed for it") && shown.contains("transcript holds"),
            "{shown}"
        );
        self.says(&["proof", "verify", file.to_str().unwrap()]);
        self.says(&["proof", "log", "--keep", self.kept().to_str().unwrap()]);
    }

    /// What was rented is what was rented: it proves that inside the node, and the answer is checked here.
    fn is_as_rented(&self, rental: &str) {
        let folder = self.home.0.join("checks");
        let out = folder.to_str().unwrap();
        let said = self.json(&["proof", "canary", rental, "--watch", "--out", out, "--json"]);
        assert_eq!(said["cards"][0]["status"], "pass", "{said}");
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let nonce = said["nonce"].as_str().unwrap();
        self.says(&["proof", "verify", file.to_str().unwrap(), "--nonce", nonce]);
        assert_eq!(self.tries(&["proof", "canary", rental]).code, 11, "once in ten minutes");
    }

    /// Where what was seen of the log is remembered.
    fn kept(&self) -> PathBuf {
        self.home.0.join("log.json")
    }

    fn worker_data(&self) -> PathBuf {
        self.home.0.join("worker")
    }

    fn start_worker(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
        command
            .args(["worker", "run", "--stop-nodes", "--data"])
            .arg(self.worker_data())
            .args(MACHINE);
        self.worker = Some(quiet(&mut command, &self.home.0).spawn().unwrap());
    }

    fn kill_worker(&mut self) {
        let mut worker = self.worker.take().unwrap();
        worker.kill().unwrap();
        worker.wait().unwrap();
    }

    fn restart_server(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        let address = self.url.trim_start_matches("http://").to_owned();
        self.server = start_server(&self.home.0, &address);
        eventually("the server again", || (self.tries(&["network"]).code == 0).then_some(()));
    }

    fn wait_for_line(&self, job: &str, line: usize) {
        let line = format!("line {line}.");
        eventually(&line, || self.says(&["logs", job]).contains(&line).then_some(()));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(worker) = &mut self.worker {
            // Told to stop, it ends its nodes first.
            let pid = rustix::process::Pid::from_child(worker);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = worker.wait();
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A small machine, with ports of its own.
const MACHINE: [&str; 10] = [
    "--name",
    "mortal",
    "--vcpus",
    "1",
    "--memory",
    "3GiB",
    "--disk",
    "1GiB",
    "--ports",
    "10000-11999",
];

fn start_server(home: &Path, listen: &str) -> Child {
    let ready = home.join("ready");
    let _ = std::fs::remove_file(&ready);
    let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
    command.args(["server", "--listen", listen, "--data"]).arg(home.join("server"));
    quiet(command.arg("--ready-file").arg(ready), home).spawn().unwrap()
}

fn quiet<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env("HOME", home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

#[test]
fn heavy_a_job_outlives_its_agent_and_its_server() {
    let mut scene = Scene::new();
    scene.open_doors();
    let project = scene.json(&["projects", "create", "mine", "--json"]);
    scene.says(&["operator", "top-up", project["id"].as_str().unwrap(), "10"]);
    scene.join_worker();
    eventually("an offer", || scene.says(&["offers"]).contains("mortal").then_some(()));
    scene.proves();
    scene.says(&["rent", "--nodes", "1", "--memory", "2GiB", "--name", "mine", "--yes"]);

    scene.is_as_rented("mine");

    let script = format!(
        "for i in $(seq {LINES}); do echo \"line $i.\"; sleep {LINE_EVERY}; done; echo once >> $IOG_RESULTS/runs"
    );
    let job = scene.json(&["jobs", "submit", "mine", "--json", "--", &script]);
    let job = job["id"].as_str().unwrap().to_owned();
    scene.wait_for_line(&job, 3);
    scene.kill_worker();
    scene.start_worker();
    scene.wait_for_line(&job, 9);
    scene.restart_server();
    let grown = scene.says(&["proof", "log", "--keep", scene.kept().to_str().unwrap()]);
    assert!(grown.contains("nothing was changed or left out"), "{grown}");

    let log = scene.says(&["logs", &job, "--follow"]);
    let seen: Vec<&str> = log.lines().filter(|line| line.starts_with("line ")).collect();
    let expected: Vec<String> = (1..=LINES).map(|line| format!("line {line}.")).collect();
    assert_eq!(seen, expected, "every line once, in order");
    assert_eq!(scene.json(&["jobs", "show", &job, "--json"])["state"], "succeeded");
    assert_eq!(scene.says(&["files", &job, "runs", "--out", "-"]), "once\n");
    scene.says(&["end", "mine", "--wait"]);
    assert!(scene.says(&["operator", "book"]).contains("balances"));
}
