//! A minute, folded: what remains of sixty samples.

use super::limits::{ALIEN_BYTES, ALIENS_MAX, CARD_BYTES, CARDS_MAX, MINUTE_BYTES, PROCESSES_MAX};
use crate::bytes::{Malformed, Reader};

/// A card in a minute. Counts are of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardMinute {
    /// In how many it answered.
    pub answered: u8,
    /// How busy it was on average, in percent, in samples in which the agent proved nothing; 0 if there are none.
    pub busy_mean_pct: u8,
    /// The most of it.
    pub busy_max_pct: u8,
    /// The most memory in use, in mebibytes.
    pub memory_max_mib: u32,
    /// Power on average, in watts.
    pub power_mean_watts: u16,
    /// The multiprocessors' clock on average, in megahertz.
    pub clock_mean_mhz: u16,
    /// In how many the renter's processes were on it.
    pub renter: u8,
    /// In how many the system's were.
    pub system: u8,
    /// In how many the agent's were, or it proved elsewhere.
    pub proving: u8,
    /// In how many it answered, but the driver did not say who uses it, or how busy it is while it is idle.
    pub blind: u8,
}

/// A process that is on a card and is not the renter's, the agent's, or the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alien {
    /// The card, by its place in the header.
    pub card: u8,
    /// The process, by its place among the record's processes.
    pub process: u16,
    /// In how many samples it was there.
    pub samples: u8,
    /// The most memory it held, in mebibytes.
    pub memory_max_mib: u32,
}

/// A minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Which of the hour, 0 to 59.
    pub minute: u8,
    /// How many samples there were.
    pub samples: u8,
    /// The longest time without one that touches the minute, in milliseconds.
    pub silence_max_ms: u16,
    /// The largest step of the clock, in milliseconds.
    pub step_ms: i32,
    /// How busy the processor was without renters' nodes, on average, in percent, while the agent proved nothing.
    pub cpu_mean_pct: u8,
    /// The most of it.
    pub cpu_max_pct: u8,
    /// What renters' nodes took of the processor on average, in percent.
    pub nodes_cpu_mean_pct: u8,
    /// In how many samples the agent proved something.
    pub proving: u8,
    /// The cards, in the order of the header.
    pub cards: Vec<CardMinute>,
    /// Who should not be there, by card and process.
    pub aliens: Vec<Alien>,
    /// How many more there were that are not named.
    pub more: u8,
}

impl CardMinute {
    fn write(&self, to: &mut Vec<u8>) {
        to.extend([self.answered, self.busy_mean_pct, self.busy_max_pct]);
        to.extend(self.memory_max_mib.to_le_bytes());
        to.extend(self.power_mean_watts.to_le_bytes());
        to.extend(self.clock_mean_mhz.to_le_bytes());
        to.extend([self.renter, self.system, self.proving, self.blind]);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            answered: from.u8()?,
            busy_mean_pct: from.u8()?,
            busy_max_pct: from.u8()?,
            memory_max_mib: from.u32()?,
            power_mean_watts: from.u16()?,
            clock_mean_mhz: from.u16()?,
            renter: from.u8()?,
            system: from.u8()?,
            proving: from.u8()?,
            blind: from.u8()?,
        })
    }

    fn holds(&self, samples: u8) -> bool {
        let counts = [self.answered, self.renter, self.system, self.proving, self.blind];
        let within = counts.into_iter().all(|count| count <= samples);
        let answered = [self.renter, self.system, self.blind];
        within
            && answered.into_iter().all(|count| count <= self.answered)
            && self.busy_mean_pct <= self.busy_max_pct
            && self.busy_max_pct <= 100
    }
}

impl Minute {
    /// Its bytes.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.extend([self.minute, self.samples]);
        to.extend(self.silence_max_ms.to_le_bytes());
        to.extend(self.step_ms.to_le_bytes());
        to.extend([self.cpu_mean_pct, self.cpu_max_pct, self.nodes_cpu_mean_pct, self.proving]);
        self.cards.iter().for_each(|card| card.write(to));
        to.push(u8::try_from(self.aliens.len()).expect("aliens are bounded"));
        to.push(self.more);
        for alien in &self.aliens {
            to.push(alien.card);
            to.extend(alien.process.to_le_bytes());
            to.push(alien.samples);
            to.extend(alien.memory_max_mib.to_le_bytes());
        }
    }

    /// How many bytes that is.
    pub(super) fn size(&self) -> usize {
        MINUTE_BYTES + self.cards.len() * CARD_BYTES + 2 + self.aliens.len() * ALIEN_BYTES
    }

    /// Reads one of a record with so many cards, before which so many processes are named.
    pub(super) fn read(
        from: &mut Reader<'_>,
        cards: usize,
        processes: usize,
    ) -> Result<Self, Malformed> {
        debug_assert!(cards <= CARDS_MAX && processes <= PROCESSES_MAX);
        let mut minute = Self {
            minute: from.u8()?,
            samples: from.u8()?,
            silence_max_ms: from.u16()?,
            step_ms: i32::from_le_bytes(from.array()?),
            cpu_mean_pct: from.u8()?,
            cpu_max_pct: from.u8()?,
            nodes_cpu_mean_pct: from.u8()?,
            proving: from.u8()?,
            cards: Vec::with_capacity(cards),
            aliens: Vec::new(),
            more: 0,
        };
        for _ in 0..cards {
            minute.cards.push(CardMinute::read(from)?);
        }
        let count = from.u8()?;
        minute.more = from.u8()?;
        if usize::from(count) > ALIENS_MAX {
            return Err(wrong("a number of strangers", count.into()));
        }
        for _ in 0..count {
            let (card, process) = (from.u8()?, from.u16()?);
            let (samples, memory_max_mib) = (from.u8()?, from.u32()?);
            minute.aliens.push(Alien { card, process, samples, memory_max_mib });
        }
        minute.check(processes).map_err(|what| wrong(what, minute.minute.into()))?;
        Ok(minute)
    }

    /// What a minute that was folded from samples always is.
    fn check(&self, processes: usize) -> Result<(), &'static str> {
        let cpu = self.cpu_mean_pct <= self.cpu_max_pct
            && self.cpu_max_pct <= 100
            && self.nodes_cpu_mean_pct <= 100;
        let known = |alien: &Alien| {
            usize::from(alien.card) < self.cards.len()
                && usize::from(alien.process) < processes
                && (1..=self.samples).contains(&alien.samples)
        };
        let place = |alien: &Alien| (alien.card, alien.process);
        let sorted = self.aliens.windows(2).all(|pair| place(&pair[0]) < place(&pair[1]));
        if self.minute > 59 {
            Err("a minute of an hour")
        } else if self.samples == 0 || self.proving > self.samples || !cpu {
            Err("the processor in minute")
        } else if !self.cards.iter().all(|card| card.holds(self.samples)) {
            Err("a card in minute")
        } else if !sorted || !self.aliens.iter().all(known) {
            Err("a stranger in minute")
        } else {
            Ok(())
        }
    }
}

fn wrong(what: &'static str, value: u64) -> Malformed {
    Malformed::Unknown { what, value }
}
