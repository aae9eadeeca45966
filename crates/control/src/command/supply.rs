//! Machines: invited, joined, changed, paused, gone.

use scheduler::{Machine, Prices, Rtts};
use units::{AccountId, Hour, InviteId, Timestamp, WorkerId};

use super::onboard::measured;
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
        if let Some(replaced) = invite.replaces {
            self.can_come_again(replaced, invite.account)?;
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
        let known = self.invites.get(&invite).ok_or(Refusal::NotFound(Noun::Invite))?;
        if known.used_by.is_some() {
            return Err(Refusal::Used(Noun::Invite));
        }
        if now >= known.expires {
            return Err(Refusal::Expired(Noun::Invite));
        }
        let account = known.account;
        match known.replaces {
            Some(replaced) if replaced != id => {
                let why = format!("this invitation is for {replaced} alone");
                return Err(Refusal::Invalid { field: "worker", why });
            }
            Some(replaced) => self.can_come_again(replaced, account)?,
            None if self.workers.contains_key(&id) => return Err(Refusal::Exists(Noun::Worker)),
            None => {}
        }
        if self.fingerprints.get(&joining.fingerprint).is_some_and(|other| *other != id) {
            return Err(Refusal::SameMachine);
        }
        check_machine(&joining.machine)?;
        if let Some(known) = self.invites.get_mut(&invite) {
            known.used_by = Some(id);
        }
        self.changed(Subject::Invite(invite));
        if let Some(known) = self.workers.get_mut(&id) {
            known.public_key = joining.public_key;
            self.drop_from_trial(id, "it was set up anew", now);
            self.become_other(id, joining.machine, joining.fingerprint, now);
            self.nudge(id);
            return Ok(Reply::Worker(id));
        }
        joining.owner = account;
        joining.machine.tier = measured(&joining);
        self.fingerprints.insert(joining.fingerprint, id);
        self.workers.insert(id, joining);
        self.market_begins(now);
        self.list(id);
        self.settle_onboarding(id, now);
        Ok(Reply::Worker(id))
    }

    /// Whether an account's machine can come again with another key: not while somebody has it.
    fn can_come_again(&self, id: WorkerId, account: AccountId) -> Result<(), Refusal> {
        let known = self.workers.get(&id).filter(|known| known.owner == account);
        let known = known.ok_or(Refusal::NotFound(Noun::Worker))?;
        if known.nodes.is_empty() {
            Ok(())
        } else {
            Err(Refusal::InUse { rentals: known.nodes.len() })
        }
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

    pub(crate) fn retire(
        &mut self,
        by: Actor,
        id: WorkerId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.only_owner(by, id)?;
        let worker = self.known_worker(id)?;
        if !worker.nodes.is_empty() {
            return Err(Refusal::InUse { rentals: worker.nodes.len() });
        }
        let (fingerprint, trial) = (worker.fingerprint, worker.onboarding.trial);
        if let Some(trial) = trial {
            self.retired_from_trial(trial, id, now);
        }
        self.forget_attestation(id);
        self.forget_newcomer(id);
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
        worker.onboarding.down_since = None;
        self.settle_onboarding(id, now);
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
        let heard = heard.min(now);
        worker.up = false;
        worker.week.broke(Hour::of(now));
        worker.onboarding.spoke(worker.uptime.since(), heard);
        worker.onboarding.down_since = Some(heard);
        worker.uptime.stop(heard, first_open);
        self.settle_onboarding(id, now);
        for (rental, node) in nodes {
            self.node_silent(rental, node, heard, now);
        }
        self.drop_from_trial(id, "its machine went silent", now);
        Ok(Reply::Done)
    }

    /// Puts a machine on offer at the prices of the day. Rentals keep the price they were quoted.
    pub(crate) fn list(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else { return };
        let machine = self.counts_as(worker);
        let listing = self.listing_of(&machine);
        let priced = self.priced(&machine, worker.certifications());
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
        let (machine, open) = (self.counts_as(worker), worker.is_open());
        let listed = Machine {
            id,
            supplier: worker.owner,
            total: machine.offers,
            gpu_model: machine.gpu_model.clone(),
            vram_mib: machine.vram_mib,
            country: machine.country,
            site: None,
            rtts: Rtts::default(),
            tier: machine.tier,
            certifications: worker.certifications(),
            prices,
        };
        self.inventory.put(listed);
        self.inventory.set_open(id, open);
        self.queue.renew();
    }

    pub(crate) fn show_open(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get(&id) {
            self.inventory.set_open(id, worker.is_open());
            self.queue.renew();
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

pub(super) fn check_machine(machine: &MachineRecord) -> Result<(), Refusal> {
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
