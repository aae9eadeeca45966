//! Machines: invited, joined, changed, paused, gone.

use scheduler::{Machine, Prices};
use units::{Hour, InviteId, Timestamp, WorkerId};

use crate::effect::{Effect, Subject};
use crate::record::{Actor, MachineRecord};
use crate::refusal::{Needs, Noun, Refusal};
use crate::state::{Control, Invite, Reply, Worker};

/// The longest text about a processor or an operating system, in bytes.
const LABEL_BYTES_MAX: usize = 128;

impl Control {
    pub(crate) fn invite(
        &mut self,
        by: Actor,
        id: InviteId,
        invite: Invite,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, invite.account)?;
        if !self.people.contains_key(&invite.account) {
            return Err(Refusal::NotFound(Noun::Account));
        }
        if self.invites.contains_key(&id) {
            return Err(Refusal::Exists(Noun::Invite));
        }
        self.invites.insert(id, invite);
        self.changed(Subject::Invite(id));
        Ok(Reply::Invite(id))
    }

    /// The shell has checked that the machine knows the invitation's secret and its own private key.
    pub(crate) fn join(
        &mut self,
        by: Actor,
        invite: InviteId,
        id: WorkerId,
        mut joining: Worker,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_worker(by, id)?;
        let known = self.invites.get_mut(&invite).ok_or(Refusal::NotFound(Noun::Invite))?;
        if known.used_by.is_some() {
            return Err(Refusal::Used(Noun::Invite));
        }
        if now >= known.expires {
            return Err(Refusal::Expired(Noun::Invite));
        }
        if self.workers.contains_key(&id) {
            return Err(Refusal::Exists(Noun::Worker));
        }
        if self.fingerprints.contains_key(&joining.fingerprint) {
            return Err(Refusal::SameMachine);
        }
        check_machine(&joining.machine)?;
        known.used_by = Some(id);
        joining.owner = known.account;
        self.fingerprints.insert(joining.fingerprint, id);
        self.workers.insert(id, joining);
        self.market_begins(now);
        self.list(id);
        self.changed(Subject::Invite(invite));
        self.changed(Subject::Worker(id));
        Ok(Reply::Worker(id))
    }

    pub(crate) fn change_machine(
        &mut self,
        by: Actor,
        id: WorkerId,
        machine: MachineRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_worker(by, id)?;
        let worker = self.known_worker(id)?;
        check_machine(&machine)?;
        if !worker.nodes.is_empty() {
            return Err(Refusal::InUse { rentals: worker.nodes.len() });
        }
        let offers = self.live_offers(id, now);
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        worker.machine = machine;
        worker.described = now;
        // What it was judged as is no more, nor what it has shown.
        worker.nominated = None;
        self.forget_attestation(id);
        self.list(id);
        self.changed(Subject::Worker(id));
        self.offers_moved(&offers, now);
        Ok(Reply::Done)
    }

    pub(crate) fn set_paused(
        &mut self,
        by: Actor,
        id: WorkerId,
        paused: bool,
    ) -> Result<Reply, Refusal> {
        self.only_owner(by, id)?;
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        worker.paused = paused;
        self.show_open(id);
        Ok(Reply::Done)
    }

    pub(crate) fn retire(&mut self, by: Actor, id: WorkerId) -> Result<Reply, Refusal> {
        self.only_owner(by, id)?;
        let worker = self.known_worker(id)?;
        if !worker.nodes.is_empty() {
            return Err(Refusal::InUse { rentals: worker.nodes.len() });
        }
        let fingerprint = worker.fingerprint;
        self.forget_attestation(id);
        self.workers.remove(&id);
        self.fingerprints.remove(&fingerprint);
        self.inventory.remove(id);
        self.changed(Subject::Worker(id));
        // Whatever they lent it earns nothing from here on, also where nothing of the offer itself has changed.
        for (offer, ..) in self.live_offers(id, self.head.at) {
            self.changed(Subject::Offer(offer));
        }
        Ok(Reply::Done)
    }

    pub(crate) fn worker_up(
        &mut self,
        by: Actor,
        id: WorkerId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_clock(by)?;
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        worker.up = true;
        worker.uptime.start(now);
        self.show_open(id);
        Ok(Reply::Done)
    }

    pub(crate) fn worker_silent(
        &mut self,
        by: Actor,
        id: WorkerId,
        heard: Timestamp,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_clock(by)?;
        let nodes = self.known_worker(id)?.nodes.clone();
        let first_open = self.first_open_hour(now);
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        worker.up = false;
        worker.week.broke(Hour::of(now));
        worker.uptime.stop(heard.min(now), first_open);
        self.show_open(id);
        for (rental, node) in nodes {
            self.node_silent(rental, node, heard.min(now), now);
        }
        Ok(Reply::Done)
    }

    /// Puts a machine on offer at the prices of the day. Rentals keep the price they were quoted.
    pub(crate) fn list(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else { return };
        let listing = self.listing_of(&worker.machine);
        let priced = self.priced(&worker.machine, worker.certifications());
        let prices = self.prices_of(&priced);
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.listing = listing;
            worker.priced = priced;
        }
        self.offer(id, prices);
    }

    /// Puts a machine on offer at these prices.
    pub(crate) fn offer(&mut self, id: WorkerId, prices: Prices) {
        let Some(worker) = self.workers.get(&id) else { return };
        let machine = &worker.machine;
        let open = worker.is_open();
        self.inventory.put(Machine {
            id,
            supplier: worker.owner,
            total: machine.offers,
            gpu_model: machine.gpu_model.clone(),
            vram_mib: machine.vram_mib,
            country: machine.country,
            tier: machine.tier,
            certifications: worker.certifications(),
            prices,
        });
        self.inventory.set_open(id, open);
    }

    pub(crate) fn show_open(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get(&id) {
            self.inventory.set_open(id, worker.is_open());
            self.changed(Subject::Worker(id));
        }
    }

    /// What this machine should run is other than it was.
    pub(crate) fn nudge(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.revision += 1;
            self.effects.push_back(Effect::Nudge(id));
        }
    }

    pub(crate) fn only_owner(&self, by: Actor, id: WorkerId) -> Result<(), Refusal> {
        let owner = self.known_worker(id)?.owner;
        match by {
            Actor::Operator => Ok(()),
            Actor::Account(account) if account == owner => Ok(()),
            Actor::Account(_) | Actor::Worker(_) | Actor::Clock => {
                Err(Refusal::NotFound(Noun::Worker))
            }
        }
    }
}

pub(super) fn only_clock(by: Actor) -> Result<(), Refusal> {
    match by {
        Actor::Clock => Ok(()),
        Actor::Operator | Actor::Account(_) | Actor::Worker(_) => {
            Err(Refusal::Forbidden(Needs::Clock))
        }
    }
}

pub(super) fn only_worker(by: Actor, id: WorkerId) -> Result<(), Refusal> {
    match by {
        Actor::Worker(worker) if worker == id => Ok(()),
        Actor::Operator | Actor::Account(_) | Actor::Worker(_) | Actor::Clock => {
            Err(Refusal::Forbidden(Needs::Worker))
        }
    }
}

fn check_machine(machine: &MachineRecord) -> Result<(), Refusal> {
    use scheduler::limits;
    let invalid = |field, why: &str| Err(Refusal::Invalid { field, why: why.to_owned() });
    let offers = &machine.offers;
    if offers.vcpus == 0 || offers.memory_mib == 0 {
        return invalid("machine.offers", "at least one hardware thread and some memory");
    }
    if (offers.gpus > 0) != machine.gpu_model.is_some() {
        return invalid(
            "machine.gpu_model",
            "a machine with cards names their model, one without names none",
        );
    }
    let small = offers.gpus <= limits::GPUS_PER_MACHINE_MAX
        && offers.vcpus <= limits::VCPUS_PER_MACHINE_MAX
        && offers.memory_mib <= limits::MEMORY_MIB_PER_MACHINE_MAX
        && offers.disk_mib <= limits::DISK_MIB_PER_MACHINE_MAX;
    if !small {
        return invalid("machine.offers", "more than any machine has");
    }
    if let Some(shown) = machine.certifications.iter().find(|it| it.is_shown()) {
        let why = format!("`{shown}` is not claimed but attested");
        return invalid("machine.certifications", &why);
    }
    if machine.cpu_model.len() > LABEL_BYTES_MAX || machine.os.len() > LABEL_BYTES_MAX {
        return invalid("machine", "a label is too long");
    }
    Ok(())
}
