//! Everything about the coin that the other nouns do not know.

use std::collections::{BTreeMap, VecDeque};

use ledger::{AccountKey, Book, Holder};
use market::{Burns, Observation, Oracle, PriceKey, Pricing, Rate};
use rewards::accruals::Accruals;
use rewards::block::{Block, Counts, Group};
use rewards::season::Seasons;
use rewards::vesting::Schedule;
use serde::{Deserialize, Serialize};
use stakes::Stakes;
use stakes::votes::Votes;
use units::{
    AccountId, Asset, Coins, Credits, GrantId, Hour, Money, Month, ProjectId, Timestamp, WorkerId,
};

use crate::record::Digest;

/// Summaries of blocks that stay in memory: a month of hours. The read tables keep all.
pub const BLOCKS_KEPT: usize = 31 * 24;

/// Records of burns that stay in memory.
pub const BURNS_KEPT: usize = 64;

/// The economy of a network. Empty until its coin is brought into the world.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Economy {
    /// The coin's beginning, once it has one.
    pub genesis: Option<Genesis>,
    /// Coins of genesis set aside for somebody.
    pub grants: BTreeMap<GrantId, Grant>,
    /// What a coin is worth.
    pub oracle: Oracle,
    /// What prices are, and what the present hour shows of supply and demand.
    pub market: Market,
    /// Stakes on machines, and the safety module.
    pub stakes: Stakes,
    /// What holders decide, and the brake.
    pub votes: Votes,
    /// Reward programs.
    pub seasons: Seasons,
    /// What blocks have paid and nobody has claimed.
    pub accruals: Accruals,
    /// The hour whose block is open, and the blocks before it.
    pub blocks: Blocks,
    /// The log of proofs, by the hashes that it grows from.
    pub proofs: proofs::log::Writer,
    /// Revenue, and the coins it buys to be burned.
    pub burning: Burning,
}

/// Prices, and what moves them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Market {
    /// The hour that is observed; `None` before the first machine.
    pub hour: Option<Hour>,
    /// Prices as shares of base prices.
    pub pricing: Pricing,
    /// What the hour has shown so far.
    pub seen: BTreeMap<PriceKey, Observation>,
    /// Card-minutes that each machine has served in it.
    pub rented: BTreeMap<WorkerId, u64>,
    /// Which projects have had spot rentals told to go within the last hour.
    pub reclaims: BTreeMap<ProjectId, Timestamp>,
}

/// The coin's beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// When it was.
    pub at: Timestamp,
    /// The first hour with a block.
    pub first_hour: Hour,
    /// The month that the emission's schedule begins with.
    pub first_month: Month,
    /// How many coins came into the world: all there will ever be.
    pub minted: Coins,
}

/// Coins of genesis set aside for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who may claim it.
    pub account: AccountId,
    /// The class of genesis it was taken from.
    pub class: String,
    /// How much it is in all.
    pub coins: Coins,
    /// When it is released: the class's schedule when it was opened.
    pub schedule: Schedule,
    /// When the schedule begins.
    pub from: Timestamp,
    /// What was claimed of it.
    pub claimed: Coins,
}

/// Blocks: the open one, the newest closed one in full, and what earlier ones came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Blocks {
    /// The hour whose block is closed next; `None` before the coin's genesis.
    pub open: Option<Hour>,
    /// How many machines were nominated for it.
    pub nominated: u32,
    /// The newest closed block with all its rows, until it is written down.
    pub last: Option<(Hour, Block)>,
    /// What blocks came to, oldest first, at most [`BLOCKS_KEPT`].
    pub closed: VecDeque<BlockSummary>,
    /// What all blocks together have emitted.
    pub emitted: Coins,
}

/// What a closed block came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSummary {
    /// Its hour.
    pub hour: Hour,
    /// When it was closed.
    pub closed_at: Timestamp,
    /// The version of the parameters it went by.
    pub version: u32,
    /// What it emitted.
    pub emission: Coins,
    /// What machines were paid.
    pub worker_emission: Coins,
    /// What the safety module was paid.
    pub safety_module_emission: Coins,
    /// What nobody earned.
    pub unearned: Coins,
    /// How many machines earned, failed and missed.
    pub counts: Counts,
    /// What each group was paid.
    pub groups: [Group; 2],
    /// The root of the tree over its rows.
    pub root: Digest,
    /// The hash of its header: what the next block names.
    pub header: Digest,
    /// The hash of the header before it.
    pub previous: Option<Digest>,
}

/// Revenue, and the coins it buys to be burned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burning {
    /// Revenue of which no share was set aside yet.
    pub revenue: Revenue,
    /// What was set aside to buy coins, and what was bought and burned.
    pub burns: Burns,
    /// What was burned of revenue that came in as coins.
    pub directly: Coins,
    /// When it is looked at next; `None` until the first time.
    pub next_at: Option<Timestamp>,
    /// How many records there were ever.
    pub count: u64,
    /// The last records, oldest first, at most [`BURNS_KEPT`]. The newest may wait.
    pub records: VecDeque<BurnRecord>,
}

/// Revenue by asset, in its smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revenue {
    /// In credits.
    pub usd: u64,
    /// In USDC.
    pub usdc: u64,
    /// In coins.
    pub io: u64,
}

impl Revenue {
    pub(crate) const fn of_mut(&mut self, asset: Asset) -> &mut u64 {
        match asset {
            Asset::Usd => &mut self.usd,
            Asset::Usdc => &mut self.usdc,
            Asset::Io => &mut self.io,
        }
    }
}

/// What became of the revenue of an interval, or of several while it had to wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BurnRecord {
    /// Its number, from 1.
    pub number: u64,
    /// When its first step was made.
    pub since: Timestamp,
    /// When its last step was made.
    pub until: Timestamp,
    /// What was done, in order.
    pub steps: Vec<BurnStep>,
}

/// One step from revenue to burned coins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BurnStep {
    /// The share of revenue in dollars or USDC moved from the network's purse to the exchange.
    SetAside {
        /// The revenue.
        revenue: Money,
        /// The share of it.
        share: Money,
    },
    /// The share of revenue in coins was burned.
    BurnedRevenue {
        /// The revenue.
        revenue: Coins,
        /// What was burned of it.
        coins: Coins,
    },
    /// Coins of the exchange were bought with what was set aside.
    Bought {
        /// For how much.
        spend: Credits,
        /// How many.
        coins: Coins,
        /// The fewest that it would have been done for.
        coins_min: Coins,
        /// The rate.
        rate: Rate,
    },
    /// What was bought was burned.
    Burned {
        /// How many.
        coins: Coins,
    },
    /// Nothing was bought yet.
    Waits {
        /// Why, in words.
        why: String,
    },
}

impl Burning {
    /// What waited to be finished, or a new record.
    pub(crate) fn take_open(&mut self, now: Timestamp) -> BurnRecord {
        let waits =
            |record: &mut BurnRecord| matches!(record.steps.last(), Some(BurnStep::Waits { .. }));
        if let Some(mut open) = self.records.pop_back_if(waits) {
            open.steps.pop();
            return open;
        }
        BurnRecord { number: self.count + 1, since: now, until: now, steps: Vec::new() }
    }

    /// Writes a record down; the oldest is forgotten.
    pub(crate) fn keep(&mut self, record: BurnRecord) {
        self.count = record.number;
        self.records.push_back(record);
        if self.records.len() > BURNS_KEPT {
            self.records.pop_front();
        }
    }
}

impl BurnRecord {
    /// Whether nothing more comes of it.
    pub fn is_done(&self) -> bool {
        !matches!(self.steps.last(), None | Some(BurnStep::Waits { .. }))
    }

    /// Notes what was set aside: in one step for each asset, however long the record waits.
    pub(crate) fn set_aside(&mut self, revenue: Money, share: Money) {
        for step in &mut self.steps {
            if let BurnStep::SetAside { revenue: before, share: of_it } = step
                && before.asset == revenue.asset
            {
                before.units += revenue.units;
                of_it.units += share.units;
                return;
            }
        }
        self.steps.push(BurnStep::SetAside { revenue, share });
    }

    /// Notes what was burned of revenue in coins, in one step.
    pub(crate) fn burn_revenue(&mut self, revenue: Coins, coins: Coins) {
        let sum = |one: Coins, other: Coins| one.checked_add(other).expect("under the cap");
        for step in &mut self.steps {
            if let BurnStep::BurnedRevenue { revenue: before, coins: burned } = step {
                (*before, *burned) = (sum(*before, revenue), sum(*burned, coins));
                return;
            }
        }
        self.steps.push(BurnStep::BurnedRevenue { revenue, coins });
    }
}

impl Economy {
    /// Whether what was read back adds up.
    pub(crate) fn audit(&self) -> Result<(), String> {
        self.oracle.audit().map_err(|why| format!("the oracle: {why}"))?;
        self.market.pricing.audit().map_err(|why| format!("prices: {why}"))?;
        self.stakes.audit().map_err(|why| format!("stakes: {why}"))?;
        self.votes.audit().map_err(|why| format!("votes: {why}"))?;
        self.seasons.audit().map_err(|why| format!("seasons: {why}"))?;
        self.burning.burns.audit().map_err(|why| format!("burns: {why}"))?;
        if self.burning.records.len() > BURNS_KEPT {
            return Err(format!("more than {BURNS_KEPT} records of burns"));
        }
        self.accruals.audit().map_err(|why| format!("rewards: {why}"))
    }

    /// Whether the purses of the coin hold what is accounted for, to the unit.
    pub(crate) fn audit_purses(&self, book: &Book) -> Result<(), String> {
        let mut purses = BTreeMap::from([
            (Holder::Stakes, self.stakes.total()),
            (Holder::SafetyModule, self.stakes.safety_total()),
            (Holder::Rewards, self.accruals.total()),
        ]);
        // A purse without a season is one too many, and one of a paid season is empty.
        let holders = book.accounts().map(|(key, _)| key.holder);
        purses.extend(
            holders.filter(|one| matches!(one, Holder::Season(_))).map(|one| (one, Coins::ZERO)),
        );
        let unpaid = self.seasons.seasons().filter(|(_, season)| season.stage.owes_prizes());
        purses.extend(
            unpaid.map(|(id, season)| {
                (Holder::Season(id), season.plan.prizes().unwrap_or(Coins::ZERO))
            }),
        );
        for (holder, wanted) in purses {
            let found = book.account(AccountKey { holder, asset: Asset::Io }).available();
            if found != wanted.units() {
                let found = Coins::from_units(found);
                return Err(format!("{holder}: {found} IO are there, and {wanted} should be"));
            }
        }
        Ok(())
    }

    /// A machine that earned in the newest block.
    pub fn last_row(&self, worker: WorkerId) -> Option<(Hour, &rewards::block::Row)> {
        let (hour, block) = self.blocks.last.as_ref()?;
        Some((*hour, block.row(worker)?))
    }
}
