//! Machines come in on real parts: measured over a socket, tried in a real Ray cluster, ready, and only then rented.
//!
//! It needs what `./x setup` installs, and the registries for the first installation of Ray.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use agent::runtime::environment::Environment;
use serde_json::Value;

use crate::desk::{Desk, eventually, quiet};
use crate::program::Said;

/// Everything is asked for but proofs of work, and as quickly as rules allow.
const RULES: &str = r#"{
    "onboarding": {
        "pending_minutes": 1, "trial_stress_minutes": 1, "trial_deadline_minutes": 5,
        "trial_company_wait_minutes": 2, "trial_retry_minutes": 0, "trials_failed_max": 1,
        "memory_mib_min": 1024, "disk_gib_min": 1, "down_mbps_min": 1, "up_mbps_min": 1
    },
    "exempt": ["proof-of-work", "wallet", "account-wallets", "supplier-agreement", "payout-address"]
}"#;

/// A server, and machines that are parts of this one.
struct Scene {
    desk: Desk,
    machines: Vec<Child>,
}

impl Scene {
    fn new() -> Self {
        let desk = Desk::new("onboarding");
        desk.patch(RULES);
        Self { desk, machines: Vec::new() }
    }

    /// Where Ray is, for this test and the next time it runs.
    fn runtimes() -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtimes")
    }

    /// How a part of this machine is described on the command line.
    fn machine(&self, part: u16, runtimes: &Path) -> Vec<String> {
        let ports = format!("{}-{}", 8_000 + part * 600, 8_599 + part * 600);
        let data = self.desk.home.0.join(format!("m{part}"));
        let flags = [
            ("--server", self.desk.url.clone()),
            ("--data", data.display().to_string()),
            ("--name", format!("m{part}")),
            ("--part", part.to_string()),
            ("--runtimes", runtimes.display().to_string()),
            ("--address", format!("127.79.0.{part}")),
            ("--ports", ports),
            ("--vcpus", "1".to_owned()),
            ("--memory", "2GiB".to_owned()),
            ("--disk", "1GiB".to_owned()),
        ];
        flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    /// Joins with an invitation: what it said.
    fn join(&self, invite: &[&str], machine: &[String]) -> Said {
        let issued = self.desk.json(&[&["worker", "invite"], invite].concat());
        let token = issued["token"].as_str().unwrap();
        let mut words = vec!["worker", "join", token, "--quick"];
        words.extend(machine.iter().map(String::as_str));
        self.desk.tries(&words)
    }

    fn run(&mut self, machine: &[String]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
        command.args(["worker", "run", "--stop-nodes"]).args(machine);
        self.machines.push(quiet(&mut command, &self.desk.home.0).spawn().unwrap());
    }

    /// A new machine that serves: its id.
    fn comes(&mut self, part: u16, runtimes: &Path) -> String {
        let machine = self.machine(part, runtimes);
        let Said { code, err, .. } = self.join(&[], &machine);
        assert_eq!(code, 0, "{err}");
        self.run(&machine);
        let workers = self.desk.json(&["worker", "list"]);
        let named = |worker: &&Value| worker["name"] == format!("m{part}");
        workers.as_array().unwrap().iter().find(named).unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn status(&self, worker: &str) -> Value {
        self.desk.json(&["worker", "status", worker])
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for machine in &self.machines {
            // Told to stop, it ends its nodes first.
            let pid = rustix::process::Pid::from_child(machine);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        for machine in &mut self.machines {
            let _ = machine.wait();
        }
    }
}

/// A runtime that looks whole, and in which nothing starts.
fn broken_runtime(scene: &Scene) -> PathBuf {
    let whole = Environment::under(&Scene::runtimes());
    let folder = scene.desk.home.0.join("broken");
    let inside = folder.join(whole.folder().file_name().unwrap());
    std::fs::create_dir_all(inside.join("bin")).unwrap();
    std::fs::write(inside.join("whole"), "").unwrap();
    let python = inside.join("bin/python");
    std::fs::write(&python, "#!/bin/sh\necho the disk is broken >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&python, Permissions::from_mode(0o755)).unwrap();
    folder
}

fn row<'a>(status: &'a Value, step: &str) -> &'a Value {
    status["rows"].as_array().unwrap().iter().find(|row| row["step"] == step).unwrap()
}

#[test]
fn heavy_newcomers_are_measured_and_tried_together_before_anybody_can_rent_them() {
    let mut scene = Scene::new();
    let project = scene.desk.json(&["projects", "create", "mine"]);
    scene.desk.says(&["operator", "top-up", project["id"].as_str().unwrap(), "10"]);
    let runtimes = Scene::runtimes();
    let newcomers = [scene.comes(1, &runtimes), scene.comes(2, &runtimes)];

    // While they come in, nobody sees them.
    eventually("a trial of both", || {
        let status = scene.status(&newcomers[0]);
        (status["trials"][0]["machines"] == 2).then_some(())
    });
    assert!(!scene.desk.says(&["offers"]).contains("m1"));
    let rent = ["rent", "--nodes", "2", "--memory", "1GiB", "--name", "mine", "--yes"];
    let early = scene.desk.tries(&rent);
    assert_eq!((early.code, early.err.contains("no-offer")), (10, true), "{}", early.err);

    // Each is measured by the control plane, and did its part.
    for worker in &newcomers {
        let status = eventually("a machine that is ready", || {
            let status = scene.status(worker);
            (status["stage"] == "ready").then_some(status)
        });
        let trial = &status["trials"][0];
        assert_eq!((&trial["passed"], &trial["machines"]), (&true.into(), &2.into()), "{status}");
        assert!(trial["note"].as_str().unwrap().contains("under load"), "{status}");
        assert!(status["connection"]["down_mbps"].as_u64().unwrap() > 0, "{status}");
        assert_ne!(status["connection"]["tier"], "none", "{status}");
        let rows = status["rows"].as_array().unwrap();
        assert!(rows.iter().all(|row| row["state"] == "met"), "{status}");
    }
    scene.desk.says(&rent);
    scene.desk.says(&["end", "mine", "--wait"]);

    // One that fails says why, and what to do.
    scene.desk.patch(r#"{"onboarding":{"trial_company_wait_minutes":0}}"#);
    let broken = broken_runtime(&scene);
    let third = scene.comes(3, &broken);
    let status = eventually("a trial that fails", || {
        let status = scene.status(&third);
        (status["readiness"] == "not-block-reward-ready").then_some(status)
    });
    assert_eq!(row(&status, "trial")["state"], "missing");
    assert!(row(&status, "trial")["reason"].as_str().unwrap().contains("the disk is broken"));
    let told = scene.desk.says(&["worker", "status", &third]);
    assert!(told.contains(&format!("iog worker retry {third}")), "{told}");
    assert_eq!(scene.desk.json(&["worker", "retry", &third])["readiness"], "pending");
}

#[test]
fn a_machine_whose_folder_is_lost_comes_again_with_the_command_that_it_is_told() {
    let scene = Scene::new();
    let machine = scene.machine(4, &scene.desk.home.0.join("none"));
    assert_eq!(scene.join(&[], &machine).code, 0);
    std::fs::remove_dir_all(scene.desk.home.0.join("m4")).unwrap();
    let known = scene.join(&[], &machine);
    assert_eq!(known.code, 10, "{}", known.err);
    assert!(known.err.contains("iog worker invite --replace"), "{}", known.err);
    let worker = scene.desk.json(&["worker", "list"])[0]["id"].as_str().unwrap().to_owned();
    let again = scene.join(&["--replace", &worker], &machine);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.err.contains(&worker), "{}", again.err);
    assert_eq!(scene.desk.json(&["worker", "list"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_machine_that_lacks_something_is_told_what_before_it_joins() {
    let scene = Scene::new();
    scene.desk.patch(r#"{"onboarding":{"disk_gib_min":1000000,"down_mbps_min":1}}"#);
    let machine = scene.machine(5, &scene.desk.home.0.join("none"));
    let mut words = vec!["worker", "check", "--quick"];
    words.extend(machine.iter().map(String::as_str));
    let checked = scene.desk.tries(&[words.as_slice(), &["--json"]].concat());
    assert_ne!(checked.code, 0);
    let report: Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!((&report["can_serve"], &report["is_of_network"]), (&false.into(), &true.into()));
    let findings = report["findings"].as_array().unwrap();
    let bad: Vec<&Value> = findings.iter().filter(|it| it["verdict"] == "bad").collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert_eq!((&bad[0]["what"], &bad[0]["needed"]), (&"disk".into(), &"1000000 GiB".into()));

    let refused = scene.join(&[], &machine);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("asked for: 1000000 GiB"), "{}", refused.err);
    assert!(refused.err.contains("--anyway"), "{}", refused.err);
    let mut anyway = machine.clone();
    anyway.push("--anyway".to_owned());
    assert_eq!(scene.join(&[], &anyway).code, 0);
    let worker = scene.desk.json(&["worker", "list"])[0]["id"].as_str().unwrap().to_owned();
    let status = scene.status(&worker);
    assert_eq!(row(&status, "requirements")["state"], "missing", "{status}");
}
