//! What is checked of a rental: its machines, their cards, and how far each of them is.

use std::sync::Arc;

use control::{Control, NodeStage, Parameters};
use market::Stage;
use proofs::canary::CanaryRules;
use proofs::{Outcome, Reason};
use units::{DeviceKind, MINUTE, Name, RentalId, Timestamp, WorkerId};

use super::NoCanary;
use crate::limits::PROOF_CARDS_MAX;
use crate::proofs::standing::{self, Standing};

/// How far a card of a canary is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CardStage {
    /// It proves, or will in a moment.
    Proving,
    /// It came to this.
    Over(Outcome, Reason),
}

/// One card in a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CanaryCard {
    /// The card.
    pub(crate) card: [u8; 32],
    /// Its newest session.
    pub(crate) session: [u8; 16],
    /// How often it was asked.
    pub(crate) tried: usize,
    /// How far it is.
    pub(crate) stage: CardStage,
    /// When its newest session ended.
    pub(super) ended: Timestamp,
}

/// The cards of one machine in a canary.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Which machine.
    pub(crate) worker: WorkerId,
    /// What it is called.
    pub(crate) name: Name,
    /// The rental's nodes on it.
    pub(crate) nodes: Vec<u32>,
    /// How many cards of it were rented; a processor is one.
    pub(crate) cards: u32,
    /// Those that were asked.
    pub(crate) asked: Vec<CanaryCard>,
    pub(super) standing: Standing,
}

/// One canary.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    /// Its rental.
    pub(crate) rental: RentalId,
    /// What shows that it is fresh.
    pub(crate) nonce: [u8; 32],
    /// What follows from it and stands in all its challenges.
    pub(crate) barrier: [u8; 16],
    /// When it was asked for.
    pub(crate) at: Timestamp,
    /// When it is over at the latest.
    pub(crate) until: Timestamp,
    /// The machines.
    pub(crate) parts: Vec<Part>,
    /// What the network went by when it was asked for.
    pub(super) parameters: Arc<Parameters>,
}

/// What there is to be checked of a rental.
#[derive(Debug)]
pub(in crate::proofs) struct Wanted {
    pub(super) parts: Vec<Part>,
    pub(super) parameters: Arc<Parameters>,
}

/// The machines of a rental that runs, all of whose nodes are ready.
pub(super) fn wanted(state: &Control, id: RentalId) -> Result<Wanted, NoCanary> {
    let rental = state.rental(id).ok_or(NoCanary::NoRental)?;
    let Stage::Running { .. } = rental.stage else {
        return Err(NoCanary::NotRunning(rental.stage.text()));
    };
    let parameters = state.shared_parameters();
    let mut parts: Vec<Part> = Vec::new();
    for (number, node) in (0_u32..).zip(&rental.nodes) {
        let is_ready = node.stage == NodeStage::Ready && node.silent_since.is_none();
        let worker = state.worker(node.seat.worker).filter(|worker| is_ready && worker.up);
        let worker = worker.ok_or(NoCanary::NotReady(number))?;
        let gpus = node.seat.gpus.len();
        match parts.iter_mut().find(|part| part.worker == node.seat.worker) {
            Some(part) => {
                part.nodes.push(number);
                if part.standing.kind == DeviceKind::Gpu {
                    part.cards = part.cards.saturating_add(gpus).min(PROOF_CARDS_MAX);
                }
            }
            None => {
                let standing = standing::rented(state, node.seat.worker);
                // A node without cards on a machine that has some was not rented for them: there is nothing to show.
                let standing = standing.filter(|it| it.kind == DeviceKind::Cpu || gpus > 0);
                let standing = standing.ok_or(NoCanary::NoClass(number))?;
                let cards = match standing.kind {
                    DeviceKind::Cpu => 1,
                    DeviceKind::Gpu => gpus.min(PROOF_CARDS_MAX),
                };
                let (worker, name) = (node.seat.worker, worker.name.clone());
                let (nodes, asked) = (vec![number], Vec::new());
                parts.push(Part { worker, name, nodes, cards, asked, standing });
            }
        }
    }
    Ok(Wanted { parts, parameters })
}

impl Part {
    fn is_over(&self, rules: &CanaryRules) -> bool {
        let concluded = |card: &CanaryCard| match card.stage {
            CardStage::Proving => false,
            CardStage::Over(Outcome::Inconclusive, _) => card.tried > rules.retry_minutes.len(),
            CardStage::Over(..) => true,
        };
        u32::try_from(self.asked.len()).is_ok_and(|asked| asked >= self.cards)
            && self.asked.iter().all(concluded)
    }

    /// Whether this card may be asked now, or when that is to be looked at again; `None` if it never may.
    pub(super) fn turn(
        &self,
        card: &[u8; 32],
        rules: &CanaryRules,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let Some(known) = self.asked.iter().find(|known| known.card == *card) else {
            let is_full = u32::try_from(self.asked.len()).is_ok_and(|asked| asked >= self.cards);
            return (!is_full).then_some(now);
        };
        match known.stage {
            CardStage::Proving => Some(now),
            CardStage::Over(Outcome::Inconclusive, _) => {
                let wait = rules.retry_minutes.get(known.tried.checked_sub(1)?)?;
                Some(known.ended.after(MINUTE * u32::from(*wait)))
            }
            CardStage::Over(..) => None,
        }
    }
}

impl Canary {
    pub(super) fn rules(&self) -> &CanaryRules {
        &self.parameters.proofs.canary
    }

    /// Whether nothing more comes of it.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until || self.parts.iter().all(|part| part.is_over(self.rules()))
    }
}
