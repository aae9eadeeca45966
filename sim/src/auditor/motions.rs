//! What the auditor believes of votes: what each proposal must reach, who has voted, and when it may be carried out.
//!
//! Powers are taken as they are when a proposal is made, and checked against what each account had put in by then.
//! From there on everything is the auditor's own: whose vote counts for whom, the sums, the stages, the hours.

use std::collections::{BTreeMap, BTreeSet};

use control::{Actor, Body, Command, Control, ProposalRecord};
use stakes::votes::{Cancellation, Choice, Defeat, Kind, KindName, Stage, Switch, VoteRules};
use units::{AccountId, HOUR, Hour, ProposalId, Timestamp};

use super::Belief;
use super::brake::Powers;
use crate::broken::{Broken, Invariant, Step, must};

const WHOLE_BP: u128 = 10_000;

/// Votes, and who votes for whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Motions {
    of: BTreeMap<ProposalId, Motion>,
    delegates: BTreeMap<AccountId, AccountId>,
}

/// One proposal.
#[derive(Clone, Debug)]
struct Motion {
    kind: Kind,
    proposer: AccountId,
    powers: Powers,
    /// Who voted for whom when it was made.
    lent: BTreeMap<AccountId, AccountId>,
    must_reach: Reach,
    opens: Timestamp,
    closes: Timestamp,
    /// When it may be carried out, if it is voted through.
    from: Timestamp,
    until: Timestamp,
    ballots: BTreeMap<AccountId, Choice>,
    objectors: BTreeSet<AccountId>,
    stage: Stage,
}

/// What a proposal must reach, in units of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reach {
    total: u128,
    propose: u128,
    quorum: u128,
    threshold_bp: u128,
    veto: u128,
}

/// The part of a total, rounded up and never nothing.
pub(super) fn part(total: u128, bp: u16) -> u128 {
    (total * u128::from(bp)).div_ceil(WHOLE_BP).max(1)
}

impl Reach {
    fn new(powers: &Powers, kind: KindName, rules: &VoteRules) -> Self {
        let total = powers.values().map(|units| u128::from(*units)).sum();
        let is_special = rules.supermajority_for.contains(&kind);
        let threshold_bp = if is_special { rules.supermajority_bp } else { rules.threshold_bp };
        Self {
            total,
            propose: part(total, rules.propose_min_bp),
            quorum: part(total, rules.quorum_bp),
            threshold_bp: threshold_bp.into(),
            veto: part(total, rules.veto_bp),
        }
    }
}

impl Motion {
    fn new(record: &ProposalRecord, kind: Kind, at: Timestamp, rules: &VoteRules) -> Self {
        let opens = at.after(HOUR * rules.voting_delay_hours);
        let closes = opens.after(HOUR * rules.voting_period_hours);
        let from = closes.after(HOUR * rules.timelock_hours);
        let must_reach = Reach::new(&Powers::new(), kind.name(), rules);
        Self {
            kind,
            proposer: record.account,
            powers: Powers::new(),
            lent: BTreeMap::new(),
            must_reach,
            opens,
            closes,
            from,
            until: from.after(HOUR * rules.execution_hours),
            ballots: BTreeMap::new(),
            objectors: BTreeSet::new(),
            stage: Stage::Pending { until: opens },
        }
    }

    /// Yes, no and abstentions: everybody's power where they voted themselves, or else where their delegate did.
    fn tally(&self) -> [u128; 3] {
        let mut sums = [0; 3];
        for (account, units) in &self.powers {
            let own = self.ballots.get(account);
            let lent = || self.ballots.get(self.lent.get(account)?);
            let Some(choice) = own.or_else(lent) else { continue };
            let side = match choice {
                Choice::Yes => 0,
                Choice::No => 1,
                Choice::Abstain => 2,
            };
            sums[side] += u128::from(*units);
        }
        sums
    }

    fn objected(&self) -> u128 {
        self.objectors.iter().filter_map(|it| self.powers.get(it)).map(|it| u128::from(*it)).sum()
    }

    fn has_a_say(&self, account: AccountId) -> bool {
        let trusts =
            |(who, to): (&AccountId, &AccountId)| *to == account && !self.ballots.contains_key(who);
        self.powers.contains_key(&account) || self.lent.iter().any(trusts)
    }

    /// What the vote comes to when it closes.
    fn verdict(&self) -> Stage {
        let [yes, no, abstain] = self.tally();
        let at = self.closes;
        if yes + abstain < self.must_reach.quorum {
            return Stage::Defeated { at, why: Defeat::NoQuorum };
        }
        if yes * WHOLE_BP <= (yes + no) * self.must_reach.threshold_bp {
            return Stage::Defeated { at, why: Defeat::Outvoted };
        }
        match self.kind {
            Kind::Text => Stage::Succeeded { at },
            Kind::Parameters { .. } | Kind::Registry { .. } | Kind::AppealJury { .. } => {
                Stage::Queued { from: self.from, until: self.until }
            }
        }
    }

    /// Where time alone has brought it by `at`, a step after the other.
    fn after_time(&self, at: Timestamp) -> Stage {
        let mut stage = self.stage.clone();
        if matches!(stage, Stage::Pending { .. }) && at >= self.opens {
            stage = Stage::Voting { until: self.closes };
        }
        if matches!(stage, Stage::Voting { .. }) && at >= self.closes {
            stage = self.verdict();
        }
        if matches!(stage, Stage::Queued { .. }) && at >= self.until {
            stage = Stage::Expired { at: self.until };
        }
        stage
    }

    /// Whether it can be taken back, and falls with its proposer's power: until its vote has ended, whoever slept.
    fn may_fall(&self, at: Timestamp) -> bool {
        matches!(self.stage, Stage::Pending { .. } | Stage::Voting { .. }) && at < self.closes
    }

    const fn changes_rules(&self) -> bool {
        matches!(self.kind, Kind::Parameters { .. } | Kind::Registry { .. })
    }
}

fn wrong(seen: String) -> Broken {
    Broken { invariant: Invariant::Votes, seen }
}

impl Belief {
    /// What one entry does to votes. What was carried out becomes a version of the rules.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_votes(&mut self, control: &Control, body: &Body) -> Step {
        use Command as C;
        match &body.command {
            C::Propose { proposal } => self.see_proposal(control, body, proposal)?,
            C::Delegate { account, to } => {
                only_oneself(body, *account)?;
                match to {
                    Some(to) => self.motions.delegates.insert(*account, *to),
                    None => self.motions.delegates.remove(account),
                };
            }
            C::Vote { proposal, account, choice } => {
                self.see_ballot(body, *proposal, *account, *choice)?;
            }
            C::VetoProposal { proposal, account } => {
                self.see_objection(body, *proposal, *account)?;
            }
            C::CancelProposal { proposal, account } => {
                only_oneself(body, *account)?;
                let at = self.at;
                let motion = self.motion(*proposal)?;
                must(*account == motion.proposer && motion.may_fall(at), Invariant::Votes, || {
                    format!("{body:?} while it is {:?}", motion.stage)
                })?;
                motion.stage = Stage::Cancelled { at, why: Cancellation::ByProposer };
            }
            _ => {}
        }
        self.see_stages(control, body)
    }

    fn motion(&mut self, id: ProposalId) -> Result<&mut Motion, Broken> {
        self.motions.of.get_mut(&id).ok_or_else(|| wrong(format!("{id} was never proposed")))
    }

    fn see_proposal(&mut self, control: &Control, body: &Body, record: &ProposalRecord) -> Step {
        only_oneself(body, record.account)?;
        let id = record.proposal;
        let known = control.economy().votes.proposal(id);
        let known = known.ok_or_else(|| wrong(format!("{id} is not there")))?;
        let rules = control.parameters().votes.clone();
        let mut motion = Motion::new(record, known.kind.clone(), self.at, &rules);
        motion.powers = self.powers_now(control)?;
        if let Kind::AppealJury { slash } = motion.kind {
            // Whose machine and whose coins are at issue is no judge of it, nor is who would let them vote.
            let known = control.economy().stakes.slash(slash);
            let pieces = known.into_iter().flat_map(|slash| &slash.pieces);
            let owner = known.map(|slash| slash.owner);
            let accused: BTreeSet<AccountId> =
                pieces.map(|piece| piece.account).chain(owner).collect();
            let delegates = &self.motions.delegates;
            motion.powers.retain(|account, _| {
                let lent = delegates.get(account).is_some_and(|to| accused.contains(to));
                !accused.contains(account) && !lent
            });
        }
        motion.must_reach = Reach::new(&motion.powers, motion.kind.name(), &rules);
        let lent = self.motions.delegates.iter().map(|(who, to)| (*who, *to));
        motion.lent = lent.filter(|(who, _)| motion.powers.contains_key(who)).collect();
        let has = motion.powers.get(&record.account).copied().unwrap_or(0);
        let terms = &known.terms;
        let says = Reach {
            total: terms.total.units().into(),
            propose: terms.propose_min.units().into(),
            quorum: terms.quorum.units().into(),
            threshold_bp: terms.threshold_bp.into(),
            veto: terms.veto.units().into(),
        };
        let agrees = says == motion.must_reach && u128::from(has) >= says.propose;
        must(agrees, Invariant::Votes, || {
            format!("{id} by {has} must reach {:?}, and says {says:?}", motion.must_reach)
        })?;
        self.motions.of.insert(id, motion);
        Ok(())
    }

    /// What everybody votes with now: never more than they had put in when coins had to be there.
    pub(super) fn powers_now(&self, control: &Control) -> Result<Powers, Broken> {
        let days = u64::from(control.parameters().stakes.vote_age_days);
        let oldest = self.at.millis().checked_sub(days * 86_400_000);
        let powers = control.powers(self.at);
        let powers = powers.into_iter().map(|(account, coins)| (account, coins.units()));
        let powers: Powers = powers.filter(|(_, units)| *units > 0).collect();
        for (account, units) in &powers {
            let most = oldest.map_or(0, |oldest| {
                self.at_stake.put_in_by(*account, Timestamp::from_millis(oldest))
            });
            must(*units <= most, Invariant::Votes, || {
                format!("{account} votes with {units}, and had put in {most} in time")
            })?;
        }
        Ok(powers)
    }

    fn see_ballot(
        &mut self,
        body: &Body,
        id: ProposalId,
        account: AccountId,
        choice: Choice,
    ) -> Step {
        only_oneself(body, account)?;
        let at = self.at;
        let motion = self.motion(id)?;
        let open = matches!(motion.stage, Stage::Voting { .. });
        let in_time = motion.opens <= at && at < motion.closes;
        must(open && in_time && motion.has_a_say(account), Invariant::Votes, || {
            format!("{account} voted on {id} at {at:?}: {motion:?}")
        })?;
        motion.ballots.insert(account, choice);
        Ok(())
    }

    fn see_objection(&mut self, body: &Body, id: ProposalId, account: AccountId) -> Step {
        only_oneself(body, account)?;
        let at = self.at;
        let motion = self.motion(id)?;
        let open = matches!(motion.stage, Stage::Voting { until } | Stage::Queued { until, .. }
            if at < until);
        let new = motion.powers.contains_key(&account) && motion.objectors.insert(account);
        must(open && new, Invariant::Votes, || {
            format!("{account} objected to {id} at {at:?}: {motion:?}")
        })?;
        if motion.objected() >= motion.must_reach.veto {
            motion.stage = Stage::Vetoed { at };
            self.tale.vetoed += 1;
        }
        Ok(())
    }

    /// Every proposal stands where it should.
    fn see_stages(&mut self, control: &Control, body: &Body) -> Step {
        let wakes = matches!(body.command, Command::Wake {});
        let (at, held) = (self.at, self.is_braked(Switch::ParameterChanges));
        let mut done: Vec<(Timestamp, ProposalId)> = Vec::new();
        let mut in_vain = 0;
        for (id, motion) in &mut self.motions.of {
            let Some(known) = control.economy().votes.proposal(*id) else { continue };
            let expected = if wakes { motion.after_time(at) } else { motion.stage.clone() };
            let is_due = wakes
                && matches!(expected, Stage::Queued { .. })
                && motion.from <= at
                && !(held && motion.changes_rules());
            let is_done = match &known.stage {
                Stage::Executed { at: when } | Stage::Failed { at: when, .. } => {
                    is_due && *when == at
                }
                Stage::Cancelled { at: when, why: Cancellation::PowerLost } => {
                    *when == at && motion.may_fall(at)
                }
                Stage::Pending { .. }
                | Stage::Voting { .. }
                | Stage::Queued { .. }
                | Stage::Succeeded { .. }
                | Stage::Defeated { .. }
                | Stage::Expired { .. }
                | Stage::Cancelled { why: Cancellation::ByProposer, .. }
                | Stage::Vetoed { .. } => false,
            };
            let as_expected = is_done || known.stage == expected && !is_due;
            must(as_expected, Invariant::Votes, || {
                format!("{id} should be {expected:?} at {at:?}, is {:?}: {motion:?}", known.stage)
            })?;
            if is_due && matches!(known.stage, Stage::Executed { .. }) {
                done.push((motion.from, *id));
            }
            in_vain += u64::from(is_due && matches!(known.stage, Stage::Failed { .. }));
            let tally = [known.tally.yes, known.tally.no, known.tally.abstain];
            let tally = tally.map(|side| u128::from(side.units()));
            must(tally == motion.tally(), Invariant::Votes, || {
                format!("{id} has {tally:?}: {motion:?}")
            })?;
            motion.stage = known.stage.clone();
        }
        done.sort_unstable();
        self.tale.in_vain += in_vain;
        self.tale.executed += u64::try_from(done.len()).unwrap_or(0);
        done.into_iter().try_for_each(|(_, id)| self.see_executed(control, id))
    }

    /// What was decided is done.
    fn see_executed(&mut self, control: &Control, id: ProposalId) -> Step {
        let at = self.at;
        let kind = self.motion(id)?.kind.clone();
        match kind {
            Kind::Parameters { patch } | Kind::Registry { patch } => {
                let from = self.rules.newest_from().max(Hour::of(at).next());
                self.rules.decide(&patch, from);
            }
            Kind::AppealJury { slash } => {
                let slash = control.economy().stakes.slash(slash);
                let open =
                    slash.is_some_and(|slash| slash.stage.holds_coins() || slash.stage.is_burned());
                must(!open, Invariant::Votes, || format!("{id} overturned {slash:?}"))?;
            }
            Kind::Text => return Err(wrong(format!("{id} was executed: it is an opinion"))),
        }
        Ok(())
    }
}

/// Nobody has a say in the name of another.
pub(super) fn only_oneself(body: &Body, account: AccountId) -> Step {
    must(body.by == Actor::Account(account), Invariant::Authority, || {
        format!("{:?} did {:?}", body.by, body.command)
    })
}
