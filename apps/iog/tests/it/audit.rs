//! Records of connections on real parts: an agent hands over what a node wrote down, and the renter reads it. Nodes
//! alone are stood in for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use agent::{Config, Offers, run_with};
use anyhow::Result;
use ed25519_dalek::SigningKey;
use units::Timestamp;
use wire::audit::{AuditLog, Record, Verifier};
use wire::paper::NodeKey;

use crate::desk::{Desk, agent_config, within};
use crate::relays::{get, operator};
use crate::time_lock::OnRecord;

/// How often at most something that is awaited is looked at: a minute.
const LOOKS: usize = 300;

/// An agent, as long as it runs.
struct Running {
    stop: Arc<AtomicBool>,
    agent: Option<JoinHandle<Result<()>>>,
}

impl Running {
    fn start(config: &Config) -> Self {
        let (config, stop) = (config.clone(), Arc::new(AtomicBool::new(false)));
        let (runs, stops) = (OnRecord::new(config.data.clone()), Arc::clone(&stop));
        let agent = thread::spawn(move || run_with(&config, Box::new(runs), &stops));
        Self { stop, agent: Some(agent) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(agent) = self.agent.take() {
            let _ = agent.join();
        }
    }
}

/// The log of a node, as an agent left it that has gone: three sealed segments in this folder.
fn leave_log(folder: &Path) -> String {
    let key = SigningKey::from_bytes(&[9; 32]);
    let mut log = AuditLog::new(NodeKey(key.verifying_key().to_bytes()));
    std::fs::create_dir_all(folder).unwrap();
    let segment = |number: u64| {
        let at = Timestamp::from_millis(1_800_000_000_000 + number);
        let mut lines = log.record(Record::Lost(number + 1), at);
        lines.extend(log.seal(&key, at));
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        std::fs::write(folder.join(format!("{number:08}.jsonl")), &text).unwrap();
        text
    };
    (0..3).map(segment).collect()
}

#[test]
fn what_a_node_wrote_down_is_handed_over_by_its_agent_and_read_by_the_renter() {
    let desk = Desk::new("audit");
    desk.patch(control::DESK_PATCH);
    let project = desk.json(&["projects", "create", "mine"]);
    desk.says(&["operator", "top-up", project["id"].as_str().unwrap(), "10"]);
    let token = desk.json(&["worker", "invite"])["token"].as_str().unwrap().to_owned();
    let (vcpus, memory_mib, disk_mib) = (Some(1), Some(2_048), Some(1_024));
    let config = Config {
        offers: Offers { vcpus, memory_mib, disk_mib, no_gpus: true },
        ..agent_config(&desk.home, &desk.url)
    };
    agent::join(&config, &token).unwrap();
    let running = Running::start(&config);
    within(LOOKS, "an offer", || desk.says(&["offers"]).contains("rack-1").then_some(()));
    desk.says(&["rent", "--nodes", "1", "--vcpus", "1", "--name", "mine", "--yes"]);
    let rental = desk.json(&["rental", "mine"]);
    let id = rental["id"].as_str().unwrap().to_owned();
    assert!(rental["nodes"][0]["worker"].is_string(), "it has a seat");
    drop(running);

    let folder: PathBuf = config.data.join("net").join(format!("{id}-0"));
    let written = leave_log(&folder.join("audit"));
    let _running = Running::start(&config);
    let (path, key) = (format!("/v1/rentals/{id}/audit?node=0"), operator(&desk));
    within(LOOKS, "the log at the control plane", || {
        (get(&desk, &path, &key) == written).then_some(())
    });
    let mut verifier = Verifier::new(None);
    written.lines().for_each(|line| drop(verifier.line(line).unwrap()));
    assert_eq!(verifier.finish().lost, 1 + 2 + 3);
    within(LOOKS, "the end of what the agent kept of it", || (!folder.exists()).then_some(()));
}
