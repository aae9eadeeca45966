//! Which ports a node listens on: one block of its own, laid out the same way for every node.
//!
//! Ray is told every port it opens, so that several nodes, clusters and agents share one machine. Nodes with a network
//! of their own all have the same block: nobody else is there.
//!
//! # Invariants
//! - Two blocks of one range never overlap: they start at multiples of their length from its start.
//! - A block is handed out only if nobody listened on any of its ports a moment ago and no other node of the
//!   machine has claimed it (`claims`).

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

/// Ports of one node. Ray needs eleven for its services and one for each worker process; 180 worker processes are
/// more than a node of 64 CPUs starts.
pub const BLOCK: u16 = 200;
/// Where the ports of worker processes start inside a block.
const WORKERS_FROM: u16 = 20;

const _: () = assert!(BLOCK > WORKERS_FROM, "a node without worker processes does no work");

/// The block of every node that has a network of its own. Below the ports that systems give to whoever connects.
pub const OWN: Block = Block { first: 20_000 };

/// The ports of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    first: u16,
}

macro_rules! ports {
    ($($(#[$doc:meta])* $name:ident = $offset:literal;)*) => {
        impl Block {
            $($(#[$doc])* pub const fn $name(&self) -> u16 { self.first + $offset })*
        }
    };
}

ports! {
    /// The head's control service (GCS), which the other nodes join.
    gcs = 0;
    /// The node manager (raylet).
    node_manager = 1;
    /// Where other nodes fetch objects.
    object_manager = 2;
    /// The agent that prepares working folders.
    runtime_env_agent = 3;
    /// The node's HTTP agent.
    agent_http = 4;
    /// The node's gRPC agent.
    agent_grpc = 5;
    /// The node's metrics.
    metrics = 6;
    /// The head's HTTP API and dashboard.
    dashboard = 7;
    /// The head's server for Ray clients.
    client_server = 8;
    /// The head's autoscaler metrics.
    autoscaler_metrics = 9;
    /// The head's dashboard metrics.
    dashboard_metrics = 10;
}

impl Block {
    /// The block that starts here, unless it would reach past the last port.
    pub const fn starting_at(first: u16) -> Option<Self> {
        match first.checked_add(BLOCK - 1) {
            Some(_) => Some(Self { first }),
            None => None,
        }
    }

    /// Its first port.
    pub const fn first(&self) -> u16 {
        self.first
    }

    /// The ports of worker processes.
    pub const fn workers(&self) -> RangeInclusive<u16> {
        self.first + WORKERS_FROM..=self.first + (BLOCK - 1)
    }

    /// All of its ports.
    pub const fn all(&self) -> RangeInclusive<u16> {
        self.first..=self.first + (BLOCK - 1)
    }

    /// Whether nobody listens on any of its ports, on any address.
    pub fn is_free(&self) -> bool {
        self.all().all(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok())
    }
}

/// The whole blocks of a range, lowest first.
fn blocks(range: &RangeInclusive<u16>) -> impl Iterator<Item = Block> {
    let end = *range.end();
    let starts = (*range.start()..=end).step_by(usize::from(BLOCK));
    starts.filter_map(Block::starting_at).filter(move |block| *block.all().end() <= end)
}

/// The lowest block of `range` that is not `taken` and that `is_free`.
pub fn pick(
    range: &RangeInclusive<u16>,
    taken: &BTreeSet<Block>,
    is_free: impl Fn(&Block) -> bool,
) -> Option<Block> {
    blocks(range).find(|block| !taken.contains(block) && is_free(block))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lowest_free_block_is_taken() {
        let taken = BTreeSet::from([Block { first: 20_000 }]);
        let picked = pick(&(20_000..=20_999), &taken, |block| block.first != 20_200);
        assert_eq!(picked, Some(Block { first: 20_400 }));
    }

    #[test]
    fn a_full_range_has_no_block() {
        assert_eq!(pick(&(20_000..=20_198), &BTreeSet::new(), |_| true), None);
        assert_eq!(
            pick(&(20_000..=20_199), &BTreeSet::from([Block { first: 20_000 }]), |_| true),
            None
        );
        assert_eq!(pick(&(65_500..=65_535), &BTreeSet::new(), |_| true), None);
    }

    #[test]
    fn a_block_with_a_listener_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let block = Block::starting_at(port.min(65_336)).unwrap();
        assert!(!block.is_free());
    }

    proptest! {
        #[test]
        fn blocks_stay_in_their_range_and_apart(start in 1_024_u16.., length in 0_u16..5_000) {
            let range = start..=start.saturating_add(length);
            let mut last = None;
            for block in blocks(&range) {
                prop_assert!(range.contains(block.all().start()) && range.contains(block.all().end()));
                prop_assert!(last.is_none_or(|last| last < *block.all().start()));
                prop_assert!(block.dashboard_metrics() < *block.workers().start());
                last = Some(*block.all().end());
            }
        }
    }
}
