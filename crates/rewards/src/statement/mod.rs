//! What is published of a block, so that anybody can compute it again: a header, and a line for each machine.
//!
//! The header names the rules, the figures and the root of the [tree](crate::merkle) over the lines; whoever signs the
//! header signs all of it. A line holds what a machine's score was computed from and what came of it, but not whose the
//! machine is: a public page never leads from a machine to its owner. The text is described in [`text`].
//!
//! # Invariants
//! - The same block has the same bytes, everywhere and always.
//! - [`audit`] finds every figure that does not follow from the rules and the lines' inputs.

pub mod text;

use std::fmt;

use merkle::Roots;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use units::{BlobId, Coins, Hour, WorkerId};

use crate::block::{Block, BlockRules, Counts, Group, NotBlockRules, Row, close};
use crate::emission::Emission;

/// What is said of a block as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The hour it pays for.
    pub hour: Hour,
    /// The hash of the header of the block before it, so that none can be left out; none before the first.
    pub previous: Option<BlobId>,
    /// The rules it was closed by.
    pub rules: BlockRules,
    /// What the hour emits.
    pub emission: Coins,
    /// What machines are paid.
    pub worker_emission: Coins,
    /// What the safety module gets.
    pub safety_module_emission: Coins,
    /// What nobody earned.
    pub unearned: Coins,
    /// The two groups.
    pub groups: [Group; 2],
    /// How many machines earned, failed and missed.
    pub counts: Counts,
    /// How many lines there are.
    pub rows: u64,
    /// The root of the tree over the lines.
    pub root: BlobId,
}

impl Header {
    /// What is to be said of a block.
    pub fn of(hour: Hour, previous: Option<BlobId>, rules: &BlockRules, block: &Block) -> Self {
        Self {
            hour,
            previous,
            rules: rules.clone(),
            emission: block.emission,
            worker_emission: block.worker_emission,
            safety_module_emission: block.safety_module_emission,
            unearned: block.unearned,
            groups: block.groups.clone(),
            counts: block.counts(),
            rows: block.rows.len() as u64,
            root: root(&block.rows),
        }
    }

    /// The bytes that are signed: its text.
    pub fn bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// Its hash: what the next block calls it.
    pub fn hash(&self) -> BlobId {
        BlobId::from_sha256(Sha256::digest(self.bytes()).into())
    }
}

/// The root of the tree over the lines of rows.
pub fn root(rows: &[Row]) -> BlobId {
    let mut roots = Roots::default();
    let mut line = String::new();
    for row in rows {
        line.clear();
        text::write_row(&mut line, row);
        roots.push(line.as_bytes());
    }
    roots.root()
}

/// The first thing in which a statement differs from what its rules and inputs make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// No block could be closed by its rules.
    Rules(NotBlockRules),
    /// A machine's line is not after that of the machine with the next lower id, or it has two.
    Order {
        /// Which machine.
        worker: WorkerId,
    },
    /// A machine's outcome.
    Outcome {
        /// Which machine.
        worker: WorkerId,
        /// Its line as stated.
        stated: String,
        /// Its line as computed.
        computed: String,
    },
    /// A line of the header.
    Figure {
        /// The line as stated.
        stated: String,
        /// The line as computed.
        computed: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Rules(why) => write!(f, "no block closes by these rules: {why}"),
            Difference::Order { worker } => {
                write!(f, "the line of {worker} is out of order, or its second")
            }
            Difference::Outcome { stated, computed, .. }
            | Difference::Figure { stated, computed } => {
                write!(f, "stated `{stated}`, computed `{computed}`")
            }
        }
    }
}

/// Computes a block again from its rules, its emission and the inputs in its lines, and finds the first difference.
///
/// It looks at the rules, the order of lines, the emission, the lines, then the header. Only with a schedule is the
/// emission checked: it must be that of the hour.
pub fn audit(header: &Header, rows: &[Row], schedule: Option<&Emission>) -> Result<(), Difference> {
    header.rules.check().map_err(Difference::Rules)?;
    let late = rows.windows(2).find(|pair| pair[0].device.worker >= pair[1].device.worker);
    if let Some(pair) = late {
        return Err(Difference::Order { worker: pair[1].device.worker });
    }
    let emission = schedule.map_or(header.emission, |schedule| schedule.block(header.hour));
    let devices: Vec<_> = rows.iter().map(|row| row.device.clone()).collect();
    let block = close(&header.rules, emission, &devices);
    let computed = Header::of(header.hour, header.previous, &header.rules, &block);
    if emission != header.emission {
        return figures(header, &computed);
    }
    for (stated, computed) in rows.iter().zip(&block.rows) {
        if stated != computed {
            return Err(Difference::Outcome {
                worker: stated.device.worker,
                stated: stated.to_string(),
                computed: computed.to_string(),
            });
        }
    }
    figures(header, &computed)
}

/// The first line in which two headers differ.
fn figures(stated: &Header, computed: &Header) -> Result<(), Difference> {
    let (stated, computed) = (stated.to_string(), computed.to_string());
    let differ = stated.lines().zip(computed.lines()).find(|(stated, computed)| stated != computed);
    differ.map_or(Ok(()), |(stated, computed)| {
        Err(Difference::Figure { stated: stated.to_owned(), computed: computed.to_owned() })
    })
}
