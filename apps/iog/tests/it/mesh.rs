//! A cluster that talks over a network of its own, on real parts: a control plane, a relay, two machines in sandboxes,
//! and Ray; and what becomes of it when the relay is gone, and when the rental ends.
//!
//! It needs what `./x setup` installs. Where this system gives nodes no network of their own, nothing is looked at.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::program::Home;

/// How long anything may take that is waited for: the environment of Ray is there, or made in this time.
const PATIENCE: Duration = Duration::from_secs(240);
/// What sees all nodes of its cluster, and has each of them work.
const JOB: &str = r#"python -c '
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

/// Processes of one network, gone when dropped.
struct Town {
    home: Home,
    roles: Vec<(String, Child)>,
    url: String,
}

impl Town {
    fn new() -> Self {
        let mut town = Self { home: Home::new("mesh"), roles: Vec::new(), url: String::new() };
        let (data, ready) = (town.text("server"), town.text("ready"));
        let listen = ["--listen", "127.0.0.1:0", "--ready-file", &ready];
        town.start("server", &[&["server", "--data", &data][..], &listen].concat());
        let at = town.until("the control plane is up", |town| {
            fs::read_to_string(town.path("ready")).ok().filter(|text| !text.is_empty())
        });
        town.url = format!("http://{}", at.trim());
        town
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
        command.args(arguments).env("HOME", &self.home.0).current_dir(&self.home.0);
        command.stdin(Stdio::null());
        command
    }

    fn start(&mut self, name: &str, arguments: &[&str]) {
        let log = fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let mut command = self.command(arguments);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.roles.push((name.to_owned(), command.spawn().unwrap()));
    }

    /// Waits for something; tells all logs if it is in vain.
    fn until<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < until, "in vain: {what}\n{}", self.logs());
            thread::park_timeout(Duration::from_millis(200));
        }
    }

    fn logs(&self) -> String {
        let log = |(name, _): &(String, Child)| {
            let text = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
            format!("── {name}\n{text}")
        };
        self.roles.iter().map(log).collect()
    }

    /// Asks the API.
    fn ask(&self, method: &str, path: &str, key: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.try_ask(method, path, key, body);
        assert!(status < 300, "{method} {path}: {status} {answer}\n{}", self.logs());
        answer
    }

    fn try_ask(&self, method: &str, path: &str, key: &str, body: Option<Value>) -> (u16, Value) {
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
    fn person(&self, operator: &str, name: &str) -> String {
        let account = self.ask("POST", "/v1/accounts", operator, Some(json!({ "name": name })));
        let key = json!({
            "label": name, "scopes": ["read", "write"], "account": account["id"],
        });
        let issued = self.ask("POST", "/v1/keys", operator, Some(key));
        issued["secret"].as_str().unwrap().to_owned()
    }

    /// Ends a process at once, as a crash does.
    fn kill(&mut self, name: &str) {
        let (_, child) = self.roles.iter_mut().find(|(known, _)| known == name).unwrap();
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

/// A free port of this machine.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The shared environment of Ray, as other tests make it.
fn runtimes() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtimes")
}

/// A network with a relay and two machines.
struct People {
    operator: String,
    supplier: String,
    renter: String,
    project: String,
}

fn gather(town: &Town) -> People {
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

fn start_relay(town: &mut Town, operator: &str) {
    let (data, at, url) =
        (town.text("relay"), format!("127.0.0.1:{}", free_port()), town.url.clone());
    let log = fs::File::create(town.path("relay.log")).unwrap();
    let mut command = town.command(&[
        "relay",
        "--server",
        &url,
        "--advertise",
        &at,
        "--listen",
        &at,
        "--data",
        &data,
        "--domain",
        "relay.test",
    ]);
    command.env("IOG_KEY", operator).stdout(log.try_clone().unwrap()).stderr(log);
    town.roles.push(("relay".to_owned(), command.spawn().unwrap()));
    town.until("the relay is listed", |town| {
        let listed = town.ask("GET", "/v1/network/relays", operator, None);
        listed["relays"].as_array().filter(|relays| !relays.is_empty()).map(drop)
    });
}

fn start_machines(town: &mut Town, supplier: &str) {
    for part in 1..=2 {
        let invite = town.ask("POST", "/v1/invites", supplier, Some(json!({ "valid_hours": 1 })));
        let token = invite["token"].as_str().unwrap();
        let name = format!("w{part}");
        let (url, data, part) = (town.url.clone(), town.text(&name), part.to_string());
        let (runtimes, ports) =
            (runtimes().display().to_string(), format!("2{part}000-2{part}999"));
        let about = [
            "--server",
            &url,
            "--data",
            &data,
            "--name",
            &name,
            "--part",
            &part,
            "--runtimes",
            &runtimes,
            "--ports",
            &ports,
            "--address",
            "127.0.0.1",
            "--vcpus",
            "2",
            "--memory",
            "3072MiB",
            "--disk",
            "2048MiB",
            "--no-gpus",
        ];
        let joined = town.command(&["worker", "join", "--quick", token]).args(about).output();
        let joined = joined.unwrap();
        assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
        town.start(&name, &[&["worker", "run", "--stop-nodes"], &about[..]].concat());
    }
    town.until("both machines are on offer", |town| {
        let workers = town.ask("GET", "/v1/workers", supplier, None);
        let items = workers["items"].as_array()?;
        let is_open = |worker: &&Value| worker["state"] == "open";
        (items.iter().filter(is_open).count() == 2).then_some(())
    });
}

/// Runs a job, and returns its log.
fn run_job(town: &Town, rental: &str, key: &str) -> String {
    let path = format!("/v1/rentals/{rental}/jobs");
    let job = town.ask("POST", &path, key, Some(json!({ "entrypoint": JOB })));
    let job = job["id"].as_str().unwrap().to_owned();
    let state = town.until("the job ends", |town| {
        let state = town.ask("GET", &format!("/v1/jobs/{job}"), key, None)["state"].clone();
        let is_over = !matches!(state.as_str(), Some("pending" | "running"));
        is_over.then_some(state)
    });
    let log = town.ask("GET", &format!("/v1/jobs/{job}/log"), key, None);
    let log = log.as_str().unwrap_or_default().to_owned();
    assert_eq!(state, "succeeded", "{log}\n{}", town.logs());
    log
}

/// The words of the line of a log that begins with this one.
fn words<'a>(log: &'a str, first: &str) -> Vec<&'a str> {
    let line = log.lines().find_map(|line| line.strip_prefix(first)).unwrap_or_default();
    line.split_whitespace().collect()
}

fn are_in_mesh(addresses: &[&str]) -> bool {
    addresses.len() == 2 && addresses.iter().all(|address| address.starts_with("100."))
}

#[test]
fn heavy_a_cluster_talks_over_its_own_network_and_outlives_its_relay() {
    let mut town = Town::new();
    let People { operator, supplier, renter, project } = gather(&town);
    start_relay(&mut town, &operator);
    start_machines(&mut town, &supplier);
    let order = json!({
        "nodes": 2,
        "each": { "gpus": 0, "vcpus": 2, "memory_mib": 3000, "disk_mib": 1000 },
    });
    let quote = json!({ "project": project, "order": order, "hours": 1 });
    let quote = town.ask("POST", "/v1/quotes", &renter, Some(quote));
    let rent = json!({ "quote": quote["quote"], "name": "mine" });
    let rental = town.ask("POST", "/v1/rentals", &renter, Some(rent));
    let rental = rental["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/rentals/{rental}");
    let view = town.until("the cluster runs", |town| {
        let view = town.ask("GET", &path, &renter, None);
        assert!(view["state"] != "failed", "{view}\n{}", town.logs());
        (view["state"] == "running").then_some(view)
    });
    if view["mesh"].is_null() {
        // This system gives nodes no network of their own, and the machines have said so.
        return;
    }
    let log = run_job(&town, &rental, &renter);
    assert!(are_in_mesh(&words(&log, "alive")), "{log}");
    assert!(are_in_mesh(&words(&log, "worked")), "{log}");
    services_are_open(&town, &rental, &renter);
    town.kill("relay");
    let log = run_job(&town, &rental, &renter);
    assert!(are_in_mesh(&words(&log, "worked")), "without a relay: {log}");
    ends_without_a_trace(&town, &rental, &renter);
}

fn services_are_open(town: &Town, rental: &str, key: &str) {
    town.until("all services are open", |town| {
        let services = town.ask("GET", &format!("/v1/rentals/{rental}/services"), key, None);
        let services = services.as_array().or_else(|| services["items"].as_array())?.clone();
        let is_open = |service: &Value| service["state"] == "open";
        (services.len() >= 3 && services.iter().all(is_open)).then_some(())
    });
}

fn ends_without_a_trace(town: &Town, rental: &str, key: &str) {
    town.ask("POST", &format!("/v1/rentals/{rental}/end"), key, None);
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
            String::from_utf8_lossy(&environment).contains(rental)
        };
        (!processes.map(|entry| entry.path()).any(bears)).then_some(())
    });
}
