//! A small network for one test: a real server on a free port, and people and machines who speak to it over HTTP.

mod client;
mod machine;
mod people;
mod story;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use server::{Config, Running};

pub(crate) use client::{Answer, Ask, Client};
pub(crate) use machine::{Machine, a_machine, hex, join_request};
pub(crate) use people::{Anonymous, Caller, Operator, Person, Renter, Stranger, Supplier, Viewer};
pub(crate) use story::Story;

/// A folder of one's own, gone with the test.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("town-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How tests run a server in this folder.
pub(crate) fn config(folder: &Path) -> Config {
    Config::new(folder.to_owned(), "127.0.0.1:0".parse().unwrap(), 10_000)
}

/// The key that a server made for its operator.
pub(crate) fn operator_of(folder: &Path) -> Operator {
    let token = std::fs::read_to_string(folder.join("operator.key")).unwrap().trim().to_owned();
    Operator { token }
}

/// How often something that is awaited is looked at, and how often at most: a minute.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS_MAX: usize = 3_000;

/// What a look finds, once it finds something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS_MAX {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("waited too long for: {what}");
}

/// Machines of a test are open as soon as they speak. A town with a past has its own rules already.
pub(crate) fn open_doors(client: &Client, operator: &Operator) {
    let known = client.send(Ask::get("/v1/network/parameters")).expect(200).json();
    if known["parameters"]["onboarding"]["required"] == false {
        return;
    }
    let patch: Value = serde_json::from_str(control::DESK_PATCH).unwrap();
    let ask = Ask::patch("/v1/network/parameters").json(&json!({ "patch": patch }));
    client.send(ask.by(operator)).expect(200);
}

/// The server and the people around it.
pub(crate) struct Town {
    // In the order in which they go.
    server: Option<Running>,
    pub(crate) config: Config,
    pub(crate) client: Client,
    pub(crate) operator: Operator,
    pub(crate) renter: Renter,
    pub(crate) viewer: Viewer,
    pub(crate) stranger: Stranger,
    pub(crate) supplier: Supplier,
    pub(crate) folder: Folder,
}

impl Town {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// With another configuration than usual.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = Folder::new();
        let mut config = config(folder.path());
        change(&mut config);
        let server = server::start(&config).unwrap();
        let client = Client::new(server.address());
        let operator = operator_of(folder.path());
        open_doors(&client, &operator);
        let [renter, viewer, stranger, supplier] =
            ["ada", "vic", "eve", "sam"].map(|name| operator.open_account(&client, name));
        let renter = Renter { project: renter.project(&client, "research"), person: renter };
        let stranger = Stranger { project: stranger.project(&client, "other"), person: stranger };
        let seat = format!("/v1/projects/{}/members/{}", renter.project, viewer.account);
        client.send(Ask::put(&seat).json(&json!({ "role": "viewer" })).by(&renter)).expect(200);
        let viewer = Viewer { person: viewer };
        let supplier = Supplier { person: supplier };
        let server = Some(server);
        Self { server, config, client, operator, renter, viewer, stranger, supplier, folder }
    }

    pub(crate) fn send(&self, ask: Ask) -> Answer {
        self.client.send(ask)
    }

    pub(crate) fn get(&self, caller: &dyn Caller, path: &str) -> Answer {
        self.send(Ask::get(path).by(caller))
    }

    pub(crate) fn post(&self, caller: &dyn Caller, path: &str, body: &Value) -> Answer {
        self.send(Ask::post(path).json(body).by(caller))
    }

    /// Credits the renter's project.
    pub(crate) fn top_up(&self, amount: &str) {
        let path = format!("/v1/projects/{}/top-ups", self.renter.project);
        self.post(&self.operator, &path, &json!({ "amount": amount })).expect(200);
    }

    /// Changes what the network goes by.
    pub(crate) fn patch(&self, patch: &Value) {
        let ask = Ask::patch("/v1/network/parameters").json(&json!({ "patch": patch }));
        self.send(ask.by(&self.operator)).expect(200);
    }

    /// Brings the coin into the world.
    pub(crate) fn genesis(&self) {
        self.post(&self.operator, "/v1/io-token/genesis", &json!({})).expect(201);
    }

    /// Gives coins of the treasury to an account.
    pub(crate) fn give_coins(&self, account: &str, money: &str) {
        let body = json!({ "from": "treasury", "to": account, "money": money });
        self.post(&self.operator, "/v1/transfers", &body).expect(200);
    }

    /// Says what has arrived in a purse.
    pub(crate) fn deposit(&self, to: &str, money: &str) {
        self.post(&self.operator, "/v1/deposits", &json!({ "to": to, "money": money })).expect(200);
    }

    /// Lets one source be enough for a rate, and tells of one.
    pub(crate) fn tell_rate(&self, usd_per_coin: &str) {
        self.patch(&json!({ "oracle": { "sources_min": 1 } }));
        let reading = json!({ "source": "test", "usd_per_coin": usd_per_coin });
        let body = json!({ "readings": [reading] });
        self.post(&self.operator, "/v1/io-token/rate/readings", &body).expect(200);
    }

    /// A machine of the supplier's that has joined and speaks. Machines of one town differ in `number`.
    pub(crate) fn machine(&self, number: u8, machine: &Value) -> Machine {
        let invite = self.post(&self.supplier, "/v1/invites", &json!({})).expect(201).json();
        let token = invite["token"].as_str().unwrap();
        let mut machine = Machine::join(&self.client, token, number, machine);
        machine.open_session(&self.client);
        machine.beat(&self.client).expect(200);
        machine
    }

    /// An order of so many nodes of two threads.
    pub(crate) fn order(&self, nodes: u32) -> Value {
        json!({
            "project": self.renter.project,
            "order": { "nodes": nodes, "each": { "gpus": 0, "vcpus": 2, "memory_mib": 1024, "disk_mib": 0 } },
            "hours": 2,
        })
    }

    /// The same, ready to wait an hour for machines.
    pub(crate) fn order_that_waits(&self, nodes: u32) -> Value {
        let mut order = self.order(nodes);
        order["name"] = json!("run");
        order["wait_minutes"] = json!(60);
        order
    }

    /// An order of so many nodes that waits: its id.
    pub(crate) fn wait(&self, nodes: u32) -> String {
        let order = self.order_that_waits(nodes);
        let waiting = self.post(&self.renter, "/v1/orders", &order).expect(201).json();
        waiting["id"].as_str().unwrap().to_owned()
    }

    /// A quote for so many nodes: its id.
    pub(crate) fn quote(&self, nodes: u32) -> String {
        let quote = self.post(&self.renter, "/v1/quotes", &self.order(nodes)).expect(201).json();
        quote["quote"].as_str().unwrap().to_owned()
    }

    /// A rental of so many nodes that deploys: its id.
    pub(crate) fn rent(&self, nodes: u32) -> String {
        let body = json!({ "quote": self.quote(nodes), "name": "run" });
        let rental = self.post(&self.renter, "/v1/rentals", &body).expect(201).json();
        rental["id"].as_str().unwrap().to_owned()
    }

    /// A rental that runs on one machine: its id.
    pub(crate) fn running_rental(&self, machine: &mut Machine) -> String {
        let rental = self.rent(1);
        machine.act(&self.client);
        let view = self.get(&self.renter, &format!("/v1/rentals/{rental}")).expect(200).json();
        assert_eq!(view["state"], "running");
        rental
    }

    pub(crate) fn book(&self) -> Value {
        self.get(&self.operator, "/v1/network/book").expect(200).json()
    }

    /// How many commands are in the journal.
    pub(crate) fn journal_seq(&self) -> u64 {
        self.get(&Anonymous, "/v1/network").expect(200).json()["journal_seq"].as_u64().unwrap()
    }

    /// Stops the server as an operator would.
    pub(crate) fn stop(&mut self) {
        self.server.take().unwrap().stop().unwrap();
    }

    /// Takes the server out, to stop it elsewhere.
    pub(crate) fn take_server(&mut self) -> Running {
        self.server.take().unwrap()
    }

    /// Starts it again on the same folder; it listens elsewhere.
    pub(crate) fn start(&mut self) {
        let server = server::start(&self.config).unwrap();
        self.client = Client::new(server.address());
        self.server = Some(server);
    }
}

/// The sum of a kind of purse, in the dollars of a book.
pub(crate) fn dollars_in(book: &Value, purse: &str) -> Value {
    let purses = book["assets"][0]["purses"].as_array().unwrap();
    purses.iter().find(|sum| sum["purse"] == purse).unwrap().clone()
}
