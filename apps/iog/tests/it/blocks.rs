//! Blocks on the command line: a network with a few hours behind it, its statements checked by anybody, tampered with
//! and found out, and its whole journal computed again.

use std::time::{Duration, Instant};

use control::{Actor, Body, Command, Control, MachineRecord, Scope};
use serde_json::{Value, json};
use server::Running;
use server::journal::{Batch, Entry, Options, open};
use sha2::{Digest, Sha256};
use units::{
    AccountId, BlobId, CommandId, Hour, InviteId, KeyId, Resources, Tier, Timestamp, WorkerId,
};

use crate::desk::server_config;
use crate::program::{Home, Said, iog};

/// Longer than closing a few blocks may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many hours the past has; the last may not be closed yet.
const HOURS: u32 = 4;

/// A network with a past, its server, and whoever owns its machine.
struct Network {
    home: Home,
    server: Option<Running>,
    address: String,
    token: String,
    worker: WorkerId,
    first: Hour,
}

fn machine() -> MachineRecord {
    MachineRecord {
        offers: Resources { gpus: 8, vcpus: 8, memory_mib: 65_536, disk_mib: 10_240 },
        gpu_model: Some("NVIDIA H100 80GB HBM3".parse().unwrap()),
        vram_mib: 81_559,
        cpu_model: "Scripted CPU".to_owned(),
        os: "Debian 12".to_owned(),
        country: None,
        tier: Tier::High,
        certifications: std::collections::BTreeSet::new(),
        host: None,
    }
}

/// An owner with a key, a machine that is up, and a coin, all since `first`.
fn entries(first: Hour, worker: WorkerId, token: &str) -> Vec<Entry> {
    let (account, key) = (AccountId::from_bits(0xa), KeyId::from_bits(0xb));
    let (invite, name): (_, units::Name) = (InviteId::from_bits(1), "past".parse().unwrap());
    let digest = |number: u8| BlobId::from_sha256([number; 32]);
    let exempt: Vec<&str> = rewards::rule::Rule::ALL.iter().map(|rule| rule.text()).collect();
    let mut patch: serde_json::Value = serde_json::from_str(control::DESK_PATCH).unwrap();
    patch["exempt"] = json!(exempt);
    let told = [
        (Actor::Operator, Command::OpenAccount { account, name: name.clone(), email: None }),
        (
            Actor::Operator,
            Command::IssueKey {
                key,
                account,
                label: name.clone(),
                scopes: [Scope::Read, Scope::Write].into(),
                secret_sha256: BlobId::from_sha256(Sha256::digest(token).into()),
                expires_millis: None,
            },
        ),
        (Actor::Operator, Command::SetParameters { patch: patch.to_string(), from: None }),
        (
            Actor::Account(account),
            Command::Invite {
                invite,
                account,
                secret_sha256: digest(1),
                expires_millis: first.end().millis(),
                replaces: None,
            },
        ),
        (
            Actor::Worker(worker),
            Command::Join {
                invite,
                worker,
                name,
                public_key: digest(2),
                fingerprint: digest(3),
                machine: machine(),
            },
        ),
        (Actor::Clock, Command::WorkerUp { worker }),
        (Actor::Operator, Command::Genesis { first_month: "2024-07".parse().unwrap() }),
    ];
    let mut state = Control::new();
    let entry = |(number, (by, command))| {
        let body = Body { id: CommandId::from_bits(number), asked: digest(0), by, command };
        state.tell(body, first.start()).unwrap().entry.unwrap().into()
    };
    (1_u128..).zip(told).map(entry).collect()
}

impl Network {
    fn new(name: &str) -> Self {
        let home = Home::new(name);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = Hour::of(Timestamp::from_millis(u64::try_from(now.as_millis()).unwrap()));
        let first = Hour::from_number(now.number() - HOURS);
        let key = KeyId::from_bits(0xb).to_string();
        let token = format!("iog_{}_{}", key.strip_prefix("key_").unwrap(), "0".repeat(64));
        let worker = WorkerId::from_bits(7);
        let data = home.0.join("data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("secret.key"), [7; 32]).unwrap();
        let mut journal =
            open(&data.join("iog.db").display().to_string(), &Options::default()).unwrap();
        let entries = entries(first, worker, &token);
        journal.append(&Batch { entries: &entries, ..Batch::default() }).unwrap();
        drop(journal);
        let server = server::start(&server_config(&data)).unwrap();
        let address = format!("http://{}", server.address());
        let network = Self { home, server: Some(server), address, token, worker, first };
        let begun = Instant::now();
        while network.block(2)["status"] != "completed" {
            assert!(begun.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(20));
        }
        network
    }

    fn say(&self, arguments: &[&str]) -> Said {
        let variables = [("IOG_SERVER", self.address.as_str()), ("IOG_KEY", self.token.as_str())];
        iog(&self.home, &variables, arguments)
    }

    fn done(&self, arguments: &[&str]) -> String {
        let said = self.say(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.err);
        said.out
    }

    fn hour(&self, later: u32) -> String {
        self.first.later(later).to_string()
    }

    fn block(&self, later: u32) -> Value {
        let said = self.say(&["blocks", &self.hour(later), "--json"]);
        serde_json::from_str(&said.out).unwrap_or_default()
    }

    /// Saves a block's statement.
    fn save(&self, later: u32, file: &str) -> String {
        let text = self.done(&["blocks", &self.hour(later), "--statement"]);
        std::fs::write(self.home.0.join(file), &text).unwrap();
        text
    }
}

#[test]
fn anybody_can_check_a_block_and_finds_what_was_altered() {
    let network = Network::new("blocks");
    let before = network.save(0, "before.txt");
    let text = network.save(1, "block.txt");
    let key = before.lines().nth(1).unwrap().strip_prefix("key ").unwrap().to_owned();
    let parameters = network.done(&["operator", "parameters", "show", "--json"]);
    std::fs::write(network.home.0.join("parameters.json"), parameters).unwrap();
    let all = ["--key", &key, "--previous", "before.txt", "--parameters", "parameters.json"];
    let audit = |file: &str| network.say(&[&["audit", file], &all[..]].concat());
    let said = audit("block.txt");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("machines   1, 1 earned"), "{}", said.out);
    assert!(said.out.contains("✓"), "{}", said.out);
    let altered = [
        ("unearned 0", "unearned 1", "signature"),
        ("previous ", "previous f", "line 3 of the statement"),
        (" 10.00 8 idle", " 10.00 9 idle", "stated `wkr_"),
        ("passed 60", "failed 60", "stated `wkr_"),
        (&key, &"ab".repeat(32), "signed by"),
    ];
    for (from, to, found) in altered {
        std::fs::write(network.home.0.join("altered.txt"), text.replacen(from, to, 1)).unwrap();
        let said = audit("altered.txt");
        assert_eq!(said.code, 1, "{from}: {}", said.out);
        assert!(said.err.contains(found), "{from}: {}", said.err);
    }
}

#[test]
fn an_owner_sees_proves_and_claims_what_a_machine_earned() {
    let network = Network::new("rewards");
    let worker = network.worker.to_string();
    let ready = network.done(&["ready", &worker]);
    assert!(ready.contains("Ready: it would be nominated."), "{ready}");
    let key: Value = {
        let text = network.save(0, "block.txt");
        text.lines().nth(1).unwrap().strip_prefix("key ").unwrap().into()
    };
    let proof = ["rewards", "proof", &worker, "--hour", &network.hour(0), "--key"];
    let said = network.done(&[&proof[..], &[key.as_str().unwrap()]].concat());
    assert!(said.contains("✓ checked here: it holds"), "{said}");
    let said = network.say(&[&proof[..], &["00"]].concat());
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(network.done(&["rewards"]).contains(&worker));
    assert!(network.done(&["rewards", "history", &worker]).contains("earned"));
    assert!(network.done(&["rewards", "claim", "--amount", "1"]).contains("balance 1.00 IO"));
    assert!(network.done(&["blocks"]).contains("in-progress"));
    assert!(network.done(&["blocks", &network.hour(0), "--workers"]).contains("8 × 10.00"));
    // A block as it is shown is what the calculator takes.
    let block = network.block(0).to_string();
    std::fs::write(network.home.0.join("block.json"), block).unwrap();
    let earnings =
        ["calc", "earnings", "--model", "H100", "--quantity", "8", "--network", "block.json"];
    assert!(network.done(&earnings).contains("its part"));
}

#[test]
fn a_whole_journal_is_computed_again() {
    let mut network = Network::new("journal");
    let audit = |network: &Network| iog(&network.home, &[], &["audit", "--journal", "data/iog.db"]);
    // Beside the server, and again when it has kept a snapshot at its end.
    let said = audit(&network);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("one chain") && said.out.contains("✓"), "{}", said.out);
    network.server.take().unwrap().stop().unwrap();
    let said = audit(&network);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("is the state there"), "{}", said.out);
    let store = rusqlite::Connection::open(network.home.0.join("data/iog.db")).unwrap();
    let line =
        "UPDATE rows SET body = replace(body, 'earned', 'earnt') WHERE kind = 'block-reward'";
    store.execute(line, []).unwrap();
    let said = audit(&network);
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.err.contains("the rows of block"), "{}", said.err);
    let entry =
        "UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), 'past', 'post') AS BLOB)
         WHERE seq = 1";
    store.execute(entry, []).unwrap();
    let said = audit(&network);
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.err.contains("its hash is not that of its contents"), "{}", said.err);
}
