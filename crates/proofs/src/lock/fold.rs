//! Samples of a minute, added up until it is over.

use std::collections::BTreeMap;

use super::limits::ALIENS_MAX;
use super::minute::{Alien, CardMinute, Minute};
use super::sample::Reading;

/// A sum of samples: how many, how much, and the most.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: u32,
    total: u64,
    most: u32,
}

impl Sum {
    fn add(&mut self, value: u32) {
        self.count += 1;
        self.total += u64::from(value);
        self.most = self.most.max(value);
    }

    /// The mean, rounded down; 0 of nothing.
    fn mean<T: TryFrom<u64>>(&self) -> T {
        let mean = self.total.checked_div(u64::from(self.count)).unwrap_or(0);
        T::try_from(mean).ok().or_else(|| T::try_from(0).ok()).expect("a mean is at most a value")
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct CardFold {
    minute: CardMinute,
    busy: Sum,
    power: Sum,
    clock: Sum,
}

/// Who was seen on a card in one sample, beside strangers, and whether that is all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Users {
    /// The renter.
    pub(super) renter: bool,
    /// The system.
    pub(super) system: bool,
    /// The agent, or it proves elsewhere.
    pub(super) proving: bool,
    /// The driver did not say what must be known of the card.
    pub(super) blind: bool,
}

/// A minute that is not over.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub(super) minute: u8,
    samples: u8,
    silence_max_ms: u64,
    step_ms: i32,
    cpu: Sum,
    nodes_cpu: Sum,
    proving: u8,
    cards: Vec<CardFold>,
    /// By card and process.
    aliens: BTreeMap<(u8, u16), Alien>,
    more: u8,
}

fn count(counter: &mut u8, yes: bool) {
    *counter = counter.saturating_add(u8::from(yes));
}

impl Fold {
    pub(super) fn new(minute: u8, cards: usize) -> Self {
        Self {
            minute,
            samples: 0,
            silence_max_ms: 0,
            step_ms: 0,
            cpu: Sum::default(),
            nodes_cpu: Sum::default(),
            proving: 0,
            cards: vec![CardFold::default(); cards],
            aliens: BTreeMap::new(),
            more: 0,
        }
    }

    /// Time without a sample that touches the minute.
    pub(super) fn silence(&mut self, millis: u64) {
        self.silence_max_ms = self.silence_max_ms.max(millis);
    }

    /// A sample's own figures.
    pub(super) fn add(&mut self, step_ms: i32, cpu_pct: u8, nodes_cpu_pct: u8, proving: bool) {
        self.samples = self.samples.saturating_add(1);
        if step_ms.unsigned_abs() > self.step_ms.unsigned_abs() {
            self.step_ms = step_ms;
        }
        let nodes = nodes_cpu_pct.min(100);
        self.nodes_cpu.add(nodes.into());
        count(&mut self.proving, proving);
        if !proving {
            self.cpu.add(cpu_pct.min(100).saturating_sub(nodes).into());
        }
    }

    /// What a card said, and who is on it.
    pub(super) fn add_card(&mut self, card: usize, reading: &Reading, users: Users) {
        let Some(fold) = self.cards.get_mut(card) else { return };
        let minute = &mut fold.minute;
        count(&mut minute.answered, true);
        count(&mut minute.renter, users.renter);
        count(&mut minute.system, users.system);
        count(&mut minute.proving, users.proving);
        count(&mut minute.blind, users.blind);
        minute.memory_max_mib = minute.memory_max_mib.max(reading.memory_mib);
        fold.power.add(reading.power_watts.into());
        fold.clock.add(reading.clock_mhz.into());
        if let Some(busy) = reading.busy_pct.filter(|_| !users.proving) {
            fold.busy.add(busy.min(100).into());
        }
    }

    /// Strangers that are not named.
    pub(super) fn add_unnamed(&mut self, count: u32) {
        self.more = self.more.saturating_add(u8::try_from(count).unwrap_or(u8::MAX));
    }

    /// A stranger on a card.
    pub(super) fn add_alien(&mut self, card: u8, process: u16, memory_mib: u32) {
        if self.aliens.len() >= ALIENS_MAX && !self.aliens.contains_key(&(card, process)) {
            self.add_unnamed(1);
            return;
        }
        let new = Alien { card, process, samples: 0, memory_max_mib: 0 };
        let alien = self.aliens.entry((card, process)).or_insert(new);
        alien.samples = alien.samples.saturating_add(1);
        alien.memory_max_mib = alien.memory_max_mib.max(memory_mib);
    }

    /// The minute, now that it is over.
    pub(super) fn close(self) -> Minute {
        let card = |fold: CardFold| CardMinute {
            busy_mean_pct: fold.busy.mean(),
            busy_max_pct: u8::try_from(fold.busy.most).unwrap_or(100),
            power_mean_watts: fold.power.mean(),
            clock_mean_mhz: fold.clock.mean(),
            ..fold.minute
        };
        Minute {
            minute: self.minute,
            samples: self.samples,
            silence_max_ms: u16::try_from(self.silence_max_ms).unwrap_or(u16::MAX),
            step_ms: self.step_ms,
            cpu_mean_pct: self.cpu.mean(),
            cpu_max_pct: u8::try_from(self.cpu.most).unwrap_or(100),
            nodes_cpu_mean_pct: self.nodes_cpu.mean(),
            proving: self.proving,
            cards: self.cards.into_iter().map(card).collect(),
            aliens: self.aliens.into_values().collect(),
            more: self.more,
        }
    }
}
