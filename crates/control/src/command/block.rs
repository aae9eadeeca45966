//! Blocks: machines nominated when an hour begins, judged and paid when it is over.

use std::sync::Arc;

use ledger::Holder;
use market::Stage;
use rewards::accruals::Wanted;
use rewards::block::{BlockRules, Device, Outcome, Row, close};
use rewards::checklist::{
    Checked, Engagement, Evidence, HOUR_MINUTES, Standing, Status, WorkOutcome, WorkProof, check,
    in_force, missing, proofs,
};
use rewards::emission::Emission;
use rewards::rule::{Rule, RuleSet};
use rewards::statement;
use stakes::SafetyRules;
use units::{AccountId, Asset, Coins, Hour, Timestamp, WorkerId};

use super::coin::io;
use super::listing::{counts_as, listing_by};
use crate::effect::{Closed, Effect, Subject};
use crate::limits::EXEMPTIONS_MAX;
use crate::onboarding::OnboardingStage;
use crate::record::{
    Actor, BlockKind, Blocked, ExemptionRecord, Parameters, ProofSaid, VerdictRecord,
};
use crate::refusal::{Noun, Refusal};
use crate::state::{
    BLOCKS_KEPT, BlockSummary, Control, Listing, MINUTE_MILLIS, Nomination, Reply, Worker,
};

/// The longest reason of an exemption or a block, in bytes.
const NOTE_BYTES_MAX: usize = 500;

impl Control {
    /// Closes the blocks whose time has come, in order: an hour may be paid late, but none is skipped.
    pub(crate) fn close_blocks(&mut self, now: Timestamp) {
        while let Some(hour) = self.economy.blocks.open {
            let rules = &self.versions.at(hour).parameters.blocks;
            if rewards::stage::closes_at(rules, hour) > now {
                break;
            }
            self.close_block(hour, now);
            self.nominate(hour.next(), now);
        }
    }

    /// When the next block closes.
    pub(crate) fn block_due(&self) -> Option<Timestamp> {
        let hour = self.economy.blocks.open?;
        Some(rewards::stage::closes_at(&self.versions.at(hour).parameters.blocks, hour))
    }

    /// Judges every machine by the checklist as an hour begins.
    pub(crate) fn nominate(&mut self, hour: Hour, now: Timestamp) {
        self.economy.blocks.open = Some(hour);
        let version = self.versions.at(hour);
        // A block that is closed late is judged late: its registry may no longer be the one in effect.
        let as_listed = version.number == self.versions.current().number;
        let rules = &version.parameters;
        let nominations: Vec<Nomination> = self
            .workers
            .iter()
            .map(|(id, worker)| {
                let listing = if as_listed {
                    worker.listing
                } else {
                    listing_by(rules, &counts_as(&rules.registry, worker))
                };
                let standing = self.standing((*id, worker), listing, (hour, now));
                let exempt = exempt(worker, rules, now);
                let missing = missing(&rules.checklist, &standing, exempt, now);
                Nomination { hour, missing, listing }
            })
            .collect();
        let ready = nominations.iter().filter(|nomination| nomination.missing.is_empty()).count();
        self.economy.blocks.nominated = u32::try_from(ready).expect("a count of machines");
        for (worker, nomination) in self.workers.values_mut().zip(nominations) {
            worker.nominated = Some(nomination);
        }
    }

    fn close_block(&mut self, hour: Hour, now: Timestamp) {
        let version = self.versions.at(hour);
        let (number, rules) = (version.number, version.parameters.blocks.clone());
        let safety_rules = version.parameters.safety.clone();
        let schedule = Emission::new(&version.parameters.emission).expect("the rules were checked");
        let left = Coins::from_units(self.available(Holder::Emission, Asset::Io).units);
        let emission = schedule.block(hour).min(left);
        let parameters = &version.parameters;
        let ids = self.workers.keys();
        let devices: Vec<Device> =
            ids.filter_map(|id| self.device(*id, hour, parameters, now)).collect();
        let block = close(&rules, emission, &devices);
        let from = io(Holder::Emission);
        // Without members the safety module's share is nobody's, and the treasury's like all that nobody earns.
        let given = self.economy.stakes.safety.give(block.safety_module_emission, hour);
        let safety = if given.is_ok() { Holder::SafetyModule } else { Holder::Treasury };
        self.move_coins(&[
            (from, io(Holder::Rewards), block.worker_emission),
            (from, io(safety), block.safety_module_emission),
            (from, io(Holder::Treasury), block.unearned),
        ])
        .expect("a block emits no more than is left");
        self.top_up_safety(&safety_rules, block.safety_module_emission, hour);
        for row in &block.rows {
            self.note_trial(row, hour);
            self.credit(row.device.worker, row.outcome.payout(), hour);
        }
        self.record_activity(hour, now);
        self.write_down(hour, number, &rules, block, now);
        for worker in self.workers.values_mut() {
            worker.uptime.forget_before(hour.next());
            // Whoever served in the hour before could not prove in it: the next nomination asks.
            worker.hired.forget_before(hour);
        }
    }

    /// The treasury adds what the share of a block leaves short of the least that members of the safety module earn.
    fn top_up_safety(&mut self, rules: &SafetyRules, given: Coins, hour: Hour) {
        let treasury = Coins::from_units(self.available(Holder::Treasury, Asset::Io).units);
        let safety = &mut self.economy.stakes.safety;
        let more = rules.top_up(safety.staked(), given, treasury);
        if safety.give(more, hour).is_ok() {
            self.move_coins(&[(io(Holder::Treasury), io(Holder::SafetyModule), more)])
                .expect("a part of what the treasury has");
        }
    }

    /// Remembers what a block came to.
    fn write_down(
        &mut self,
        hour: Hour,
        version: u32,
        rules: &BlockRules,
        block: rewards::block::Block,
        now: Timestamp,
    ) {
        let blocks = &mut self.economy.blocks;
        let previous = blocks.closed.back().map(|last| last.header);
        let header = statement::Header::of(hour, previous, rules, &block);
        blocks.emitted = blocks.emitted.checked_add(block.emission).expect("under the cap");
        blocks.closed.push_back(BlockSummary {
            hour,
            closed_at: now,
            version,
            emission: block.emission,
            worker_emission: block.worker_emission,
            safety_module_emission: block.safety_module_emission,
            unearned: block.unearned,
            counts: header.counts,
            groups: block.groups.clone(),
            root: header.root,
            header: header.hash(),
            previous,
        });
        if blocks.closed.len() > BLOCKS_KEPT {
            blocks.closed.pop_front();
        }
        let closed = Closed { at: now, version, header, rows: block.rows.clone() };
        blocks.last = Some((hour, block));
        self.effects.push_back(Effect::Closed(Arc::new(closed)));
        self.changed(Subject::Coin);
    }

    /// What a block brought a machine is part of its record.
    fn note_trial(&mut self, row: &Row, hour: Hour) {
        let earned = match row.outcome {
            Outcome::Earned { payout, .. } => Some(payout),
            Outcome::Failed { .. } => None,
            Outcome::Missed { .. } => return,
        };
        if let Some(worker) = self.workers.get_mut(&row.device.worker) {
            worker.week.tried(hour, earned);
        }
    }

    /// Credits what a machine was paid to its owner, and to its co-staker.
    fn credit(&mut self, worker: WorkerId, payout: Coins, hour: Hour) {
        if payout.is_zero() {
            return;
        }
        let split = self.economy.stakes.split_payout(worker, hour, payout);
        let owner = self.workers.get(&worker).map(|worker| worker.owner);
        let shares = owner.map(|owner| (owner, split.owner)).into_iter().chain(split.co);
        for (account, part) in shares.filter(|(_, part)| !part.is_zero()) {
            self.economy
                .accruals
                .credit(account, worker, part)
                .expect("a machine is shared by two, and coins are under the cap");
        }
    }

    /// A machine as its block sees it, if it was there when the hour began.
    fn device(
        &self,
        id: WorkerId,
        hour: Hour,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Option<Device> {
        let worker = self.workers.get(&id)?;
        let Nomination { missing, listing, .. } =
            worker.nominated.filter(|nomination| nomination.hour == hour)?;
        let hired = self.is_hired(worker, hour);
        let minutes = worker.uptime.millis_in(hour, now.min(hour.end())) / MINUTE_MILLIS;
        let minutes = minutes.min(locked_minutes(worker, parameters, hour));
        let evidence = Evidence {
            engagement: if hired { Engagement::Hired } else { Engagement::Idle },
            work: worker.checks.said_of(worker.checks.work.in_hour(hour)),
            up_minutes: u8::try_from(minutes).unwrap_or(HOUR_MINUTES).min(HOUR_MINUTES),
            exempt: exempt(worker, parameters, hour.start()),
        };
        Some(Device {
            worker: id,
            kind: listing.kind,
            pool: listing.pool,
            tier: worker.machine.tier,
            multiplier: listing.multiplier,
            quantity: listing.quantity,
            hired,
            missing,
            proofs: proofs(&parameters.checklist, &evidence),
        })
    }

    /// Whether somebody who does not own the machine had it in the hour.
    fn is_hired(&self, worker: &Worker, hour: Hour) -> bool {
        worker.hired.millis_in(hour, self.hired_since(worker), hour.end()) > 0
    }

    /// Since when a machine serves strangers without a break, if it does.
    pub(crate) fn hired_since(&self, worker: &Worker) -> Option<Timestamp> {
        let nodes = worker.nodes.iter();
        nodes.filter_map(|(rental, index)| self.serves_since(*rental, *index)).min()
    }

    /// Since when a node serves a stranger, if it does.
    fn serves_since(&self, rental: units::RentalId, index: u32) -> Option<Timestamp> {
        let rental = self.rentals.get(&rental)?;
        let Stage::Running { .. } = rental.stage else { return None };
        let node = usize::try_from(index).ok().and_then(|index| rental.nodes.get(index));
        node.filter(|node| self.is_stranger(rental.project, node.supplier))?.meter.since()
    }

    /// Whether an account has no part in a project: who rents from himself is not hired.
    pub(crate) fn is_stranger(&self, project: units::ProjectId, account: AccountId) -> bool {
        self.projects.get(&project).is_none_or(|project| !project.members.contains_key(&account))
    }

    /// What is known of a machine now, for this hour.
    fn standing(
        &self,
        (id, worker): (WorkerId, &Worker),
        listing: Listing,
        (hour, now): (Hour, Timestamp),
    ) -> Standing {
        let checks = &worker.checks;
        let status = match (&checks.blocked, &checks.failed, worker.paused) {
            (Some(_), _, _) => Status::Blocked,
            (None, Some(_), _) => Status::Unverified,
            (None, None, true) => Status::Paused,
            (None, None, false) => Status::Active,
        };
        // Proofs of the hour before are asked for, and whoever served in it was not asked to prove.
        let before = Hour::from_number(hour.number().saturating_sub(1));
        let hired = self.is_hired(worker, hour) || self.is_hired(worker, before);
        let is_pending = worker.onboarding.stage == OnboardingStage::Pending;
        Standing {
            status,
            engagement: if hired { Engagement::Hired } else { Engagement::Idle },
            // Whoever is still pending has not passed, whatever else is done.
            clusters_passed: checks.clusters_passed.filter(|passed| !passed || !is_pending),
            multiplier: listing.multiplier,
            measured_as: checks.likeness.counts_as.as_ref().map(|it| it.model.clone()),
            tier: self.connection_of(worker, now).map(|_| worker.machine.tier),
            up_since: worker.uptime.since(),
            work: checks.said_of(checks.work.as_begins(hour)),
            vram_failures: checks.vram_failures,
            vram_failed_at: checks.vram_failed_at,
            stake: self.economy.stakes.have(id, now),
            stake_needed: listing.stake_needed,
            ..Standing::default()
        }
    }

    /// The checklist of a machine as it stands now, every rule with its reason.
    pub fn ready(&self, id: WorkerId, now: Timestamp) -> Option<Vec<Checked>> {
        let worker = self.workers.get(&id)?;
        let rules = self.parameters();
        let standing = self.standing((id, worker), worker.listing, (Hour::of(now), now));
        Some(check(&rules.checklist, &standing, exempt(worker, rules, now), now))
    }

    /// What came of a proof, as whoever verified it says.
    pub(crate) fn verdict(
        &mut self,
        by: Actor,
        id: WorkerId,
        verdict: &VerdictRecord,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        let (at, passed) = (verdict.at, verdict.passed);
        let checks = &mut worker.checks;
        match verdict.proof {
            ProofSaid::Cluster => checks.clusters_passed = Some(passed),
            ProofSaid::Work => {
                let outcome = if passed { WorkOutcome::Good } else { WorkOutcome::Wrong };
                checks.work.replace(WorkProof { at, outcome });
                if passed {
                    checks.failed = None;
                    checks.pass(at);
                }
            }
            ProofSaid::Vram if passed => checks.vram_failures = 0,
            ProofSaid::Vram => {
                checks.vram_failures = checks.vram_failures.saturating_add(1);
                checks.vram_failed_at = Some(at);
            }
        }
        self.settle_onboarding(id, self.head().at);
        Ok(Reply::Done)
    }

    /// Excuses a machine from rules for a time; with no rules, takes back what it was excused from.
    pub(crate) fn exempt_worker(
        &mut self,
        by: Actor,
        id: WorkerId,
        record: ExemptionRecord,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        if record.reason.len() > NOTE_BYTES_MAX {
            let why = format!("at most {NOTE_BYTES_MAX} bytes");
            return Err(Refusal::Invalid { field: "reason", why });
        }
        let exemptions = &mut worker.checks.exemptions;
        if record.exemption.rules.is_empty() {
            exemptions.clear();
        } else if exemptions.len() >= EXEMPTIONS_MAX {
            return Err(Refusal::TooMany { what: "exemptions of a machine", max: EXEMPTIONS_MAX });
        } else {
            // Whoever is not asked any more cannot pass.
            let is_excused = record.exemption.rules.has(Rule::ProofOfWork);
            worker.checks.failed.take_if(|_| is_excused);
            exemptions.push(record);
        }
        self.settle_onboarding(id, self.head().at);
        Ok(Reply::Done)
    }

    /// Shuts a machine out, for a reason its owner reads; or lets it in again.
    pub(crate) fn block_worker(
        &mut self,
        by: Actor,
        id: WorkerId,
        (reason, kind): (Option<String>, Option<BlockKind>),
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        if reason.as_ref().is_some_and(|reason| reason.len() > NOTE_BYTES_MAX) {
            let why = format!("at most {NOTE_BYTES_MAX} bytes");
            return Err(Refusal::Invalid { field: "reason", why });
        }
        worker.checks.blocked = match (reason, kind) {
            (None, None) => None,
            (None, Some(kind)) => Some(Blocked { kind, text: kind.text().to_owned() }),
            (Some(text), kind) => Some(Blocked { kind: kind.unwrap_or(BlockKind::Other), text }),
        };
        self.show_open(id);
        Ok(Reply::Done)
    }

    /// Pays out what an account has earned in blocks.
    pub(crate) fn claim_rewards(
        &mut self,
        by: Actor,
        account: AccountId,
        wanted: Wanted,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        let claimed = self
            .economy
            .accruals
            .claim(account, wanted)
            .map_err(|why| Refusal::Invalid { field: "claim", why: why.to_string() })?;
        self.move_coins(&[(io(Holder::Rewards), io(Holder::Account(account)), claimed.amount)])
            .expect("what is not claimed lies with the rewards");
        self.changed(Subject::Account(account));
        Ok(Reply::Done)
    }
}

/// Minutes of an hour that a machine's records of time-lock allow: all while there is none of that hour, and none once
/// there have been none for too long.
fn locked_minutes(worker: &Worker, parameters: &Parameters, hour: Hour) -> u64 {
    let (locks, rules) = (&worker.locks, &parameters.time_lock);
    let most = u32::from(rules.missing_hours_max);
    let is_missing = most > 0 && locks.missing_before(hour) > most;
    let told = locks.hours.get(&hour).map(|hour| u64::from(hour.up()));
    told.unwrap_or(if is_missing { 0 } else { u64::from(HOUR_MINUTES) })
}

/// What a machine is excused from at a moment: by its own exemptions, and by these parameters all are.
pub(super) fn exempt(worker: &Worker, parameters: &Parameters, at: Timestamp) -> RuleSet {
    let own = worker.checks.exemptions.iter().map(|exemption| &exemption.exemption);
    in_force(own, at).or(parameters.exempt)
}
