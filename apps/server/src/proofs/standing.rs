//! What the brain knows of a machine that asks whether it is to prove.

use std::net::IpAddr;
use std::sync::Arc;

use control::{Control, Parameters, Worker};
use proofs::Task;
use proofs::schedule::Class;
use rewards::checklist::in_force;
use rewards::rule::Rule;
use sha2::{Digest, Sha256};
use units::{AccountId, DeviceKind, RentalId, Timestamp, WorkerId};

use crate::limits::PROOF_CARDS_MAX;

/// Who asks for a challenge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks {
    /// What would prove.
    pub(crate) card: [u8; 32],
    /// Where its machine speaks from.
    pub(crate) from: Option<IpAddr>,
    /// The rental that has it, as its machine says.
    pub(crate) rental: Option<RentalId>,
}

/// A machine that can be asked to prove.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) owner: AccountId,
    pub(super) key: [u8; 32],
    pub(super) kind: DeviceKind,
    /// What its machine says that it is: a key of the registry.
    pub(super) claimed: Option<String>,
    /// How many cards are proved at one time.
    pub(super) cards: u32,
    /// What each of them is asked.
    pub(super) tasks: Vec<Task>,
    pub(super) up_since: Option<Timestamp>,
    /// When the challenge was given that counted last.
    pub(super) concluded: Option<Timestamp>,
    /// What the network goes by while it is asked.
    pub(super) parameters: Arc<Parameters>,
}

/// How a processor is named where a card is: SHA-256 of `cpu`.
fn processor() -> [u8; 32] {
    Sha256::digest("cpu").into()
}

impl Standing {
    /// Whether it can have this card.
    pub(super) fn has(&self, card: [u8; 32]) -> bool {
        match self.kind {
            DeviceKind::Cpu => card == processor(),
            DeviceKind::Gpu => card != processor(),
        }
    }
}

/// A machine as it stands now; nothing if it is not to be asked: it is silent, paused, shut out, serves somebody else,
/// or is excused.
pub(super) fn standing(state: &Control, id: WorkerId, now: Timestamp) -> Option<Standing> {
    let worker = state.worker(id).filter(|worker| worker.takes_part())?;
    let parameters = state.parameters();
    let own = worker.checks.exemptions.iter().map(|exemption| &exemption.exemption);
    let excused = in_force(own, now).or(parameters.exempt).has(Rule::ProofOfWork);
    if excused || serves_others(state, worker) {
        return None;
    }
    of(state, worker, |class, vram_mib| class.tasks(vram_mib))
}

/// A machine that is rented, as it is asked for its renter; nothing if it is not there, or nothing is asked of such.
pub(super) fn rented(state: &Control, id: WorkerId) -> Option<Standing> {
    let rules = &state.parameters().proofs.canary;
    let worker = state.worker(id).filter(|worker| worker.up)?;
    of(state, worker, |class, vram_mib| class.canary(vram_mib, rules))
}

fn of(
    state: &Control,
    worker: &Worker,
    tasks: impl FnOnce(&Class, u64) -> Vec<Task>,
) -> Option<Standing> {
    let parameters = state.parameters();
    let machine = &worker.machine;
    let (kind, cards) = match machine.gpu_model {
        Some(_) => (DeviceKind::Gpu, machine.offers.gpus.clamp(1, PROOF_CARDS_MAX)),
        None => (DeviceKind::Cpu, 1),
    };
    let (_, class) = parameters.proofs.class_of(kind, machine.vram_mib)?;
    Some(Standing {
        owner: worker.owner,
        key: *worker.public_key.sha256(),
        kind,
        claimed: claimed(state, worker),
        cards,
        tasks: tasks(class, machine.vram_mib),
        up_since: worker.uptime.since(),
        concluded: worker.checks.work.last().map(|work| work.at),
        parameters: state.shared_parameters(),
    })
}

/// What a machine's cards, or its processor, are by the registry.
pub(crate) fn claimed(state: &Control, worker: &Worker) -> Option<String> {
    let machine = &worker.machine;
    let name = machine.gpu_model.as_ref().map_or(machine.cpu_model.as_str(), |model| model.text());
    state.parameters().registry.entry(name).map(|(key, _)| key.to_owned())
}

/// Whether somebody who does not own it has a node on it: what is rented is not proved.
fn serves_others(state: &Control, worker: &Worker) -> bool {
    let mut rentals = worker.nodes.iter().filter_map(|(rental, _)| state.rental(*rental));
    rentals.any(|rental| {
        let project = state.project(rental.project);
        project.is_none_or(|project| !project.members.contains_key(&worker.owner))
    })
}
