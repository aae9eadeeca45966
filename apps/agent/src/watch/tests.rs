//! The watch with the real loader, a library that follows a script, and processes of our own.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use fake_nvml::{Card, Code, Process, Script, Stage};
use proofs::lock::{
    Action, Break, Ceilings, End, LockRules, Record, Report, Span, decide, uptime, verify,
};
use units::{RentalId, Timestamp};
use worker::NodeKey;

use super::*;
use crate::config::Offers;
use crate::probe::{Gpus, Occupant, Pulse};
use crate::runtime::footprint::testing::{Node, group_folders};
use crate::runtime::net::Egress;
use crate::runtime::sandbox::Choice;
use crate::runtime::scratch::Scratch;

const KEY: NodeKey = NodeKey { rental: RentalId::from_bits(6), node: 0 };
const HOUR_MS: u64 = 3_600_000;
/// The beginning of an hour.
const TEN: u64 = 490_000 * HOUR_MS;

/// A process of the test, ended with it.
struct Worker(Child);

impl Worker {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn sleeps() -> Self {
        Self::start(Command::new("sleep").arg("600"))
    }

    /// One that leads a session of its own, as a node's first process does.
    fn leads() -> Self {
        let worker = Self::start(Command::new("setsid").args(["sleep", "600"]));
        let name = format!("/proc/{}/comm", worker.pid());
        eventually(|| fs::read_to_string(&name).is_ok_and(|name| name == "sleep\n"));
        worker
    }

    /// One that is asked in vain.
    fn stubborn(marker: &Path) -> Self {
        let script = format!("trap '' TERM; touch {}; exec sleep 600", marker.display());
        let worker = Self::start(Command::new("sh").args(["-c", &script]));
        eventually(|| marker.exists());
        worker
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn is_over(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn eventually(mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < until, "it does not come to pass");
        thread::sleep(Duration::from_millis(10));
    }
}

fn card(uuid: &str) -> Card {
    Card::new(uuid, "NVIDIA GeForce RTX 4090")
}

fn on(pid: u32) -> Process {
    Process { pid, memory_mib: Some(640) }
}

/// A machine with one card, its agent's folder, and a clock that the test turns.
struct Scene {
    scratch: Scratch,
    stage: Stage,
    script: Script,
    time: Arc<AtomicU64>,
    config: Config,
}

impl Scene {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(&format!("watch-{name}"));
        let script = Script {
            driver: "570.86.16".to_owned(),
            cards: vec![card("GPU-a")],
            ..Script::default()
        };
        let stage = Stage::set(scratch.path(), &[], &script).unwrap();
        let config = Config {
            data: scratch.path().join("data"),
            server: String::new(),
            name: None,
            part: 0,
            offers: Offers::default(),
            country: None,
            address: "127.0.0.1".parse().unwrap(),
            ports: 20_000..=20_999,
            runtimes: PathBuf::new(),
            sandbox: Choice::Plain,
            own_network: false,
            egress: Egress::Off,
            stop_foreign: true,
            driver: Some(stage.library()),
            reports: None,
        };
        Self { scratch, stage, script, time: Arc::new(AtomicU64::new(TEN)), config }
    }

    fn watcher(&self) -> Watcher {
        let time = self.time.clone();
        let clock = move || {
            let now = time.load(Ordering::Relaxed);
            (Timestamp::from_millis(now), now)
        };
        let driver = Box::new(Driver::at(self.config.driver.clone()));
        let eyes = Eyes::new(driver, &self.config, Box::new(clock));
        let key = SigningKey::from_bytes(&[3; 32]);
        Watcher::new(&self.config, WorkerId::from_bits(2), &key, eyes).unwrap()
    }

    fn play(&self) {
        self.stage.play(&self.script).unwrap();
    }

    fn pass(&self, seconds: u64) {
        self.time.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }

    fn seconds(&self, watcher: &mut Watcher, seconds: u64) {
        for _ in 0..seconds {
            watcher.look();
            self.pass(1);
        }
    }

    fn records(&self) -> Vec<Record> {
        let records = sealed_records(&self.config.data);
        let mut read = Vec::new();
        while let Some((name, bytes)) = records.oldest() {
            read.push(Record::read(&bytes).unwrap());
            records.done(&name);
            records.done(&name);
        }
        read
    }

    fn report(&self) -> Report {
        let (_, bytes) = sealed_records(&self.config.data).oldest().unwrap();
        verify(&bytes, &LockRules::default(), Ceilings::DATA_CENTER).unwrap()
    }

    fn node(&self, first: u32) -> Node<'static> {
        let node = Node { key: KEY, gpus: vec![0], first, sandboxed: false, group: None };
        node.write(&self.config.data);
        node
    }
}

#[test]
fn the_driver_says_what_the_script_says() {
    let mut scene = Scene::new("driver");
    scene.script.cards = vec![card("GPU-a"), card("GPU-b")];
    scene.script.cards[1].minor = 7;
    scene.script.cards[1].busy_pct = 44;
    scene.script.cards[1].compute = vec![on(77), Process { pid: 78, memory_mib: None }];
    scene.script.cards[1].graphics = vec![on(79)];
    scene.play();
    let mut driver = Driver::at(scene.config.driver.clone());
    let listed = driver.list();
    let short: Vec<_> = listed.iter().map(|g| (g.index, g.device_number, &g.uuid[..])).collect();
    assert_eq!(short, [(0, 0, "GPU-a"), (1, 7, "GPU-b")]);
    assert_eq!((listed[0].memory_mib, &listed[0].driver[..]), (24_576, "570.86.16"));
    let pulse = Pulse { busy_pct: Some(44), used_mib: 300, power_watts: 21, clock_mhz: 210 };
    assert_eq!(driver.sample("GPU-b"), Some(pulse));
    let there =
        [(77, 640), (78, 0), (79, 640)].map(|(pid, memory_mib)| Occupant { pid, memory_mib });
    assert_eq!(driver.processes("GPU-b"), Some(there.to_vec()));
    assert_eq!(driver.processes("GPU-a"), Some(Vec::new()));
    assert_eq!((driver.sample("GPU-x"), driver.processes("GPU-x")), (None, None));
}

#[test]
fn a_card_that_disappears_is_silent_and_may_come_back() {
    let mut scene = Scene::new("lost");
    let mut driver = Driver::at(scene.config.driver.clone());
    assert!(driver.sample("GPU-a").is_some());
    scene.script.cards[0].lost = true;
    scene.play();
    assert_eq!((driver.sample("GPU-a"), driver.processes("GPU-a")), (None, None));
    assert_eq!(driver.list(), [], "it is not among those that answer");
    scene.script.cards.clear();
    scene.play();
    assert_eq!(driver.sample("GPU-a"), None);
    scene.script.cards = vec![card("GPU-a")];
    scene.play();
    assert!(driver.sample("GPU-a").is_some());
}

#[test]
fn a_driver_that_does_not_start_is_tried_again() {
    let mut scene = Scene::new("starts");
    scene.script.fail.insert("nvmlInit_v2".to_owned(), Code::DRIVER_NOT_LOADED);
    scene.play();
    let mut driver = Driver::at(scene.config.driver.clone());
    assert_eq!(driver.list(), []);
    scene.script.fail.clear();
    scene.play();
    assert_eq!(driver.list().len(), 1);
    // The driver is replaced while the library is loaded.
    scene.script.fail.insert("nvmlDeviceGetHandleByUUID".to_owned(), Code::UNINITIALIZED);
    scene.play();
    assert_eq!(driver.sample("GPU-a"), None);
    scene.script.fail.clear();
    scene.play();
    assert!(driver.sample("GPU-a").is_some());
    assert_eq!(Driver::at(Some(PathBuf::from("/not/there.so"))).list(), []);
}

#[test]
fn a_call_that_fails_costs_its_figure_and_nothing_else() {
    let figures =
        |pulse: Pulse| (pulse.busy_pct, pulse.used_mib, pulse.power_watts, pulse.clock_mhz);
    for (function, expected) in [
        ("nvmlDeviceGetUtilizationRates", (None, 300, 21, 210)),
        ("nvmlDeviceGetMemoryInfo_v2", (Some(0), 0, 21, 210)),
        ("nvmlDeviceGetPowerUsage", (Some(0), 300, 0, 210)),
        ("nvmlDeviceGetClockInfo", (Some(0), 300, 21, 0)),
    ] {
        let mut scene = Scene::new("calls");
        let mut driver = Driver::at(scene.config.driver.clone());
        scene.script.cards[0].fail.insert(function.to_owned(), Code::NOT_SUPPORTED);
        scene.play();
        assert_eq!(driver.sample("GPU-a").map(figures), Some(expected), "{function} fails");
        assert_eq!(driver.processes("GPU-a"), Some(Vec::new()));
        scene.script.cards[0].fail.insert(function.to_owned(), Code::GPU_IS_LOST);
        scene.play();
        assert_eq!(driver.sample("GPU-a"), None, "{function} says that the card is lost");

        let scene = Scene::new("symbols");
        let stage = Stage::set(scene.scratch.path(), &[function], &scene.script).unwrap();
        let mut driver = Driver::at(Some(stage.library()));
        assert_eq!(driver.sample("GPU-a").map(figures), Some(expected), "without {function}");
    }
}

#[test]
fn processes_are_read_by_the_older_functions_where_the_newer_are_missing() {
    let newer =
        ["nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v3"];
    let older =
        ["nvmlDeviceGetComputeRunningProcesses_v2", "nvmlDeviceGetGraphicsRunningProcesses_v2"];
    let mut scene = Scene::new("processes");
    scene.script.cards[0].compute = vec![on(5)];
    scene.script.cards[0].graphics = vec![on(6)];
    let pids = |without: &[&str]| {
        let stage = Stage::set(scene.scratch.path(), without, &scene.script).unwrap();
        let listed = Driver::at(Some(stage.library())).processes("GPU-a");
        listed.map(|all| all.iter().map(|one| one.pid).collect::<Vec<_>>())
    };
    assert_eq!(pids(&newer), Some(vec![5, 6]));
    assert_eq!(pids(&older), Some(vec![5, 6]));
    assert_eq!(pids(&[newer, older].concat()), None);
    let starts = ["nvmlInit_v2"];
    assert_eq!((pids(&starts), pids(&["nvmlShutdown"])), (None, None), "not a driver's library");
}

#[test]
fn a_stranger_on_a_rented_card_is_named_stopped_and_on_record() {
    let mut scene = Scene::new("stranger");
    let (renter, mut stranger) = (Worker::leads(), Worker::sleeps());
    let node = scene.node(renter.pid());
    scene.script.cards[0].compute = vec![on(renter.pid())];
    scene.play();
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 90);
    assert!(watcher.board.strangers().is_empty());
    scene.script.cards[0].compute.push(on(stranger.pid()));
    scene.play();
    scene.seconds(&mut watcher, 2);
    let told = watcher.board.strangers();
    assert!(
        matches!(&told[..], [one] if one.contains("sleep") && one.contains("GPU-a")),
        "{told:?}"
    );
    assert!(!stranger.is_over(), "named first");
    scene.seconds(&mut watcher, 1);
    eventually(|| stranger.is_over());
    scene.script.cards[0].compute.pop();
    scene.play();
    scene.seconds(&mut watcher, 30);
    assert!(watcher.board.strangers().is_empty());
    node.remove(&scene.config.data);
    scene.seconds(&mut watcher, 1);

    let report = scene.report();
    assert!(matches!(report.span, Span::Rental(of) if of.rental == KEY.rental));
    assert_eq!((report.up(), report.broken_by(Break::Foreign), report.end), (2, 1, End::Over));
    let [offender] = &report.offenders[..] else { panic!("{:?}", report.offenders) };
    assert_eq!((offender.process.pid, &offender.process.name[..]), (stranger.pid(), "sleep"));
    assert!(offender.stopped && offender.memory_max_mib == 640);
    let decision = decide(&report, &LockRules::default());
    assert_eq!((decision.action, decision.refund_minutes), (Action::Refund, 1));
}

#[test]
fn a_stranger_that_does_not_listen_is_ended_after_a_while() {
    let mut scene = Scene::new("stubborn");
    let renter = Worker::sleeps();
    let mut stranger = Worker::stubborn(&scene.scratch.path().join("deaf"));
    scene.node(renter.pid());
    scene.script.cards[0].compute = vec![on(stranger.pid())];
    scene.play();
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 12);
    assert!(!stranger.is_over(), "asked in vain");
    scene.seconds(&mut watcher, 2);
    eventually(|| stranger.is_over());
}

#[test]
fn nobody_is_stopped_on_an_idle_card_nor_where_the_owner_did_not_say_so() {
    let mut scene = Scene::new("owner");
    let (renter, mut stranger) = (Worker::sleeps(), Worker::sleeps());
    scene.script.cards[0].compute = vec![on(stranger.pid())];
    scene.play();
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 40);
    assert_eq!(watcher.board.strangers().len(), 1, "named");
    scene.config.stop_foreign = false;
    scene.node(renter.pid());
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 40);
    assert_eq!(watcher.board.strangers().len(), 1, "named");
    assert!(!stranger.is_over());
}

#[test]
fn neither_the_first_process_nor_the_agent_nor_one_of_a_node_is_ever_stopped() {
    let mut scene = Scene::new("spared");
    let renter = Worker::sleeps();
    let node = scene.node(renter.pid());
    let (name, value) = node.mark(&scene.config.data);
    let mut marked = Worker::start(Command::new("sleep").arg("600").env(name, value));
    // A number that no process can have: Linux counts to 2^22.
    let gone = (1 << 22) + 1;
    scene.script.cards[0].compute =
        [1, std::process::id(), marked.pid(), gone, u32::MAX, 0].map(on).to_vec();
    scene.play();
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 60);
    assert!(!marked.is_over());
    node.remove(&scene.config.data);
    scene.seconds(&mut watcher, 1);
    let record = scene.records().remove(0);
    let named: Vec<u32> = record.processes().map(|process| process.pid).collect();
    assert_eq!(named, [0, 1, gone, u32::MAX]);
    let card = &record.minutes().next().unwrap().cards[0];
    assert!(card.proving > 0 && card.renter > 0, "{card:?}");
    assert!(!record.entries.iter().any(|entry| matches!(entry, proofs::lock::Entry::Stop { .. })));
}

#[test]
fn a_process_in_a_nodes_control_group_is_the_nodes() {
    let name = format!("iog-watch-test-{}", std::process::id());
    let folders = group_folders(&name);
    if folders.is_empty() {
        return;
    }
    let mut scene = Scene::new("group");
    let (first, inside, outside) = (Worker::sleeps(), Worker::sleeps(), Worker::sleeps());
    for folder in &folders {
        for pid in [first.pid(), inside.pid()] {
            fs::write(folder.join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }
    let node =
        Node { key: KEY, gpus: vec![0], first: first.pid(), sandboxed: false, group: Some(&name) };
    node.write(&scene.config.data);
    check_owned(&mut scene, &inside, &outside);
    drop((first, inside));
    for folder in &folders {
        eventually(|| fs::remove_dir(folder).is_ok());
    }
}

#[test]
fn a_process_in_a_nodes_sandbox_is_the_nodes() {
    let mut scene = Scene::new("sandbox");
    // The first process inside has a child there; both have a namespace of their own.
    let words = [
        "--unshare-pid",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--",
        "sh",
        "-c",
    ];
    let room = Command::new("bwrap").args(words).arg("sleep 600 & wait").spawn();
    let Ok(room) = room else { return };
    let room = Worker(room);
    let children = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        text.unwrap_or_default().split_whitespace().flat_map(str::parse::<u32>).collect::<Vec<_>>()
    };
    let mut inside = Vec::new();
    let until = Instant::now() + Duration::from_secs(20);
    while inside.len() < 3 && !matches!(Instant::now(), now if now > until) {
        inside = vec![room.pid()];
        for at in 0..3 {
            let Some(pid) = inside.get(at) else { break };
            let below = children(*pid);
            inside.extend(below);
        }
        thread::sleep(Duration::from_millis(10));
    }
    let [_, first, .., last] = inside[..] else { return };
    let outside = Worker::sleeps();
    let node = Node { key: KEY, gpus: vec![0], first, sandboxed: true, group: None };
    node.write(&scene.config.data);
    scene.script.cards[0].compute = vec![on(last), on(outside.pid())];
    scene.play();
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 2);
    let told = watcher.board.strangers();
    assert!(matches!(&told[..], [one] if one.contains(&outside.pid().to_string())), "{told:?}");
    // Whoever is the first of a namespace takes its processes with it.
    let _ = Command::new("kill").args(["-KILL", &first.to_string()]).status();
}

/// One process is a node's, the other a stranger.
fn check_owned(scene: &mut Scene, inside: &Worker, outside: &Worker) {
    scene.script.cards[0].compute = vec![on(inside.pid()), on(outside.pid())];
    scene.play();
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 2);
    let told = watcher.board.strangers();
    assert!(matches!(&told[..], [one] if one.contains(&outside.pid().to_string())), "{told:?}");
}

#[test]
fn a_card_that_is_lost_during_a_rental_is_paid_back_and_nobody_is_accused() {
    let mut scene = Scene::new("broken");
    let renter = Worker::sleeps();
    scene.node(renter.pid());
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 60);
    scene.script.cards[0].lost = true;
    scene.play();
    scene.seconds(&mut watcher, 60);
    scene.script.cards[0].lost = false;
    scene.play();
    scene.seconds(&mut watcher, 60);
    watcher.end();
    let report = scene.report();
    assert_eq!((report.up(), report.broken_by(Break::CardLost)), (2, 1));
    let decision = decide(&report, &LockRules::default());
    assert_eq!(
        (decision.action, decision.refund_minutes, decision.hint),
        (Action::Refund, 1, None)
    );
}

#[test]
fn cards_keep_their_places_when_one_before_them_is_lost_and_a_late_driver_is_found() {
    let mut scene = Scene::new("places");
    let renter = Worker::sleeps();
    scene.node(renter.pid());
    scene.script.cards = Vec::new();
    scene.play();
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 30);
    // The driver is loaded after the agent.
    scene.script.cards = vec![card("GPU-a"), card("GPU-b")];
    scene.play();
    scene.seconds(&mut watcher, 60);
    // The rented card falls off the bus, and the other is the first of the list.
    scene.script.cards.remove(0);
    scene.play();
    scene.seconds(&mut watcher, 180);
    watcher.end();
    let hash = |uuid: &str| eyes::hash_of(uuid);
    let last: BTreeMap<Span, Record> =
        scene.records().into_iter().map(|record| (record.header.span, record)).collect();
    let rented = last.iter().find(|(span, _)| **span != Span::Idle).unwrap().1;
    assert_eq!(rented.header.cards, [hash("GPU-a")]);
    let minutes: Vec<_> = rented.minutes().collect();
    assert_eq!(minutes.last().unwrap().cards[0].answered, 0, "silent to the end");
    let idle = &last[&Span::Idle];
    assert_eq!(idle.header.cards, [hash("GPU-b")]);
    assert!(idle.minutes().all(|minute| minute.cards[0].answered == minute.samples));
}

#[test]
fn records_go_on_where_an_agent_stopped_or_broke_off() {
    let scene = Scene::new("chain");
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 60);
    watcher.end();
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 150);
    // It breaks off; half a minute is lost.
    drop(watcher);
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 3_600);
    watcher.end();
    let records = scene.records();
    let ends: Vec<End> = records.iter().map(|record| record.end).collect();
    assert_eq!(ends, [End::AgentStops, End::BrokeOff, End::HourOver, End::AgentStops]);
    for pair in records.windows(2) {
        assert_eq!(pair[1].header.previous, pair[0].hash);
        assert_eq!(pair[1].header.part, pair[0].header.part + 1);
    }
    let (rules, any) = (LockRules::default(), Ceilings { cpu_max_pct: 100, gpu_max_pct: None });
    let reports: Vec<Report> =
        records.iter().map(|record| proofs::lock::judge(record, &rules, any)).collect();
    assert_eq!(uptime(&reports, 490_000, &rules), 59, "the minute in which it broke off");
    assert!(sealed_records(&scene.config.data).names().is_empty(), "all were taken");
}

#[test]
fn a_damaged_folder_does_not_keep_the_agent_from_watching() {
    let scene = Scene::new("damaged");
    drop(scene.watcher());
    let folder = scene.config.data.join("watch");
    fs::write(folder.join("open/idle"), b"IOGT nonsense").unwrap();
    fs::write(folder.join("heads.json"), b"{").unwrap();
    fs::write(folder.join("sealed/000-x.record"), b"").unwrap();
    let mut watcher = scene.watcher();
    scene.seconds(&mut watcher, 60);
    watcher.end();
    assert_eq!(sealed_records(&scene.config.data).names().len(), 2);
    assert!(!folder.join("open/idle").exists());
}

#[test]
fn the_oldest_records_go_when_nobody_takes_them() {
    let scene = Scene::new("room");
    let mut watcher = scene.watcher();
    watcher.shelf.room = 2;
    for _ in 0..4 {
        scene.seconds(&mut watcher, 2);
        scene.pass(3_600);
    }
    watcher.end();
    let parts: Vec<u32> = scene.records().iter().map(|record| record.header.part).collect();
    assert_eq!(parts, [2, 3]);
}

/// Prints what a look costs, in microseconds of this thread's processor time:
/// `cargo test -p agent --release --lib what_a_look -- --ignored --nocapture`.
#[test]
#[ignore = "prints, and tests nothing"]
fn what_a_look_costs() {
    let mut scene = Scene::new("cost");
    scene.script.cards = (0..8).map(|number| card(&format!("GPU-{number}"))).collect();
    let renters: Vec<Worker> = (0..8).map(|_| Worker::sleeps()).collect();
    for (place, renter) in renters.iter().enumerate() {
        scene.script.cards[place].compute = vec![on(renter.pid())];
    }
    scene.play();
    let node = Node { gpus: (0..8).collect(), ..scene.node(renters[0].pid()) };
    node.write(&scene.config.data);
    let mut watcher = scene.watcher();
    let micros = || {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap() / 1_000
    };
    scene.seconds(&mut watcher, 60);
    let before = micros();
    scene.seconds(&mut watcher, 600);
    let each = (micros() - before) / 600;
    tracing::info!(each, "microseconds a look");
    assert_eq!(each, 0, "microseconds a look, eight cards with a process each");
}
