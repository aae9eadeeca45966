//! What holders and the operator do about rules: propose, vote, delegate, object, brake and let go of the brake; and
//! what must be refused of it.

use std::collections::BTreeSet;

use control::{Actor, BrakeRecord, Command, ProposalRecord, Purse};
use stakes::votes::{Choice, Kind, Switch};
use units::{AccountId, Asset, Coins, Hour, Money, ProposalId};

use crate::habits::patch;
use crate::people::Purpose;
use crate::world::{Due, World};

/// Smallest units in one coin.
const COIN: u64 = 100_000_000;

/// Patches that holders vote on. Some make no sense, some only as long as others of them are not in effect.
const WISHES: [&str; 10] = [
    r#"{"fees":{"renter_reservation_bp":40,"supplier_reservation_bp":30}}"#,
    r#"{"fees":{"renter_reservation_bp":0,"nonrefundable_minutes":5}}"#,
    r#"{"fees":{"facilitation_usd_bp":150,"facilitation_io_bp":10}}"#,
    r#"{"pricing":{"floor_bp":20000}}"#,
    r#"{"pricing":{"ceiling_bp":15000}}"#,
    r#"{"pricing":{"rise_max_bp":300,"fall_max_bp":500}}"#,
    r#"{"pricing":{"spot_notice_minutes":12}}"#,
    r#"{"votes":{"voting_period_hours":2,"timelock_hours":0}}"#,
    r#"{"votes":{"quorum_bp":3000,"supermajority_for":[]}}"#,
    r#"{"votes":{"quorum_bp":0}}"#,
];

/// Patches of the registry; the last is none.
const LISTS: [&str; 3] = [
    r#"{"registry":{"models":{"rtx-4090":{"hour":"0.9"}}}}"#,
    r#"{"registry":{"class_hours":{"gpu-24gb":"0.25"}}}"#,
    r#"{"fees":{"renter_reservation_bp":1}}"#,
];

impl World {
    /// Everybody is given coins to have a say with, and votes take hours instead of days.
    pub(crate) fn convene(&mut self) {
        let mut hours = |low, high| self.dice.between(low, high);
        let (delay, period, lock) = (hours(0, 1), hours(1, 2), hours(0, 2));
        let (execution, brake, pause) = (hours(4, 30), hours(1, 3), hours(1, 2));
        let (quorum, veto, age) = (hours(200, 4_000), hours(2_000, 6_000), hours(0, 5) / 5);
        let rules = format!(
            concat!(
                r#"{{"stakes":{{"vote_age_days":{}}},"votes":{{"voting_delay_hours":{},"#,
                r#""voting_period_hours":{},"timelock_hours":{},"execution_hours":{},"#,
                r#""brake_hours_max":{},"brake_pause_hours":{},"quorum_bp":{},"veto_bp":{},"#,
                r#""propose_wait_hours":0,"open_per_account_max":4}}}}"#,
            ),
            age, delay, period, lock, execution, brake, pause, quorum, veto,
        );
        let command = Command::SetParameters { patch: rules, from: None };
        self.ask(Actor::Operator, command, Purpose::Other);
        self.genesis();
        for _ in 0..6 {
            let account = self.any_account();
            let coins = self.dice.between(1, 30_000);
            let (from, to) = (Purse::Treasury, Purse::Account(account));
            let money = Money::new(Asset::Io, coins * COIN);
            self.ask(Actor::Operator, Command::Transfer { from, to, money }, Purpose::Other);
        }
    }

    /// Somebody has a say, now and then.
    pub(crate) fn assemble(&mut self) {
        if !self.raining {
            return;
        }
        let later = self.dice.seconds(1, 12);
        self.agenda.at(self.now.after(later), Due::Assembly);
        self.have_a_say();
    }

    pub(crate) fn have_a_say(&mut self) {
        match self.dice.between(0, 19) {
            0..=2 => self.propose(),
            3..=9 => self.ballot(),
            10 => self.object(),
            11..=12 => self.delegate(),
            13..=14 => self.gain_weight(),
            15..=16 => self.brake(),
            17 => self.take_back(),
            _ => self.usurp(),
        }
    }

    fn propose(&mut self) {
        let account = self.any_account();
        let slash = self.dice.pick(&self.people.slashes).copied();
        let wish = (*self.dice.pick(&WISHES).expect("several")).to_owned();
        let list = (*self.dice.pick(&LISTS).expect("several")).to_owned();
        let what = match (self.dice.between(0, 9), slash) {
            (0..=3, _) => Kind::Parameters { patch: wish },
            (4..=5, _) => Kind::Registry { patch: list },
            (6..=8, Some(slash)) => Kind::AppealJury { slash },
            (_, _) => Kind::Text,
        };
        let proposal = self.proposal(account, what);
        self.ask(Actor::Account(account), Command::Propose { proposal }, Purpose::Known);
    }

    fn proposal(&mut self, account: AccountId, what: Kind) -> ProposalRecord {
        let proposal = ProposalId::from_bits(self.fresh_bits());
        let (title, body) = ("a better world".to_owned(), String::new());
        ProposalRecord { proposal, account, title, body, what }
    }

    /// One of the last proposals.
    fn known_proposal(&mut self) -> Option<ProposalId> {
        let known = &self.people.proposals;
        self.dice.pick(&known[known.len().saturating_sub(4)..]).copied()
    }

    fn ballot(&mut self) {
        let Some(proposal) = self.known_proposal() else { return self.gain_weight() };
        let account = self.any_account();
        let choices = [Choice::Yes, Choice::Yes, Choice::Yes, Choice::No, Choice::Abstain];
        let choice = *self.dice.pick(&choices).expect("five");
        let command = Command::Vote { proposal, account, choice };
        self.ask(Actor::Account(account), command, Purpose::Other);
    }

    fn object(&mut self) {
        let Some(proposal) = self.known_proposal() else { return };
        let account = self.any_account();
        let command = Command::VetoProposal { proposal, account };
        self.ask(Actor::Account(account), command, Purpose::Other);
    }

    fn delegate(&mut self) {
        let (account, other) = (self.any_account(), self.any_account());
        let to = self.dice.chance(800).then_some(other);
        let command = Command::Delegate { account, to };
        self.ask(Actor::Account(account), command, Purpose::Other);
    }

    /// Somebody stakes what they have, or takes it out again.
    fn gain_weight(&mut self) {
        let account = self.any_account();
        let coins = Coins::from_units(self.dice.between(1, 9_000) * COIN);
        let command = if self.dice.chance(850) {
            Command::SafetyStake { account, coins }
        } else {
            Command::SafetyUnstake { account, coins }
        };
        self.ask(Actor::Account(account), command, Purpose::Other);
    }

    fn take_back(&mut self) {
        let (Some(proposal), account) = (self.known_proposal(), self.any_account()) else { return };
        let command = Command::CancelProposal { proposal, account };
        self.ask(Actor::Account(account), command, Purpose::Other);
    }

    /// The operator pulls the brake and lets go of it; holders want it off.
    fn brake(&mut self) {
        let by = self.any_account();
        let (who, command) = match self.dice.between(0, 9) {
            0..=4 => {
                let what: BTreeSet<Switch> =
                    Switch::ALL.iter().copied().filter(|_| self.dice.chance(350)).collect();
                let hours = u32::try_from(self.dice.between(0, 4)).expect("a small number");
                let brake = BrakeRecord { what, reason: "smoke".to_owned(), by, hours };
                (Actor::Operator, Command::PullBrake { brake })
            }
            5 => (Actor::Operator, Command::LiftBrake {}),
            _ => (Actor::Account(by), Command::VetoBrake { account: by }),
        };
        self.ask(who, command, Purpose::Other);
    }

    /// The operator tells a version for later, or takes one back: any that waits, of which only the newest can be, or
    /// one that is in effect.
    pub(crate) fn think_again(&mut self) {
        let Some(control) = &self.server.control else { return };
        let waiting: Vec<u32> = control.versions_waiting().map(|version| version.number).collect();
        let some = self.dice.pick(&waiting).copied();
        let current = control.version().number;
        match (self.dice.between(0, 9), some) {
            (0..=4, Some(version)) => {
                let command = Command::WithdrawVersion { version };
                self.ask(Actor::Operator, command, Purpose::Other);
            }
            (5, _) => {
                let version = current.saturating_sub(self.some_hours(0, 1));
                self.ask(Actor::Operator, Command::WithdrawVersion { version }, Purpose::Theft);
            }
            (6, Some(version)) => {
                let by = Actor::Account(self.any_account());
                self.ask(by, Command::WithdrawVersion { version }, Purpose::Theft);
            }
            (_, _) => {
                let from = Some(Hour::of(self.server_clock()).later(self.some_hours(1, 3)));
                let patch = patch(&mut self.dice);
                let command = Command::SetParameters { patch, from };
                self.ask(Actor::Operator, command, Purpose::Other);
            }
        }
    }

    /// What must be refused, whatever is there: a say in the name of another, and what is the operator's.
    fn usurp(&mut self) {
        let (thief, account) = (self.any_account(), self.any_account());
        if thief == account {
            return;
        }
        let known = self.known_proposal();
        let proposal = known.unwrap_or(ProposalId::from_bits(1));
        let what: BTreeSet<Switch> = Switch::ALL.iter().copied().collect();
        let brake = BrakeRecord { what, reason: "mine".to_owned(), by: thief, hours: 1 };
        let thief = Actor::Account(thief);
        let (by, command) = match self.dice.between(0, 8) {
            0 => (thief, Command::Vote { proposal, account, choice: Choice::Yes }),
            1 => (Actor::Operator, Command::Vote { proposal, account, choice: Choice::No }),
            2 => (thief, Command::Delegate { account, to: None }),
            3 => (Actor::Operator, Command::VetoProposal { proposal, account }),
            4 => (thief, Command::CancelProposal { proposal, account }),
            5 => (thief, Command::PullBrake { brake }),
            6 => (thief, Command::LiftBrake {}),
            7 => (Actor::Operator, Command::VetoBrake { account }),
            _ => {
                let proposal = self.proposal(account, Kind::Text);
                (thief, Command::Propose { proposal })
            }
        };
        self.ask(by, command, Purpose::Theft);
    }
}
