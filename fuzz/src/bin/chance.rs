//! Runs entry functions over inputs that chance changed, without a fuzzer: `chance TARGET|all SECONDS [SEED]`.
//!
//! It counts what is allocated: an input may have [`ROOM_FIXED`] bytes in use at a time, and [`ROOM_PER_BYTE`] for each
//! byte it has. An input that takes more, or that panics, is written to `artifacts/` and ends the run.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fuzz::corpus::committed;
use fuzz::mutate::{Chance, mutated};
use fuzz::{TARGETS, Target};

/// Bytes that any input may have in use: matrices and blocks of the smallest tasks, tables of names.
const ROOM_FIXED: usize = 2 << 20;
/// Bytes in use for each byte of an input: what is read into values, parsed as JSON or XML, and copied for signing.
const ROOM_PER_BYTE: usize = 64;
/// Inputs to change, at most.
const POOL_MAX: usize = 512;
/// The longest input.
const INPUT_MAX: usize = 64 << 10;

struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn took(bytes: usize) {
    PEAK.fetch_max(IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes, Ordering::Relaxed);
}

// SAFETY: the system's allocator does all of it; beside it numbers are added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, seconds, rest @ ..] = &words[..] else {
        panic!("usage: chance TARGET|all SECONDS [SEED]");
    };
    let seconds = seconds.parse().expect("seconds are a number");
    let seed = rest.first().map_or(1, |seed| seed.parse().expect("a seed is a number"));
    for target in TARGETS.iter().filter(|target| name == "all" || name == target.0) {
        run(target, Duration::from_secs(seconds), seed);
    }
}

fn run((name, entry, folder): &Target, time: Duration, seed: u64) {
    let seeds = seeds(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder));
    let mut pool = seeds.clone();
    let (mut chance, begun, mut runs, mut most) = (Chance(seed), Instant::now(), 0_u64, 0);
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < time {
        let other = chance.below(pool.len());
        // Half of them are near what is right: changes that add up lead far from it.
        let one = if chance.below(2) == 0 { &seeds } else { &pool };
        let mut bytes = mutated(&one[chance.below(one.len())], &pool[other], &mut chance);
        bytes.truncate(INPUT_MAX);
        let (before, at) = (IN_USE.load(Ordering::Relaxed), Instant::now());
        PEAK.store(before, Ordering::Relaxed);
        if std::panic::catch_unwind(|| entry(&bytes)).is_err() {
            found(name, &bytes, "it panicked");
        }
        let room = PEAK.load(Ordering::Relaxed) - before;
        most = most.max(room);
        slowest = slowest.max(at.elapsed());
        if room > ROOM_FIXED + ROOM_PER_BYTE * bytes.len() {
            found(name, &bytes, &format!("{room} bytes were in use"));
        }
        runs += 1;
        // Inputs that shrink would soon be all there is.
        if chance.below(64) == 0 && bytes.len() > 64 {
            let place = chance.below(POOL_MAX);
            if pool.len() < POOL_MAX { pool.push(bytes) } else { pool[place] = bytes }
        }
    }
    println!("{name}: {runs} runs, at most {most} bytes in use, the slowest took {slowest:?}");
}

fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let seeds: Vec<Vec<u8>> = committed(folder).into_values().collect();
    assert!(!seeds.is_empty(), "nothing to begin with in {}", folder.display());
    seeds
}

fn found(name: &str, bytes: &[u8], what: &str) -> ! {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(name);
    std::fs::create_dir_all(&folder).expect("a folder is made");
    let path = folder.join("found");
    std::fs::write(&path, bytes).expect("it is written");
    eprintln!("{name}: {what} with the {} bytes in {}", bytes.len(), path.display());
    std::process::exit(1)
}
