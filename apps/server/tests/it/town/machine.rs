//! A machine by script: it speaks the real protocol with a real key and does whatever it is told at once.

use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use super::{Answer, Ask, Client};

/// What a machine without cards says it is.
pub(crate) fn a_machine(vcpus: u32) -> Value {
    json!({
        "offers": { "gpus": 0, "vcpus": vcpus, "memory_mib": 1024 * u64::from(vcpus), "disk_mib": 10_240 },
        "vram_mib": 0,
        "cpu_model": "Scripted CPU",
        "os": "Debian 12",
        "tier": "medium",
    })
}

/// A machine that has joined.
pub(crate) struct Machine {
    key: SigningKey,
    pub(crate) worker: String,
    pub(crate) session: String,
    pub(crate) beats: u64,
    /// Its nodes as it sees them.
    pub(crate) nodes: Vec<Value>,
    /// Their jobs as it sees them.
    pub(crate) jobs: Vec<Value>,
    /// What it has acted on.
    pub(crate) revision: Option<u64>,
}

/// What a machine sends to join. Machines with different numbers have different keys and different hardware.
pub(crate) fn join_request(token: &str, number: u8, machine: &Value) -> Value {
    let key = SigningKey::from_bytes(&[number; 32]);
    let fingerprint = hex(&[number; 32]);
    let name = format!("rack-{number}");
    let signature = key.sign(format!("iog join 1\n{token}\n{fingerprint}\n{name}").as_bytes());
    json!({
        "token": token,
        "name": name,
        "public_key": hex(key.verifying_key().as_bytes()),
        "fingerprint": fingerprint,
        "machine": machine,
        "signature": hex(&signature.to_bytes()),
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

impl Machine {
    pub(crate) fn join(client: &Client, token: &str, number: u8, machine: &Value) -> Self {
        let asked = join_request(token, number, machine);
        let joined = client.send(Ask::post("/v1/worker/join").json(&asked)).expect(201).json();
        Self::new(number, joined["worker"].as_str().unwrap())
    }

    /// One that has joined as this worker.
    pub(crate) fn new(number: u8, worker: &str) -> Self {
        let (key, worker) = (SigningKey::from_bytes(&[number; 32]), worker.to_owned());
        let (session, nodes, jobs) = (String::new(), Vec::new(), Vec::new());
        Self { key, worker, session, beats: 0, nodes, jobs, revision: None }
    }

    /// Whether another one signs as it does.
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Proves who it is.
    pub(crate) fn open_session(&mut self, client: &Client) {
        let asked = self.session_request(&self.challenge(client));
        let session = client.send(Ask::post("/v1/worker/session").json(&asked)).expect(200).json();
        self.take_session(&session);
    }

    /// Goes on with a session it was given.
    pub(crate) fn take_session(&mut self, session: &Value) {
        self.session = session["token"].as_str().unwrap().to_owned();
        self.beats = session["beats_from"].as_u64().unwrap();
    }

    pub(crate) fn challenge(&self, client: &Client) -> String {
        let asked = json!({ "worker": self.worker });
        let given = client.send(Ask::post("/v1/worker/challenge").json(&asked)).expect(200).json();
        given["challenge"].as_str().unwrap().to_owned()
    }

    pub(crate) fn session_request(&self, challenge: &str) -> Value {
        let text = format!("iog session 1\n{}\n{challenge}", self.worker);
        let signature = hex(&self.key.sign(text.as_bytes()).to_bytes());
        json!({ "worker": self.worker, "challenge": challenge, "signature": signature })
    }

    /// What its next beat says.
    pub(crate) fn next_beat(&mut self) -> Value {
        self.beats += 1;
        let mut beat = json!({ "number": self.beats, "nodes": self.nodes, "jobs": self.jobs });
        if let Some(revision) = self.revision {
            beat["revision"] = json!(revision);
        }
        beat
    }

    /// Says what it sees.
    pub(crate) fn beat(&mut self, client: &Client) -> Answer {
        let beat = self.next_beat();
        client.send(Ask::post("/v1/worker/beat").json(&beat).by(self))
    }

    /// What should run on it, now.
    pub(crate) fn wanted(&self, client: &Client) -> Value {
        client.send(Ask::get("/v1/worker/wanted").by(self)).expect(200).json()
    }

    /// Does what is wanted: nodes come up at once, jobs start, what is no longer wanted is gone. Then it says so.
    pub(crate) fn act(&mut self, client: &Client) {
        let wanted = self.wanted(client);
        self.follow(&wanted);
        self.beat(client).expect(200);
    }

    /// As if it had done what is wanted.
    pub(crate) fn follow(&mut self, wanted: &Value) {
        self.revision = wanted["revision"].as_u64();
        let nodes = wanted["nodes"].as_array().unwrap();
        self.nodes = nodes.iter().map(ready).collect();
        let jobs = nodes.iter().filter_map(|node| node["jobs"].as_array()).flatten();
        self.jobs = jobs
            .map(|job| {
                let phase = if job["stop"] == true { "stopped" } else { "running" };
                json!({ "job": job["job"], "phase": phase })
            })
            .collect();
    }

    /// Says that all its jobs have come so far.
    pub(crate) fn all_jobs(&mut self, client: &Client, phase: &Value) {
        self.jobs.iter_mut().for_each(|job| job["phase"] = phase.clone());
        self.beat(client).expect(200);
    }
}

fn ready(node: &Value) -> Value {
    let mut seen = json!({ "rental": node["rental"], "node": node["node"], "phase": "ready" });
    if node["node"] == 0 {
        seen["head"] = json!("127.0.0.1:6379");
    }
    seen
}
