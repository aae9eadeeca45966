//! What blocks of memory cost to make, to read, and to check.
//!
//! `cargo bench -p proofs --bench memory [-- mixes]`; 8, 288, 1024 and 4096 rounds unless named.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use proofs::Memory;
use proofs::memory::{Block, Leg, Maker, WORDS, Walker, block, ends, stroll};

/// Others use the machine too: the least of many short rounds is what the work takes.
const ROUNDS: u32 = 200;
const FILL: [u8; 32] = [1; 32];
const WALK: [u8; 32] = [2; 32];
/// Blocks that fit no cache: a quarter of a gibibyte.
const BLOCKS: usize = 65_536;
const TOGETHER: usize = 64;
const STEPS: u32 = 256;

fn main() {
    let named = std::env::args().skip(1).filter_map(|word| word.parse().ok());
    let mut mixes: Vec<u16> = named.collect();
    if mixes.is_empty() {
        mixes = vec![8, 288, 1024, 4096];
    }
    let read = read();
    println!("\na block read and walked through: {} ns, {:.1} GB/s", read.as_nanos(), rate(read));
    println!(
        "\n| mix | a block alone, µs | side by side, µs | made ÷ read | 65,536 blocks checked, s |"
    );
    println!("|---:|---:|---:|---:|---:|");
    mixes.into_iter().for_each(|mix| row(mix, read));
}

fn rate(block: Duration) -> f64 {
    4.096e-6 / block.as_secs_f64()
}

fn least(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(once).min().unwrap_or_default()
}

/// The time of a step in a memory that is there.
fn read() -> Duration {
    let maker = Maker::new(&FILL, 8);
    let mut blocks = vec![[0; WORDS]; BLOCKS];
    let numbers: Vec<u64> = (0..BLOCKS as u64).collect();
    maker.make(&numbers, &mut blocks);
    let mut walker = Walker::new(&WALK, 0);
    let walked = least(|| stroll(black_box(&mut walker), &blocks, STEPS));
    walked / STEPS
}

fn row(mix: u16, read: Duration) {
    let alone = least(|| drop(black_box(Box::new(block(&FILL, mix, 1)))));
    let numbers: Vec<u64> = (0..TOGETHER as u64).collect();
    let mut blocks: Vec<Block> = vec![[0; WORDS]; TOGETHER];
    let together = least(|| Maker::new(&FILL, mix).make(black_box(&numbers), &mut blocks));
    let made = together / u32::try_from(TOGETHER).expect("small");
    let (fill_ms, walk_ms, answer_ms) = (1, 1, 1);
    let memory = Memory {
        blocks: 1 << 24,
        mix,
        log_walkers: 13,
        legs: 1,
        steps: 16,
        opened: 16,
        fill_ms,
        walk_ms,
        answer_ms,
    };
    let legs: Vec<_> = (0..16).map(|walker| Leg { walker, key: WALK }).collect();
    let checked = least(|| drop(black_box(ends(&FILL, &memory, &legs)))) * 256;
    println!(
        "| {mix} | {:.1} | {:.1} | {:.0} | {:.2} |",
        alone.as_secs_f64() * 1e6,
        made.as_secs_f64() * 1e6,
        made.as_secs_f64() / read.as_secs_f64(),
        checked.as_secs_f64()
    );
}
