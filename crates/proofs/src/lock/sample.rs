//! What is told of one second: every card, every process on it, and how busy the processor is.

use units::{RentalId, Timestamp};

/// One node of a rental.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeRef {
    /// The rental.
    pub rental: RentalId,
    /// The node's place in it.
    pub node: u32,
}

/// Whose a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A renter's: it lives in this node.
    Node(NodeRef),
    /// The agent itself: it proves.
    Agent,
    /// The system's, by the list of [`Systems`](super::Systems).
    System,
    /// Nobody's that is known here.
    Foreign,
}

/// A process that uses a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot; 0 where the kernel does not show it to us. Number and start tell it
    /// from every other.
    pub started: u64,
    /// What the kernel calls it.
    pub name: String,
    /// Its program's path; empty where that is not ours to see.
    pub program: String,
    /// Its control group.
    pub place: String,
    /// Whose it is.
    pub owner: Owner,
    /// Memory it holds on the card, in mebibytes; 0 where the driver does not say.
    pub memory_mib: u32,
}

/// What a card said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Part of the last moment in which it computed, in percent; `None` where the driver does not say.
    pub busy_pct: Option<u8>,
    /// Memory in use, in mebibytes.
    pub memory_mib: u32,
    /// Power, in watts; 0 where the driver does not say.
    pub power_watts: u16,
    /// The clock of its multiprocessors, in megahertz; 0 where the driver does not say.
    pub clock_mhz: u16,
    /// Who uses it; `None` where the driver does not say.
    pub processes: Option<Vec<Process>>,
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// SHA-256 of the UUID its driver reports.
    pub card: [u8; 32],
    /// What it said; `None` if it did not answer.
    pub reading: Option<Reading>,
}

/// One look at the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When, by the clock on the wall.
    pub at: Timestamp,
    /// When, by a clock that only goes forward, in milliseconds.
    pub steady_ms: u64,
    /// How busy the processor was since the last look, in percent of all of it.
    pub cpu_pct: u8,
    /// The part of that which renters' nodes took.
    pub nodes_cpu_pct: u8,
    /// Whether the agent proves something at the moment.
    pub proving: bool,
    /// Every card.
    pub cards: Vec<Card>,
}
