//! A job outlives the agent that started it and the server that ordered it, and is neither lost nor run twice.

use std::path::PathBuf;
use std::process::{Child, Command};

use crate::desk::{Desk, eventually, quiet};

/// Lines the job prints, one every [`LINE_EVERY`]; the deaths fall between them.
const LINES: usize = 24;
const LINE_EVERY: &str = "0.5";

/// A server and one machine, each a process that can be killed and started again.
struct Scene {
    desk: Desk,
    worker: Option<Child>,
}

impl Scene {
    fn new() -> Self {
        let desk = Desk::new("deaths");
        // Machines are open as soon as they speak.
        desk.patch(control::DESK_PATCH);
        Self { desk, worker: None }
    }

    fn join_worker(&mut self) {
        let invite = self.desk.json(&["worker", "invite", "--json"]);
        let token = invite["token"].as_str().unwrap().to_owned();
        let mut words = vec!["worker", "join", &token, "--quick", "--server", &self.desk.url];
        let data = self.worker_data();
        words.extend(["--data", data.to_str().unwrap()]);
        words.extend(MACHINE);
        self.desk.says(&words);
        self.start_worker();
    }

    /// The machine proves as it comes, and everyone can look that up and check it.
    fn proves(&self) {
        let workers = self.desk.json(&["worker", "list", "--json"]);
        let worker = workers[0]["id"].as_str().unwrap().to_owned();
        let proof = eventually("a proof", || {
            let proofs = self.desk.json(&["proof", "list", &worker, "--status", "pass", "--json"]);
            proofs.get(0).cloned()
        });
        let session = proof["session"].as_str().unwrap();
        let file = self.desk.home.0.join("session.iogproof");
        let shown = self.desk.says(&["proof", "show", session, "--out", file.to_str().unwrap()]);
        assert!(
            shown.contains("which signed for it") && shown.contains("transcript holds"),
            "{shown}"
        );
        self.desk.says(&["proof", "verify", file.to_str().unwrap()]);
        self.desk.says(&["proof", "log", "--keep", self.kept().to_str().unwrap()]);
    }

    /// What was rented is what was rented: it proves that inside the node, and the answer is checked here.
    fn is_as_rented(&self, rental: &str) {
        let folder = self.desk.home.0.join("checks");
        let out = folder.to_str().unwrap();
        let said = self.desk.json(&["proof", "canary", rental, "--watch", "--out", out, "--json"]);
        assert_eq!(said["cards"][0]["status"], "pass", "{said}");
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let nonce = said["nonce"].as_str().unwrap();
        self.desk.says(&["proof", "verify", file.to_str().unwrap(), "--nonce", nonce]);
        assert_eq!(self.desk.tries(&["proof", "canary", rental]).code, 11, "once in ten minutes");
    }

    /// Where what was seen of the log is remembered.
    fn kept(&self) -> PathBuf {
        self.desk.home.0.join("log.json")
    }

    fn worker_data(&self) -> PathBuf {
        self.desk.home.0.join("worker")
    }

    fn start_worker(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
        command
            .args(["worker", "run", "--stop-nodes", "--data"])
            .arg(self.worker_data())
            .args(MACHINE);
        self.worker = Some(quiet(&mut command, &self.desk.home.0).spawn().unwrap());
    }

    fn kill_worker(&mut self) {
        let mut worker = self.worker.take().unwrap();
        worker.kill().unwrap();
        worker.wait().unwrap();
    }

    fn wait_for_line(&self, job: &str, line: usize) {
        let line = format!("line {line}.");
        eventually(&line, || self.desk.says(&["logs", job]).contains(&line).then_some(()));
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

#[test]
fn heavy_a_job_outlives_its_agent_and_its_server() {
    let mut scene = Scene::new();
    let project = scene.desk.json(&["projects", "create", "mine", "--json"]);
    scene.desk.says(&["operator", "top-up", project["id"].as_str().unwrap(), "10"]);
    scene.join_worker();
    eventually("an offer", || scene.desk.says(&["offers"]).contains("mortal").then_some(()));
    scene.proves();
    scene.desk.says(&["rent", "--nodes", "1", "--memory", "2GiB", "--name", "mine", "--yes"]);

    scene.is_as_rented("mine");

    let script = format!(
        "for i in $(seq {LINES}); do echo \"line $i.\"; sleep {LINE_EVERY}; done; echo once >> $IOG_RESULTS/runs"
    );
    let job = scene.desk.json(&["jobs", "submit", "mine", "--json", "--", &script]);
    let job = job["id"].as_str().unwrap().to_owned();
    scene.wait_for_line(&job, 3);
    scene.kill_worker();
    scene.start_worker();
    scene.wait_for_line(&job, 9);
    scene.desk.revive();
    let grown = scene.desk.says(&["proof", "log", "--keep", scene.kept().to_str().unwrap()]);
    assert!(grown.contains("nothing was changed or left out"), "{grown}");

    let log = scene.desk.says(&["logs", &job, "--follow"]);
    let seen: Vec<&str> = log.lines().filter(|line| line.starts_with("line ")).collect();
    let expected: Vec<String> = (1..=LINES).map(|line| format!("line {line}.")).collect();
    assert_eq!(seen, expected, "every line once, in order");
    assert_eq!(scene.desk.json(&["jobs", "show", &job, "--json"])["state"], "succeeded");
    assert_eq!(scene.desk.says(&["files", &job, "runs", "--out", "-"]), "once\n");
    scene.desk.says(&["end", "mine", "--wait"]);
    assert!(scene.desk.says(&["operator", "book"]).contains("balances"));
}
