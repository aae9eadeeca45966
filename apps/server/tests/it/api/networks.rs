//! Private networks of rentals over HTTP: who gets papers, what they say, and who is told when somebody leaves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use mesh::{PrivateKey, PublicKey};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use units::{RentalId, Timestamp};
use wire::paper::{
    Membership, MeshKey, NodeKey, Paper, Pass, PolicyPaper, RelayRecord, SealedPaper,
    client_statement, node_statement, operator_mesh, operator_statement, prove_x25519,
    relay_statement, sign_statement, x25519_of,
};

use super::coverage::{MayRow, Once, TwiceRow};
use crate::town::{Anonymous, Answer, Ask, Caller, Machine, Town, a_machine, eventually};

/// As [`super::coverage::WHO_MAY`].
pub(super) const WHO_MAY: &[MayRow] = &[
    (
        "PUT /v1/worker/nodes/{rental}/{node}/network",
        "/v1/worker/nodes/{rental}/0/network",
        "{node_network}",
        [401, 401, 401, 401, 401, 401, 200],
    ),
    (
        "POST /v1/rentals/{id}/network",
        "/v1/rentals/{rental}/network",
        "{client_network}",
        [401, 403, 404, 404, 200, 200, 401],
    ),
    (
        "GET /v1/rentals/{id}/network",
        "/v1/rentals/{rental}/network",
        "",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    (
        "DELETE /v1/rentals/{id}/network/{key}",
        "/v1/rentals/{rental}/network/{client_key}",
        "",
        [401, 403, 404, 404, 204, 204, 401],
    ),
    (
        "GET /v1/rentals/{id}/services",
        "/v1/rentals/{rental}/services",
        "",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    (
        "PUT /v1/rentals/{id}/services/{label}",
        "/v1/rentals/{rental}/services/web",
        r#"{"port":80,"proto":"http","visibility":"private"}"#,
        [401, 403, 404, 404, 200, 200, 401],
    ),
    (
        "DELETE /v1/rentals/{id}/services/{label}",
        "/v1/rentals/{rental}/services/web",
        "",
        [401, 403, 404, 404, 204, 204, 401],
    ),
    (
        "POST /v1/network/operator",
        "/v1/network/operator",
        "{operators_machine}",
        [401, 403, 403, 403, 403, 200, 401],
    ),
    ("GET /v1/network/operator", "/v1/network/operator", "", [401, 403, 403, 403, 403, 200, 401]),
    (
        "DELETE /v1/network/operator/{key}",
        "/v1/network/operator/{client_key}",
        "",
        [401, 403, 403, 403, 403, 204, 401],
    ),
    (
        "GET /v1/network/operator/policy",
        "/v1/network/operator/policy",
        "",
        [401, 403, 403, 403, 403, 200, 401],
    ),
    (
        "PUT /v1/network/operator/policy",
        "/v1/network/operator/policy",
        r#"{"policy":"{}"}"#,
        [401, 403, 403, 403, 403, 200, 401],
    ),
    (
        "DELETE /v1/network/operator/policy",
        "/v1/network/operator/policy",
        "",
        [401, 403, 403, 403, 403, 200, 401],
    ),
    (
        "PUT /v1/network/relays/me",
        "/v1/network/relays/me",
        "{relay}",
        // The statement names the operator.
        [401, 422, 422, 422, 422, 200, 401],
    ),
    ("GET /v1/network/relays", "/v1/network/relays", "", [200; 7]),
    (
        "PUT /v1/worker/nodes/{rental}/{node}/audit",
        "/v1/worker/nodes/{rental}/0/audit",
        "x",
        [401, 401, 401, 401, 401, 401, 422],
    ),
    (
        "GET /v1/rentals/{id}/audit",
        "/v1/rentals/{rental}/audit",
        "",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    (
        "PUT /v1/network/relays/me/audit",
        "/v1/network/relays/me/audit?relay={relay_key}",
        "x",
        // The relay is the operator's.
        [401, 404, 404, 404, 404, 422, 401],
    ),
    (
        "GET /v1/network/relays/{key}/audit",
        "/v1/network/relays/{relay_key}/audit",
        "",
        [401, 403, 403, 403, 403, 200, 401],
    ),
    (
        "GET /v1/projects/{id}/network-policy",
        "/v1/projects/{project}/network-policy",
        "",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    (
        "PUT /v1/projects/{id}/network-policy",
        "/v1/projects/{project}/network-policy",
        r#"{"policy":"{}"}"#,
        [401, 403, 404, 404, 200, 200, 401],
    ),
    (
        "DELETE /v1/projects/{id}/network-policy",
        "/v1/projects/{project}/network-policy",
        "",
        [401, 403, 404, 404, 200, 200, 401],
    ),
];

/// As [`super::coverage::TOLD_TWICE`].
pub(super) const TOLD_TWICE: &[TwiceRow] = &[
    (
        "PUT /v1/worker/nodes/{rental}/{node}/network",
        "",
        "",
        Once::Otherwise("a node says how it is; saying it again changes nothing"),
    ),
    (
        "POST /v1/rentals/{id}/network",
        "",
        "",
        Once::Otherwise("a client is there once, by its key"),
    ),
    ("DELETE /v1/rentals/{id}/network/{key}", "", "", Once::Otherwise("it is gone once")),
    ("POST /v1/network/operator", "", "", Once::Otherwise("a machine is there once, by its key")),
    ("DELETE /v1/network/operator/{key}", "", "", Once::Otherwise("it is gone once")),
    (
        "PUT /v1/network/operator/policy",
        "/v1/network/operator/policy",
        r#"{"policy":"{}"}"#,
        Once::Key,
    ),
    ("DELETE /v1/network/operator/policy", "/v1/network/operator/policy", "", Once::Key),
    (
        "PUT /v1/network/relays/me",
        "",
        "",
        Once::Otherwise("a relay is in the list once, by its key"),
    ),
    (
        "PUT /v1/worker/nodes/{rental}/{node}/audit",
        "",
        "",
        Once::Otherwise("a segment is there once, by its number"),
    ),
    (
        "PUT /v1/network/relays/me/audit",
        "",
        "",
        Once::Otherwise("a segment is there once, by its number"),
    ),
    (
        "PUT /v1/rentals/{id}/services/{label}",
        "/v1/rentals/{rental}/services/web",
        r#"{"port":80,"proto":"http","visibility":"private"}"#,
        Once::Key,
    ),
    (
        "DELETE /v1/rentals/{id}/services/{label}",
        "/v1/rentals/{rental}/services/web",
        "",
        Once::Key,
    ),
    (
        "PUT /v1/projects/{id}/network-policy",
        "/v1/projects/{project}/network-policy",
        r#"{"policy":"{}"}"#,
        Once::Key,
    ),
    (
        "DELETE /v1/projects/{id}/network-policy",
        "/v1/projects/{project}/network-policy",
        "",
        Once::Key,
    ),
];

/// As [`super::coverage::LISTS`].
pub(super) const LISTS: &[(&str, &str)] =
    &[("GET /v1/rentals/{id}/services", "/v1/rentals/{rental}/services?")];

/// What a machine says that can give its nodes a network of their own.
pub(super) fn a_mesh_machine(vcpus: u32) -> Value {
    let mut machine = a_machine(vcpus);
    machine["host"] = json!({ "memory_mib": 65_536, "disk_mib": 100_000, "mesh": true });
    machine
}

/// A rental with one more service than every rental has, and what its node, a client and a relay would say.
pub(super) fn prepare(
    town: &Town,
    machine: &Machine,
    rental: &str,
    operator: &str,
) -> Vec<(&'static str, String)> {
    open(town, rental, "docs", &json!({ "port": 80, "proto": "http", "visibility": "private" }))
        .expect(200);
    let (node, client) = (Keys::new(1), Keys::new(2));
    vec![
        ("node_network", node.asks(town, &machine.worker, rental, 0).to_string()),
        ("client_network", client.visits(rental).to_string()),
        ("client_key", client.node().to_string()),
        ("operators_machine", Keys::new(4).of_operator(town, "machine", &[]).to_string()),
        ("relay_key", Keys::new(3).node().to_string()),
        ("relay", Keys::new(3).relay(operator).to_string()),
    ]
}

/// The keys of a node, a client, or a relay.
struct Keys(u8);

impl Keys {
    const fn new(number: u8) -> Self {
        Self(number)
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_bytes(&[self.0; 32])
    }

    fn node(&self) -> NodeKey {
        NodeKey(self.key().verifying_key().to_bytes())
    }

    fn packets(&self) -> PrivateKey {
        PrivateKey::from_bytes([self.0; 32])
    }

    fn x25519(&self) -> MeshKey {
        MeshKey(self.packets().public().0)
    }

    fn prove(&self, town: &Town, statement: &str) -> String {
        let key = town.get(&Anonymous, "/v1/network/key").expect(200).json();
        let network = key["public_key"].as_str().unwrap().parse().unwrap();
        let agreed = self.packets().agree(&PublicKey(x25519_of(&network).unwrap().0));
        prove_x25519(&agreed.unwrap(), &self.node(), statement)
    }

    fn asks(&self, town: &Town, worker: &str, rental: &str, node: u32) -> Value {
        let (worker, rental) = (worker.parse().unwrap(), rental.parse().unwrap());
        let statement = node_statement(worker, rental, node, &self.x25519());
        json!({
            "key": self.node(),
            "x25519": self.x25519(),
            "statement": sign_statement(&self.key(), &statement),
            "proof": self.prove(town, &statement),
            "suites": ["aes256gcm", "wireguard"],
        })
    }

    /// Of a client that joins.
    fn joins(&self, town: &Town, rental: &str) -> Value {
        let statement = client_statement(rental.parse().unwrap(), Some(&self.x25519()));
        json!({
            "key": self.node(),
            "x25519": self.x25519(),
            "proof": self.prove(town, &statement),
            "statement": sign_statement(&self.key(), &statement),
        })
    }

    /// Of a client that only visits.
    fn visits(&self, rental: &str) -> Value {
        let statement = client_statement(rental.parse().unwrap(), None);
        json!({ "key": self.node(), "statement": sign_statement(&self.key(), &statement) })
    }

    /// Of one of the operator's machines.
    fn of_operator(&self, town: &Town, name: &str, tags: &[&str]) -> Value {
        let statement = operator_statement(&self.x25519());
        json!({
            "key": self.node(),
            "x25519": self.x25519(),
            "proof": self.prove(town, &statement),
            "statement": sign_statement(&self.key(), &statement),
            "name": name,
            "tags": tags,
        })
    }

    /// Of a relay, which answers for as long as the test runs.
    fn relay(&self, by: &str) -> Value {
        let at = answering(&self.key());
        json!({
            "key": self.node(),
            "statement": sign_statement(&self.key(), &relay_statement(by)),
            "tcp": [at],
            "domain": "r1.example",
            "load": { "lines": 0, "streams": 0, "bytes_per_second": 0 },
        })
    }
}

/// Where this relay's key answers, from the first time that this is asked on.
fn answering(key: &SigningKey) -> SocketAddr {
    static KNOWN: Mutex<BTreeMap<[u8; 32], SocketAddr>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    *known.entry(key.to_bytes()).or_insert_with(|| {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let at = listener.local_addr().unwrap();
        let tls = TlsAcceptor::from(trunk::relay_tls(key).unwrap());
        let answers = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((connection, _)) = listener.accept().await {
                let _gone = tls.accept(connection).await;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::spawn(move || runtime.block_on(answers));
        at
    })
}

/// A town with machines that can give networks, and a rental that runs on all of them.
struct Cluster {
    town: Town,
    machines: Vec<Machine>,
    rental: String,
}

impl Cluster {
    fn new(nodes: u8) -> Self {
        let town = Town::new();
        town.top_up("100");
        let machine = |number| town.machine(number, &a_mesh_machine(2));
        let mut machines: Vec<Machine> = (1..=nodes).map(machine).collect();
        let rental = town.rent(nodes.into());
        machines.iter_mut().for_each(|machine| machine.act(&town.client));
        Self { town, machines, rental }
    }

    /// The machine that has this node.
    fn machine_of(&self, node: u32) -> &Machine {
        let path = format!("/v1/rentals/{}", self.rental);
        let view = self.town.get(&self.town.renter, &path).expect(200).json();
        let worker = view["nodes"][usize::try_from(node).unwrap()]["worker"].clone();
        self.machines.iter().find(|machine| worker == machine.worker).unwrap()
    }

    /// A node with the keys of its number plus ten asks.
    fn ask(&self, node: u32, change: impl FnOnce(&mut Value)) -> Answer {
        let machine = self.machine_of(node);
        let mut asked = keys_of(node).asks(&self.town, &machine.worker, &self.rental, node);
        change(&mut asked);
        self.put(machine, node, &asked)
    }

    fn put(&self, machine: &Machine, node: u32, asked: &Value) -> Answer {
        let path = format!("/v1/worker/nodes/{}/{node}/network", self.rental);
        self.town.send(Ask::put(&path).json(asked).by(machine))
    }

    fn client(&self, by: &dyn Caller, asked: &Value) -> Answer {
        self.town.post(by, &format!("/v1/rentals/{}/network", self.rental), asked)
    }

    fn view(&self) -> Value {
        let path = format!("/v1/rentals/{}/network", self.rental);
        self.town.get(&self.town.renter, &path).expect(200).json()
    }

    fn end(&self) {
        let path = format!("/v1/rentals/{}/end", self.rental);
        self.town.send(Ask::post(&path).by(&self.town.renter)).expect(200);
    }

    fn rental_id(&self) -> RentalId {
        self.rental.parse().unwrap()
    }
}

fn keys_of(node: u32) -> Keys {
    Keys::new(10 + u8::try_from(node).unwrap())
}

fn open(town: &Town, rental: &str, label: &str, service: &Value) -> Answer {
    let path = format!("/v1/rentals/{rental}/services/{label}");
    town.send(Ask::put(&path).json(service).by(&town.renter))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

/// A paper of an answer, checked as everybody checks it.
fn paper<P: Paper>(answer: &Value, sealed: &Value) -> P {
    let network: NodeKey = serde_json::from_value(answer["network_key"].clone()).unwrap();
    let sealed: SealedPaper = serde_json::from_value(sealed.clone()).unwrap();
    sealed.open(&network, now()).unwrap()
}

fn members(answer: &Value) -> Vec<String> {
    let all = answer["members"].as_array().unwrap();
    all.iter().map(|sealed| paper::<Membership>(answer, sealed).name.to_string()).collect()
}

#[test]
fn a_rented_node_gets_its_papers() {
    let cluster = Cluster::new(2);
    let wanted = cluster.machine_of(0).wanted(&cluster.town.client);
    let mesh = wanted["nodes"][0]["mesh"].as_str().unwrap().to_owned();
    let answer = cluster.ask(1, |_| ()).expect(200).json();
    let own: Membership = paper(&answer, &answer["membership"]);
    assert_eq!((own.mesh.to_string(), own.name.to_string()), (mesh.clone(), "node-1".to_owned()));
    assert_eq!((own.node, own.x25519), (keys_of(1).node(), keys_of(1).x25519()));
    assert_eq!(Some(own.v4), wire::paper::mesh_v4(own.mesh, 17));
    assert!(own.tags.contains("tag:worker") && own.groups.contains("group:nodes"));
    let pass: Pass = paper(&answer, &answer["pass"]);
    assert_eq!((pass.holder, pass.worker), (own.node, cluster.machine_of(1).worker.parse().ok()));
    assert_eq!(pass.account, wire::paper::rental_account(cluster.rental_id()));
    assert!(pass.may.dial && !pass.may.publish && pass.may.forward.is_empty());
    assert!(pass.may.serve.iter().eq([&cluster.rental_id()]) && pass.may.meshes.len() == 1);
    assert_eq!(pass.may.labels, Some(["ssh-1".parse().unwrap()].into()));
    let policy: PolicyPaper = paper(&answer, &answer["policy"]);
    assert_eq!(policy.node, own.node);
    let answer = cluster.ask(0, |_| ()).expect(200).json();
    assert_eq!(members(&answer), ["head", "node-1"]);
    let policy: PolicyPaper = paper(&answer, &answer["policy"]);
    let reaches = |rule: &wire::paper::PolicyRule| {
        rule.remote.iter().any(|range| range.contains(own.v4.into()))
    };
    assert!(policy.rules.iter().any(reaches), "members reach each other");
    let outside = |rule: &wire::paper::PolicyRule| {
        rule.remote.iter().any(|range| range.contains("198.51.100.1".parse().unwrap()))
    };
    assert!(!policy.rules.iter().any(outside), "and nobody else");
    let labels: Vec<&str> = answer["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|service| service["label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["dashboard", "ssh"]);
    assert_eq!(cluster.view()["mesh"], mesh);
}

#[test]
fn papers_are_made_for_wanted_nodes_and_proven_keys_alone() {
    let cluster = Cluster::new(2);
    let [one, other] = [0, 1].map(|node| cluster.machine_of(node));
    let own = keys_of(0).asks(&cluster.town, &one.worker, &cluster.rental, 0);
    cluster.put(other, 0, &own).expect_problem(422, "invalid");
    let foreign = keys_of(0).asks(&cluster.town, &other.worker, &cluster.rental, 0);
    cluster.put(other, 0, &foreign).expect_problem(404, "not-found");
    let nowhere = keys_of(7).asks(&cluster.town, &one.worker, &cluster.rental, 7);
    cluster.put(one, 7, &nowhere).expect_problem(404, "not-found");
    let check = |change: fn(&mut Value)| {
        let problem = cluster.ask(0, change).expect_problem(422, "invalid");
        assert!(problem["fields"][0]["field"].is_string(), "{problem}");
    };
    check(|asked| asked["x25519"] = json!(MeshKey([9; 32])));
    check(|asked| asked["key"] = json!(NodeKey([0; 32])));
    check(|asked| asked["statement"] = json!("00"));
    check(|asked| asked["suites"] = json!([]));
    cluster.ask(0, |_| ()).expect(200);
    check(|asked| asked["proof"] = json!("00".repeat(32)));
    // Who has the key of another member is not let in with it.
    let taken = keys_of(0).asks(&cluster.town, &other.worker, &cluster.rental, 1);
    cluster.put(other, 1, &taken).expect_problem(409, "already-exists");
    // Whoever knows another's key for packets cannot name it.
    let stolen = steals(&cluster, other);
    cluster.put(other, 1, &stolen).expect_problem(422, "invalid");
}

/// Node 1 names the key for packets of node 0, in a statement of its own.
fn steals(cluster: &Cluster, other: &Machine) -> Value {
    let x25519 = keys_of(0).x25519();
    let statement = node_statement(other.worker.parse().unwrap(), cluster.rental_id(), 1, &x25519);
    let mut stolen = keys_of(1).asks(&cluster.town, &other.worker, &cluster.rental, 1);
    stolen["x25519"] = json!(x25519);
    stolen["statement"] = json!(sign_statement(&keys_of(1).key(), &statement));
    stolen["proof"] = json!(keys_of(1).prove(&cluster.town, &statement));
    stolen
}

#[test]
fn a_machine_without_networks_has_none() {
    let town = Town::new();
    town.top_up("100");
    let mut machine = town.machine(1, &a_machine(2));
    let rental = town.running_rental(&mut machine);
    let cluster = Cluster { town, machines: vec![machine], rental };
    cluster.ask(0, |_| ()).expect_problem(404, "not-found");
    assert!(cluster.view()["mesh"].is_null());
    let joins = Keys::new(1).joins(&cluster.town, &cluster.rental);
    cluster.client(&cluster.town.renter, &joins).expect_problem(409, "wrong-state");
}

#[test]
fn who_waits_is_told_of_who_comes_and_of_the_end() {
    let cluster = Cluster::new(2);
    let first = cluster.ask(0, |_| ()).expect(200).json();
    let known = first["revision"].clone();
    cluster.ask(0, |asked| asked["known"] = known.clone()).expect(204);
    let waits = |known: &Value| {
        let (known, cluster) = (known.clone(), &cluster);
        move || {
            cluster.ask(0, |asked| {
                asked["known"] = known;
                asked["wait_secs"] = json!(30);
            })
        }
    };
    let second = std::thread::scope(|scope| {
        let waiting = scope.spawn(waits(&known));
        cluster.ask(1, |_| ()).expect(200);
        waiting.join().unwrap().expect(200).json()
    });
    assert_eq!(members(&second), ["head", "node-1"]);
    assert!(second["revision"].as_u64() > known.as_u64());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(waits(&second["revision"]));
        cluster.end();
        waiting.join().unwrap().expect_problem(404, "not-found");
    });
    cluster.ask(1, |_| ()).expect_problem(404, "not-found");
    assert_eq!(cluster.view()["members"], json!([]));
}

#[test]
fn a_node_that_is_lost_leaves_every_list() {
    let mut cluster = Cluster::new(2);
    cluster.ask(0, |_| ()).expect(200);
    cluster.ask(1, |_| ()).expect(200);
    let lost = cluster.machine_of(1).worker.clone();
    let client = cluster.town.client.clone();
    let machine = cluster.machines.iter_mut().find(|machine| machine.worker == lost).unwrap();
    machine.nodes.iter_mut().for_each(|node| node["phase"] = json!({ "gone": { "reason": "x" } }));
    machine.beat(&client).expect(200);
    assert_eq!(members(&cluster.ask(0, |_| ()).expect(200).json()), ["head"]);
    cluster.ask(1, |_| ()).expect_problem(404, "not-found");
}

#[test]
fn renters_join_and_nobody_else() {
    let cluster = Cluster::new(1);
    let town = &cluster.town;
    cluster.ask(0, |_| ()).expect(200);
    let joins = Keys::new(1).joins(&cluster.town, &cluster.rental);
    cluster.client(&Anonymous, &joins).expect(401);
    cluster.client(&town.viewer, &joins).expect_problem(403, "forbidden");
    cluster.client(&town.stranger, &joins).expect_problem(404, "not-found");
    cluster.client(&town.supplier, &joins).expect_problem(404, "not-found");
    let mut forged = joins.clone();
    forged["key"] = json!(Keys::new(2).node());
    cluster.client(&town.renter, &forged).expect_problem(422, "invalid");
    let visitor = cluster.client(&town.renter, &Keys::new(2).visits(&cluster.rental));
    let visitor = visitor.expect(200).json();
    assert!(visitor["membership"].is_null() && visitor["members"].is_null());
    let pass: Pass = paper(&visitor, &visitor["pass"]);
    assert!(pass.may.forward.contains(&cluster.rental_id()) && pass.may.meshes.is_empty());
    assert!(pass.may.serve.is_empty(), "who visits serves nothing");
    let answer = cluster.client(&town.renter, &joins).expect(200).json();
    let own: Membership = paper(&answer, &answer["membership"]);
    assert_eq!((own.name.to_string().as_str(), own.tags.len()), ("client-1", 0));
    assert_eq!(members(&answer), ["head", "client-1"]);
    assert_eq!(members(&cluster.ask(0, |_| ()).expect(200).json()), ["head", "client-1"]);
    let again = cluster.client(&town.renter, &joins).expect(200).json();
    let again: Membership = paper(&again, &again["membership"]);
    assert_eq!((again.v4, again.name), (own.v4, own.name), "who asks again is who they were");
    let path = format!("/v1/rentals/{}/network/{}", cluster.rental, own.node);
    town.send(Ask::delete(&path).by(&town.renter)).expect(204);
    assert_eq!(members(&cluster.ask(0, |_| ()).expect(200).json()), ["head"]);
}

#[test]
fn who_leaves_the_project_leaves_its_networks() {
    let cluster = Cluster::new(1);
    let town = &cluster.town;
    let seat =
        format!("/v1/projects/{}/members/{}", town.renter.project, town.viewer.person.account);
    let role = |role: &str| {
        town.send(Ask::put(&seat).json(&json!({ "role": role })).by(&town.renter)).expect(200);
    };
    role("member");
    cluster.ask(0, |_| ()).expect(200);
    cluster.client(&town.viewer, &Keys::new(1).joins(&cluster.town, &cluster.rental)).expect(200);
    assert_eq!(members(&cluster.ask(0, |_| ()).expect(200).json()), ["head", "client-1"]);
    role("viewer");
    assert_eq!(members(&cluster.ask(0, |_| ()).expect(200).json()), ["head"]);
}

#[test]
fn one_person_has_so_many_members_in_a_rental_and_as_many_visits_as_it_likes() {
    let cluster = Cluster::new(1);
    let join = |by: &dyn Caller, number: u8| {
        cluster.client(by, &Keys::new(number).joins(&cluster.town, &cluster.rental))
    };
    let renter = &cluster.town.renter;
    let mut places = std::collections::BTreeSet::new();
    for number in 100..116 {
        let answer = join(renter, number).expect(200).json();
        let own: Membership = paper(&answer, &answer["membership"]);
        assert!(places.insert(own.v4), "each has an address of its own");
    }
    join(renter, 200).expect_problem(409, "too-many");
    join(renter, 115).expect(200);
    join(&cluster.town.operator, 200).expect(200);
    for number in 0..70 {
        cluster.client(renter, &Keys::new(number).visits(&cluster.rental)).expect(200);
    }
    assert_eq!(cluster.view()["members"].as_array().unwrap().len(), 17);
}

#[test]
fn who_visits_and_is_put_out_while_waiting_gets_nothing() {
    let cluster = Cluster::new(1);
    let town = &cluster.town;
    let seat =
        format!("/v1/projects/{}/members/{}", town.renter.project, town.viewer.person.account);
    let role = |role: &str| {
        town.send(Ask::put(&seat).json(&json!({ "role": role })).by(&town.renter)).expect(200);
    };
    role("member");
    let mut visits = Keys::new(1).visits(&cluster.rental);
    let told = cluster.client(&town.viewer, &visits).expect(200).json();
    visits["known"] = told["revision"].clone();
    visits["wait_secs"] = json!(30);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| cluster.client(&town.viewer, &visits));
        eventually("it waits", || {
            let page = town.get(&Anonymous, "/metrics").expect(200).text();
            page.lines().any(|line| line.ends_with("polls_open 1")).then_some(())
        });
        role("viewer");
        cluster.ask(0, |_| ()).expect(200);
        waiting.join().unwrap().expect_problem(403, "forbidden");
    });
}

#[test]
fn whose_key_is_taken_back_is_out_at_once() {
    let cluster = Cluster::new(1);
    let town = &cluster.town;
    cluster.ask(0, |_| ()).expect(200);
    let request = json!({ "label": "laptop", "scopes": ["read", "write"] });
    let issued = town.post(&town.renter, "/v1/keys", &request).expect(201).json();
    let key = AnyKey(issued["secret"].as_str().unwrap().to_owned());
    cluster.client(&key, &Keys::new(1).joins(&cluster.town, &cluster.rental)).expect(200);
    assert_eq!(members(&cluster.ask(0, |_| ()).expect(200).json()), ["head", "client-1"]);
    let path = format!("/v1/keys/{}", issued["key"]["id"].as_str().unwrap());
    town.send(Ask::delete(&path).by(&town.renter));
    cluster.client(&key, &Keys::new(1).joins(&cluster.town, &cluster.rental)).expect(401);
    assert_eq!(members(&cluster.ask(0, |_| ()).expect(200).json()), ["head"]);
}

#[test]
fn what_is_new_is_told_to_who_waits_for_no_time_at_all() {
    let cluster = Cluster::new(2);
    let known = cluster.ask(0, |_| ()).expect(200).json()["revision"].clone();
    cluster.ask(1, |_| ()).expect(200);
    let told = cluster.ask(0, |asked| asked["known"] = known).expect(200).json();
    assert_eq!(members(&told), ["head", "node-1"]);
}

#[test]
fn what_members_say_has_no_controls() {
    let cluster = Cluster::new(1);
    let why = "relay \u{1b}]52;c;AAAA\u{7}is\n\u{202e}full";
    cluster
        .ask(0, |asked| {
            asked["services"] = json!({ "ssh": { "state": "refused", "why": why } });
            let peer = Keys::new(9).node();
            asked["ways"] = json!([{ "peer": peer, "kind": "none", "why": why }]);
        })
        .expect(200);
    let services = format!("/v1/rentals/{}/services", cluster.rental);
    let services = cluster.town.get(&cluster.town.renter, &services).expect(200).json();
    let ssh = services["items"].as_array().unwrap().iter().find(|it| it["label"] == "ssh");
    assert_eq!(ssh.unwrap()["why"], "relay ]52;c;AAAAisfull");
    assert_eq!(cluster.view()["members"][0]["ways"][0]["why"], "relay ]52;c;AAAAisfull");
}

#[test]
fn after_a_restart_nobody_takes_a_key_that_is_anothers() {
    let mut cluster = Cluster::new(2);
    cluster.ask(0, |_| ()).expect(200);
    cluster.ask(1, |_| ()).expect(200);
    cluster.town.stop();
    cluster.town.start();
    let client = cluster.town.client.clone();
    cluster.machines.iter_mut().for_each(|machine| machine.open_session(&client));
    // Node 1 comes first, and names the key for packets of node 0.
    let other = cluster.machine_of(1);
    let stolen = steals(&cluster, other);
    cluster.put(other, 1, &stolen).expect_problem(422, "invalid");
    let told = cluster.ask(0, |_| ()).expect(200).json();
    assert_eq!(members(&told), ["head"]);
    cluster.ask(1, |_| ()).expect(200);
}

#[test]
fn who_only_tells_is_told_nothing_and_heard_all_the_same() {
    let cluster = Cluster::new(2);
    let known = cluster.ask(0, |_| ()).expect(200).json()["revision"].clone();
    cluster.ask(1, |asked| asked["tells_only"] = json!(true)).expect(204);
    let told = cluster.ask(0, |asked| asked["known"] = known).expect(200).json();
    assert_eq!(members(&told), ["head", "node-1"], "it is a member by that");
    let mut client = Keys::new(1).joins(&cluster.town, &cluster.rental);
    client["tells_only"] = json!(true);
    cluster.client(&cluster.town.renter, &client).expect(204);
    assert_eq!(cluster.view()["members"].as_array().unwrap().len(), 3);
}

#[test]
fn who_names_its_epoch_is_told_of_what_is_other_alone() {
    let cluster = Cluster::new(3);
    (1..3).for_each(|node| drop(cluster.ask(node, |_| ()).expect(200)));
    let first = cluster.ask(0, |_| ()).expect(200).json();
    assert!(first["since"].is_null() && first["members"].as_array().unwrap().len() == 3);
    let follow = |told: &Value, epoch: Value| {
        let (known, asks) = (told["revision"].clone(), |asked: &mut Value| {
            asked["known"] = told["revision"].clone();
            asked["epoch"] = epoch;
            asked["wait_secs"] = json!(30);
        });
        let answer = cluster.ask(0, asks).expect(200).json();
        assert_ne!(answer["revision"], known);
        answer
    };
    let joins = Keys::new(1).joins(&cluster.town, &cluster.rental);
    cluster.client(&cluster.town.renter, &joins).expect(200);
    let second = follow(&first, first["epoch"].clone());
    assert_eq!((members(&second), &second["since"]), (vec!["client-1".into()], &first["revision"]));
    let path = format!("/v1/rentals/{}/network/{}", cluster.rental, Keys::new(1).node());
    cluster.town.send(Ask::delete(&path).by(&cluster.town.renter)).expect(204);
    let third = follow(&second, second["epoch"].clone());
    assert_eq!((members(&third), &third["gone"]), (Vec::new(), &json!([Keys::new(1).node()])));
    let elsewhere = follow(&second, json!(1));
    assert_eq!(members(&elsewhere).len(), 3, "a revision of another epoch says nothing");
}

#[test]
fn the_operators_machines_have_a_network_of_their_own() {
    let town = Town::new();
    let join = |by: &dyn Caller, asked: &Value| town.post(by, "/v1/network/operator", asked);
    let relay = Keys::new(1).of_operator(&town, "relay-1", &["relay"]);
    let others: [&dyn Caller; 3] = [&town.renter, &town.supplier, &town.viewer];
    for by in others {
        join(by, &relay).expect_problem(403, "forbidden");
    }
    let empty = town.get(&town.operator, "/v1/network/operator").expect(200).json();
    assert_eq!(empty["members"], json!([]), "it is there before anybody is in it");
    let told = join(&town.operator, &relay).expect(200).json();
    let own: Membership = paper(&told, &told["membership"]);
    let network: NodeKey = serde_json::from_value(told["network_key"].clone()).unwrap();
    assert_eq!((own.mesh, own.name.text()), (operator_mesh(&network), "relay-1"));
    assert!(own.tags.iter().eq(["tag:relay"]) && own.groups.is_empty());
    assert!(told["cluster_token"].is_null() && told["ssh_certificate"].is_null());
    assert_eq!(empty["mesh"], json!(own.mesh));
    let pass: Pass = paper(&told, &told["pass"]);
    assert!(pass.may.meshes.iter().eq([&own.mesh]) && pass.may.dial && !pass.may.publish);
    assert!(pass.may.serve.is_empty() && pass.may.forward.is_empty());
    let named_so = Keys::new(2).of_operator(&town, "relay-1", &[]);
    join(&town.operator, &named_so).expect_problem(409, "already-exists");
    let mut forged = Keys::new(2).of_operator(&town, "base", &[]);
    forged["statement"] = relay["statement"].clone();
    join(&town.operator, &forged).expect_problem(422, "invalid");
    let many: Vec<String> = (0..17).map(|number| format!("t{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    join(&town.operator, &Keys::new(2).of_operator(&town, "base", &many))
        .expect_problem(422, "invalid");
    let told =
        join(&town.operator, &Keys::new(2).of_operator(&town, "base", &[])).expect(200).json();
    assert_eq!(members(&told).len(), 2);
    let view = town.get(&town.operator, "/v1/network/operator").expect(200).json();
    assert!(view["rental"].is_null() && view["members"][0]["kind"] == "machine");
    let path = format!("/v1/network/operator/{}", Keys::new(2).node());
    town.send(Ask::delete(&path).by(&town.operator)).expect(204);
    assert_eq!(members(&join(&town.operator, &relay).expect(200).json()), ["relay-1"]);
}

#[test]
fn what_passes_in_the_operators_network_is_the_operators_to_say() {
    let town = Town::new();
    let path = "/v1/network/operator/policy";
    let put = |policy: &str| {
        town.send(Ask::put(path).json(&json!({ "policy": policy })).by(&town.operator))
    };
    let ask = |number: u8, name: &str, tag: &str, known: &Value| {
        let mut asked = Keys::new(number).of_operator(&town, name, &[tag]);
        asked["known"] = known.clone();
        asked["wait_secs"] = json!(30);
        town.post(&town.operator, "/v1/network/operator", &asked)
    };
    assert_eq!(town.get(&town.operator, path).expect(200).json()["version"], 0);
    put("{ \"grants\": 7 }").expect_problem(422, "invalid");
    ask(1, "bastion", "bastion", &Value::Null).expect(200);
    let told = ask(2, "base", "base", &Value::Null).expect(200).json();
    let rules = |told: &Value| paper::<PolicyPaper>(told, &told["policy"]).rules;
    assert!(!rules(&told).is_empty(), "members reach each other");
    let written = r#"{
      "tagOwners": { "tag:bastion": [], "tag:base": [] },
      "grants": [{ "src": ["tag:bastion"], "dst": ["tag:base"], "ip": ["tcp:5432"] }],
    }"#;
    let told = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(2, "base", "base", &told["revision"]));
        put(written).expect(200);
        waiting.join().unwrap().expect(200).json()
    });
    let found = rules(&told);
    assert_eq!((found.len(), found[0].ports[0].first), (1, 5_432));
    let view = town.get(&town.operator, "/v1/network/operator").expect(200).json();
    assert_eq!(view["policy_version"], 1);
    assert_eq!(town.send(Ask::delete(path).by(&town.operator)).expect(200).json()["version"], 2);
}

#[test]
fn ssh_keys_are_certified_for_the_rental() {
    let cluster = Cluster::new(1);
    let mut asked = Keys::new(1).visits(&cluster.rental);
    asked["ssh_key"] = json!(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFexWVkvXSdvl1hBKTBZfdsKg5oEmD13UySRTXMxfEPd ada"
    );
    let answer = cluster.client(&cluster.town.renter, &asked).expect(200).json();
    let certificate = answer["ssh_certificate"].as_str().unwrap();
    assert!(certificate.starts_with("ssh-ed25519-cert-v01@openssh.com "));
    asked["ssh_key"] = json!("ssh-dss AAAA");
    cluster.client(&cluster.town.renter, &asked).expect_problem(422, "invalid");
}

#[test]
fn after_a_restart_a_network_is_told_of_nobody_until_all_have_come() {
    let mut cluster = Cluster::new(2);
    let known = [0, 1].map(|node| cluster.ask(node, |_| ()).expect(200).json()["revision"].clone());
    cluster.town.stop();
    cluster.town.start();
    let client = cluster.town.client.clone();
    cluster.machines.iter_mut().for_each(|machine| machine.open_session(&client));
    let again = |node: u32, known: &Value| {
        cluster.ask(node, |asked| {
            asked["known"] = known.clone();
            asked["wait_secs"] = json!(1);
        })
    };
    // One that knows nobody asks first.
    cluster.ask(1, |_| ()).expect(200);
    again(0, &known[1]).expect(204);
    let told = eventually("the network's members have come", || {
        again(1, &known[1]);
        let answer = again(0, &known[1]);
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(members(&told), ["head", "node-1"]);
    assert!(told["revision"].as_u64() > known[1].as_u64(), "revisions grow over restarts");
}

#[test]
fn services_are_published_by_their_node_and_seen_by_the_renter() {
    let cluster = Cluster::new(2);
    let town = &cluster.town;
    let relay = Keys::new(50);
    let me = town.get(&town.operator, "/v1/me").expect(200).json();
    let body = relay.relay(me["account"]["id"].as_str().unwrap());
    town.send(Ask::put("/v1/network/relays/me").json(&body).by(&town.operator)).expect(200);
    let service = json!({ "node": 1, "port": 8888, "proto": "http", "visibility": "public" });
    open(town, &cluster.rental, "jupyter", &service).expect(200);
    let raw = json!({ "node": 1, "port": 9, "proto": "tcp", "visibility": "public" });
    open(town, &cluster.rental, "raw", &raw).expect(200);
    open(town, &cluster.rental, "ssh", &raw).expect_problem(422, "invalid");
    let answer = cluster.ask(1, |_| ()).expect(200).json();
    let wanted = answer["services"].as_array().unwrap();
    assert_eq!(
        wanted[0],
        json!({
            "label": "jupyter", "port": 8888, "proto": "http", "visibility": "public",
            "wants_proxy_header": false,
        })
    );
    let of = |label: &str| {
        let path = format!("/v1/rentals/{}/services", cluster.rental);
        let page = town.get(&town.renter, &path).expect(200).json();
        let all = page["items"].as_array().unwrap().clone();
        all.into_iter().find(|service| service["label"] == label).unwrap()
    };
    assert_eq!(of("jupyter")["state"], "waiting");
    cluster
        .ask(1, |asked| {
            let at = json!([{ "relay": relay.node() }]);
            let leased = json!([{ "relay": relay.node(), "port": 20_001 }]);
            asked["services"] = json!({
                "jupyter": { "state": "open", "at": at },
                "raw": { "state": "open", "at": leased },
                "ssh-1": { "state": "refused", "why": "the relay is full" },
                "dashboard": { "state": "open", "at": at },
            });
        })
        .expect(200);
    let (id, port) = (&cluster.rental["rnt_".len()..], answering(&relay.key()).port());
    let jupyter = of("jupyter");
    assert_eq!(jupyter["name"], format!("jupyter-{id}"));
    assert_eq!(jupyter["hosts"], json!([format!("https://jupyter-{id}.r1.example:{port}")]));
    assert_eq!(of("raw")["ports"], json!(["127.0.0.1:20001"]));
    let ssh = of("ssh-1");
    assert_eq!((&ssh["state"], &ssh["why"]), (&json!("refused"), &json!("the relay is full")));
    assert!(ssh["host_key"].as_str().unwrap().starts_with("ssh-ed25519 "));
    assert_eq!(of("dashboard")["state"], "waiting", "it is another node's");
    let path = format!("/v1/rentals/{}/services/jupyter", cluster.rental);
    town.send(Ask::delete(&path).by(&town.renter)).expect(204);
    let answer = cluster.ask(1, |_| ()).expect(200).json();
    assert_eq!(answer["services"].as_array().unwrap().len(), 2);
}

#[test]
fn a_policy_is_refused_with_its_line_and_else_holds_at_once() {
    let cluster = Cluster::new(2);
    let town = &cluster.town;
    let path = format!("/v1/projects/{}/network-policy", town.renter.project);
    let put = |policy: &str| {
        town.send(Ask::put(&path).json(&json!({ "policy": policy })).by(&town.renter))
    };
    let usual = town.get(&town.viewer, &path).expect(200).json();
    assert_eq!(usual["version"], 0);
    let problem = put("{\n  \"grants\": 7\n}").expect_problem(422, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("2:"), "{problem}");
    let fails = r#"{ "tests": [{ "src": "*", "accept": ["10.0.0.1:22"] }] }"#;
    put(fails).expect_problem(422, "invalid");
    put(&" ".repeat(65_537)).expect_problem(422, "invalid");
    let grant = r#"{"src":["*"],"dst":["*"],"ip":["*"]}"#;
    let large = format!(r#"{{"grants":[{}]}}"#, vec![grant; 1_700].join(","));
    let problem = put(&large).expect_problem(422, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("name fewer members"), "{problem}");
    cluster.ask(0, |_| ()).expect(200);
    let first = cluster.ask(1, |_| ()).expect(200).json();
    let rules = |answer: &Value| paper::<PolicyPaper>(answer, &answer["policy"]).rules;
    assert!(!rules(&first).is_empty());
    let only_ssh = r#"{
      "groups": { "group:clients": [] },
      "tagOwners": { "tag:worker": [] },
      "grants": [{ "src": ["group:clients"], "dst": ["tag:worker"], "ip": ["tcp:22"] }],
    }"#;
    let told = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            cluster.ask(1, |asked| {
                asked["known"] = first["revision"].clone();
                asked["wait_secs"] = json!(30);
            })
        });
        put(only_ssh).expect(200);
        waiting.join().unwrap().expect(200).json()
    });
    assert_eq!(rules(&told), [], "there is no client yet");
    cluster.client(&town.renter, &Keys::new(1).joins(&cluster.town, &cluster.rental)).expect(200);
    let told = cluster.ask(1, |_| ()).expect(200).json();
    let found = rules(&told);
    assert_eq!((found.len(), found[0].ports[0].first), (1, 22));
    let older: PolicyPaper = paper(&first, &first["policy"]);
    let newer: PolicyPaper = paper(&told, &told["policy"]);
    assert!(newer.version > older.version);
    assert_eq!(cluster.view()["policy_version"], 1);
    assert_eq!(rules(&cluster.ask(0, |_| ()).expect(200).json()), []);
    let usual = town.send(Ask::delete(&path).by(&town.renter)).expect(200).json();
    assert_eq!(usual["version"], 2);
}

#[test]
fn relays_are_listed_by_whoever_may() {
    let cluster = Cluster::new(1);
    let town = &cluster.town;
    let me = town.get(&town.operator, "/v1/me").expect(200).json();
    let operator = me["account"]["id"].as_str().unwrap();
    let relay = Keys::new(50);
    let tell = |by: &dyn Caller, body: &Value| {
        town.send(Ask::put("/v1/network/relays/me").json(body).by(by))
    };
    let request = json!({ "label": "look", "scopes": ["read"] });
    let issued = town.post(&town.renter, "/v1/keys", &request).expect(201).json();
    let looks = AnyKey(issued["secret"].as_str().unwrap().to_owned());
    tell(&looks, &relay.relay(operator)).expect_problem(403, "forbidden");
    tell(&town.renter, &relay.relay(operator)).expect_problem(422, "invalid");
    tell(&town.operator, &relay.relay("acc_other")).expect_problem(422, "invalid");
    let mut nowhere = relay.relay(operator);
    nowhere["tcp"] = json!([]);
    tell(&town.operator, &nowhere).expect_problem(422, "invalid");
    nowhere["tcp"] = json!([answering(&Keys::new(51).key())]);
    let problem = tell(&town.operator, &nowhere).expect_problem(422, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("another key"), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("let TCP to port"), "{problem}");
    let told = tell(&town.operator, &relay.relay(operator)).expect(200).json();
    let record: RelayRecord = paper(&told, &told["record"]);
    assert_eq!((record.relay, record.owner), (relay.node(), None));
    let list = town.get(&Anonymous, "/v1/network/relays").expect(200).json();
    assert_eq!(list["relays"][0]["key"], json!(relay.node()));
    let seen = json!([{ "key": relay.node(), "rtt_ms": 30 }]);
    let answer = cluster.ask(0, |asked| asked["seen"] = seen).expect(200).json();
    let known: RelayRecord = paper(&answer, &answer["relays"][0]);
    assert_eq!(known.relay, relay.node());
    let scored = eventually("what was seen of the relay is shown", || {
        let list = town.get(&Anonymous, "/v1/network/relays").expect(200).json();
        (list["relays"][0]["rtt_ms"] == 30).then_some(list)
    });
    assert_eq!(scored["relays"][0]["score"], 500, "one account's word moves no score");
    let record: RelayRecord = paper(&scored, &scored["relays"][0]["record"]);
    assert_eq!(record.score, 500);
}

/// A key by its secret.
struct AnyKey(String);

impl Caller for AnyKey {
    fn name(&self) -> &'static str {
        "a key"
    }

    fn token(&self) -> Option<&str> {
        Some(&self.0)
    }
}

#[test]
fn a_supplier_has_a_relay_on_the_stake_of_a_machine() {
    let town = Town::with(|config| config.private_relays = true);
    town.genesis();
    town.give_coins(&town.supplier.person.account, "1000 IO");
    let machine = town.machine(1, &a_machine(4));
    let account = town.supplier.person.account.clone();
    let request = json!({ "label": "relay", "scopes": ["relay"] });
    let issued = town.post(&town.supplier, "/v1/keys", &request).expect(201).json();
    let key = AnyKey(issued["secret"].as_str().unwrap().to_owned());
    town.get(&key, "/v1/workers").expect_problem(403, "forbidden");
    let me = town.get(&key, "/v1/me").expect(200).json();
    assert_eq!((&me["account"]["id"], &me["scopes"]), (&json!(account), &json!(["relay"])));

    let its = |number: u8, worker: Option<&str>| {
        let mut told = Keys::new(number).relay(&account);
        told.as_object_mut().unwrap().remove("domain");
        told["worker"] = json!(worker);
        town.send(Ask::put("/v1/network/relays/me").json(&told).by(&key))
    };
    let (mine, list) = (Some(machine.worker.as_str()), || {
        town.get(&Anonymous, "/v1/network/relays").expect(200).json()["relays"].clone()
    });
    its(50, None).expect_problem(422, "invalid");
    its(50, Some("wkr_00000000000000000000000001")).expect_problem(404, "not-found");
    its(50, mine).expect_problem(409, "stake-refused");
    assert_eq!(list(), json!([]));
    let place = format!("/v1/io-staking/devices/{}", machine.worker);
    let coins = json!({ "coins": "200" });
    town.post(&town.supplier, &format!("{place}/stake"), &coins).expect(200);
    its(50, mine).expect(200);
    assert_eq!((&list()[0]["owner"], &list()[0]["score"]), (&json!(account), &json!(500)));
    its(51, mine).expect_problem(409, "already-exists");
    town.post(&town.supplier, &format!("{place}/unstake"), &Value::Null).expect(200);
    eventually("it is gone with the stake", || (list() == json!([])).then_some(()));
    its(50, mine).expect_problem(409, "stake-refused");
}

#[test]
fn records_of_connections_are_kept_and_read_by_the_renter() {
    let cluster = Cluster::new(2);
    let town = &cluster.town;
    let mut log = wire::audit::AuditLog::new(keys_of(1).node());
    let mut lines = log.record(wire::audit::Record::Lost(1), now());
    lines.extend(log.seal(&keys_of(1).key(), now()));
    let segment = lines.join("\n") + "\n";
    let hand_over = |machine: &Machine, segment: &str| {
        let path = format!("/v1/worker/nodes/{}/1/audit", cluster.rental);
        town.send(Ask::put(&path).bytes(segment.as_bytes()).by(machine))
    };
    let (its, other) = (cluster.machine_of(1), cluster.machine_of(0));
    hand_over(other, &segment).expect_problem(404, "not-found");
    hand_over(its, &segment[1..]).expect_problem(422, "record-refused");
    hand_over(its, &segment).expect(204);
    cluster.end();
    hand_over(its, &segment).expect(204);
    let read = |node: &str| {
        let path = format!("/v1/rentals/{}/audit{node}", cluster.rental);
        town.get(&town.viewer, &path).expect(200).text()
    };
    assert_eq!(
        (read(""), read("?node=1"), read("?node=0")),
        (segment.clone(), segment, String::new())
    );
}
