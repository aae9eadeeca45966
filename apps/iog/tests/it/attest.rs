//! A machine whose chips attest, from the driver's library to a renter's own check: a real server, a real agent, a
//! library and a kernel that stand in, and chips of makers that the operator named.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agent::runtime::JobSpec;
use agent::runtime::beneath::FileSeen;
use agent::{Preparation, Runs};
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use fake_chips::{gpu, tdx};
use fake_nvml::{Attests, Card, Script, Stage};
use serde_json::{Value, json};
use units::{DAY, JobId, Timestamp};
use worker::{JobPhase, NodeKey, NodeOrder, NodeSeen};

use crate::desk::{agent_config, server_config};
use crate::program::{Home, Said, iog};

const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that runs no nodes.
struct NoNodes;

impl Runs for NoNodes {
    fn preparation(&self) -> Preparation {
        Box::new(|_| Ok(()))
    }
    fn adopt(&mut self) -> Vec<NodeKey> {
        Vec::new()
    }
    fn start(
        &mut self,
        _: &NodeOrder,
        _: &str,
        _: Option<&agent::runtime::net::Addresses>,
    ) -> anyhow::Result<()> {
        anyhow::bail!("start a node: there are none here")
    }
    fn inspect(&mut self, _: NodeKey) -> NodeSeen {
        let phase = worker::NodePhase::Gone { reason: "there are none here".to_owned() };
        NodeSeen { phase, head: None }
    }
    fn stop(&mut self, _: NodeKey) -> anyhow::Result<()> {
        Ok(())
    }
    fn submit_job(&mut self, _: NodeKey, _: &JobSpec) -> anyhow::Result<()> {
        Ok(())
    }
    fn job_state(&mut self, _: NodeKey, _: JobId) -> anyhow::Result<Option<JobPhase>> {
        Ok(None)
    }
    fn stop_job(&mut self, _: NodeKey, _: JobId) -> anyhow::Result<()> {
        Ok(())
    }
    fn job_log(&mut self, _: NodeKey, _: JobId, _: u64, _: usize) -> anyhow::Result<Vec<u8>> {
        Ok(Vec::new())
    }
    fn job_files(&mut self, _: NodeKey, _: JobId) -> anyhow::Result<Vec<FileSeen>> {
        Ok(Vec::new())
    }
    fn open_job_file(&mut self, _: NodeKey, _: JobId, _: &str) -> anyhow::Result<std::fs::File> {
        anyhow::bail!("open a file: there are none here")
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

fn hour_ago() -> Timestamp {
    Timestamp::from_millis(now().millis() - 3_600_000)
}

/// A network with one machine of two cards, which is a confidential virtual machine.
struct Network {
    home: Home,
    server: Option<server::Running>,
    address: String,
    operator: String,
    gpus: gpu::Maker,
    cards: Vec<gpu::Card>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Network {
    fn new(name: &str) -> Self {
        let home = Home::new(name);
        let (from, until) =
            (Timestamp::from_millis(now().millis() - 172_800_000), now().after(DAY * 30));
        let gpus = gpu::Maker::new("Test", from, until);
        let cpus = tdx::Maker::new("Test", from, until);
        let (data, roots) = (home.0.join("data"), home.0.join("roots"));
        write(&roots.join("nvidia.pem"), gpus.root().as_bytes());
        write(&roots.join("intel.pem"), cpus.root().as_bytes());
        let config =
            server::Config { attestation_extra_roots: Some(roots), ..server_config(&data) };
        let server = server::start(&config).unwrap();
        let address = format!("http://{}", server.address());
        let operator =
            std::fs::read_to_string(data.join("operator.key")).unwrap().trim().to_owned();
        let cards = vec![gpus.card("a", true), gpus.card("b", true)];
        let stop = Arc::new(AtomicBool::new(false));
        let mut network = Self {
            home,
            server: Some(server),
            address,
            operator,
            gpus,
            cards,
            stop,
            threads: Vec::new(),
        };
        network.keep("references", &network.gpus.references(hour_ago()).sign(&network.key()));
        network.revoke(&[]);
        network.keep("images", &tdx::images(hour_ago()).sign(&network.key()));
        network.keep("intel/family.json", &cpus.collateral(&[], hour_ago()));
        let patch: Value = serde_json::from_str(control::DESK_PATCH).unwrap();
        network.patch(&json!({ "patch": patch }));
        network.supply(cpus);
        network
    }

    fn key(&self) -> SigningKey {
        let text = std::fs::read_to_string(self.home.0.join("data/network.key")).unwrap();
        let bytes = HEXLOWER.decode(text.trim().as_bytes()).unwrap();
        SigningKey::from_bytes(&bytes.try_into().unwrap())
    }

    fn keep(&self, name: &str, bytes: &[u8]) {
        write(&self.home.0.join("data/attestation").join(name), bytes);
    }

    fn revoke(&self, serials: &[&str]) {
        let revocations = self.gpus.revocations(serials, hour_ago());
        self.keep("revocations", &revocations.sign(&self.key()));
    }

    fn patch(&self, body: &Value) {
        let url = format!("{}/v1/network/parameters", self.address);
        let bearer = format!("Bearer {}", self.operator);
        let ask = ureq::patch(url).header("authorization", bearer);
        ask.content_type("application/json").send(body.to_string()).unwrap();
    }

    /// A driver, a kernel, and an agent.
    fn supply(&mut self, cpus: tdx::Maker) {
        let driver = self.home.0.join("driver");
        std::fs::create_dir_all(&driver).unwrap();
        let card = |(place, card): (usize, &gpu::Card)| Card {
            minor: u32::try_from(place).unwrap(),
            attests: Some(Attests {
                chain: card.chain.clone(),
                report: HEXLOWER.encode(&card.template),
                key: HEXLOWER.encode(&card.key.to_bytes()),
            }),
            ..Card::new(&format!("GPU-{place}"), "NVIDIA H100 PCIe")
        };
        let script = Script {
            driver: gpu::DRIVER.to_owned(),
            cards: self.cards.iter().enumerate().map(card).collect(),
            confidential: true,
            ..Script::default()
        };
        let library = Stage::set(&driver, &[], &script).unwrap().library();
        let reports = self.home.0.join("reports");
        std::fs::create_dir_all(&reports).unwrap();
        let (folder, stop) = (reports.clone(), Arc::clone(&self.stop));
        self.threads.push(thread::spawn(move || kernel(&folder, &cpus, &stop)));
        let invited = self.done(&["worker", "invite", "--json"]);
        let invited: Value = serde_json::from_str(&invited).unwrap();
        let config = agent::Config {
            driver: Some(library),
            reports: Some(reports),
            ..agent_config(&self.home, &self.address)
        };
        agent::join(&config, invited["token"].as_str().unwrap()).unwrap();
        let stop = Arc::clone(&self.stop);
        let agent = move || agent::run_with(&config, Box::new(NoNodes), &stop).unwrap();
        self.threads.push(thread::spawn(agent));
    }

    fn say(&self, arguments: &[&str]) -> Said {
        let variables =
            [("IOG_SERVER", self.address.as_str()), ("IOG_KEY", self.operator.as_str())];
        iog(&self.home, &variables, arguments)
    }

    fn done(&self, arguments: &[&str]) -> String {
        let said = self.say(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.err);
        said.out
    }

    /// Waits until a machine is on offer with this certification.
    fn until_offered(&self, certification: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.say(&["offers", "--certification", certification, "--json"]);
            let offers: Value = serde_json::from_str(&found.out).unwrap_or_default();
            if let Some(worker) = offers[0]["worker"].as_str() {
                return worker.to_owned();
            }
            assert!(Instant::now() < until, "in vain: {certification}: {}", found.err);
            thread::park_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        if let Some(server) = self.server.take() {
            let _ = server.stop();
        }
    }
}

/// Stands in for a kernel: answers what is asked in a folder of reports.
fn kernel(folder: &Path, cpus: &tdx::Maker, stop: &AtomicBool) {
    let answer = |report: PathBuf| {
        let data: [u8; 64] = std::fs::read(report.join("inblob")).ok()?.try_into().ok()?;
        if !report.join("outblob").exists() {
            let quote = cpus.processor("p").quote(&tdx::Saying::good(data));
            std::fs::write(report.join("provider"), "tdx_guest\n").ok()?;
            std::fs::write(report.join("half"), quote).ok()?;
            std::fs::rename(report.join("half"), report.join("outblob")).ok()?;
        }
        Some(())
    };
    while !stop.load(Ordering::Relaxed) {
        for report in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            answer(report.path());
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_a_machines_chips_say_is_offered_and_anybody_who_rents_it_checks_it() {
    let network = Network::new("attest");
    let worker = network.until_offered("confidential");
    assert_eq!(network.until_offered("attested-gpu"), worker);
    let shown = network.done(&["proof", "attest", "show", &worker]);
    assert!(shown.contains("attested-gpu, confidential"), "{shown}");
    assert!(shown.contains("guest for tests on tdx"), "{shown}");
    assert!(network.cards.iter().all(|card| shown.contains(&card.serial)), "{shown}");

    network.done(&["proof", "attest", "get", &worker, "got"]);
    let key = HEXLOWER.encode(network.key().verifying_key().as_bytes());
    let verify = ["proof", "attest", "verify", "got", "--key", &key];
    let roots = ["--extra-roots", "roots"];
    let checked = network.done(&[&verify[..], &roots].concat());
    assert!(checked.contains("ties the cards to the machine's key"), "{checked}");
    let refused = |said: Said, why: &str| {
        assert_eq!((said.code, said.err.contains(why)), (10, true), "{why}: {}", said.err);
    };
    refused(network.say(&verify), "NVIDIA's pinned root");
    let stranger = ["proof", "attest", "verify", "got", "--key", &HEXLOWER.encode(&[7; 32])];
    assert_ne!(network.say(&[&stranger[..], &roots].concat()).code, 0);
    refused(
        network.say(&[&verify[..], &roots, &["--at", "2035-01-01T00:00:00Z"]].concat()),
        "held until",
    );

    let file = network.home.0.join("got/evidence.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let kept: Value = serde_json::from_str(&text).unwrap();
    let mut other = kept.clone();
    other["machine_key"] = json!(key);
    write(&file, other.to_string().as_bytes());
    refused(network.say(&[&verify[..], &roots].concat()), "other report data");
    let mut fewer = kept;
    fewer["gpus"].as_array_mut().unwrap().pop();
    write(&file, fewer.to_string().as_bytes());
    refused(network.say(&[&verify[..], &roots].concat()), "other report data");
    write(&file, text.as_bytes());

    // A chip that its maker took back since is refused with the data of today.
    network.revoke(&[&network.cards[1].serial]);
    let today = ["--data", "data/attestation"];
    refused(network.say(&[&verify[..], &roots, &today].concat()), "is revoked");
}

#[test]
fn what_makers_publish_is_imported_only_if_they_signed_it_and_it_is_fresh() {
    let home = Home::new("attest-import");
    let run =
        |arguments: &[&str]| iog(&home, &[], &[&["proof", "attest", "import"], arguments].concat());
    write(&home.0.join("data/network.key"), HEXLOWER.encode(&[5; 32]).as_bytes());
    let sample = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/attest/tests/data").join(name)
    };
    let driver = sample("Driver_RIM_test_no_gpu.swidtag");
    let vbios = sample("1010_0200_882_96005E0001_test_no_gpu.swidtag");
    let (driver, vbios) = (driver.to_str().unwrap(), vbios.to_str().unwrap());
    // When their signers' certificates held.
    let at = ["--data", "data", "--at", "2024-06-01T00:00:00Z"];
    let said = run(&[&at[..], &[driver, vbios]].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("NV_GPU_DRIVER_GH100_545.00"), "{}", said.err);
    assert!(said.err.contains("NV_GPU_VBIOS_1010_0200_882_96005E0001"), "{}", said.err);
    assert!(said.out.contains("2 manifests, good until 2024-07-01"), "{}", said.out);
    let later = run(&["--data", "data"]);
    assert!(later.out.contains("2 manifests, STALE since 2024-07-01"), "{}", later.out);

    let intel = sample("tdx_collateral_v4.json");
    let intel = intel.to_str().unwrap();
    let fresh = run(&["--data", "data", "--at", "2025-06-25T00:00:00Z", intel]);
    assert_eq!(fresh.code, 0, "{}", fresh.err);
    assert!(fresh.out.contains("intel/b0c06f000000.json  good until 2025-07-19"), "{}", fresh.out);
    let refused = |said: Said, why: &str| {
        assert_eq!((said.code, said.err.contains(why)), (10, true), "{why}: {}", said.err);
    };
    refused(run(&["--data", "data", intel]), "too old");
    let altered = std::fs::read_to_string(driver).unwrap().replacen("545.00", "546.00", 1);
    write(&home.0.join("altered.swidtag"), altered.as_bytes());
    refused(run(&[&at[..], &["altered.swidtag"]].concat()), "not signed by the key");
    refused(run(&[&at[..], &[intel]].concat()), "not as Intel signed it");
    let images = json!({ "images": [{ "name": "one", "snp": ["5e".repeat(48)] }] });
    write(&home.0.join("images.json"), images.to_string().as_bytes());
    assert_eq!(run(&["--data", "data", "images.json"]).code, 0);
    write(&home.0.join("list.crl"), &[0x30, 0]);
    refused(run(&["--data", "data", "list.crl"]), "name a chain");
    let chain = sample("hopperCertChain.txt");
    let clear = run(&["--data", "data", "--chain", chain.to_str().unwrap(), "--assume-clear"]);
    assert_eq!(clear.code, 0, "{}", clear.err);
    assert!(clear.out.contains("of 3 issuers, good until"), "{}", clear.out);
}
