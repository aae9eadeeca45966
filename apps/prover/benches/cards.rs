//! What each device here does in a second, of everything that a proof asks for. It is the first thing to run on a card
//! that nobody has proved with yet: opening it compares its bytes with the reference.
//!
//! `cargo bench -p prover --bench cards [-- [choice] [log_n] [GiB]]`, as `cuda:0 15 16`; without words, all devices
//! with matrices of 2^11 rows and a GiB.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::time::Instant;

use proofs::matmul::Seeds;
use proofs::{DeviceFault, Memory, Puzzle, Task};
use prover::{Choice, devices, open};

const SEED: [u8; 32] = [1; 32];
/// Enough bits that a launch has much to do, and enough puzzles that luck evens out.
const PUZZLES: Puzzle = Puzzle { bits: 20, count: 16, limit_ms: 1 };

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let chosen = words.iter().find_map(|word| word.parse::<Choice>().ok());
    let mut numbers = words.iter().filter_map(|word| word.parse::<u8>().ok());
    let log_n = numbers.next().unwrap_or(11);
    let memory = memory(numbers.next().unwrap_or(1));
    let choices = chosen.map_or_else(
        || devices().into_iter().map(|found| found.choice).collect(),
        |choice| vec![choice],
    );
    println!(
        "| choice | device | n | products, GOPS | fill, GiB/s | walk, GiB/s | puzzles, MH/s |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|");
    for choice in choices {
        match row(choice, log_n, &memory) {
            Ok(row) => println!("| {choice} | {row} |"),
            Err(fault) => println!("| {choice} | {fault} | | | | | |"),
        }
    }
}

/// A memory that is walked through once.
fn memory(gib: u8) -> Memory {
    let (legs, steps) = (16, 2 * u32::from(gib));
    let blocks = u64::from(gib) << 18;
    let log_walkers = 13;
    Memory {
        blocks,
        mix: 32,
        log_walkers,
        legs,
        steps,
        opened: 1,
        fill_ms: 1,
        walk_ms: 1,
        answer_ms: 1,
    }
}

fn row(choice: Choice, log_n: u8, memory: &Memory) -> Result<String, DeviceFault> {
    let mut device = open(choice)?;
    // What is done for the first time has more to do than the task.
    let seeds = Seeds::first([0; 32]);
    device.multiply(&seeds, log_n, 0)?;
    // As in all rounds of a task but its first, the right matrix is there.
    let products = seconds(|| device.multiply(&seeds.next(&SEED), log_n, 1).map(drop))?;
    device.prepare(&[Task::Memory(*memory)])?;
    let fill = seconds(|| device.fill(&SEED, memory))?;
    let walk = seconds(|| device.walk(&SEED, memory).map(drop))?;
    let puzzles = seconds(|| device.solve(&SEED, &PUZZLES).map(drop))?;
    let operations = 2.0 * 8_f64.powi(log_n.into());
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Ok(format!(
        "{} | {} | {:.1} | {:.2} | {:.2} | {:.1}",
        device.name(),
        1_u32 << log_n,
        operations / products / 1e9,
        gib(memory.bytes()) / fill,
        gib(memory.walked_bytes()) / walk,
        proofs::puzzle::hashes(&PUZZLES) as f64 / puzzles / 1e6,
    ))
}

fn seconds(work: impl FnOnce() -> Result<(), DeviceFault>) -> Result<f64, DeviceFault> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}
