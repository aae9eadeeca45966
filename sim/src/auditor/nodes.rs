//! A node as the auditor sees it: how long it has served, what of that counts, and what disturbs it.

use control::{Command, DisturbedRecord, Node, NodeStage, Rental};
use market::Stage;
use units::{AccountId, Timestamp, WorkerId};

use super::hours::Hours;
use super::locks::NodeTime;

/// A node as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct NodeView {
    pub(super) worker: WorkerId,
    pub(super) supplier: AccountId,
    pub(super) stage: NodeStage,
    pub(super) since: Option<Timestamp>,
    pub(super) hours: Hours,
    pub(super) time: NodeTime,
    /// From when until when it served, since that was asked for last.
    served: Vec<(Timestamp, Timestamp)>,
}

impl NodeView {
    pub(super) fn new(node: &Node) -> Self {
        let (hours, time) = (Hours::default(), NodeTime::default());
        Self {
            worker: node.seat.worker,
            supplier: node.supplier,
            stage: node.stage,
            since: None,
            hours,
            time,
            served: Vec::new(),
        }
    }

    /// When its machine was last heard, if this entry says that it has fallen silent.
    fn heard_last(&self, command: &Command) -> Option<Timestamp> {
        let Command::WorkerSilent { worker, heard_millis } = command else { return None };
        (*worker == self.worker).then_some(Timestamp::from_millis(*heard_millis))
    }

    /// Milliseconds that count, if nothing breaks.
    pub(super) fn served_by(&self, at: Timestamp) -> u64 {
        let mut hours = self.hours.clone();
        if let Some(since) = self.since {
            hours.add(since, at);
        }
        self.time.counts(hours.counted(), &self.hours, self.since.map(|since| (since, at)))
    }

    /// It serves until then.
    fn stop(&mut self, until: Timestamp) {
        let Some(since) = self.since.take() else { return };
        self.served.push((since, until));
        let told = self.hours.told();
        self.time.served(since, if since < told { until.max(told) } else { until });
        self.hours.add(since, until);
    }

    /// From when until when it has served since that was asked for last.
    pub(super) fn take_served(&mut self) -> Vec<(Timestamp, Timestamp)> {
        std::mem::take(&mut self.served)
    }

    /// It says whether it is its renter's alone, while the rental runs or comes up. When it serves again, if it does.
    fn says(
        &mut self,
        disturbed: Option<DisturbedRecord>,
        runs: bool,
        at: Timestamp,
    ) -> Option<Timestamp> {
        let whole = |at: u64| Timestamp::from_millis(at - at % 60_000);
        let was = std::mem::replace(&mut self.time.disturbed, disturbed.is_some());
        match (was, disturbed) {
            (false, Some(by)) => {
                let since = whole(by.since.min(at).millis());
                self.stop(self.since.map_or(since, |from| from.max(since)));
                None
            }
            (true, None) if runs => Some(whole(at.millis() + 59_999)),
            (true, None) | (false, None) | (true, Some(_)) => None,
        }
    }

    /// What was served until then is settled.
    pub(super) fn settle(&mut self, until: Timestamp, voids: bool) {
        if let Some(since) = self.since {
            self.hours.add(since, until);
        }
        self.hours.settle(until);
        let live = self.since.map(|since| (since, until));
        self.time.settle(self.hours.firm(voids), &self.hours, live);
    }

    /// What it has served by the end of this entry, given how it stands.
    pub(super) fn meter(&mut self, rental: &Rental, node: &Node, said: Said<'_>, at: Timestamp) {
        let Said { command, ran, disturbed } = said;
        let runs = matches!(rental.stage, Stage::Running { .. });
        let up = node.stage == NodeStage::Ready && node.silent_since.is_none();
        let again = disturbed.and_then(|disturbed| self.says(disturbed, ran, at));
        let heard = self.heard_last(command).unwrap_or(at).min(at);
        // Who breaks while somebody else is there has broken all the same.
        if self.time.disturbed && ran && !up && self.stage != NodeStage::Lost {
            self.time.disturbed = false;
            self.since = Some(self.hours.start(heard));
        }
        let serves = runs && up && !self.time.disturbed;
        match (self.since, serves) {
            (None, true) => {
                self.since = Some(self.hours.start(again.unwrap_or(at)));
            }
            (Some(_), false) => {
                self.stop(heard);
                // A node that stands when its rental ends has done what it should.
                let broke = runs || node.stage != NodeStage::Ready;
                if broke && rental.terms.worked.void_broken_hour {
                    self.hours.break_present();
                }
            }
            (None, false) | (Some(_), true) => {}
        }
        self.stage = node.stage;
    }
}

/// What one entry may say of a node.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    /// It.
    pub(super) command: &'a Command,
    /// Whether the rental ran before it.
    pub(super) ran: bool,
    /// Whether it is disturbed, if its machine says that it is ready.
    pub(super) disturbed: Option<Option<DisturbedRecord>>,
}
