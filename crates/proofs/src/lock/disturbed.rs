//! Which rented nodes are not their renters' alone at the moment: what is said at once, without waiting for a record.
//!
//! It follows the first rules of the network, because an agent knows no others: what a record says afterwards is judged
//! by those of the day, and settles the difference.

use std::collections::{BTreeMap, BTreeSet};

use super::judge::Break;
use super::record::Span;
use super::sample::{NodeRef, Owner, Sample};
use super::watch::Subject;

/// In how many samples running somebody else must be seen before it is said.
const FOREIGN_AFTER: u32 = 2;
/// In how many samples running a card must be missing before it is said.
const LOST_AFTER: u32 = 11;
/// In how many samples running nothing must be wrong before that is said.
const CALM_AFTER: u32 = 3;

/// A node that is not its renter's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disturbance {
    /// Why: [`Break::Foreign`] or [`Break::CardLost`]. The first of them, if it is both.
    pub why: Break,
    /// When it was first seen, in milliseconds since 1970 by the machine's clock.
    pub since_ms: u64,
}

/// What is seen of one node, sample by sample.
#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    foreign: Run,
    lost: Run,
    calm: u32,
    said: Option<Disturbance>,
}

/// Samples running, and when the first was.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    samples: u32,
    since_ms: u64,
}

impl Run {
    fn count(&mut self, is_so: bool, at_ms: u64) {
        if !is_so {
            *self = Self::default();
        } else if self.samples == 0 {
            *self = Self { samples: 1, since_ms: at_ms };
        } else {
            self.samples = self.samples.saturating_add(1);
        }
    }
}

impl Trouble {
    fn on_sample(&mut self, foreign: bool, lost: bool, at_ms: u64) {
        self.foreign.count(foreign, at_ms);
        self.lost.count(lost, at_ms);
        self.calm = if foreign || lost { 0 } else { self.calm.saturating_add(1) };
        let begins = |run: Run, after: u32, why: Break| {
            (run.samples >= after).then_some(Disturbance { why, since_ms: run.since_ms })
        };
        let begins = begins(self.foreign, FOREIGN_AFTER, Break::Foreign)
            .or_else(|| begins(self.lost, LOST_AFTER, Break::CardLost));
        if self.said.is_none() {
            self.said = begins;
        } else if self.calm >= CALM_AFTER {
            self.said = None;
        }
    }
}

/// What is seen of every node.
#[derive(Clone, Debug, Default)]
pub(super) struct Disturbed {
    nodes: BTreeMap<NodeRef, Trouble>,
    said: BTreeMap<NodeRef, Disturbance>,
}

impl Disturbed {
    /// Takes a look. Returns which nodes are disturbed, if that is other than it was.
    pub(super) fn on_sample(
        &mut self,
        sample: &Sample,
        subjects: &[Subject],
        at_ms: u64,
    ) -> Option<BTreeMap<NodeRef, Disturbance>> {
        let mut there = BTreeSet::new();
        for subject in subjects {
            let Span::Rental(node) = subject.span else { continue };
            there.insert(node);
            let (foreign, lost) = look(sample, subject, node);
            self.nodes.entry(node).or_default().on_sample(foreign, lost, at_ms);
        }
        self.nodes.retain(|node, _| there.contains(node));
        let said: BTreeMap<NodeRef, Disturbance> =
            self.nodes.iter().filter_map(|(node, it)| Some((*node, it.said?))).collect();
        (said != self.said).then(|| {
            self.said.clone_from(&said);
            said
        })
    }
}

/// Whether somebody else is on a node's cards, and whether one of them does not answer.
fn look(sample: &Sample, subject: &Subject, node: NodeRef) -> (bool, bool) {
    let (mut foreign, mut lost) = (false, false);
    for card in &subject.cards {
        let seen = sample.cards.iter().find(|seen| seen.card == *card);
        let Some(reading) = seen.and_then(|seen| seen.reading.as_ref()) else {
            lost = true;
            continue;
        };
        let mut processes = reading.processes.iter().flatten();
        foreign |= processes.any(|process| match process.owner {
            Owner::Foreign => true,
            Owner::Node(other) => other != node,
            Owner::Agent | Owner::System => false,
        });
    }
    (foreign, lost)
}
