//! What recent orders say of those to come, for whoever keeps no [`Packer`](super::Packer): a market of machines that
//! come and go, whose orders are placed by price first.
//!
//! # Invariants
//! - Asking changes nothing. What was learnt is written down with the orders, so that an outlook that was read back
//!   answers as the one that was written.
//! - It holds at most [`ORDERS_MAX`] orders, and those its futures are made of.

use std::collections::BTreeMap;

use super::baselines::tightest_card;
use super::foresight::{idle, signed};
use super::futures::Futures;
use super::gradient::candidates;
use super::host::{Host, Need};
use super::lessons::Lessons;
use super::prices::Prices;
use super::recent::{RECENT_MAX, Recent};

/// Orders that are remembered.
pub const ORDERS_MAX: usize = RECENT_MAX;

/// The last orders, and what hosts lose by what is put there if orders go on like that.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Outlook {
    recent: Recent,
    lessons: Lessons,
    futures: Futures,
    prices: Prices,
}

/// Why what was read is no outlook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnOutlook {
    /// More orders than are remembered.
    #[error("{orders} orders are more than the {ORDERS_MAX} that are remembered")]
    TooMany {
        /// How many.
        orders: usize,
    },
    /// Futures of another length.
    #[error("{orders} orders are no futures")]
    NoFutures {
        /// How many.
        orders: usize,
    },
    /// An order of a kind that is not among them.
    #[error("there is no kind {kind}")]
    NoKind {
        /// Which.
        kind: u16,
    },
    /// The next lesson lies in the past.
    #[error("after {came} orders the next lesson cannot be at {next}")]
    NoLesson {
        /// How many orders came.
        came: u64,
        /// At which the next lesson would be.
        next: u64,
    },
}

impl Outlook {
    /// An order came, or was asked for: what came says what will come.
    pub fn learn(&mut self, need: Need) {
        self.recent.add(need);
        if self.lessons.is_due() {
            self.is_learnt(Futures::like(&self.recent));
        }
    }

    /// The next orders will be like these.
    fn is_learnt(&mut self, futures: Futures) {
        let orders = futures.orders().iter().map(|order| (order, 1));
        self.prices = Prices::supposing(orders);
        self.futures = futures;
    }

    /// How many orders came since the start.
    pub fn came(&self) -> u64 {
        self.lessons.came
    }

    /// What is lost by putting the order there, where it fits, in millionths of a card: what the host will have idle
    /// in the end, less what it would have without the order, a little for what is idle at once, and the price of
    /// gangs that find no room there any longer. A share goes to
    /// the card where it loses least. Nothing is lost while nothing was learnt.
    pub fn loss(&self, before: &Host, need: &Need) -> i32 {
        if self.futures.orders().is_empty() || !before.fits(need) {
            return 0;
        }
        let after = candidates(before, need).map(|card| self.expected(&before.with(need, card)));
        let Some(after) = after.min() else { return 0 };
        signed(after) - signed(self.expected(before)) + self.of_gangs(before, need)
    }

    /// The price of the gangs for which there is room no longer, in millionths of a card.
    fn of_gangs(&self, before: &Host, need: &Need) -> i32 {
        let room =
            |host: &Host| self.prices.room(host.cards.untouched(), host.cpu_milli, host.memory_mib);
        let mut lost = room(before);
        let after = room(&before.with(need, usize::from(tightest_card(before, need))));
        lost.iter_mut().zip(after).for_each(|(lost, after)| *lost -= after);
        i32::try_from(self.prices.of_gangs(&lost)).unwrap_or(i32::MAX)
    }

    /// What the host will have idle in the end, and what idles at once, in millionths of a card.
    pub fn expected(&self, host: &Host) -> u32 {
        self.futures.loss(host) + idle(host.cards.sum_milli(), host.cpu_milli)
    }
}

/// An outlook as it is written: each kind of order once.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    came: u64,
    next_lesson: u64,
    kinds: Vec<Need>,
    recent: Vec<u16>,
    futures: Vec<u16>,
}

impl From<Outlook> for Written {
    fn from(outlook: Outlook) -> Self {
        let orders = || outlook.recent.orders().chain(outlook.futures.orders());
        let mut numbers: BTreeMap<Need, u16> = orders().map(|need| (*need, 0)).collect();
        (0..).zip(numbers.values_mut()).for_each(|(number, of)| *of = number);
        Self {
            came: outlook.lessons.came,
            next_lesson: outlook.lessons.next,
            recent: outlook.recent.orders().map(|need| numbers[need]).collect(),
            futures: outlook.futures.orders().iter().map(|need| numbers[need]).collect(),
            kinds: numbers.into_keys().collect(),
        }
    }
}

impl TryFrom<Written> for Outlook {
    type Error = NotAnOutlook;

    fn try_from(written: Written) -> Result<Self, NotAnOutlook> {
        let (came, next) = (written.came, written.next_lesson);
        if written.recent.len() > ORDERS_MAX {
            return Err(NotAnOutlook::TooMany { orders: written.recent.len() });
        }
        if ![0, Futures::LENGTH].contains(&written.futures.len()) {
            return Err(NotAnOutlook::NoFutures { orders: written.futures.len() });
        }
        if next <= came {
            return Err(NotAnOutlook::NoLesson { came, next });
        }
        let order = |kind: &u16| {
            written
                .kinds
                .get(usize::from(*kind))
                .copied()
                .ok_or(NotAnOutlook::NoKind { kind: *kind })
        };
        let mut recent = Recent::default();
        for kind in &written.recent {
            recent.add(order(kind)?);
        }
        let futures: Vec<Need> = written.futures.iter().map(order).collect::<Result<_, _>>()?;
        let futures = if futures.is_empty() { Futures::default() } else { Futures::of(futures) };
        let mut outlook = Self { recent, lessons: Lessons { came, next }, ..Self::default() };
        if !futures.orders().is_empty() {
            outlook.is_learnt(futures);
        }
        Ok(outlook)
    }
}
