//! Everything about the coin that the other nouns do not know.

use std::collections::{BTreeMap, VecDeque};

use market::{Observation, Oracle, PriceKey, Pricing};
use rewards::accruals::Accruals;
use rewards::block::{Block, Counts, Group};
use rewards::vesting::Schedule;
use serde::{Deserialize, Serialize};
use stakes::Stakes;
use stakes::votes::Votes;
use units::{AccountId, Coins, GrantId, Hour, Month, Timestamp, WorkerId};

use crate::record::Digest;

/// Summaries of blocks that stay in memory: a month of hours. The read tables keep all.
pub const BLOCKS_KEPT: usize = 31 * 24;

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
    /// What blocks have paid and nobody has claimed.
    pub accruals: Accruals,
    /// The hour whose block is open, and the blocks before it.
    pub blocks: Blocks,
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

impl Economy {
    /// Whether what was read back adds up.
    pub(crate) fn audit(&self) -> Result<(), String> {
        self.oracle.audit().map_err(|why| format!("the oracle: {why}"))?;
        self.market.pricing.audit().map_err(|why| format!("prices: {why}"))?;
        self.stakes.audit().map_err(|why| format!("stakes: {why}"))?;
        self.votes.audit().map_err(|why| format!("votes: {why}"))?;
        self.accruals.audit().map_err(|why| format!("rewards: {why}"))
    }

    /// A machine that earned in the newest block.
    pub fn last_row(&self, worker: WorkerId) -> Option<(Hour, &rewards::block::Row)> {
        let (hour, block) = self.blocks.last.as_ref()?;
        Some((*hour, block.row(worker)?))
    }
}
