//! What the auditor believes of reward programs: what lies in their purses, who has points, and who must be paid what.
//!
//! Points of quests are its own. Those of work it takes hour by hour as they are, within what the hours of machines
//! allow. Shares are worked out again: what is paid must be in the book, to the unit.

use std::collections::{BTreeMap, BTreeSet};

use control::{Actor, Body, Command, Control, SeasonRecord};
use ledger::Holder;
use rewards::season::{Basis, SeasonPlan, Stage};
use stakes::votes::Switch;
use units::{AccountId, Asset, HOUR, Hour, Name, SeasonId, Timestamp, WorkerId};

use super::Belief;
use crate::broken::{Broken, Invariant, Step, must};

/// Reward programs that are not withdrawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    of: BTreeMap<SeasonId, Program>,
}

#[derive(Clone, Debug)]
struct Program {
    plan: SeasonPlan,
    /// Thousandths of points for quests, and for work.
    quests: BTreeMap<AccountId, u64>,
    work: BTreeMap<AccountId, u64>,
    /// Proofs, and what they were shown for.
    proofs: BTreeMap<String, (Name, AccountId)>,
    is_paid: bool,
}

impl Program {
    /// When no more activity is taken.
    fn closes(&self) -> Timestamp {
        self.plan.until.start().after(HOUR * self.plan.closing_hours)
    }

    fn prizes(&self) -> u64 {
        self.plan.pools.values().map(|pool| pool.prize.units()).sum()
    }

    fn points(&self, basis: Basis) -> BTreeMap<AccountId, u64> {
        let known: BTreeSet<AccountId> =
            self.quests.keys().chain(self.work.keys()).copied().collect();
        let of = |account: AccountId| {
            let work = self.work.get(&account).copied().unwrap_or(0);
            let quests = self.quests.get(&account).copied().unwrap_or(0);
            let points = match basis {
                Basis::Work => work,
                Basis::Quests => quests,
                Basis::All => work + quests,
            };
            (account, points)
        };
        known.into_iter().map(of).filter(|(_, points)| *points > 0).collect()
    }

    /// Who gets what, and under nobody's name what nobody has points for.
    fn payout(&self) -> BTreeMap<Option<AccountId>, u64> {
        let mut parts = BTreeMap::new();
        for pool in self.plan.pools.values() {
            let points = self.points(pool.basis);
            for (account, units) in share(pool.prize.units(), &points) {
                *parts.entry(account).or_default() += units;
            }
        }
        parts
    }
}

/// Shares by points: each rounded down, and one unit more for those who lost most by it, in order of name.
fn share(prize: u64, points: &BTreeMap<AccountId, u64>) -> Vec<(Option<AccountId>, u64)> {
    let all: u128 = points.values().map(|points| u128::from(*points)).sum();
    if all == 0 {
        return vec![(None, prize)];
    }
    let exact = |points: u64| u128::from(prize) * u128::from(points);
    let mut parts: Vec<(u128, AccountId, u64)> = points
        .iter()
        .map(|(account, points)| {
            let whole = u64::try_from(exact(*points) / all).expect("a part of the prize");
            (exact(*points) % all, *account, whole)
        })
        .collect();
    parts.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    let mut left = prize - parts.iter().map(|(_, _, units)| units).sum::<u64>();
    for (_, _, units) in &mut parts {
        let more = left.min(1);
        (*units, left) = (*units + more, left - more);
    }
    parts.into_iter().map(|(_, account, units)| (Some(account), units)).collect()
}

fn wrong(seen: String) -> Broken {
    Broken { invariant: Invariant::Seasons, seen }
}

impl Belief {
    /// What one entry does to reward programs; whether any money moved.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_seasons(&mut self, control: &Control, body: &Body) -> Result<bool, Broken> {
        use Command as C;
        let moved = match &body.command {
            C::OpenSeason { season } => self.see_season(body, season)?,
            C::WithdrawSeason { season } => {
                only_operator(body)?;
                let program = self.programs.of.remove(season);
                let program = program.ok_or_else(|| wrong(format!("{season} is not there")))?;
                let early = self.at < program.plan.from.start();
                must(early, Invariant::Seasons, || format!("{season} had begun"))?;
                let purse = Holder::Season(*season);
                self.money.flow(Asset::Io, purse, Holder::Treasury, program.prizes())?;
                true
            }
            C::CompleteQuest { season, quest, account, proof } => {
                only_operator(body)?;
                self.see_quest(*season, quest, *account, proof)?;
                false
            }
            C::Wake {} => {
                let paid = self.see_paid(control)?;
                self.see_work(control)?;
                paid
            }
            _ => false,
        };
        Ok(moved)
    }

    fn see_season(&mut self, body: &Body, record: &SeasonRecord) -> Result<bool, Broken> {
        only_operator(body)?;
        let plan = record.plan.clone();
        let program = Program {
            plan,
            quests: BTreeMap::new(),
            work: BTreeMap::new(),
            proofs: BTreeMap::new(),
            is_paid: false,
        };
        let (prizes, purse) = (program.prizes(), Holder::Season(record.season));
        let sound = prizes > 0 && program.plan.from.start() >= self.at;
        must(sound, Invariant::Seasons, || format!("{record:?} at {:?}", self.at))?;
        self.programs.of.insert(record.season, program);
        self.money.flow(Asset::Io, Holder::Treasury, purse, prizes)?;
        Ok(true)
    }

    fn see_quest(&mut self, id: SeasonId, quest: &Name, who: AccountId, proof: &str) -> Step {
        let at = self.at;
        let program = self.programs.of.get_mut(&id);
        let program = program.ok_or_else(|| wrong(format!("{id} is not there")))?;
        let asked = program.plan.quests.get(quest);
        let asked = *asked
            .map(|quest| (quest.points, quest.completions_max))
            .as_ref()
            .ok_or_else(|| wrong(format!("{quest} is no quest of {id}")))?;
        let runs = program.plan.from.start() <= at && at < program.plan.until.start();
        let again = program.proofs.get(proof) == Some(&(quest.clone(), who));
        let done = program.proofs.values().filter(|(done, _)| done == quest);
        let whose: Vec<AccountId> = done.map(|(_, account)| *account).collect();
        let room = u32::try_from(whose.len()).is_ok_and(|count| count < asked.1);
        let new = !program.proofs.contains_key(proof) && !whose.contains(&who) && room;
        must(runs && (again || new), Invariant::Seasons, || {
            format!("{who} did {quest} at {at:?} by {proof}: {program:?}")
        })?;
        if new {
            *program.quests.entry(who).or_default() += u64::from(asked.0) * 1_000;
            program.proofs.insert(proof.to_owned(), (quest.clone(), who));
        }
        Ok(())
    }

    /// Programs that are over are paid at once, unless the brake stops what is taken out; and none before.
    fn see_paid(&mut self, control: &Control) -> Result<bool, Broken> {
        let (at, held) = (self.at, self.is_braked(Switch::Claims));
        let mut payouts = Vec::new();
        for (id, program) in self.programs.of.iter_mut().filter(|(_, program)| !program.is_paid) {
            let stage = control.economy().seasons.season(*id).map(|season| season.stage);
            let is_paid = matches!(stage, Some(Stage::Paid { .. }));
            let due = program.closes() <= at && !held;
            must(is_paid == due, Invariant::Seasons, || {
                format!("{id} is {stage:?} at {at:?}, due {due}: {program:?}")
            })?;
            program.is_paid = is_paid;
            if is_paid {
                payouts.push((*id, program.prizes(), program.payout()));
            }
        }
        for (id, prizes, parts) in &payouts {
            let all: u64 = parts.values().sum();
            must(all == *prizes, Invariant::Seasons, || format!("{id} pays {all} of {prizes}"))?;
            for (account, units) in parts {
                let to = account.map_or(Holder::Treasury, Holder::Account);
                self.money.flow(Asset::Io, Holder::Season(*id), to, *units)?;
            }
        }
        self.tale.seasons += u64::try_from(payouts.len()).unwrap_or(0);
        Ok(!payouts.is_empty())
    }

    /// What machines earn in hours that close: for all of the time they were up, and for jobs in it at most as much.
    fn see_work(&mut self, control: &Control) -> Step {
        let (Some(open), Some(next)) = (self.blocks.open(), control.economy().blocks.open) else {
            return Ok(());
        };
        let hours: Vec<Hour> = (0..next.since(open)).map(|count| open.later(count)).collect();
        let mut programs = std::mem::take(&mut self.programs.of);
        for (id, program) in programs.iter_mut().filter(|(_, program)| !program.is_paid) {
            let takes = self.at < program.closes();
            let of = |hour: &&Hour| takes && program.plan.contains(**hour);
            let bounds = self.bounds_of(control, &program.plan, hours.iter().filter(of));
            let Some(season) = control.economy().seasons.season(*id) else { continue };
            for (account, (least, most)) in bounds {
                let work = season.standing(account).map_or(0, |it| it.work.thousandths());
                let before = program.work.insert(account, work).unwrap_or(0);
                let earned = work.checked_sub(before);
                let agrees = earned.is_some_and(|earned| least <= earned && earned <= most);
                must(agrees, Invariant::Seasons, || {
                    format!("{account} had {before} and has {work} in {id}, for {least} to {most}")
                })?;
            }
        }
        self.programs.of = programs;
        Ok(())
    }

    /// The least and the most that each account can have earned in these hours, in thousandths of points.
    fn bounds_of<'a>(
        &self,
        control: &Control,
        plan: &SeasonPlan,
        hours: impl Iterator<Item = &'a Hour>,
    ) -> BTreeMap<AccountId, (u64, u64)> {
        let rules = &plan.points;
        let mut bounds: BTreeMap<AccountId, (u64, u64)> = BTreeMap::new();
        for hour in hours {
            for (id, worker) in control.workers() {
                let minutes = self.blocks.minutes_of(id, *hour, self.at);
                let tier = u64::from(rules.of_tier(worker.machine.tier).hundredths());
                let listing = worker.listing;
                let model =
                    u64::from(listing.multiplier.hundredths()) * u64::from(listing.quantity);
                let points = |weight: u32| {
                    let whole = minutes * u64::from(weight) * tier * model;
                    if worker.checks.blocked.is_some() || worker.checks.failed.is_some() {
                        0
                    } else {
                        whole / 600
                    }
                };
                let nominated = was_nominated(control, id, *hour).filter(|_| rules.nominated_only);
                let (least, most) = bounds.entry(worker.owner).or_default();
                let is_known = !rules.nominated_only || nominated.is_some();
                if is_known && nominated != Some(false) {
                    *least += points(rules.uptime_weight);
                }
                if nominated != Some(false) {
                    *most += points(rules.uptime_weight + rules.job_weight);
                }
            }
        }
        bounds
    }
}

/// Whether a machine passed the checklist of an hour, as its block says; nobody knows of blocks before the newest.
fn was_nominated(control: &Control, id: WorkerId, hour: Hour) -> Option<bool> {
    let (last, block) = control.economy().blocks.last.as_ref()?;
    let row = block.rows.iter().find(|row| row.device.worker == id);
    (*last == hour).then(|| row.is_some_and(|row| row.device.missing.is_empty()))
}

fn only_operator(body: &Body) -> Step {
    must(body.by == Actor::Operator, Invariant::Authority, || {
        format!("{:?} did {:?}", body.by, body.command)
    })
}
