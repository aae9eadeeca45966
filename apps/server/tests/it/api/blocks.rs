//! Blocks over HTTP: a network with a few hours behind it, its statements, and everything anybody may ask about them.

use std::path::Path;
use std::time::{Duration, Instant};

use control::{Actor, Body, Command, ConnectionRecord, Control, MachineRecord, Scope};
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use rewards::merkle::verify;
use rewards::statement::{audit, text};
use serde_json::{Value, json};
use server::journal::{self, Batch, Entry, Options};
use sha2::{Digest, Sha256};
use units::{
    AccountId, BlobId, CommandId, Hour, InviteId, KeyId, Resources, Tier, Timestamp, WorkerId,
};

use crate::town::{Anonymous, Ask, Person, Town};

/// Longer than closing a few blocks may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many hours a past has. The last may not be closed yet when it is looked at.
const HOURS: u32 = 5;

/// What happened before the server was started.
pub(super) struct Past {
    pub(super) first_hour: Hour,
    /// Paid as enterprise, paid as community, failed its proof, of no listed model.
    pub(super) machines: [WorkerId; 4],
    owner: Person,
}

/// Commands told long ago, as the journal has them.
struct Scribe {
    state: Control,
    entries: Vec<Entry>,
    at: Timestamp,
}

impl Scribe {
    fn tell(&mut self, by: Actor, command: Command) {
        let number = self.entries.len() as u128 + 1;
        let asked = BlobId::from_sha256([0; 32]);
        let body = Body { id: CommandId::from_bits(number), asked, by, command };
        let told = self.state.tell(body, self.at).unwrap();
        self.entries.push(told.entry.unwrap().into());
    }
}

fn machine(gpu_model: &str, gpus: u32) -> MachineRecord {
    MachineRecord {
        offers: Resources { gpus, vcpus: 8, memory_mib: 65_536, disk_mib: 10_240 },
        gpu_model: Some(gpu_model.parse().unwrap()),
        vram_mib: 81_559,
        cpu_model: "Scripted CPU".to_owned(),
        os: "Debian 12".to_owned(),
        country: None,
        tier: Tier::High,
        certifications: Default::default(),
        host: None,
    }
}

impl Past {
    /// A town with a past, whose blocks are closed.
    pub(super) fn town() -> (Town, Self) {
        let mut past = None;
        let town = Town::with(|config| past = Some(Self::write(&config.data)));
        let past = past.unwrap();
        let begun = Instant::now();
        loop {
            let summary = town.get(&Anonymous, "/v1/io-blocks/blocks/summary").expect(200).json();
            if summary["blocks_computed"].as_u64().unwrap() >= u64::from(HOURS) - 1 {
                return (town, past);
            }
            assert!(begun.elapsed() < PATIENCE, "{summary}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Writes it into the journal of a folder.
    fn write(data: &Path) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = Hour::of(Timestamp::from_millis(u64::try_from(now.as_millis()).unwrap()));
        let first_hour = Hour::from_number(now.number() - HOURS);
        let mut scribe =
            Scribe { state: Control::new(), entries: Vec::new(), at: first_hour.start() };
        let account = AccountId::from_bits(0xa);
        let key = KeyId::from_bits(0xb);
        let digits = key.to_string();
        let token = format!("iog_{}_{}", digits.strip_prefix("key_").unwrap(), "0".repeat(64));
        let secret_sha256 = BlobId::from_sha256(Sha256::digest(&token).into());
        let name: units::Name = "past".parse().unwrap();
        let operator = Actor::Operator;
        scribe.tell(operator, Command::OpenAccount { account, name: name.clone(), email: None });
        let scopes = [Scope::Read, Scope::Write].into();
        let issue = Command::IssueKey {
            key,
            account,
            label: name,
            scopes,
            secret_sha256,
            expires_millis: None,
        };
        scribe.tell(operator, issue);
        let all = rewards::rule::Rule::ALL.iter().map(|rule| rule.text());
        let exempt: Vec<&str> = all.filter(|rule| *rule != "processor").collect();
        let mut patch: Value = serde_json::from_str(control::DESK_PATCH).unwrap();
        patch["exempt"] = json!(exempt);
        let patch = patch.to_string();
        scribe.tell(operator, Command::SetParameters { patch, from: None });
        let models = [
            ("NVIDIA H100 80GB HBM3", 8),
            ("NVIDIA GeForce RTX 4090", 2),
            ("NVIDIA H100 PCIe", 1),
            ("Voodoo 5", 1),
        ];
        let machines = [1_u8, 2, 3, 4].map(|number| WorkerId::from_bits(u128::from(number)));
        for (number, (worker, (model, gpus))) in (1_u8..).zip(machines.into_iter().zip(models)) {
            let invite = InviteId::from_bits(u128::from(number));
            let expires_millis = first_hour.end().millis();
            let secret_sha256 = BlobId::from_sha256([number; 32]);
            scribe.tell(
                Actor::Account(account),
                Command::Invite { invite, account, secret_sha256, expires_millis, replaces: None },
            );
            let join = Command::Join {
                invite,
                worker,
                name: format!("old-{number}").parse().unwrap(),
                public_key: BlobId::from_sha256([number + 100; 32]),
                fingerprint: BlobId::from_sha256([number + 200; 32]),
                machine: machine(model, gpus),
            };
            scribe.tell(Actor::Worker(worker), join);
            let at = scribe.at;
            let connection = ConnectionRecord { at, down_mbps: 900, up_mbps: 700, ping_ms: 5 };
            scribe.tell(Actor::Clock, Command::MeasureConnection { worker, connection });
            // It takes no rentals of whoever tests something else.
            scribe.tell(Actor::Account(account), Command::SetPaused { worker, paused: true });
            if number != 3 {
                scribe.tell(Actor::Clock, Command::WorkerUp { worker });
            }
        }
        let first_month = "2024-07".parse().unwrap();
        scribe.tell(operator, Command::Genesis { first_month });
        let address = data.join("iog.db").display().to_string();
        let mut journal = journal::open(&address, &Options::default()).unwrap();
        journal.append(&Batch { entries: &scribe.entries, ..Batch::default() }).unwrap();
        std::fs::write(data.join("secret.key"), [7; 32]).unwrap();
        let owner = Person { account: account.to_string(), token };
        Self { first_hour, machines, owner }
    }

    fn block(&self, rest: &str) -> String {
        format!("/v1/io-blocks/blocks/{}{rest}", self.first_hour)
    }
}

/// Verifies a signature of a text.
fn is_signed(text: &str, signature: &str, key: &str) -> bool {
    let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    let key = VerifyingKey::from_bytes(&hex(key).try_into().unwrap()).unwrap();
    let signature = Signature::from_bytes(&hex(signature).try_into().unwrap());
    key.verify_strict(text.as_bytes(), &signature).is_ok()
}

#[test]
fn every_machine_has_its_outcome_and_nobody_learns_whose_it_is() {
    let (town, past) = Past::town();
    let block = town.get(&Anonymous, &past.block("")).expect(200).json();
    assert_eq!((&block["status"], &block["succeeded"]), (&json!("completed"), &json!(2)));
    assert_eq!((&block["failed"], &block["missed"]), (&json!(1), &json!(1)));
    let page = town.get(&Anonymous, &past.block("/workers")).expect(200);
    assert!(!page.text().contains(&past.owner.account), "{}", page.text());
    let rows = page.json();
    let shown = |at: usize| {
        let row = &rows["items"][at];
        let word = |field: &str| row[field].as_str().unwrap_or("-").to_owned();
        (word("worker"), word("status"), word("reason"), row["missing"].to_string())
    };
    let [first, second, third, fourth] = past.machines.map(|machine| machine.to_string());
    let none = "null".to_owned();
    assert_eq!(shown(0), (first, "earned".into(), "-".into(), none.clone()));
    assert_eq!(shown(1), (second.clone(), "earned".into(), "-".into(), none.clone()));
    assert_eq!(shown(2), (third.clone(), "failed".into(), "time-lock".into(), none));
    assert_eq!(shown(3), (fourth, "missed".into(), "-".into(), r#"["processor"]"#.into()));
    let filtered = |query: &str| {
        let page = town.get(&Anonymous, &past.block(&format!("/workers?{query}"))).expect(200);
        page.json()["items"].as_array().unwrap().len()
    };
    assert_eq!(filtered("status=earned"), 2);
    assert_eq!(filtered("status=earned&connectivity_tier=high&device_type=gpu"), 2);
    assert_eq!(filtered("device_type=cpu"), 0);
    assert_eq!(filtered(&format!("cursor={second}")), 2);
    town.get(&Anonymous, &past.block("/workers?status=rich")).expect_problem(422, "invalid");
    let one = town.get(&Anonymous, &past.block(&format!("/workers/{third}"))).expect(200).json();
    assert_eq!(one, rows["items"][2]);
    let nobody = WorkerId::from_bits(99);
    town.get(&Anonymous, &past.block(&format!("/workers/{nobody}")))
        .expect_problem(404, "not-found");
}

#[test]
fn blocks_are_listed_from_the_open_one_down() {
    let (town, past) = Past::town();
    let list = |query: &str| {
        let path = format!("/v1/io-blocks/blocks?{query}");
        town.get(&Anonymous, &path).expect(200).json()["items"].as_array().unwrap().clone()
    };
    let all = list("");
    assert_eq!(all[0]["status"], "in-progress");
    assert_eq!(all.last().unwrap()["hour"], past.first_hour.to_string());
    let completed = list("status=completed");
    assert!(completed.len() >= 4 && completed.iter().all(|block| block["status"] == "completed"));
    for pair in completed.windows(2) {
        assert_eq!(pair[0]["previous_sha256"], pair[1]["header_sha256"], "headers form a chain");
    }
    assert_eq!(list("status=in-progress").len(), 1);
    let summary = town.get(&Anonymous, "/v1/io-blocks/blocks/summary").expect(200).json();
    assert_eq!(summary["last"]["hour"], completed[0]["hour"]);
    let open =
        town.get(&Anonymous, &format!("/v1/io-blocks/blocks/{}", all[0]["hour"].as_str().unwrap()));
    assert_eq!(open.expect(200).json()["status"], "in-progress");
    town.get(&Anonymous, "/v1/io-blocks/blocks/2001-01-01T00:00:00")
        .expect_problem(404, "not-found");
    town.get(&Anonymous, "/v1/io-blocks/blocks/noon").expect_problem(422, "invalid");
}

#[test]
fn a_statement_is_signed_and_can_be_computed_again() {
    let (mut town, past) = Past::town();
    let key = town.get(&Anonymous, "/v1/network/key").expect(200).json();
    let key = key["public_key"].as_str().unwrap().to_owned();
    let statement = town.get(&Anonymous, &past.block("/statement")).expect(200).text();
    let mut lines = statement.splitn(4, '\n');
    assert_eq!(lines.next(), Some("iog statement 1"));
    assert_eq!(lines.next(), Some(format!("key {key}").as_str()));
    let signature = lines.next().unwrap().strip_prefix("signature ").unwrap();
    let (header, rows) = text::read(lines.next().unwrap()).unwrap();
    assert!(is_signed(&header.to_string(), signature, &key));
    assert_eq!(rows.len(), 4);
    let schedule = rewards::emission::Emission::new(&Default::default()).unwrap();
    audit(&header, &rows, Some(&schedule)).unwrap();
    // It is the same after a restart, by the same key.
    town.stop();
    town.start();
    assert_eq!(town.get(&Anonymous, &past.block("/statement")).expect(200).text(), statement);
}

#[test]
fn a_proof_leads_from_a_line_to_the_signed_root() {
    let (town, past) = Past::town();
    for worker in past.machines {
        let proof =
            town.get(&Anonymous, &past.block(&format!("/proof/{worker}"))).expect(200).json();
        let word = |field: &str| proof[field].as_str().unwrap();
        assert!(is_signed(word("header"), word("signature"), word("public_key")));
        let (header, _) = text::read(word("header")).unwrap();
        let path: Vec<BlobId> = proof["path"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hash| hash.as_str().unwrap().parse().unwrap())
            .collect();
        let index = proof["index"].as_u64().unwrap();
        let leads = |line: &str| verify(line.as_bytes(), index, header.rows, &path, header.root);
        assert!(leads(word("line")));
        assert!(!leads(&word("line").replace("high", "low")));
    }
}

#[test]
fn an_owner_sees_what_is_missing_and_claims_what_was_earned() {
    let (town, past) = Past::town();
    let [first, second, _, _] = past.machines;
    let device = |worker: WorkerId, rest: &str| format!("/v1/io-blocks/devices/{worker}/{rest}");
    let ready = town.get(&past.owner, &device(first, "ready")).expect(200).json();
    assert_eq!(ready["block_rewards_ready"], true, "{ready}");
    assert_eq!(ready["rules"].as_array().unwrap().len(), 12);
    town.get(&town.stranger, &device(first, "ready")).expect_problem(404, "not-found");
    town.post(&town.operator, &device(first, "blocked"), &json!({ "reason": "smoke" })).expect(204);
    let ready = town.get(&past.owner, &device(first, "ready")).expect(200).json();
    let status = ready["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == "status");
    assert!(status.unwrap()["reason"].as_str().unwrap().contains("blocked"), "{ready}");
    let body = json!({ "proof": "luck", "passed": true });
    town.post(&town.operator, &device(first, "proofs"), &body).expect_problem(422, "invalid");
    let body = json!({ "rules": ["luck"], "reason": "" });
    town.post(&town.operator, &device(first, "exemptions"), &body).expect_problem(422, "invalid");

    let from = past.first_hour;
    let rewards = town.get(&Anonymous, &device(first, "block-rewards")).expect(200).json();
    assert_eq!(rewards["items"].as_array().unwrap().last().unwrap()["hour"], from.to_string());
    let span = format!("block-rewards-summary?from={from}&to={}", from.later(2));
    let summary = town.get(&Anonymous, &device(first, &span)).expect(200).json();
    assert_eq!((&summary["earned"], &summary["missed"]), (&json!(2), &json!(0)));
    let span = format!("block-rewards-summary?from={from}&to={from}");
    town.get(&Anonymous, &device(first, &span)).expect_problem(422, "invalid");

    let (mine, claim) = ("/v1/io-blocks/users/me/rewards", "/v1/io-blocks/users/me/rewards/claim");
    let before = town.get(&past.owner, mine).expect(200).json();
    assert_eq!(before["items"].as_array().unwrap().len(), 2);
    let ask = Ask::post(claim).json(&json!({ "worker": second })).by(&past.owner).once("mine");
    let first_answer = town.send(ask.clone()).expect(200).text();
    assert_eq!(town.send(ask).expect(200).text(), first_answer, "told twice is claimed once");
    let both = json!({ "worker": second, "amount": "1" });
    town.post(&past.owner, claim, &both).expect_problem(422, "invalid");
    town.post(&past.owner, claim, &json!({ "amount": "99999999" })).expect_problem(422, "invalid");
    town.post(&past.owner, claim, &json!({ "amount": "1" })).expect(200);
    let after = town.post(&past.owner, claim, &json!({})).expect(200).json();
    assert_eq!(after["claimable"], "0.00000000");
    town.post(&past.owner, claim, &json!({})).expect_problem(422, "invalid");
    assert_eq!(
        before["claimable"],
        Value::from(after["balance"].as_str().unwrap().trim_end_matches(" IO"))
    );
}
