//! One look at the machine: every card, who is on it, how busy the processor is, and what is to be watched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use proofs::lock::limits::{CARDS_MAX, SAMPLE_PROCESSES_MAX};
use proofs::lock::{Card, NodeRef, Reading, Sample, Span, Subject};
use sha2::{Digest, Sha256};
use units::Timestamp;

use super::processes::{Load, Sorter};
use crate::config::Config;
use crate::limits::CARDS_AGAIN_EVERY;
use crate::probe::{Gpu, Gpus, Occupant};
use crate::runtime::footprint::{Footprint, footprints};

/// Sees the machine.
pub(super) struct Eyes {
    gpus: Box<dyn Gpus>,
    /// Every card that ever answered, by its hash, as it was when it first did. One that is silent is still expected,
    /// and the others keep their places: nodes were given cards by place.
    cards: BTreeMap<[u8; 32], Gpu>,
    /// When the list was asked for, by the steady clock.
    listed_ms: Option<u64>,
    data: PathBuf,
    /// Whether idle cards are the owner's own business.
    no_gpus: bool,
    sorter: Sorter,
    load: Load,
    clock: Clock,
}

/// Tells the time: that on the wall, and milliseconds of a clock that only goes forward.
pub(super) type Clock = Box<dyn FnMut() -> (Timestamp, u64) + Send>;

/// The machine's clocks.
pub(super) fn clock() -> Clock {
    let began = Instant::now();
    Box::new(move || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        (Timestamp::from_millis(millis(since)), millis(began.elapsed()))
    })
}

/// A card, as records know it.
pub(super) fn hash_of(uuid: &str) -> [u8; 32] {
    Sha256::digest(uuid.as_bytes()).into()
}

impl Eyes {
    pub(super) fn new(gpus: Box<dyn Gpus>, config: &Config, clock: Clock) -> Self {
        Self {
            gpus,
            cards: BTreeMap::new(),
            listed_ms: None,
            data: config.data.clone(),
            no_gpus: config.offers.no_gpus,
            sorter: Sorter::new(),
            load: Load::default(),
            clock,
        }
    }

    /// A card's UUID.
    pub(super) fn uuid(&self, card: &[u8; 32]) -> &str {
        self.cards.get(card).map_or("", |gpu| gpu.uuid.as_str())
    }

    /// Looks.
    pub(super) fn look(&mut self, proving: bool) -> (Sample, Vec<Subject>) {
        let (at, steady_ms) = (self.clock)();
        self.list(steady_ms);
        let seen: Vec<_> = self.cards.values().map(|gpu| gpu.uuid.clone()).collect();
        let seen: Vec<_> = seen.into_iter().map(|uuid| self.ask(&uuid)).collect();
        // Read after the cards: whoever is on a card by now and is a node's has left a trace.
        let nodes = footprints(&self.data);
        let (cpu_pct, nodes_cpu_pct) = self.load.since_last(&nodes);
        let cards = seen.into_iter().map(|(card, pulse, occupants)| {
            let reading = pulse.map(|pulse| Reading {
                processes: occupants.map(|occupants| {
                    occupants.into_iter().map(|one| self.sorter.sort(one, &nodes)).collect()
                }),
                ..pulse
            });
            Card { card, reading }
        });
        let sample =
            Sample { at, steady_ms, cpu_pct, nodes_cpu_pct, proving, cards: cards.collect() };
        (sample, self.subjects(&nodes))
    }

    /// Asks for the list of cards now and then: a driver may be loaded after the agent.
    fn list(&mut self, now_ms: u64) {
        let since = self.listed_ms.map(|at_ms| Duration::from_millis(now_ms.saturating_sub(at_ms)));
        if since.is_some_and(|since| since < CARDS_AGAIN_EVERY) {
            return;
        }
        self.listed_ms = Some(now_ms);
        for gpu in self.gpus.list() {
            let card = hash_of(&gpu.uuid);
            if self.cards.len() < CARDS_MAX {
                self.cards.entry(card).or_insert(gpu);
            }
        }
    }

    fn ask(&mut self, uuid: &str) -> ([u8; 32], Option<Reading>, Option<Vec<Occupant>>) {
        let pulse = self.gpus.sample(uuid);
        let occupants = pulse.and_then(|_| self.gpus.processes(uuid)).map(once);
        let reading = pulse.map(|pulse| Reading {
            busy_pct: pulse.busy_pct,
            memory_mib: pulse.used_mib,
            power_watts: pulse.power_watts,
            clock_mhz: pulse.clock_mhz,
            processes: None,
        });
        (hash_of(uuid), reading, occupants)
    }

    /// A subject for each node, and one for what is idle.
    fn subjects(&self, nodes: &[Footprint]) -> Vec<Subject> {
        let mut subjects = Vec::new();
        let mut rented = BTreeSet::new();
        for node in nodes {
            let is_its = |gpu: &&Gpu| node.gpus.contains(&gpu.index);
            let cards = self.in_order(is_its);
            rented.extend(cards.iter().copied());
            let span = Span::Rental(NodeRef { rental: node.key.rental, node: node.key.node });
            subjects.push(Subject { span, cards });
        }
        let is_idle = |gpu: &&Gpu| !self.no_gpus && !rented.contains(&hash_of(&gpu.uuid));
        let idle = self.in_order(is_idle);
        let has_cards = !self.no_gpus && !self.cards.is_empty();
        if !idle.is_empty() || (!has_cards && nodes.is_empty()) {
            subjects.push(Subject { span: Span::Idle, cards: idle });
        }
        subjects
    }

    /// Cards in the driver's order.
    fn in_order(&self, of: impl Fn(&&Gpu) -> bool) -> Vec<[u8; 32]> {
        let mut gpus: Vec<&Gpu> = self.cards.values().filter(of).collect();
        gpus.sort_by_key(|gpu| gpu.index);
        gpus.into_iter().map(|gpu| hash_of(&gpu.uuid)).collect()
    }
}

/// Each process once, with the most memory that is told of it: one that computes and draws is listed twice.
fn once(occupants: Vec<Occupant>) -> Vec<Occupant> {
    let mut most: BTreeMap<u32, u32> = BTreeMap::new();
    for occupant in occupants.into_iter().take(SAMPLE_PROCESSES_MAX) {
        let memory_mib = most.entry(occupant.pid).or_default();
        *memory_mib = occupant.memory_mib.max(*memory_mib);
    }
    most.into_iter().map(|(pid, memory_mib)| Occupant { pid, memory_mib }).collect()
}
