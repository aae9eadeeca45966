//! A machine that proves over HTTP: the prover of the protocol's own crate, on a processor, through the real API.

use ed25519_dalek::{SigningKey, VerifyingKey};
use proofs::matmul::Seeds;
use proofs::session::{Channel, Prover};
use proofs::{Device, DeviceFault, Memory, Puzzle, Task, Verdict};
use prover::cpu::Processor;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::town::{Anonymous, Answer, Ask, Client, Machine, Town, a_machine, hex};

/// How a processor is named where a card is.
pub(crate) fn processor() -> String {
    hex(&Sha256::digest("cpu"))
}

/// The number of a card, as a name.
pub(crate) fn card(number: u8) -> String {
    hex(&Sha256::digest([number]))
}

/// What a machine with so many cards says it is. Its cards have little memory, so that a processor can stand for them.
pub(crate) fn with_cards(cards: u32) -> Value {
    let mut machine = a_machine(4);
    machine["offers"]["gpus"] = json!(cards);
    machine["gpu_model"] = json!("NVIDIA GeForce RTX 4090");
    machine["vram_mib"] = json!(16);
    machine
}

/// Proofs are asked for, of so little that a test can do it at any speed.
pub(crate) fn small_proofs(town: &Town) {
    town.patch(&small_rules());
}

/// The patch of the parameters that does it.
pub(crate) fn small_rules() -> Value {
    let puzzle = json!({ "bits": 6, "count": 3, "limit_ms": 60_000 });
    let matmul = json!({
        "log_n": 8, "rounds": 3, "checked": 2, "rows": 16, "limit_ms": 60_000, "answer_ms": 60_000,
    });
    let memory = json!({
        "share_bp": 9_000, "mix": 8, "log_walkers": 3, "legs": 3, "steps": 7, "opened": 4,
        "fill_ms_per_gib": 60_000, "walk_ms": 60_000, "answer_ms": 60_000,
    });
    json!({
        "checklist": { "proof_of_work_required": true },
        "proofs": { "pings": 1, "classes": {
            "cpu": { "puzzle": puzzle, "matmul": matmul, "proof_ms": 1_000 },
            "gpu": { "puzzle": puzzle, "matmul": matmul, "memory": memory, "proof_ms": 1_000 },
        } },
    })
}

/// Asks for a challenge.
pub(crate) fn ask(client: &Client, machine: &Machine, card: &str, wait_secs: u64) -> Answer {
    let path = format!("/v1/io-worker/challenge?card={card}&wait_secs={wait_secs}");
    client.send(Ask::get(&path).by(machine))
}

/// Says a message.
pub(crate) fn say(client: &Client, machine: &Machine, message: &[u8]) -> Answer {
    client.send(Ask::post("/v1/io-worker/challenge/result").bytes(message).by(machine))
}

/// The key of a machine of a town.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// The key that verifies.
pub(crate) fn verifier(client: &Client) -> VerifyingKey {
    let ask = Ask::get("/v1/io-worker/challenge/binary").by(&Anonymous);
    let view = client.send(ask).expect(200).json();
    let bytes = data_encoding::HEXLOWER.decode(view["verifier"].as_str().unwrap().as_bytes());
    VerifyingKey::from_bytes(&bytes.unwrap().try_into().unwrap()).unwrap()
}

/// The way to the server, which keeps what went.
pub(crate) struct Wire<'a> {
    client: &'a Client,
    machine: &'a Machine,
    /// The last message that was answered.
    pub(crate) last: Vec<u8>,
    /// Says it twice each time.
    pub(crate) stutters: bool,
    /// Says roots together, as an agent does that is far away.
    pub(crate) gathers: bool,
    /// Says one too many of them first.
    pub(crate) overdoes: bool,
    roots: Vec<u8>,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(client: &'a Client, machine: &'a Machine) -> Self {
        Self {
            client,
            machine,
            last: Vec::new(),
            stutters: false,
            gathers: false,
            overdoes: false,
            roots: Vec::new(),
        }
    }
}

impl Channel for Wire<'_> {
    fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.last = message.to_vec();
        let told = [std::mem::take(&mut self.roots), message.to_vec()].concat();
        if self.overdoes && told.len() > message.len() {
            let overdone = [told.as_slice(), &told[..message.len()]].concat();
            say(self.client, self.machine, &overdone).expect_problem(422, "message-refused");
        }
        let answer = say(self.client, self.machine, &told);
        if self.stutters {
            let again = say(self.client, self.machine, &told);
            assert_eq!(again.body, answer.body, "the same again is answered as before");
        }
        match answer.status {
            200 => Ok(Some(answer.body)),
            204 => Ok(None),
            _ => Err(answer.text()),
        }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        if self.gathers {
            self.roots.extend(message);
            return Ok(());
        }
        self.tell(message).map(drop)
    }
}

/// Takes up a challenge and proves, as the machine of this number.
pub(crate) fn prove(
    wire: &mut Wire<'_>,
    challenge: &[u8],
    number: u8,
    device: &mut dyn Device,
) -> Verdict {
    let key = key(number);
    let prover = Prover::new(challenge, verifier(wire.client), &key, [9; 32]).unwrap();
    prover.prove(device, wire).unwrap()
}

/// How a device lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// It does not.
    Nothing,
    /// Its numbers solve nothing.
    Numbers,
    /// It opens other rows than it committed to.
    Rows,
    /// It multiplies other matrices.
    Products,
    /// It opens one row again and again.
    OneRow,
    /// It opens the right rows in another order.
    Around,
    /// It opens nothing.
    OpensNothing,
    /// It takes longer than it may.
    Sleeps,
    /// Its walks end elsewhere.
    Walks,
    /// It does not come so far.
    Broken,
}

/// A processor that may lie.
pub(crate) struct Liar {
    honest: Processor,
    lie: Lie,
}

impl Liar {
    pub(crate) fn new(lie: Lie) -> Self {
        Self { honest: Processor::default(), lie }
    }

    fn seeds(&self, seeds: &Seeds) -> Seeds {
        let mut seeds = *seeds;
        seeds.left[0] ^= u8::from(self.lie == Lie::Products);
        seeds
    }
}

impl Device for Liar {
    fn name(&self) -> String {
        "a processor that may lie".to_owned()
    }

    fn prepare(&mut self, tasks: &[Task]) -> Result<(), DeviceFault> {
        if self.lie == Lie::Broken {
            return Err(DeviceFault::Memory { needed_mib: 9, free_mib: 1 });
        }
        self.honest.prepare(tasks)
    }

    fn solve(&mut self, seed: &[u8; 32], puzzle: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
        let mut numbers = self.honest.solve(seed, puzzle)?;
        if self.lie == Lie::Numbers {
            let wrong = |x: &u64| !proofs::puzzle::solves(seed, 0, puzzle.bits, *x);
            numbers[0] = (0..).find(wrong).unwrap();
        }
        Ok(numbers)
    }

    fn multiply(
        &mut self,
        seeds: &Seeds,
        log_n: u8,
        round: u16,
    ) -> Result<Vec<[u8; 32]>, DeviceFault> {
        if self.lie == Lie::Sleeps {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        self.honest.multiply(&self.seeds(seeds), log_n, round)
    }

    fn rows(&mut self, seeds: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault> {
        let mut entries = self.honest.rows(&self.seeds(seeds), log_n, rows)?;
        entries[0] ^= i32::from(self.lie == Lie::Rows);
        let n = 1 << log_n;
        Ok(match self.lie {
            Lie::OneRow => entries[..n].repeat(rows.len()),
            Lie::Around => entries.chunks(n).rev().flatten().copied().collect(),
            Lie::OpensNothing => Vec::new(),
            Lie::Nothing
            | Lie::Numbers
            | Lie::Rows
            | Lie::Products
            | Lie::Sleeps
            | Lie::Walks
            | Lie::Broken => entries,
        })
    }

    fn fill(&mut self, fill: &[u8; 32], memory: &Memory) -> Result<(), DeviceFault> {
        self.honest.fill(fill, memory)
    }

    fn walk(&mut self, walk: &[u8; 32], memory: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault> {
        let mut ends = self.honest.walk(walk, memory)?;
        if self.lie == Lie::Walks {
            ends.iter_mut().for_each(|end| end[0] ^= 1);
        }
        Ok(ends)
    }
}
