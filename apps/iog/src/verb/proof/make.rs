//! `iog proof prove`: prover and verifier in one process, and a transcript for anybody.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use proofs::limits::BLOCKS_MAX;
use proofs::message::Challenge;
use proofs::session::{Channel, Prover, Reply, Sigma, Verifier};
use proofs::{BadTask, Device, Matmul, Memory, Outcome, Puzzle, Task, Verdict};
use prover::Choice;
use serde::Serialize;
use sha2::{Digest, Sha256};
use units::WorkerId;

use super::show::{self, Figures};
use super::watched::Watched;
use crate::failure::Failure;
use crate::file::Output;
use crate::screen::{Ink, Screen};
use crate::table::Table;

pub(super) const EXAMPLES: &str = "\
Examples:
  iog proof prove
  iog proof prove --n 8192 --rounds 16 --out card.iogproof
  iog proof prove --device opencl:0 --memory-mib 4096
  iog proof verify card.iogproof

`--n 16384` and more keep a data-center card busy; a processor takes minutes for it, and says how far it is.";

/// Nothing that is only measured is ever late.
const NO_LIMIT_MS: u32 = u32::MAX;
/// A session on one machine may take this long.
const SESSION: Duration = Duration::from_secs(24 * 3600);
/// Rounds of mixing of a network's challenges: what makes a block fifty times dearer than reading it.
const MIX: u16 = 288;
const BLOCKS_PER_MIB: u64 = 256;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Rows of the matrices: a power of two from 256 to 65536.
    #[arg(long, default_value_t = 4096)]
    n: u32,
    /// Products, one after another.
    #[arg(long, default_value_t = 4)]
    rounds: u16,
    /// Rows that are opened of a product and checked.
    #[arg(long, default_value_t = 64)]
    rows: u16,
    /// Fill so much of the card's memory and walk through it; none by default.
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    memory_mib: u64,
    /// Leading zero bits of ten puzzles; 0 for none.
    #[arg(long, value_name = "BITS", default_value_t = 12)]
    puzzle_bits: u8,
    /// What proves, as `iog proof devices` names it; the best there is by default.
    #[arg(long)]
    device: Option<Choice>,
    /// Where to write the transcript.
    #[arg(long, value_name = "FILE", default_value = "proof.iogproof")]
    out: PathBuf,
}

/// What a proof came to, for programs.
#[derive(Debug, Serialize)]
struct Made<'a> {
    device: &'a str,
    #[serde(flatten)]
    figures: &'a Figures,
    verify_seconds: f64,
    transcript: &'a PathBuf,
    bytes: usize,
}

impl Args {
    pub(super) fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        let tasks = self.tasks()?;
        let out = Output::at(&self.out)?;
        let choice = self.device.or_else(|| prover::devices().first().map(|found| found.choice));
        let choice = choice.unwrap_or(Choice::Cpu);
        let opened = prover::open(choice);
        let mut device = opened.map_err(|fault| {
            let hint = "`iog proof devices` shows what can prove here";
            Failure::refused(format!("{choice} cannot prove: {fault}"), hint)
        })?;
        let name = device.name();
        device.prepare(&tasks).map_err(|fault| {
            let hint = "ask for less with --n and --memory-mib, or take another with --device";
            Failure::refused(format!("{choice} cannot do that: {fault}"), hint)
        })?;
        screen.note(&format!("proving on {name} ({choice}) …"));
        let (verdict, bytes, checked) =
            play(&tasks, &mut Watched::on(device.as_mut(), self.rounds, screen))?;
        out.write(&bytes)?;
        let figures = show::figures(&tasks, &verdict);
        let verify_seconds = checked.as_secs_f64();
        if json {
            let made = Made {
                device: &name,
                figures: &figures,
                verify_seconds,
                transcript: &self.out,
                bytes: bytes.len(),
            };
            screen.json(&made)?;
            return came_to(&verdict);
        }
        let mut text = figures.text(screen);
        text.push_str(&format!(
            "\nchecked in {}; {} bytes of transcript in {}\n",
            show::span(checked),
            bytes.len(),
            self.out.display()
        ));
        text.push_str(&format!("To check it again:\n  iog proof verify {}\n", self.out.display()));
        screen.data(&text)?;
        came_to(&verdict)
    }

    fn tasks(&self) -> Result<Vec<Task>, Failure> {
        let wrong = |what: String| Failure::usage(what, "see `iog proof prove --help`");
        if !self.n.is_power_of_two() {
            return Err(wrong(self.wrong_n()));
        }
        let log_n = u8::try_from(self.n.ilog2()).unwrap_or(u8::MAX);
        let mut tasks = Vec::new();
        if self.puzzle_bits > 0 {
            let (bits, limit_ms) = (self.puzzle_bits, NO_LIMIT_MS);
            tasks.push(Task::Puzzle(Puzzle { bits, count: 10, limit_ms }));
        }
        tasks.push(Task::Matmul(Matmul {
            log_n,
            rounds: self.rounds,
            checked: 1,
            rows: self.rows,
            limit_ms: NO_LIMIT_MS,
            answer_ms: NO_LIMIT_MS,
        }));
        if self.memory_mib > 0 {
            tasks.push(Task::Memory(Memory {
                blocks: self.memory_mib.saturating_mul(BLOCKS_PER_MIB),
                mix: MIX,
                log_walkers: 12,
                legs: 8,
                steps: 64,
                opened: 16,
                fill_ms: NO_LIMIT_MS,
                walk_ms: NO_LIMIT_MS,
                answer_ms: NO_LIMIT_MS,
            }));
        }
        for task in &tasks {
            task.check().map_err(|bad| wrong(self.in_flags(&bad)))?;
        }
        Ok(tasks)
    }

    fn wrong_n(&self) -> String {
        format!("--n {} is no power of two from 256 to 65536", self.n)
    }

    /// What is wrong with a task, in the words of the flag that made it so.
    fn in_flags(&self, bad: &BadTask) -> String {
        let BadTask { value, must, .. } = bad;
        match (bad.task, bad.field) {
            ("matmul", "log_n") => self.wrong_n(),
            ("matmul", field) => format!("--{field} {value}: it must be {must}"),
            ("puzzle", "bits") => format!("--puzzle-bits {value}: it must be 0 to 48"),
            ("memory", "blocks") => format!(
                "--memory-mib {}: it must be at most {}",
                self.memory_mib,
                BLOCKS_MAX / BLOCKS_PER_MIB
            ),
            _ => bad.to_string(),
        }
    }
}

/// A failure if the prover could not answer: then nothing was proved.
fn came_to(verdict: &Verdict) -> Result<(), Failure> {
    match verdict.outcome() {
        Outcome::Pass | Outcome::Slow | Outcome::Fail => Ok(()),
        Outcome::Inconclusive => {
            let hint =
                "look at the device's own log; `iog proof devices` shows what else can prove";
            Err(Failure::ended("nothing was proved: the device gave up", hint))
        }
    }
}

/// Shows what can prove here.
pub(super) fn devices(screen: Screen, json: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct View {
        device: String,
        name: String,
        memory_mib: Option<u64>,
    }
    let found = prover::devices();
    let views: Vec<View> = found
        .into_iter()
        .map(|found| View {
            device: found.choice.to_string(),
            name: found.name,
            memory_mib: found.memory_mib,
        })
        .collect();
    if json {
        return screen.json(&views);
    }
    let mut table = Table::new(&["DEVICE", "NAME", ">MEMORY"]);
    for view in views {
        let memory = view.memory_mib.map_or_else(String::new, |mib| format!("{mib} MiB"));
        table.row([view.device, view.name, memory]);
    }
    let best = "The first is the best; `iog proof prove --device NAME` takes another.";
    screen.data(&format!("{}\n{}\n", table.text(screen), screen.paint(Ink::Faint, best)))
}

/// Both sides in one process.
struct Both {
    verifier: Verifier,
    began: Instant,
    /// Time spent on checking, which is not the prover's.
    checking: Duration,
}

impl Both {
    fn now_us(&self) -> u64 {
        let since = self.began.elapsed().saturating_sub(self.checking);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

impl Channel for Both {
    fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let now_us = self.now_us();
        let mut reply = self.verifier.hear(message.into(), now_us);
        if let Ok(Reply::Judge(work)) = reply {
            let from = Instant::now();
            let wrong = work.run();
            self.checking += from.elapsed();
            reply = self.verifier.judged(wrong, now_us);
        }
        match reply.map_err(|rejected| rejected.to_string())? {
            Reply::Say(message) | Reply::Sealed(message, _) => Ok(Some(message.to_vec())),
            Reply::Wait | Reply::Judge(_) => Ok(None),
        }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        self.tell(message).map(|_| ())
    }
}

fn chance() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|why| anyhow!("get chance: {why}"))?;
    Ok(bytes)
}

/// Plays a session: the verdict, the transcript, and how long checking took.
fn play(tasks: &[Task], device: &mut dyn Device) -> Result<(Verdict, Vec<u8>, Duration), Failure> {
    let key = SigningKey::from_bytes(&chance()?);
    let verifier_key = SigningKey::from_bytes(&chance()?);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let challenge = Challenge {
        verifier: [0; 32],
        prover: key.verifying_key().to_bytes(),
        worker: WorkerId::from_bits(0),
        owner: [0; 16],
        card: Sha256::digest(device.name()).into(),
        rental: None,
        barrier: [0; 16],
        hour: now.as_secs() / 3600,
        commitment: [0; 32],
        pings: 1,
        tasks: tasks.to_vec(),
    };
    let expires_ms = u64::try_from((now + SESSION).as_millis()).unwrap_or(u64::MAX);
    let trusted = verifier_key.verifying_key();
    let verifier = Verifier::new(verifier_key, Sigma(chance()?), challenge, expires_ms);
    let verifier = verifier.map_err(|why| anyhow!("begin a session: {why}"))?;
    let mut table = Both { verifier, began: Instant::now(), checking: Duration::ZERO };
    let begin = table.verifier.challenge();
    let prover = Prover::new(&begin, trusted, &key, chance()?);
    let prover = prover.map_err(|why| anyhow!("take up the challenge: {why}"))?;
    let verdict = prover.prove(device, &mut table);
    let verdict = verdict.map_err(|why| anyhow!("prove: {why}"))?;
    Ok((verdict, table.verifier.transcript(), table.checking))
}

/// A key as people read it.
pub(super) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}
