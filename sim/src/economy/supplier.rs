//! Suppliers: what they have, what it costs them, when they come and when they go.

use std::collections::BTreeSet;

use control::MachineRecord;
use units::{AccountId, Country, Resources, Tier, WorkerId};

/// What a supplier has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Racks of eight data-center cards.
    Enterprise,
    /// People with four cards at home.
    Community,
    /// Processors.
    Processor,
}

impl Class {
    pub(super) const ALL: [Self; 3] = [Self::Enterprise, Self::Community, Self::Processor];

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Enterprise => "enterprise",
            Self::Community => "community",
            Self::Processor => "cpu",
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// How its driver calls its cards.
    pub(super) const fn model(self) -> Option<&'static str> {
        match self {
            Self::Enterprise => Some("NVIDIA H100 80GB HBM3"),
            Self::Community => Some("NVIDIA GeForce RTX 3090"),
            Self::Processor => None,
        }
    }

    /// What can be rented of a machine: cards, or one processor.
    pub(super) const fn parts(self) -> u32 {
        match self {
            Self::Enterprise => 8,
            Self::Community => 4,
            Self::Processor => 1,
        }
    }

    /// What an hour of a machine costs its owner, in millionths of a dollar: electricity, and for racks their place.
    /// A data-center card and its part of the host draw 1 kW at 0.11 USD and stand at 0.29 USD an hour; a card at home
    /// draws 0.4 kW at 0.16 USD; a small computer costs a cent.
    pub(super) const fn cost_hour(self) -> u64 {
        match self {
            Self::Enterprise => 8 * 400_000,
            Self::Community => 4 * 64_000,
            Self::Processor => 10_000,
        }
    }

    /// How many suppliers there are, how many machines each may have, and how many have one at the start.
    pub(super) const fn many(self) -> (usize, usize, usize) {
        match self {
            Self::Enterprise => (8, 3, 4),
            Self::Community => (8, 2, 5),
            Self::Processor => (6, 2, 4),
        }
    }

    pub(super) fn machine(self, country: Country) -> MachineRecord {
        let (gpus, vcpus, memory_mib, vram_mib) = match self {
            Self::Enterprise => (8, 128, 1 << 20, 81_559),
            Self::Community => (4, 32, 1 << 17, 24_576),
            Self::Processor => (0, 14, 49_152, 0),
        };
        MachineRecord {
            offers: Resources { gpus, vcpus, memory_mib, disk_mib: 4_000_000 },
            gpu_model: self.model().map(|name| name.parse().expect("a short name")),
            vram_mib,
            cpu_model: if gpus == 0 { "Apple M4 Pro".to_owned() } else { String::new() },
            os: String::new(),
            country: Some(country),
            tier: Tier::High,
            certifications: BTreeSet::new(),
            host: None,
        }
    }
}

/// One supplier.
#[derive(Clone, Debug)]
pub(super) struct Supplier {
    pub(super) account: AccountId,
    pub(super) class: Class,
    pub(super) country: Country,
    /// What things cost here, in thousandths of the usual.
    pub(super) cost: u64,
    /// Machines that run.
    pub(super) machines: Vec<WorkerId>,
    /// Machines on their way out: their stake cools down.
    pub(super) leaving: Vec<WorkerId>,
    /// Months in a row that cost more than they brought.
    pub(super) losing: u32,
}

/// What a month brought a supplier, in millionths of a dollar.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Month {
    /// What blocks paid, at the price of the day.
    pub(super) rewards: u128,
    /// What rentals paid.
    pub(super) rentals: u128,
    /// What it cost.
    pub(super) cost: u128,
}

/// What a supplier does about a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Stay,
    /// One more machine.
    Grow,
    /// One fewer.
    Shrink,
}

impl Supplier {
    /// Two months at a loss cost a machine. Another one comes where one of its class brings half as much again as it
    /// would cost here, and pays its stake back within a year. `usual` is what a machine of the class brought, and
    /// what it usually costs.
    pub(super) fn decide(&mut self, month: &Month, usual: (u128, u128), stake: u128) -> Wish {
        let loses = month.rewards + month.rentals < month.cost;
        self.losing = if loses { self.losing + 1 } else { 0 };
        let (brings, costs) = (usual.0, usual.1 * u128::from(self.cost) / 1_000);
        let may_grow = self.machines.len() < self.class.many().1 && self.leaving.is_empty();
        if !self.machines.is_empty() && self.losing >= 2 {
            self.losing = 0;
            Wish::Shrink
        } else if may_grow && brings * 2 >= costs * 3 && brings.saturating_sub(costs) * 12 >= stake
        {
            Wish::Grow
        } else {
            Wish::Stay
        }
    }
}
