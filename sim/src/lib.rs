//! The whole network in one process on a virtual clock.
//!
//! [`run`] takes a seed and plays one story: a control plane with its journal on a disk that can fail, machines with
//! their agents and runtimes, people with habits, liars among them, and weather between them all. The brains are the
//! real ones; everything around them is simulated, and a seed decides all of it.
//!
//! A story has two phases. First the weather: messages are late, lost, doubled and overtaken, links are cut, anything
//! crashes between any two effects, disks fill up, clocks jump. Then the sky clears, and everything must come to its
//! end within a bound. An auditor that shares no code with the ledger looks at every entry of the journal.
//!
//! # Invariants
//! - The same seed gives the same story, to the last byte.
//! - No brain is told anything that a real shell could not tell it.
//!
//! Absent on purpose: sockets, threads, real clocks, real disks.

mod agenda;
mod assembly;
mod attester;
mod auditor;
mod broken;
mod coin;
mod dice;
mod disk;
mod economy;
mod habits;
mod letter;
mod limits;
mod line;
mod locks;
mod machine;
mod networks;
mod newcomers;
mod people;
mod plan;
mod pricing_study;
mod programs;
mod rates;
mod ray;
mod rush;
mod seeds;
mod server;
mod stakers;
mod tale;
mod trace;
mod verifier;
mod weather;
mod world;
mod zoo;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use broken::{Broken, Invariant};
pub use economy::{Economy, attacks as economy_attacks, play as play_economy};
pub use pricing_study::report as pricing_report;
pub use seeds::{NotASeed, parse_seed, parse_seeds, text_of_seeds};
pub use tale::Tale;
pub use trace::Detail;
pub use zoo::report as zoo_report;

use crate::world::World;

/// How a story went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed that it grew from.
    pub seed: u64,
    /// Differs when anything differs.
    pub hash: u64,
    /// How many things happened.
    pub steps: u64,
    /// How many entries the journal has.
    pub entries: usize,
    /// What it had in it.
    pub tale: Tale,
    /// What did not hold.
    pub broken: Option<Broken>,
    /// The last lines, when they were asked for.
    pub lines: Vec<String>,
}

/// Plays the story of one seed.
pub fn run(seed: u64, detail: Detail) -> Outcome {
    let mut world = World::new(seed, detail);
    let broken = match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(Ok(())) => None,
        Ok(Err(broken)) => Some(broken),
        Err(panic) => Some(Broken { invariant: Invariant::NoPanic, seen: words_of(&*panic) }),
    };
    Outcome {
        seed,
        hash: world.hash(),
        steps: world.steps(),
        entries: world.server.disk.entries().len(),
        tale: world.auditor.tale(),
        broken,
        lines: world.trace.into_lines(),
    }
}

/// Plays the story of one seed twice: it must be the same.
pub fn run_twice(seed: u64) -> Outcome {
    let (mut first, second) = (run(seed, Detail::Quiet), run(seed, Detail::Quiet));
    if first.broken.is_none() && first.hash != second.hash {
        let seen = format!("{:x} and {:x}", first.hash, second.hash);
        first.broken = Some(Broken { invariant: Invariant::I12Chance, seen });
    }
    first
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it did not say why").to_owned()
}
