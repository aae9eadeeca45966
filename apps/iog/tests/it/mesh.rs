//! A cluster that talks over a network of its own, on real parts: a control plane, two relays, two machines in
//! sandboxes, and Ray; and what becomes of its jobs when a relay dies, and when an agent dies; and that nothing is left
//! when the rental ends.
//!
//! Where this system gives nodes no network of their own, nothing is looked at. As root, all of it is in a network that
//! lets UDP go nowhere but to relays: else the nodes would meet without any, and no relay's death would matter. As an
//! ordinary user they do, and the last relay's death must not matter; what it is like as root, `steady` looks at.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::town::{Town, free_port, runtimes};

/// What sees all nodes of its cluster, and has each of them work.
pub(crate) const JOB: &str = r#"python -c '
import ray
ray.init(logging_level="ERROR")
nodes = sorted(node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"])
@ray.remote(num_cpus=2)
def here():
    import time; time.sleep(1)
    return ray.util.get_node_ip_address()
seen = sorted(set(ray.get([here.remote() for _ in range(4)])))
print("alive", *nodes)
print("worked", *seen)
'"#;

/// How often [`LONG_JOB`] sends something to the other node, and how much.
const STEPS: usize = 80;
const STEP_BYTES: usize = 100_000;
/// What keeps something on the other node that is lost for good with it, and adds to it step by step.
const LONG_JOB: &str = r#"python -c '
import ray, time
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as At
ray.init(logging_level="ERROR")
here = ray.get_runtime_context().get_node_id()
other = next(node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != here)
@ray.remote(num_cpus=1, scheduling_strategy=At(other, soft=False))
class Sum:
    total = 0
    def add(self, data):
        self.total += sum(data)
        return self.total
kept = Sum.remote()
for step in range(STEPS):
    total = ray.get(kept.add.remote(bytes([step]) * STEP_BYTES))
    print("step", step, flush=True)
    time.sleep(0.25)
print("total", total)
'"#;

/// A network with relays and two machines.
pub(crate) struct People {
    pub(crate) operator: String,
    pub(crate) supplier: String,
    pub(crate) renter: String,
    pub(crate) project: String,
}

pub(crate) fn gather(town: &Town) -> People {
    let operator = fs::read_to_string(town.path("server/operator.key")).unwrap().trim().to_owned();
    let mut patch: Value = serde_json::from_str(control::DESK_PATCH).unwrap();
    patch["fees"] = json!({ "nonrefundable_minutes": 1 });
    town.ask("PATCH", "/v1/network/parameters", &operator, Some(json!({ "patch": patch })));
    let (supplier, renter) = (town.person(&operator, "supplier"), town.person(&operator, "renter"));
    let project = town.ask("POST", "/v1/projects", &renter, Some(json!({ "name": "first" })));
    let project = project["id"].as_str().unwrap().to_owned();
    let top_up = json!({ "amount": "10", "note": "" });
    town.ask("POST", &format!("/v1/projects/{project}/top-ups"), &operator, Some(top_up));
    People { operator, supplier, renter, project }
}

/// A relay that runs.
pub(crate) struct Relay {
    pub(crate) name: String,
    key: String,
    packets: Vec<u16>,
}

pub(crate) fn start_relay(town: &mut Town, operator: &str, name: &str) -> Relay {
    let (data, at, url) = (town.text(name), format!("127.0.0.1:{}", free_port()), town.url.clone());
    let ready = town.text(&format!("{name}-ready"));
    let about = ["relay", "--server", &url, "--data", &data, "--domain", "relay.test"];
    let at = ["--advertise", &at, "--listen", &at, "--ready-file", &ready];
    town.start_as(name, &[&about[..], &at].concat(), operator);
    town.until("the relay is listed", |town| {
        let ready = fs::read_to_string(&ready).ok()?;
        let (key, _) = ready.split_once('@')?;
        let listed = town.ask("GET", "/v1/network/relays", operator, None);
        let relays = listed["relays"].as_array()?;
        let relay = relays.iter().find(|relay| relay["key"] == key)?;
        let body = BASE64.decode(relay["record"]["body"].as_str()?.as_bytes()).unwrap();
        let record: Value = serde_json::from_slice(&body).unwrap();
        let ports = record["udp"].as_array().into_iter().flatten();
        let port = |at: &Value| at.as_str().unwrap().parse::<SocketAddr>().unwrap().port();
        let packets = ports.map(port).collect();
        Some(Relay { name: name.to_owned(), key: key.to_owned(), packets })
    })
}

/// What is said to the agent of a machine: two of them have the parts of one.
fn about_machine(town: &Town, part: usize) -> Vec<String> {
    let name = format!("w{part}");
    let of = |flag: &str, value: String| [format!("--{flag}"), value];
    let words = [
        of("server", town.url.clone()),
        of("data", town.text(&name)),
        of("name", name),
        of("part", part.to_string()),
        of("runtimes", runtimes().display().to_string()),
        of("ports", format!("2{part}000-2{part}999")),
        of("address", "127.0.0.1".to_owned()),
        of("vcpus", "2".to_owned()),
        of("memory", "3072MiB".to_owned()),
        of("disk", "2048MiB".to_owned()),
    ];
    words.into_iter().flatten().chain(["--no-gpus".to_owned()]).collect()
}

fn start_machine(town: &mut Town, part: usize) {
    let about = about_machine(town, part);
    let about: Vec<&str> = about.iter().map(String::as_str).collect();
    // What leads out of a node is not looked at here.
    let run = ["worker", "run", "--stop-nodes", "--egress", "off"];
    town.start(&format!("w{part}"), &[&run[..], &about].concat());
}

pub(crate) fn start_machines(town: &mut Town, supplier: &str) {
    for part in 1..=2 {
        let invite = town.ask("POST", "/v1/invites", supplier, Some(json!({ "valid_hours": 1 })));
        let token = invite["token"].as_str().unwrap();
        let join = ["worker", "join", "--quick", token];
        let joined = town.command(&join).args(about_machine(town, part)).output().unwrap();
        assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
        start_machine(town, part);
    }
    town.until("both machines are on offer", |town| {
        let workers = town.ask("GET", "/v1/workers", supplier, None);
        let items = workers["items"].as_array()?;
        let is_open = |worker: &&Value| worker["state"] == "open";
        (items.iter().filter(is_open).count() == 2).then_some(())
    });
}

/// Rents a cluster over both machines, and waits until it runs. Returns it if it has a network of its own.
pub(crate) fn rent(town: &Town, renter: &str, project: &str) -> Option<String> {
    let order = json!({
        "nodes": 2,
        "each": { "gpus": 0, "vcpus": 2, "memory_mib": 3000, "disk_mib": 1000 },
    });
    let quote = json!({ "project": project, "order": order, "hours": 1 });
    let quote = town.ask("POST", "/v1/quotes", renter, Some(quote));
    let rent = json!({ "quote": quote["quote"], "name": "mine" });
    let rental = town.ask("POST", "/v1/rentals", renter, Some(rent));
    let rental = rental["id"].as_str().unwrap().to_owned();
    let view = town.until("the cluster runs", |town| {
        let view = town.ask("GET", &format!("/v1/rentals/{rental}"), renter, None);
        assert!(view["state"] != "failed", "{view}\n{}", town.logs());
        (view["state"] == "running").then_some(view)
    });
    (!view["mesh"].is_null()).then_some(rental)
}

/// A rental, and whose it is.
pub(crate) struct Rented<'a> {
    pub(crate) town: &'a mut Town,
    pub(crate) rental: String,
    pub(crate) key: String,
}

impl Rented<'_> {
    fn submit(&self, job: &str) -> String {
        let path = format!("/v1/rentals/{}/jobs", self.rental);
        let job = self.town.ask("POST", &path, &self.key, Some(json!({ "entrypoint": job })));
        job["id"].as_str().unwrap().to_owned()
    }

    fn log(&self, job: &str) -> String {
        let log = self.town.ask("GET", &format!("/v1/jobs/{job}/log"), &self.key, None);
        // A single number is JSON, too.
        log.as_str().map_or_else(|| log.to_string(), str::to_owned)
    }

    /// Waits for a job's end, which must be a good one. Returns its log.
    fn finish(&self, job: &str) -> String {
        let state = self.town.until("the job ends", |town| {
            let path = format!("/v1/jobs/{job}");
            let state = town.ask("GET", &path, &self.key, None)["state"].clone();
            let is_over = !matches!(state.as_str(), Some("pending" | "running"));
            is_over.then_some(state)
        });
        let log = self.log(job);
        assert_eq!(state, "succeeded", "{log}\n{}", self.town.logs());
        log
    }

    pub(crate) fn run(&self, job: &str) -> String {
        self.finish(&self.submit(job))
    }

    /// Does something while a long job runs, which loses nothing by it.
    fn while_a_job_runs(&mut self, what: impl FnOnce(&mut Self)) {
        let job = LONG_JOB.replace("STEPS", &STEPS.to_string());
        let job = self.submit(&job.replace("STEP_BYTES", &STEP_BYTES.to_string()));
        self.town
            .until("the job is underway", |_| self.log(&job).contains("step 9\n").then_some(()));
        what(self);
        let log = self.finish(&job);
        let total: usize = (0..STEPS).map(|step| step * STEP_BYTES).sum();
        assert_eq!(words(&log, "total"), [total.to_string()], "{log}\n{}", self.town.logs());
    }

    /// Waits until the nodes talk in such a way. Returns the relay between them, if there is one.
    pub(crate) fn talks(&self, kind: &str) -> Option<String> {
        self.town.until(&format!("the nodes' way is {kind}"), |town| {
            let path = format!("/v1/rentals/{}/network", self.rental);
            let view = town.ask("GET", &path, &self.key, None);
            let head = view["members"].as_array()?.iter().find(|it| it["name"] == "head")?.clone();
            let way = head["ways"].as_array()?.first()?.clone();
            (way["kind"] == kind).then(|| way["relay"].as_str().map(str::to_owned))
        })
    }

    fn has_all_services(&self) {
        self.town.until("all services are open", |town| {
            let path = format!("/v1/rentals/{}/services", self.rental);
            let services = town.ask("GET", &path, &self.key, None);
            let services = services.as_array().or_else(|| services["items"].as_array())?.clone();
            let is_open = |service: &Value| service["state"] == "open";
            (services.len() >= 3 && services.iter().all(is_open)).then_some(())
        });
    }

    /// Comes in by SSH, over a relay.
    fn visit(&self) {
        self.town.until("a visitor comes in", |town| {
            let visit = ["ssh", "--server", &town.url, &self.rental, "--", "echo", "come", "in"];
            let said = town.command(&visit).env("IOG_KEY", &self.key).output().unwrap();
            (said.stdout == b"come in\n").then_some(())
        });
    }

    /// The machine that has the head: its number, and where the head's keys are.
    fn head(&self) -> (usize, PathBuf) {
        let keys = |part: usize| {
            let place = format!("w{part}/net/{}-0/keys.json", self.rental);
            Some((part, self.town.path(&place))).filter(|(_, keys)| keys.exists())
        };
        (1..=2).find_map(keys).unwrap()
    }

    pub(crate) fn ends_without_a_trace(self) {
        let Self { town, rental, key } = self;
        town.ask("POST", &format!("/v1/rentals/{rental}/end"), &key, None);
        town.until("nothing of the nodes' networks is left", |town| {
            let kept = |name: &str| {
                fs::read_dir(town.path(name).join("net")).into_iter().flatten().flatten().count()
            };
            (kept("w1") + kept("w2") == 0).then_some(())
        });
        town.until("nothing runs for the rental any more", |_| {
            let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
            let bears = |place: PathBuf| {
                let environment = fs::read(place.join("environ")).unwrap_or_default();
                String::from_utf8_lossy(&environment).contains(&rental)
            };
            (!processes.map(|entry| entry.path()).any(bears)).then_some(())
        });
    }
}

/// The words of the line of a log that begins with this one.
pub(crate) fn words<'a>(log: &'a str, first: &str) -> Vec<&'a str> {
    let line = log.lines().find_map(|line| line.strip_prefix(first)).unwrap_or_default();
    line.split_whitespace().collect()
}

pub(crate) fn are_in_mesh(addresses: &[&str]) -> bool {
    addresses.len() == 2 && addresses.iter().all(|address| address.starts_with("100."))
}

#[test]
fn heavy_no_job_of_a_cluster_is_lost_with_a_relay_or_an_agent() {
    let mut town = Town::new();
    let People { operator, supplier, renter, project } = gather(&town);
    let relays = ["relay-a", "relay-b"].map(|name| start_relay(&mut town, &operator, name));
    let packets: Vec<u16> = relays.iter().flat_map(|relay| relay.packets.clone()).collect();
    let needs_relay = town.network().map(|network| network.let_through(&packets)).is_some();
    start_machines(&mut town, &supplier);
    let Some(rental) = rent(&town, &renter, &project) else { return };
    let mut rented = Rented { town: &mut town, rental, key: renter };
    let log = rented.run(JOB);
    assert!(are_in_mesh(&words(&log, "alive")) && are_in_mesh(&words(&log, "worked")), "{log}");
    rented.has_all_services();
    rented.visit();

    let between = rented.talks(if needs_relay { "relayed" } else { "direct" });
    let is_between = |relay: &&Relay| between.as_ref().is_none_or(|key| *key == relay.key);
    let used = relays.iter().find(is_between).unwrap();
    rented.while_a_job_runs(|rented| rented.town.kill(&used.name));
    rented.visit();

    let (part, keys) = rented.head();
    let before = fs::read(&keys).unwrap();
    rented.while_a_job_runs(|rented| {
        rented.town.kill(&format!("w{part}"));
        start_machine(rented.town, part);
    });
    assert_eq!(fs::read(&keys).unwrap(), before, "who the node is outlives its agent");
    rented.visit();
    rented.has_all_services();

    if !needs_relay {
        let other = relays.iter().find(|relay| relay.name != used.name).unwrap();
        rented.town.kill(&other.name);
        let log = rented.run(JOB);
        assert!(are_in_mesh(&words(&log, "worked")), "without a relay: {log}");
    }
    rented.ends_without_a_trace();
}
