//! Charging a device with an offence, and the appeal against it.

use std::collections::{BTreeMap, BTreeSet};

use units::{AccountId, Coins, FullMinute, SlashId, Timestamp, WorkerId};

use crate::chores::{Chore, Effect};
use crate::limits::{
    EVIDENCE_MAX, SLASHES_KEPT_MAX, SLASHES_OPEN_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX,
    SUMMARY_BYTES_MAX,
};
use crate::lots::sum;
use crate::slash::{
    Evidence, EvidenceKind, Home, Offence, OffenceRule, Piece, Side, Slash, SlashEvent, SlashRules,
    SlashStage, SlashStands, Statement, Step, StepKind,
};
use crate::stakes::Stakes;

/// What a device is accused of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What the slash is called; whoever makes it answers for its being new.
    pub id: SlashId,
    /// The device.
    pub worker: WorkerId,
    /// What it did.
    pub offence: Offence,
    /// When it did. Who co-staked later, or had left before, does not answer for it.
    pub offended_at: Timestamp,
    /// What the device needs at stake.
    pub need: Coins,
    /// How many cards it has, or failed to deliver.
    pub cards: u32,
    /// The unclaimed rewards to take, of the owner and of the co-staker: at most what the device earned them in the
    /// last [`OffenceRule::reward_hours`].
    pub rewards: BTreeMap<AccountId, Coins>,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

/// What a new slash locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Of stakes, all together. It stays in the same purse.
    pub stake: Coins,
    /// Of unclaimed rewards: to be brought in from the purse of rewards.
    pub rewards: Coins,
    /// Until when the accused may appeal.
    pub appeal_by: Timestamp,
}

/// How an appeal is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The slash was right. The coins are burned.
    Uphold,
    /// It was wrong. The coins go back. This may be said before any appeal, too.
    Overturn,
}

/// Why nobody was slashed, or nothing was said about a slash. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlashRefusal {
    /// Another slash has this id.
    #[error("the slash {0} is known already")]
    IdTaken(SlashId),
    /// No slash has this id, or it is long over.
    #[error("there is no slash {0}")]
    Unknown(SlashId),
    /// The offence has not happened yet.
    #[error("the offence lies in the future")]
    NotYet,
    /// More evidence than is kept.
    #[error("a slash rests on at most {EVIDENCE_MAX} pieces of evidence")]
    TooMuchEvidence,
    /// A summary is empty or too long.
    #[error(
        "a summary of evidence has 1 to {SUMMARY_BYTES_MAX} bytes: put the whole of it in the file"
    )]
    BadSummary,
    /// The evidence does not prove the offence.
    #[error(
        "{} takes evidence of at least {wanted} of these kinds, and has {found}: {}", .offence.text(), listed(.takes)
    )]
    NotProven {
        /// What is charged.
        offence: Offence,
        /// What proves it.
        takes: BTreeSet<EvidenceKind>,
        /// How many different kinds of those it takes.
        wanted: u8,
        /// How many there are.
        found: usize,
    },
    /// The device has too many slashes that await their end.
    #[error("{SLASHES_OPEN_MAX} slashes of this device await their end")]
    TooMany,
    /// The rule takes no rewards, or they are not the owner's or a co-staker's.
    #[error("{} takes no rewards of these accounts", .0.text())]
    NotTheirRewards(Offence),
    /// There is nothing to take.
    #[error("nothing answers for the device: no stake, nothing cooling down, no rewards")]
    NothingAtStake,
    /// The account has nothing in it.
    #[error("the slash takes nothing of this account")]
    NotTouched,
    /// The statement is empty or too long.
    #[error("a statement has 1 to {STATEMENT_BYTES_MAX} bytes: put the rest in a file")]
    BadStatement,
    /// The side said enough.
    #[error("a side makes at most {STATEMENTS_MAX} statements")]
    SaidEnough,
    /// The time to appeal is over.
    #[error("the time to appeal ended at {}", FullMinute(*.0))]
    TooLate(Timestamp),
    /// The slash is past that.
    #[error(transparent)]
    Stands(#[from] SlashStands),
    /// All stakes together would pass what can be written down.
    #[error("more coins than there are")]
    TooMuch,
}

impl Stakes {
    /// Charges a device with an offence: locks what its rule asks for, as far as it is there.
    ///
    /// First own and co-staked coins answer, in proportion; then coins that cool down and cannot be withdrawn yet.
    pub fn charge(
        &mut self,
        charge: &Charge,
        now: Timestamp,
        rules: &SlashRules,
    ) -> Result<Locked, SlashRefusal> {
        self.may_charge(charge, now, rules)?;
        let rule = rules.of(charge.offence);
        let demanded = rule.demand(charge.need, charge.cards);
        let answers = self.answerable(charge, now, rules);
        let stake = demanded.min(sum(answers.iter().map(|one| one.1)).share_floor(rule.cap_bp));
        let rewards = charge.rewards.values().copied().try_fold(Coins::ZERO, Coins::checked_add);
        let rewards = rewards.ok_or(SlashRefusal::TooMuch)?;
        let held = self.held.checked_add(rewards).ok_or(SlashRefusal::TooMuch)?;
        if stake.is_zero() && rewards.is_zero() {
            return Err(SlashRefusal::NothingAtStake);
        }
        let mut pieces = self.lock(charge.worker, &answers, stake);
        let taken = charge.rewards.iter().filter(|(_, amount)| !amount.is_zero());
        pieces.extend(taken.map(|(account, amount)| Piece {
            account: *account,
            amount: *amount,
            home: Home::Rewards,
        }));
        self.held = held;
        let appeal_by = now.after(rules.appeal());
        self.remember(charge, demanded, pieces, (now, appeal_by));
        Ok(Locked { stake, rewards, appeal_by })
    }

    fn may_charge(
        &self,
        charge: &Charge,
        now: Timestamp,
        rules: &SlashRules,
    ) -> Result<(), SlashRefusal> {
        if self.slashes.contains_key(&charge.id) {
            return Err(SlashRefusal::IdTaken(charge.id));
        }
        if charge.offended_at > now {
            return Err(SlashRefusal::NotYet);
        }
        let rule = rules.of(charge.offence);
        proven(charge, rule)?;
        let holding = self.devices.get(&charge.worker).ok_or(SlashRefusal::NothingAtStake)?;
        let open = holding.slashes.iter().filter(|id| self.slashes[id].stage.holds_coins()).count();
        if open >= SLASHES_OPEN_MAX {
            return Err(SlashRefusal::TooMany);
        }
        let takers = holding.offers.iter().filter_map(|id| self.offers[id].claim);
        let shared: BTreeSet<AccountId> = takers.map(|claim| claim.account).collect();
        let theirs = |account: &AccountId| *account == holding.owner || shared.contains(account);
        let any = charge.rewards.values().any(|amount| !amount.is_zero());
        if !charge.rewards.keys().all(theirs) || (any && rule.reward_hours == 0) {
            return Err(SlashRefusal::NotTheirRewards(charge.offence));
        }
        Ok(())
    }

    fn remember(
        &mut self,
        charge: &Charge,
        demanded: Coins,
        pieces: Vec<Piece>,
        (now, appeal_by): (Timestamp, Timestamp),
    ) {
        let slash = Slash {
            worker: charge.worker,
            owner: self.devices[&charge.worker].owner,
            offence: charge.offence,
            offended_at: charge.offended_at,
            demanded,
            pieces,
            evidence: charge.evidence.clone(),
            statements: Vec::new(),
            stage: SlashStage::Open { until: appeal_by },
            history: vec![Step { at: now, what: StepKind::Charged }],
        };
        let slashes = &mut self.slashes;
        let remembered = self.devices.change(charge.worker, |holding| {
            holding.slashes.push(charge.id);
            while holding.slashes.len() > SLASHES_KEPT_MAX {
                let over = |id| slashes.get(id).is_some_and(|slash| !slash.stage.holds_coins());
                let at = holding.slashes.iter().position(over);
                let at = at.expect("fewer may be open than are kept");
                slashes.remove(&holding.slashes.remove(at));
            }
        });
        remembered.expect("what is charged has a stake");
        self.slashes.insert(charge.id, slash);
        self.agenda.insert((appeal_by, Chore::SlashDue(charge.id)));
    }

    /// An account whose coins are locked appeals, and says why. They stay locked until it is decided: returned is by
    /// when that must be.
    pub fn appeal(
        &mut self,
        id: SlashId,
        statement: Statement,
        now: Timestamp,
        rules: &SlashRules,
    ) -> Result<Timestamp, SlashRefusal> {
        let slash = self.slashes.get(&id).ok_or(SlashRefusal::Unknown(id))?;
        let Side::Accused(_) = statement.by else { return Err(SlashRefusal::NotTouched) };
        slash.may_say(&statement)?;
        if let SlashStage::Open { until } = slash.stage
            && now >= until
        {
            return Err(SlashRefusal::TooLate(until));
        }
        let decide_by = now.after(rules.decision());
        self.step(id, SlashEvent::Appealed { decide_by }, now)?;
        let slash = self.slashes.get_mut(&id).expect("it was found above");
        slash.statements.push(statement);
        Ok(decide_by)
    }

    /// Either side adds a statement, while the coins are locked.
    pub fn state(
        &mut self,
        id: SlashId,
        statement: Statement,
        now: Timestamp,
    ) -> Result<(), SlashRefusal> {
        let slash = self.slashes.get_mut(&id).ok_or(SlashRefusal::Unknown(id))?;
        slash.may_say(&statement)?;
        if !slash.stage.holds_coins() {
            return Err(SlashStands { state: slash.stage.text() }.into());
        }
        slash.statements.push(statement);
        slash.history.push(Step { at: now, what: StepKind::Stated });
        Ok(())
    }

    /// Decides a slash, with the reason. Says what is to be burned or what went back.
    pub fn decide(
        &mut self,
        id: SlashId,
        verdict: Verdict,
        reason: Statement,
        now: Timestamp,
    ) -> Result<Effect, SlashRefusal> {
        let slash = self.slashes.get(&id).ok_or(SlashRefusal::Unknown(id))?;
        reason.sized()?;
        let event = match verdict {
            Verdict::Uphold => SlashEvent::Upheld,
            Verdict::Overturn => SlashEvent::Overturned,
        };
        slash.stage.on(event, now)?;
        let slash = self.slashes.get_mut(&id).expect("it was found above");
        slash.statements.push(Statement { by: Side::Network, ..reason });
        let effect = self.step(id, event, now)?;
        Ok(effect.expect("both verdicts end a slash"))
    }

    /// A slash, while it is remembered.
    pub fn slash(&self, id: SlashId) -> Option<&Slash> {
        self.slashes.get(&id)
    }

    /// Every slash that is remembered, by id.
    pub fn slashes(&self) -> impl Iterator<Item = (SlashId, &Slash)> {
        self.slashes.iter().map(|(id, slash)| (*id, slash))
    }

    /// The slashes of a device that are remembered, oldest first.
    pub fn slashes_of(&self, worker: WorkerId) -> impl Iterator<Item = (SlashId, &Slash)> {
        let ids = self.devices.get(&worker).map_or(&[][..], |holding| &holding.slashes);
        ids.iter().map(|id| (*id, &self.slashes[id]))
    }

    /// Moves a slash, and its coins when it ends.
    pub(crate) fn step(
        &mut self,
        id: SlashId,
        event: SlashEvent,
        now: Timestamp,
    ) -> Result<Option<Effect>, SlashStands> {
        let slash = self.slashes.get_mut(&id).expect("the caller found it");
        let (before, next) = (slash.stage, slash.stage.on(event, now)?);
        slash.stage = next;
        slash.history.push(Step { at: now, what: step_kind(event, next) });
        if let Some(due) = before.due_at() {
            self.agenda.remove(&(due, Chore::SlashDue(id)));
        }
        if let Some(due) = next.due_at() {
            self.agenda.insert((due, Chore::SlashDue(id)));
            return Ok(None);
        }
        Ok(Some(if next.is_burned() { self.burn(id, now) } else { self.restore(id) }))
    }
}

fn step_kind(event: SlashEvent, next: SlashStage) -> StepKind {
    match event {
        SlashEvent::Appealed { .. } => StepKind::Appealed,
        SlashEvent::Upheld => StepKind::Upheld,
        SlashEvent::Overturned => StepKind::Overturned,
        SlashEvent::TimeUp if next.is_burned() => StepKind::Expired,
        SlashEvent::TimeUp => StepKind::Undecided,
    }
}

fn listed(kinds: &BTreeSet<EvidenceKind>) -> String {
    kinds.iter().map(|kind| kind.text()).collect::<Vec<_>>().join(", ")
}

/// Refuses unless the evidence is what the rule asks for.
fn proven(charge: &Charge, rule: &OffenceRule) -> Result<(), SlashRefusal> {
    if charge.evidence.len() > EVIDENCE_MAX {
        return Err(SlashRefusal::TooMuchEvidence);
    }
    let good = |summary: &String| !summary.is_empty() && summary.len() <= SUMMARY_BYTES_MAX;
    if !charge.evidence.iter().all(|evidence| good(&evidence.summary)) {
        return Err(SlashRefusal::BadSummary);
    }
    let kinds: BTreeSet<EvidenceKind> =
        charge.evidence.iter().map(|evidence| evidence.kind).collect();
    let found = kinds.intersection(&rule.evidence).count();
    if found >= usize::from(rule.kinds_min) && found > 0 {
        return Ok(());
    }
    Err(SlashRefusal::NotProven {
        offence: charge.offence,
        takes: rule.evidence.clone(),
        wanted: rule.kinds_min,
        found,
    })
}

impl Statement {
    fn sized(&self) -> Result<(), SlashRefusal> {
        let good = !self.text.is_empty() && self.text.len() <= STATEMENT_BYTES_MAX;
        if good { Ok(()) } else { Err(SlashRefusal::BadStatement) }
    }
}

impl Slash {
    /// Refuses a statement of who has nothing in it, of no or too many words, or one too many of that side.
    fn may_say(&self, statement: &Statement) -> Result<(), SlashRefusal> {
        let accused = match statement.by {
            Side::Accused(account) if !self.touches(account) => {
                return Err(SlashRefusal::NotTouched);
            }
            Side::Accused(_) => true,
            Side::Network => false,
        };
        statement.sized()?;
        let same = |said: &&Statement| matches!(said.by, Side::Accused(_)) == accused;
        if self.statements.iter().filter(same).count() >= STATEMENTS_MAX {
            return Err(SlashRefusal::SaidEnough);
        }
        Ok(())
    }
}
