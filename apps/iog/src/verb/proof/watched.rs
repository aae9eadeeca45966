//! A device that says what it does, for whoever waits: the largest matrices take a processor hours.
//!
//! # Invariants
//! - What takes a moment is not told of at all, and what takes hours is told of ever more seldom.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proofs::matmul::Seeds;
use proofs::{Device, DeviceFault, Memory, Puzzle, Task};

use crate::screen::Screen;

/// After so long it is said for the first time what goes on.
const SAID_FIRST: Duration = Duration::from_secs(5);
/// And at least so often after that.
const SAID_LAST: Duration = Duration::from_secs(300);

/// A device, and whoever says what it does.
pub(super) struct Watched<'a> {
    device: &'a mut dyn Device,
    /// Products of a task.
    rounds: u16,
    /// How long the last product took.
    took: Option<Duration>,
    steps: Sender<String>,
    /// Ends when there are no more steps.
    _teller: Teller,
}

/// Says what goes on until nothing more is told to it.
struct Teller(Option<JoinHandle<()>>);

impl Drop for Teller {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // It only says what goes on: if it has died, nothing else has.
            let _ = thread.join();
        }
    }
}

impl<'a> Watched<'a> {
    /// A device that multiplies so often, and is told of on this screen.
    pub(super) fn on(device: &'a mut dyn Device, rounds: u16, screen: Screen) -> Self {
        let (steps, told) = channel();
        let thread = std::thread::Builder::new().name("progress".to_owned());
        // Without a thread it proves all the same.
        let thread = thread.spawn(move || tell(screen, &told)).ok();
        Self { device, rounds, took: None, steps, _teller: Teller(thread) }
    }

    fn step(&self, text: String) {
        // Nobody may be there to say it.
        let _ = self.steps.send(text);
    }
}

/// Says the newest step, and how long all of them have taken, whenever it is time.
fn tell(screen: Screen, steps: &Receiver<String>) {
    let Ok(mut step) = steps.recv() else { return };
    let begun = Instant::now();
    let mut next = SAID_FIRST;
    loop {
        match steps.recv_timeout(next.saturating_sub(begun.elapsed())) {
            Ok(newer) => step = newer,
            Err(RecvTimeoutError::Timeout) => {
                let so_far = begun.elapsed();
                screen.note(&format!("{step}; {} so far", about(so_far)));
                next = so_far + so_far.clamp(SAID_FIRST, SAID_LAST);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// A product of so many, the first being 0, of which one takes so long.
fn product(round: u16, rounds: u16, took: Option<Duration>) -> String {
    let text = format!("product {} of {rounds}", u32::from(round) + 1);
    match took {
        None => text,
        Some(took) => {
            let left = took * u32::from(rounds.saturating_sub(round));
            format!("{text}, which takes {} each: {} to go", about(took), about(left))
        }
    }
}

/// A span of time, as far as it matters to whoever waits.
fn about(span: Duration) -> String {
    match span.as_secs() {
        0 => "a moment".to_owned(),
        secs @ 1..120 => format!("{secs} s"),
        secs @ 120..7_200 => format!("{} min", secs / 60),
        secs => format!("{} h", secs / 3_600),
    }
}

impl Device for Watched<'_> {
    fn name(&self) -> String {
        self.device.name()
    }

    fn prepare(&mut self, tasks: &[Task]) -> Result<(), DeviceFault> {
        self.device.prepare(tasks)
    }

    fn solve(&mut self, seed: &[u8; 32], puzzle: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
        self.step(format!("{} puzzles of {} bits", puzzle.count, puzzle.bits));
        self.device.solve(seed, puzzle)
    }

    fn multiply(
        &mut self,
        seeds: &Seeds,
        log_n: u8,
        round: u16,
    ) -> Result<Vec<[u8; 32]>, DeviceFault> {
        self.step(product(round, self.rounds, self.took));
        let from = Instant::now();
        let leaves = self.device.multiply(seeds, log_n, round);
        self.took = Some(from.elapsed());
        leaves
    }

    fn rows(&mut self, seeds: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault> {
        self.step(format!("{} rows that are opened", rows.len()));
        self.device.rows(seeds, log_n, rows)
    }

    fn fill(&mut self, fill: &[u8; 32], memory: &Memory) -> Result<(), DeviceFault> {
        self.step(format!("filling {} MiB", memory.bytes() >> 20));
        self.device.fill(fill, memory)
    }

    fn walk(&mut self, walk: &[u8; 32], memory: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault> {
        self.step(format!("walking through {} MiB", memory.bytes() >> 20));
        self.device.walk(walk, memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_how_far_it_is_and_how_long_it_will_take() {
        let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
        assert_eq!(product(0, 4, None), "product 1 of 4");
        assert_eq!(
            product(1, 4, minutes(50)),
            "product 2 of 4, which takes 50 min each: 2 h to go"
        );
        assert_eq!(product(3, 4, minutes(1)), "product 4 of 4, which takes 60 s each: 60 s to go");
        assert_eq!(about(Duration::from_millis(999)), "a moment");
    }

    #[test]
    fn what_proves_while_it_is_watched_still_proves() {
        let mut processor = prover::open(prover::Choice::Cpu).unwrap();
        let puzzle = Puzzle { bits: 4, count: 2, limit_ms: 1 };
        let mut watched = Watched::on(processor.as_mut(), 1, Screen::PLAIN);
        let numbers = watched.solve(&[1; 32], &puzzle).unwrap();
        // Of several solutions any will do: which is found first is chance.
        for (index, number) in (0..).zip(numbers) {
            assert!(proofs::puzzle::solves(&[1; 32], index, puzzle.bits, number));
        }
    }
}
