//! What the auditor believes of the brake: what it stops, since when, until when, and who wants it off.

use std::collections::{BTreeMap, BTreeSet};

use control::{Actor, Body, BrakeRecord, Command, Control, Refusal};
use stakes::votes::Switch;
use units::{AccountId, HOUR, Timestamp};

use super::Belief;
use super::motions::{only_oneself, part};
use crate::broken::{Broken, Invariant, Step, must};

/// Voting power by account, in units; nobody with nothing.
pub(super) type Powers = BTreeMap<AccountId, u64>;

/// The brake, and when the last one was over.
#[derive(Clone, Debug, Default)]
pub(super) struct Brakes {
    on: Option<Brake>,
    over: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Brake {
    what: BTreeSet<Switch>,
    until: Timestamp,
    veto: u128,
    powers: Powers,
    objectors: BTreeSet<AccountId>,
}

impl Brakes {
    /// Forgets a brake whose time is over.
    fn pass(&mut self, at: Timestamp) {
        if let Some(brake) = self.on.take_if(|brake| brake.until <= at) {
            self.over = Some(brake.until);
        }
    }

    fn lift(&mut self, at: Timestamp) {
        self.on = None;
        self.over = Some(at);
    }
}

impl Belief {
    pub(super) fn is_braked(&self, what: Switch) -> bool {
        self.brakes.on.as_ref().is_some_and(|brake| brake.what.contains(&what))
    }

    /// What one entry does to the brake, and whether the brake let it pass.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_brake(&mut self, control: &Control, body: &Body) -> Step {
        let at = self.at;
        self.brakes.pass(at);
        let stopped = stopped_by(&body.command).filter(|what| self.is_braked(*what));
        must(stopped.is_none(), Invariant::Brake, || {
            format!("{:?} passed the brake of {:?}", body.command, self.brakes.on)
        })?;
        match &body.command {
            Command::PullBrake { brake } => self.see_pulled(control, body, brake)?,
            Command::LiftBrake {} => {
                let may = body.by == Actor::Operator;
                must(may, Invariant::Authority, || format!("{:?} let go", body.by))?;
                must(self.brakes.on.is_some(), Invariant::Brake, || "none was on".to_owned())?;
                self.brakes.lift(at);
            }
            Command::VetoBrake { account } => self.see_brake_objection(body, *account)?,
            _ => {}
        }
        self.brake_agrees(control)
    }

    fn see_pulled(&mut self, control: &Control, body: &Body, record: &BrakeRecord) -> Step {
        must(body.by == Actor::Operator, Invariant::Authority, || format!("{:?}", body.by))?;
        let rules = &control.parameters().votes;
        let rested = self
            .brakes
            .over
            .is_none_or(|over| over.after(HOUR * rules.brake_pause_hours) <= self.at);
        let short = (1..=rules.brake_hours_max).contains(&record.hours);
        let may = self.brakes.on.is_none() && rested && short && !record.what.is_empty();
        must(may, Invariant::Brake, || format!("{record:?} after {:?}", self.brakes))?;
        self.tale.brakes += 1;
        let powers = self.powers_now(control)?;
        let total = powers.values().map(|units| u128::from(*units)).sum();
        self.brakes.on = Some(Brake {
            what: record.what.clone(),
            until: self.at.after(HOUR * record.hours),
            veto: part(total, rules.brake_veto_bp),
            powers,
            objectors: BTreeSet::new(),
        });
        Ok(())
    }

    fn see_brake_objection(&mut self, body: &Body, account: AccountId) -> Step {
        only_oneself(body, account)?;
        let at = self.at;
        let Some(brake) = self.brakes.on.as_mut() else {
            let seen = format!("{account} objected to no brake");
            return Err(Broken { invariant: Invariant::Brake, seen });
        };
        let new = brake.powers.contains_key(&account) && brake.objectors.insert(account);
        must(new, Invariant::Brake, || format!("{account} objected to {brake:?}"))?;
        let objected = brake.objectors.iter().filter_map(|it| brake.powers.get(it));
        if objected.map(|units| u128::from(*units)).sum::<u128>() >= brake.veto {
            self.tale.lifted += 1;
            self.brakes.lift(at);
        }
        Ok(())
    }

    /// Exactly the brake that should be on is on, and nothing else.
    fn brake_agrees(&self, control: &Control) -> Step {
        let known = control.economy().votes.brake_on(self.at);
        let agrees = match (&self.brakes.on, known) {
            (None, None) => true,
            (Some(ours), Some(known)) => ours.what == known.what && ours.until == known.until,
            (Some(_), None) | (None, Some(_)) => false,
        };
        must(agrees, Invariant::Brake, || {
            format!("{known:?} is on at {:?}, and not {:?}", self.at, self.brakes)
        })
    }

    /// What is refused for the brake is what the brake stops, while it does.
    pub(super) fn refused_by_brake(
        &self,
        body: &Body,
        refusal: &Refusal,
        clock: Timestamp,
    ) -> Step {
        let now = clock.max(self.at);
        let stopped = stopped_by(&body.command);
        let on = self.brakes.on.as_ref().filter(|brake| now < brake.until);
        let held = on.filter(|brake| stopped.is_some_and(|what| brake.what.contains(&what)));
        // The brake comes before any other reason, except that an id was used before.
        let agrees = if let Refusal::Braked { what, until } = refusal {
            held.is_some_and(|brake| brake.until == *until) && stopped == Some(*what)
        } else {
            *refusal == Refusal::IdReused || held.is_none()
        };
        must(agrees, Invariant::Brake, || {
            format!("{:?} is refused ({refusal}) at {now:?} with {on:?}", body.command)
        })
    }
}

/// The part of the network that a command belongs to, if that can be stopped.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what cannot be stopped is everything else, and a list of its own would say nothing more"
)]
const fn stopped_by(command: &Command) -> Option<Switch> {
    use Command as C;
    Some(match command {
        C::ClaimGrant { .. } | C::ClaimRewards { .. } | C::SafetyClaim { .. } => Switch::Claims,
        C::Quote { .. } | C::Rent { .. } | C::Wait { .. } => Switch::NewRentals,
        C::SetParameters { .. } => Switch::ParameterChanges,
        C::Slash { .. } => Switch::Slashing,
        C::Judge { uphold, .. } if *uphold => Switch::Slashing,
        C::Withdraw { .. }
        | C::WithdrawOverflow { .. }
        | C::WithdrawStake { .. }
        | C::SafetyWithdraw { .. } => Switch::Withdrawals,
        _ => return None,
    })
}
