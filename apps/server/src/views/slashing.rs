//! Slashes, and what is punished.

use control::Control;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stakes::{Evidence, Offence, Side, Slash, Statement, Step};
use units::{AccountId, Coins, SlashId};
use wire::{EvidenceItem, OffenceView, OffencesView, SlashStep, SlashView, StatementView, Time};

/// A word of a brain as it is written.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

/// The word of a brain that is written so, if it has such a word.
pub(crate) fn of_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(Value::String(word.to_owned())).ok()
}

/// What is punished, and how.
pub(crate) fn offences(state: &Control) -> OffencesView {
    let rules = &state.parameters().slashing;
    let view = |offence: Offence| {
        let rule = rules.of(offence);
        OffenceView {
            offence: offence.text().to_owned(),
            what: meaning(offence).to_owned(),
            need_bp: rule.need_bp,
            per_card: rule.per_card,
            cap_bp: rule.cap_bp,
            reward_hours: rule.reward_hours,
            evidence: rule.evidence.iter().map(word).collect(),
            kinds_min: rule.kinds_min,
        }
    };
    OffencesView {
        appeal_days: rules.appeal_days,
        decision_days: rules.decision_days,
        co_staker_liability_bp: rules.co_staker_liability_bp,
        offences: Offence::ALL.into_iter().map(view).collect(),
    }
}

/// What an offence is, in words.
const fn meaning(offence: Offence) -> &'static str {
    match offence {
        Offence::SpoofedHardware => "it claimed hardware that it is not",
        Offence::ForgedProof => "it told a proof that it did not work out itself for that hour",
        Offence::SecondIdentity => "it is one machine under two names",
        Offence::ForeignProcess => "it did other work of its owner's on hardware that a renter had",
        Offence::DataTampering => "it read or changed a renter's data",
        Offence::UtilizationBreach => "it was busier than its model may be while on offer and idle",
        Offence::FailedDelivery => "it was hired and did not deliver, or less than was rented",
    }
}

/// A slash for one of those it takes from, or, for `None`, for the operator.
pub(crate) fn slash(id: SlashId, slash: &Slash, viewer: Option<AccountId>) -> SlashView {
    let total = |of: Option<AccountId>| {
        let pieces = slash.pieces.iter().filter(|piece| of.is_none_or(|of| of == piece.account));
        let units = pieces.map(|piece| piece.amount.units()).sum();
        Coins::from_units(units)
    };
    let stake = slash.stake();
    SlashView {
        id,
        worker: slash.worker,
        owner: viewer.is_none().then_some(slash.owner),
        offence: slash.offence.text().to_owned(),
        offended_at: Time(slash.offended_at),
        state: slash.stage.text().to_owned(),
        until: slash.stage.due_at().map(Time),
        demanded: slash.demanded,
        stake,
        rewards: total(None).checked_sub(stake).expect("the stake is a part of it"),
        yours: viewer.map(|viewer| total(Some(viewer))),
        burned: slash.stage.is_burned(),
        evidence: slash.evidence.iter().map(evidence).collect(),
        statements: slash.statements.iter().map(statement).collect(),
        history: slash.history.iter().map(step).collect(),
    }
}

fn evidence(evidence: &Evidence) -> EvidenceItem {
    let Evidence { kind, blob, summary } = evidence;
    EvidenceItem { kind: word(kind), blob: *blob, summary: summary.clone() }
}

fn statement(statement: &Statement) -> StatementView {
    let by = match statement.by {
        Side::Accused(_) => "accused",
        Side::Network => "network",
    };
    StatementView { by: by.to_owned(), text: statement.text.clone(), blob: statement.blob }
}

fn step(step: &Step) -> SlashStep {
    SlashStep { at: Time(step.at), what: word(&step.what) }
}
