//! What holders vote on, and what it must reach.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, FullMinute, HOUR, ProposalId, SlashId, Timestamp};

use super::ballot::{BallotRefusal, Choice, Seat, Tally};
use super::rules::VoteRules;
use super::stage::{Defeat, Event, Stage};

/// What a proposal asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// To change rules of the network.
    Parameters {
        /// A JSON merge patch in canonical form.
        patch: String,
    },
    /// To change the list of hardware models.
    Registry {
        /// A JSON merge patch in canonical form.
        patch: String,
    },
    /// To undo a slash.
    AppealJury {
        /// Which.
        slash: SlashId,
    },
    /// Nothing but an opinion.
    Text,
}

/// The name of a kind of proposal.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum KindName {
    /// To undo a slash.
    AppealJury,
    /// To change rules of the network.
    Parameters,
    /// To change the list of hardware models.
    Registry,
    /// Nothing but an opinion.
    Text,
}

impl KindName {
    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::AppealJury => "appeal-jury",
            Self::Parameters => "parameters",
            Self::Registry => "registry",
            Self::Text => "text",
        }
    }
}

impl Kind {
    /// Its name.
    pub const fn name(&self) -> KindName {
        match self {
            Self::Parameters { .. } => KindName::Parameters,
            Self::Registry { .. } => KindName::Registry,
            Self::AppealJury { .. } => KindName::AppealJury,
            Self::Text => KindName::Text,
        }
    }

    /// The patch it carries, if it does.
    pub fn patch(&self) -> Option<&str> {
        match self {
            Self::Parameters { patch } | Self::Registry { patch } => Some(patch),
            Self::AppealJury { .. } | Self::Text => None,
        }
    }

    /// The slash it is about, if it is about one.
    pub const fn slash(&self) -> Option<SlashId> {
        match self {
            Self::AppealJury { slash } => Some(*slash),
            Self::Parameters { .. } | Self::Registry { .. } | Self::Text => None,
        }
    }

    /// Whether executing it changes what the network goes by: the brake on parameter changes holds it up.
    pub const fn changes_parameters(&self) -> bool {
        match self {
            Self::Parameters { .. } | Self::Registry { .. } => true,
            Self::AppealJury { .. } | Self::Text => false,
        }
    }

    /// Whether there is anything to do once it is voted through.
    pub const fn is_executable(&self) -> bool {
        match self {
            Self::Parameters { .. } | Self::Registry { .. } | Self::AppealJury { .. } => true,
            Self::Text => false,
        }
    }
}

/// A proposal as its proposer hands it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it will be called; the caller answers for its being new.
    pub id: ProposalId,
    /// What it asks for.
    pub kind: Kind,
    /// One line.
    pub title: String,
    /// Why, in as many words as the rules allow.
    pub body: String,
    /// Who proposes it.
    pub proposer: AccountId,
}

/// Why a proposal is not put to the vote. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeRefusal {
    /// No title, or more than one line of it.
    #[error("a proposal needs a title of one line without control characters")]
    Title,
    /// A text is longer than the rules allow.
    #[error("the {part} has {chars} characters; shorten it to {max}")]
    TooLong {
        /// Which.
        part: &'static str,
        /// How long it is.
        chars: usize,
        /// How long it may be.
        max: u32,
    },
    /// The patch cannot be a JSON object.
    #[error("the patch is not a JSON object; write what changes as {{\"field\": value}}")]
    NotAPatch,
    /// There is a proposal of this name.
    #[error("there is a proposal with this id already")]
    IdReused,
    /// The account proposed something lately.
    #[error("the account proposed something lately; it can again from {} on", FullMinute(*.until))]
    TooSoon {
        /// When it may again.
        until: Timestamp,
    },
    /// The account has as many open proposals as it may have.
    #[error("the account has {max} open already; cancel one or wait until it is decided")]
    TooManyOwn {
        /// How many it may have.
        max: u16,
    },
    /// There are as many open proposals as there may be.
    #[error("{max} proposals are open already; wait until one is decided")]
    TooManyOpen {
        /// How many there may be.
        max: u16,
    },
    /// Holders are asked about this slash already.
    #[error("holders are asked about {slash} already; vote on that proposal")]
    AlreadyAsked {
        /// Which slash.
        slash: SlashId,
    },
    /// The caller counted more power than can be written down.
    #[error("all power together is more than can be written down")]
    TooMuchPower,
    /// The proposer has not the power to propose.
    #[error(
        "proposing takes {needs:#} IO of own voting power and the account has {has:#}; stake more"
    )]
    TooLittlePower {
        /// What it has.
        has: Coins,
        /// What it needs.
        needs: Coins,
    },
    /// The proposer has not the power to ask for a jury: the accused have none there, however much they stake.
    #[error(
        "asking for a jury takes {needs:#} IO of own voting power, and here the account has {has:#}: the accused, and \
         who lends them a vote, have none; ask somebody who has that much to propose it"
    )]
    TooLittlePowerForJury {
        /// What it has.
        has: Coins,
        /// What it needs.
        needs: Coins,
    },
}

impl Draft {
    /// Whether its texts are what the rules allow.
    ///
    /// # Errors
    /// The first text that is not.
    pub fn check(&self, rules: &VoteRules) -> Result<(), ProposeRefusal> {
        if self.title.trim().is_empty() || self.title.chars().any(char::is_control) {
            return Err(ProposeRefusal::Title);
        }
        let patch = self.kind.patch().unwrap_or_default();
        let parts = [
            ("title", &*self.title, rules.title_chars_max),
            ("body", &*self.body, rules.body_chars_max),
            ("patch", patch, rules.patch_chars_max),
        ];
        for (part, text, max) in parts {
            let chars = text.chars().count();
            if chars > usize::try_from(max).unwrap_or(usize::MAX) {
                return Err(ProposeRefusal::TooLong { part, chars, max });
            }
        }
        let is_object = |patch: &str| patch.starts_with('{') && patch.ends_with('}');
        if self.kind.patch().is_some_and(|patch| !is_object(patch)) {
            return Err(ProposeRefusal::NotAPatch);
        }
        Ok(())
    }
}

/// What a proposal must reach and how long it takes, by the rules of the day it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// All power there was.
    pub total: Coins,
    /// What its proposer needs as long as the vote has not ended.
    pub propose_min: Coins,
    /// How much must say yes or abstain.
    pub quorum: Coins,
    /// Of yes and no, how much yes must exceed, in basis points.
    pub threshold_bp: u16,
    /// How much stops it by objecting.
    pub veto: Coins,
    /// Hours in which ballots are taken.
    pub voting_period_hours: u32,
    /// Hours from there to the execution.
    pub timelock_hours: u32,
    /// Hours in which it can be executed.
    pub execution_hours: u32,
}

impl Terms {
    pub(super) fn new(kind: KindName, total: Coins, rules: &VoteRules) -> Self {
        let part = |bp: u16| part_of(total, bp);
        Self {
            total,
            propose_min: part(rules.propose_min_bp),
            quorum: part(rules.quorum_bp),
            threshold_bp: rules.threshold_for(kind),
            veto: part(rules.veto_bp),
            voting_period_hours: rules.voting_period_hours,
            timelock_hours: rules.timelock_hours,
            execution_hours: rules.execution_hours,
        }
    }
}

/// The part of all power that must be reached: rounded up, and never nothing, which nobody would have to reach.
pub(super) fn part_of(total: Coins, basis_points: u16) -> Coins {
    let part = total.share_ceil(basis_points.min(10_000)).expect("a part of what can be written");
    part.max(Coins::from_units(1))
}

/// Something put to the vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What it asks for.
    pub kind: Kind,
    /// One line.
    pub title: String,
    /// Why.
    pub body: String,
    /// Who proposed it.
    pub proposer: AccountId,
    /// When.
    pub proposed_at: Timestamp,
    /// What it must reach.
    pub terms: Terms,
    /// Where it stands.
    pub stage: Stage,
    /// What was voted so far.
    pub tally: Tally,
    /// How many accounts voted.
    pub voters: u32,
    /// The power of those who object.
    pub objected: Coins,
    /// Everybody who has or was lent power; empty once the proposal is closed.
    pub(super) seats: BTreeMap<AccountId, Seat>,
}

impl Proposal {
    pub(super) fn new(
        draft: Draft,
        terms: Terms,
        seats: BTreeMap<AccountId, Seat>,
        now: Timestamp,
        rules: &VoteRules,
    ) -> Self {
        Self {
            kind: draft.kind,
            title: draft.title,
            body: draft.body,
            proposer: draft.proposer,
            proposed_at: now,
            terms,
            stage: Stage::Pending { until: now.after(HOUR * rules.voting_delay_hours) },
            tally: Tally::default(),
            voters: 0,
            objected: Coins::ZERO,
            seats,
        }
    }

    /// What `account` has in this vote; none for an account without power, and once the proposal is closed.
    pub fn seat(&self, account: AccountId) -> Option<&Seat> {
        self.seats.get(&account)
    }

    /// Who voted what and with how much, in order of account; nobody once the proposal is closed.
    pub fn ballots(&self) -> impl Iterator<Item = (AccountId, Choice, Coins)> {
        let cast = |(account, seat): (&AccountId, &Seat)| {
            seat.choice.map(|choice| (*account, choice, seat.weight()))
        };
        self.seats.iter().filter_map(cast)
    }

    /// How it would end if voting ended as it stands.
    pub fn would_be_defeated(&self) -> Option<Defeat> {
        if self.tally.counts_for_quorum() < self.terms.quorum {
            return Some(Defeat::NoQuorum);
        }
        (!self.tally.exceeds(self.terms.threshold_bp)).then_some(Defeat::Outvoted)
    }

    /// What happens when the time of its stage is over; nothing when no time runs.
    pub(super) fn what_time_brings(&self) -> Option<Event> {
        match &self.stage {
            Stage::Pending { until } => {
                Some(Event::Opened { until: until.after(HOUR * self.terms.voting_period_hours) })
            }
            Stage::Voting { until } => Some(self.verdict(*until)),
            Stage::Queued { .. } => Some(Event::Expired),
            Stage::Succeeded { .. }
            | Stage::Executed { .. }
            | Stage::Failed { .. }
            | Stage::Defeated { .. }
            | Stage::Expired { .. }
            | Stage::Cancelled { .. }
            | Stage::Vetoed { .. } => None,
        }
    }

    /// Whether its vote has ended by now, be it that nobody has let time do so yet.
    pub(super) fn is_vote_over(&self, now: Timestamp) -> bool {
        match self.stage {
            Stage::Pending { until } => until.after(HOUR * self.terms.voting_period_hours) <= now,
            Stage::Voting { until } => until <= now,
            Stage::Queued { .. }
            | Stage::Succeeded { .. }
            | Stage::Executed { .. }
            | Stage::Failed { .. }
            | Stage::Defeated { .. }
            | Stage::Expired { .. }
            | Stage::Cancelled { .. }
            | Stage::Vetoed { .. } => true,
        }
    }

    fn verdict(&self, end: Timestamp) -> Event {
        if let Some(why) = self.would_be_defeated() {
            return Event::Defeated(why);
        }
        if !self.kind.is_executable() {
            return Event::Adopted;
        }
        let from = end.after(HOUR * self.terms.timelock_hours);
        Event::Queued { from, until: from.after(HOUR * self.terms.execution_hours) }
    }

    pub(super) fn check_voting(&self, now: Timestamp) -> Result<(), BallotRefusal> {
        match self.stage {
            Stage::Voting { until } if now < until => Ok(()),
            Stage::Voting { .. }
            | Stage::Pending { .. }
            | Stage::Queued { .. }
            | Stage::Succeeded { .. }
            | Stage::Executed { .. }
            | Stage::Failed { .. }
            | Stage::Defeated { .. }
            | Stage::Expired { .. }
            | Stage::Cancelled { .. }
            | Stage::Vetoed { .. } => Err(BallotRefusal::NotVoting { stage: self.stage.text() }),
        }
    }

    pub(super) fn check_vetoable(&self, now: Timestamp) -> Result<(), BallotRefusal> {
        match self.stage {
            Stage::Voting { until } | Stage::Queued { until, .. } if now < until => Ok(()),
            Stage::Voting { .. }
            | Stage::Queued { .. }
            | Stage::Pending { .. }
            | Stage::Succeeded { .. }
            | Stage::Executed { .. }
            | Stage::Failed { .. }
            | Stage::Defeated { .. }
            | Stage::Expired { .. }
            | Stage::Cancelled { .. }
            | Stage::Vetoed { .. } => Err(BallotRefusal::NotVetoable { stage: self.stage.text() }),
        }
    }

    /// Drops what only an open vote needs.
    pub(super) fn close(&mut self) {
        self.seats = BTreeMap::new();
    }
}
