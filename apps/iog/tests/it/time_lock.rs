//! Time-lock on real parts: a server, an agent that looks at a card of a scripted driver, and a process that has no
//! business there. Nodes alone are stood in for: they are on record, and nothing else.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use agent::runtime::JobSpec;
use agent::runtime::beneath::FileSeen;
use agent::{Config, Offers, Preparation, Runs, run_with};
use anyhow::Result;
use fake_nvml::{Card, Process, Script, Stage};
use serde_json::{Value, json};
use units::JobId;
use worker::{JobPhase, NodeKey, NodeOrder, NodePhase, NodeSeen};

use crate::desk::{Desk, agent_config, within};

/// How often at most something that is awaited is looked at: a minute.
const LOOKS: usize = 300;

/// Machines are open as soon as they speak, and a renter who ends a rental pays for a quarter of an hour at least.
const RULES: &str = r#"{"fees": {"nonrefundable_minutes": 15}}"#;

/// Nodes that are on record in the agent's folder, and are ready at once.
pub(crate) struct OnRecord {
    data: PathBuf,
    nodes: BTreeMap<NodeKey, PathBuf>,
}

impl OnRecord {
    /// None yet, of an agent with this folder.
    pub(crate) const fn new(data: PathBuf) -> Self {
        Self { data, nodes: BTreeMap::new() }
    }
}

impl Runs for OnRecord {
    fn preparation(&self) -> Preparation {
        Box::new(|_| Ok(()))
    }

    fn adopt(&mut self) -> Vec<NodeKey> {
        Vec::new()
    }

    fn start(
        &mut self,
        order: &NodeOrder,
        _cluster_token: &str,
        _network: Option<&agent::runtime::net::Addresses>,
    ) -> Result<()> {
        let key = order.key;
        let folder = self.data.join("ray").join(format!("{}-{}", key.rental, key.node));
        std::fs::create_dir_all(&folder)?;
        let record = json!({
            "rental": key.rental, "node": key.node, "resources": order.resources, "gpus": order.gpus,
            "head": null, "address": "127.0.0.1", "first_port": 20_000, "kind": "plain", "user": null,
            "group": null, "folder": folder.join("box"), "boot": "", "outer": null, "inner": null,
            "tries": 1, "was_ready": true,
        });
        std::fs::write(folder.join("node.json"), record.to_string())?;
        self.nodes.insert(key, folder);
        Ok(())
    }

    fn inspect(&mut self, key: NodeKey) -> NodeSeen {
        let phase = match self.nodes.get(&key) {
            Some(_) => NodePhase::Ready,
            None => NodePhase::Gone { reason: "it is not here".to_owned() },
        };
        NodeSeen { phase, head: Some(([127, 0, 0, 1], 20_000).into()) }
    }

    fn stop(&mut self, key: NodeKey) -> Result<()> {
        if let Some(folder) = self.nodes.remove(&key) {
            std::fs::remove_dir_all(folder)?;
        }
        Ok(())
    }

    fn submit_job(&mut self, _key: NodeKey, _job: &JobSpec) -> Result<()> {
        Ok(())
    }

    fn job_state(&mut self, _key: NodeKey, _job: JobId) -> Result<Option<JobPhase>> {
        Ok(None)
    }

    fn stop_job(&mut self, _key: NodeKey, _job: JobId) -> Result<()> {
        Ok(())
    }

    fn job_log(&mut self, _key: NodeKey, _job: JobId, _from: u64, _most: usize) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn job_files(&mut self, _key: NodeKey, _job: JobId) -> Result<Vec<FileSeen>> {
        Ok(Vec::new())
    }

    fn open_job_file(&mut self, _key: NodeKey, _job: JobId, _path: &str) -> Result<File> {
        anyhow::bail!("there is none")
    }
}

/// A server, and a machine with one card.
struct Scene {
    desk: Desk,
    stage: Stage,
    script: Script,
    stop: Arc<AtomicBool>,
    agent: Option<JoinHandle<Result<()>>>,
    stranger: Option<Child>,
}

impl Scene {
    fn new() -> Self {
        let desk = Desk::new("time-lock");
        let driver = desk.home.0.join("driver");
        std::fs::create_dir_all(&driver).unwrap();
        let card = Card::new("GPU-a", "NVIDIA GeForce RTX 4090");
        let script =
            Script { driver: "570.86.16".to_owned(), cards: vec![card], ..Script::default() };
        let stage = Stage::set(&driver, &[], &script).unwrap();
        let (stop, agent, stranger) = (Arc::default(), None, None);
        Self { desk, stage, script, stop, agent, stranger }
    }

    /// The machine joins with its agent, which may stop strangers.
    fn comes(&mut self) -> String {
        let token = self.desk.json(&["worker", "invite"])["token"].as_str().unwrap().to_owned();
        let home = &self.desk.home;
        let (vcpus, memory_mib, disk_mib) = (Some(1), Some(2_048), Some(1_024));
        let config = Config {
            name: Some("watched".parse().unwrap()),
            offers: Offers { vcpus, memory_mib, disk_mib, no_gpus: false },
            stop_foreign: true,
            driver: Some(self.stage.library()),
            ..agent_config(home, &self.desk.url)
        };
        agent::join(&config, &token).unwrap();
        let runs = OnRecord::new(config.data.clone());
        let stop = self.stop.clone();
        self.agent = Some(thread::spawn(move || run_with(&config, Box::new(runs), &stop)));
        let workers = self.desk.json(&["worker", "list"]);
        workers[0]["id"].as_str().unwrap().to_owned()
    }

    /// Somebody else is on the card.
    fn intrude(&mut self) -> u32 {
        let stranger = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let pid = stranger.id();
        self.stranger = Some(stranger);
        self.script.cards[0].compute = vec![Process { pid, memory_mib: Some(4_096) }];
        self.stage.play(&self.script).unwrap();
        pid
    }

    fn node_lock(&self, rental: &str) -> Option<Value> {
        let shown = self.desk.json(&["rental", rental]);
        shown["nodes"][0].get("time_lock").cloned()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(agent) = self.agent.take() {
            let _ = agent.join();
        }
        if let Some(stranger) = &mut self.stranger {
            let _ = stranger.kill();
            let _ = stranger.wait();
        }
    }
}

/// Whether an agent here counts processes as the machine does: only then may it end any.
fn may_end_strangers() -> bool {
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
    namespace == Path::new("pid:[4026531836]")
}

#[test]
fn a_stranger_on_a_rented_card_is_named_refunded_recorded_and_charged() {
    let mut scene = Scene::new();
    scene.desk.patch(control::DESK_PATCH);
    scene.desk.patch(RULES);
    let project = scene.desk.json(&["projects", "create", "mine"]);
    scene.desk.says(&["operator", "top-up", project["id"].as_str().unwrap(), "10"]);
    let worker = scene.comes();
    scene.desk.says(&["coin", "genesis"]);
    scene.desk.says(&["transfer", "treasury", "account", "200", "IO"]);
    scene.desk.says(&["stake", "add", &worker, "200"]);
    within(LOOKS, "an offer", || scene.desk.says(&["offers"]).contains("watched").then_some(()));

    scene.desk.says(&["rent", "--nodes", "1", "--gpus", "1", "--name", "mine", "--yes"]);
    assert_eq!(scene.node_lock("mine"), None, "nothing is said against it");
    scene.intrude();
    let told = within(LOOKS, "a disturbance", || {
        scene.node_lock("mine").filter(|lock| lock["disturbed"]["why"] == "foreign")
    });
    assert_eq!(told["refunded_minutes"], 0);
    if may_end_strangers() {
        let stranger = scene.stranger.as_mut().unwrap();
        within(LOOKS, "its end", || stranger.try_wait().unwrap());
    }
    scene.desk.says(&["end", "mine"]);
    // The least that is paid for is not paid for with somebody else on the card.
    let receipt = scene.desk.json(&["rental", "mine"])["receipt"].clone();
    assert_eq!(receipt["lines"][0]["minutes_charged"], 0, "{receipt}");

    let rental = scene.desk.json(&["rental", "mine"])["id"].as_str().unwrap().to_owned();
    let record = within(LOOKS, "the record", || {
        let records = scene.desk.json(&["proof", "lock", "list", "--rental", &rental]);
        records.get(0).cloned()
    });
    assert!(record["refund_minutes"].as_u64().unwrap() >= 1, "{record}");
    assert!(record["strangers"].as_str().unwrap().starts_with("sleep (process"), "{record}");
    let slash = record["slash"].as_str().unwrap();
    let charged = scene.desk.json(&["slash", "show", slash]);
    assert_eq!(
        (&charged["offence"], &charged["evidence"][0]["blob"]),
        (&json!("foreign-process"), &record["record"])
    );

    let file = scene.desk.home.0.join("mine.iogtimelock");
    let (id, path) = (record["record"].as_str().unwrap(), file.to_str().unwrap());
    let shown = scene.desk.says(&["proof", "lock", "show", id, "--out", path]);
    assert!(shown.contains("which signed for it") && shown.contains("The record holds"), "{shown}");
    let verified = scene.desk.says(&["proof", "lock", "verify", path]);
    assert!(verified.contains("foreign-process") && verified.contains("It holds"), "{verified}");
    let mut altered = std::fs::read(&file).unwrap();
    let middle = altered.len() / 2;
    altered[middle] ^= 4;
    std::fs::write(&file, altered).unwrap();
    assert_eq!(scene.desk.tries(&["proof", "lock", "verify", path]).code, 10);
}
