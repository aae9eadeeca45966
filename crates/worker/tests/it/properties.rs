//! What holds for any order of events, in a small world where everything collides.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use units::{RentalId, Resources, Timestamp};
use worker::{Effect, NodeKey, NodeOrder, Worker};

#[derive(Clone, Debug)]
enum Happens {
    Wanted(u64, BTreeSet<u8>),
    Stopped(u8),
    Restart,
    Wake(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0_u64..40, prop::collection::btree_set(0_u8..4, 0..4))
            .prop_map(|(revision, nodes)| Happens::Wanted(revision, nodes)),
        4 => (0_u8..4).prop_map(Happens::Stopped),
        1 => Just(Happens::Restart),
        1 => (0_u64..40).prop_map(Happens::Wake),
    ]
}

/// Four nodes of four rentals; those of the same parity want the same card.
fn key(node: u8) -> NodeKey {
    NodeKey { rental: RentalId::from_bits(u128::from(node)), node: 0 }
}

fn order(node: u8) -> NodeOrder {
    NodeOrder {
        key: key(node),
        nodes: 1,
        resources: Resources::default(),
        gpus: vec![u32::from(node % 2)],
        has_mesh: false,
        head: None,
        jobs: Vec::new(),
    }
}

/// The machine itself: what runs on it, and on which card.
#[derive(Default)]
struct Machine {
    runs: BTreeMap<NodeKey, Vec<u32>>,
    stopping: BTreeSet<NodeKey>,
}

impl Machine {
    fn act(&mut self, worker: &mut Worker) -> Result<(), TestCaseError> {
        while let Some(effect) = worker.next_effect() {
            match effect {
                Effect::Start(order) => {
                    prop_assert!(!self.runs.contains_key(&order.key), "started twice");
                    let held = self.runs.values().any(|gpus| *gpus == order.gpus);
                    prop_assert!(!held, "two nodes on one card");
                    self.runs.insert(order.key, order.gpus);
                }
                Effect::Stop(key) => {
                    prop_assert!(self.runs.contains_key(&key), "stopped what does not run");
                    self.stopping.insert(key);
                }
                Effect::Submit(..) | Effect::StopJob(..) | Effect::Collect(..) | Effect::Tell => {}
            }
        }
        Ok(())
    }
}

/// A control plane never wants one card twice at once.
fn orders(nodes: &BTreeSet<u8>) -> Vec<NodeOrder> {
    let mut cards = BTreeSet::new();
    nodes.iter().filter(|node| cards.insert(**node % 2)).map(|node| order(*node)).collect()
}

proptest! {
    #[test]
    fn whatever_happens_cards_are_never_shared_and_what_is_wanted_runs_in_the_end(
        story in prop::collection::vec(happens(), 0..40),
    ) {
        let (mut worker, mut machine) = (Worker::new(&[], Timestamp::from_millis(0)), Machine::default());
        let mut now = Timestamp::from_millis(0);
        for event in story {
            match event {
                Happens::Wanted(revision, nodes) => worker.on_wanted(revision, orders(&nodes), now),
                Happens::Stopped(node) => {
                    if machine.stopping.remove(&key(node)) {
                        machine.runs.remove(&key(node));
                        worker.on_stopped(key(node));
                    }
                }
                Happens::Restart => {
                    let found: Vec<NodeKey> = machine.runs.keys().copied().collect();
                    machine.stopping.clear();
                    worker = Worker::new(&found, now);
                }
                Happens::Wake(minutes) => {
                    now = now.after(std::time::Duration::from_secs(60 * minutes));
                    worker.on_wake(now);
                }
            }
            machine.act(&mut worker)?;
        }
        worker.on_wanted(100, orders(&[0, 1].into()), now);
        machine.act(&mut worker)?;
        for node in 0..4 {
            if machine.stopping.remove(&key(node)) {
                machine.runs.remove(&key(node));
                worker.on_stopped(key(node));
                machine.act(&mut worker)?;
            }
        }
        let runs: Vec<NodeKey> = machine.runs.keys().copied().collect();
        prop_assert_eq!(runs, [key(0), key(1)]);
        prop_assert_eq!(worker.seen().nodes.len(), 2);
    }
}
